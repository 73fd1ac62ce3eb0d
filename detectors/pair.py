"""What the first pass of the change detector learns about two dates: small values that merge in any order.

Pass 1 runs over the same windows twice, because colours can only be compared once the two dates lie on each other:

    votes   = [change.observe_shift(window, before, after)          for every window]    # any order, any worker
    field   = change.fit_shift(votes)
    tallies = [change.observe_light(field, window, before, after)   for every window]
    pair    = change.fit(field, tallies, gsd_before, gsd_after)      # stored with the run: pair.to_dict()

Pass 2 is a function of the window and the pair model alone: `change.compare(pair, window, before, after)`.
`window` is always the *full* window (core and halo) of `change.spec.plan`; `before` and `after` are what the window
reader returns for it on the common ground grid of `change.cell(...)`.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import IntEnum
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from detectors.light import Line
from imagery.tiles import Window


class Pixels(Protocol):
    """What a window reader returns: the ground of one window on one date."""

    @property
    def data(self) -> NDArray[np.uint8]:
        """uint8 [3, H, W], RGB."""
        ...

    @property
    def valid(self) -> NDArray[np.bool_]:
        """bool [H, W], True where the source has pixels."""
        ...


class Reason(IntEnum):
    """Why a cell was not compared; the values of the reason raster."""

    COMPARABLE = 0
    SHIFT = 1
    """The dates do not lie on each other here, and no trustworthy shift was measured that would bring them."""
    SHADOW = 2
    """In shadow on one date only: the ground is hidden, not changed."""
    PARALLAX = 3
    """Something high that leans differently on the two dates."""
    GSD = 4
    """One source is too coarse to be compared with the other."""
    NO_DATA = 5
    """Not covered by both dates."""


@dataclass(frozen=True, slots=True, order=True)
class ShiftVote:
    """Measured in one block: what stands at cell (x, y) before is found at (x + dx, y + dy) after."""

    x: float
    """Centre of the block, in grid columns."""
    y: float
    """Centre of the block, in grid rows (down)."""
    dx: float
    dy: float
    confidence: float
    """0 (no peak) to 1 (one sharp peak)."""


@dataclass(frozen=True, slots=True)
class Bend:
    """What a plane leaves over of a shift field: values on square nodes, bilinear between them, kept beyond them."""

    x: float
    """Grid column of the first node."""
    y: float
    """Grid row of the first node."""
    step: float
    """Cells between nodes."""
    nodes: tuple[tuple[tuple[float, float], ...], ...]
    """[rows][cols] of (dx, dy) in cells."""

    def at(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """dx and dy in cells at grid columns `x` and rows `y` (arrays of one shape)."""
        values = np.array(self.nodes)
        rows, cols = values.shape[:2]
        r = np.clip((y - self.y) / self.step, 0, rows - 1 - 1e-9)
        c = np.clip((x - self.x) / self.step, 0, cols - 1 - 1e-9)
        i, j = r.astype(int), c.astype(int)
        fr, fc = (r - i)[..., None], (c - j)[..., None]
        top = values[i, j] * (1 - fc) + values[i, j + 1] * fc
        bottom = values[i + 1, j] * (1 - fc) + values[i + 1, j + 1] * fc
        both = top * (1 - fr) + bottom * fr
        return both[..., 0], both[..., 1]


@dataclass(frozen=True, slots=True)
class ShiftField:
    """Where the ground of before lies in after, in cells: dx = ax + bx * x + cx * y, dy likewise, with x and y
    measured from (`x0`, `y0`), plus the bend."""

    x0: float = 0.0
    y0: float = 0.0
    along_x: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """ax, bx, cx."""
    along_y: tuple[float, float, float] = (0.0, 0.0, 0.0)
    residual: float = 0.0
    """Median distance in cells between votes and a field that they had no say in; how well the dates lie on each
    other."""
    votes: int = 0
    """Blocks that agreed with the field; 0: nothing could be measured and the georeference is taken as it is."""
    bend: Bend | None = None

    def at(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """dx and dy in cells at grid columns `x` and rows `y` (arrays of one shape)."""
        ax, bx, cx = self.along_x
        ay, by, cy = self.along_y
        u, v = x - self.x0, y - self.y0
        dx, dy = ax + bx * u + cx * v, ay + by * u + cy * v
        if self.bend is None:
            return dx, dy
        more_x, more_y = self.bend.at(x, y)
        return dx + more_x, dy + more_y


@dataclass(frozen=True, slots=True)
class LightTally:
    """Joint histograms of the registered dates in one window's core: whole numbers, so that sums have no order.

    `joint`: int64 [P, F, K, K], see `light.tally`."""

    joint: NDArray[np.int64]

    def __add__(self, other: Self) -> Self:
        return type(self)(self.joint + other.joint)


@dataclass(frozen=True, slots=True)
class PairModel:
    """All that pass 2 needs to know about the two dates together."""

    shift: ShiftField
    lines: tuple[tuple[Line, ...], ...]
    """[P][F]: how the look of unchanged ground after follows from its look before."""
    gsd_ratio: float = 1.0
    """Coarser over finer source."""
    cell: float = 0.06
    """Metres on the ground per cell of the grid."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, for the run's record."""
        return asdict(self)

    @classmethod
    def from_dict(cls, kept: dict[str, Any]) -> Self:
        shift: dict[str, Any] = dict(kept["shift"])
        shift |= {key: tuple(shift[key]) for key in ("along_x", "along_y")}
        if bend := shift.get("bend"):
            nodes = tuple(tuple((float(dx), float(dy)) for dx, dy in row) for row in bend["nodes"])
            shift["bend"] = Bend(**{**bend, "nodes": nodes})
        lines = tuple(tuple(Line(**line) for line in features) for features in kept["lines"])
        return cls(ShiftField(**shift), lines, float(kept["gsd_ratio"]), float(kept["cell"]))


@dataclass(frozen=True, slots=True)
class Compared:
    """Pass 2's answer for a whole window; callers keep the core."""

    score: NDArray[np.uint8]
    """uint8 [H, W]; at or above `change.spec.thresholds[0]` is changed; 0 where not comparable."""
    reason: NDArray[np.uint8]
    """uint8 [H, W] of `Reason`."""


class ChangeInterface(Protocol):
    """The functions of `detectors.change`, as the two passes call them."""

    def cell(self, gsd_before: float, gsd_after: float) -> float:
        """Cell of the common ground grid in metres: never finer than `spec.gsd` nor than either source."""
        ...

    def observe_shift(self, window: Window, before: Pixels, after: Pixels) -> tuple[ShiftVote, ...]: ...

    def fit_shift(self, votes: Sequence[tuple[ShiftVote, ...]]) -> ShiftField: ...

    def observe_light(self, shift: ShiftField, window: Window, before: Pixels, after: Pixels) -> LightTally: ...

    def fit(
        self, shift: ShiftField, tallies: Sequence[LightTally], gsd_before: float, gsd_after: float
    ) -> PairModel: ...

    def compare(self, pair: PairModel, window: Window, before: Pixels, after: Pixels) -> Compared: ...
