"""The ground being painted: albedo and relief on a raster, and noise that is fixed to the ground.

Noise is drawn on grids of ground cells and interpolated, so that a seed shows the same stains at every GSD.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from shapely import box
from shapely.geometry import Polygon

from imagery.simulator.values import Colour, stream

Floats = NDArray[np.float32]

OCTAVES = (14.0, 4.5, 1.5, 0.5, 0.17, 0.06)
"""Metres between the nodes of each noise field."""
BAND = 160
"""Rows painted at a time: small enough for the processor's cache."""


def linear(colour: Colour) -> Floats:
    """sRGB 0..255 to linear reflectance, float32 [3]."""
    return (np.asarray(colour, dtype=np.float32) / 255.0) ** np.float32(2.2)


@dataclass(frozen=True, slots=True)
class View:
    """A raster over the scene: `x`, `y` of its top left corner in metres, its cell and its size in pixels."""

    x: float
    y: float
    gsd: float
    rows: int
    cols: int


@dataclass(frozen=True, slots=True)
class Patch:
    """A rectangle of a canvas: slices into its arrays and the scene coordinates of its pixel centres."""

    rows: slice
    cols: slice
    x: Floats
    """[1, w] metres."""
    y: Floats
    """[h, 1] metres."""

    @property
    def cut(self) -> tuple[slice, slice]:
        return self.rows, self.cols


def noise(rng: np.random.Generator, extent: tuple[float, float, float, float], cell: float, view: View) -> Floats:
    """A smooth random field of about zero mean and unit variance, float32 [rows, cols].

    `extent` (x0, y0, x1, y1) is the ground that the nodes are drawn for, whatever the view shows of it.
    """
    x0, y0, x1, y1 = extent
    shape = math.ceil((y1 - y0) / cell) + 4, math.ceil((x1 - x0) / cell) + 4
    nodes = rng.standard_normal(shape, dtype=np.float32) * np.float32(1.35)  # interpolation takes variance away
    left, top = (view.x - x0) / cell + 2, (view.y - y0) / cell + 2
    right, bottom = left + view.cols * view.gsd / cell, top + view.rows * view.gsd / cell
    r0, r1 = max(0, math.floor(top) - 3), math.ceil(bottom) + 3
    c0, c1 = max(0, math.floor(left) - 3), math.ceil(right) + 3
    field = Image.fromarray(nodes[r0:r1, c0:c1]).resize(
        (view.cols, view.rows), Image.Resampling.BICUBIC, (left - c0, top - r0, right - c0, bottom - r0)
    )
    return np.asarray(field)


class Canvas:
    """Arrays over a view. `albedo` float32 [H, W, 3] linear; `height` [H, W] metres; `plants` and `soil` [H, W] are the
    shares of each pixel that take on the season and the wet."""

    def __init__(self, seed: int, extent: tuple[float, float, float, float], view: View) -> None:
        self.view = view
        shape = view.rows, view.cols
        self.albedo = np.empty((*shape, 3), dtype=np.float32)
        self.height = np.zeros(shape, dtype=np.float32)
        self.plants = np.zeros(shape, dtype=np.float32)
        self.soil = np.zeros(shape, dtype=np.float32)
        still = np.zeros(shape, dtype=np.float32)
        # Detail finer than the pixels averages out; it is left away instead of being aliased.
        self.fields = tuple(
            noise(stream(seed, "noise", number), extent, cell, view) if cell > 1.6 * view.gsd else still
            for number, cell in enumerate(OCTAVES)
        )

    def copy(self) -> "Canvas":
        """Another canvas with the same noise and its own arrays."""
        other = object.__new__(Canvas)
        other.view, other.fields = self.view, self.fields
        other.albedo, other.height = self.albedo.copy(), self.height.copy()
        other.plants, other.soil = self.plants.copy(), self.soil.copy()
        return other

    def patch(self, x0: float, y0: float, x1: float, y1: float) -> Patch | None:
        """The pixels that meet a box of scene coordinates, None where the view does not show it."""
        view = self.view
        c0, c1 = math.floor((x0 - view.x) / view.gsd), math.ceil((x1 - view.x) / view.gsd)
        r0, r1 = math.floor((y0 - view.y) / view.gsd), math.ceil((y1 - view.y) / view.gsd)
        c0, c1, r0, r1 = max(c0, 0), min(c1, view.cols), max(r0, 0), min(r1, view.rows)
        if c0 >= c1 or r0 >= r1:
            return None
        return self._pixels(r0, r1, c0, c1)

    def around(self, shape: Polygon, room: float) -> Iterator[Patch]:
        """Patches of at most `BAND` rows that cover the shape and `room` metres around it."""
        view = self.view
        bounds = shape.bounds
        first = max(math.floor((bounds[1] - room - view.y) / view.gsd), 0)
        last = min(math.ceil((bounds[3] + room - view.y) / view.gsd), view.rows)
        for row in range(first, last, BAND):
            until = min(row + BAND, last)
            top, bottom = view.y + row * view.gsd, view.y + until * view.gsd
            strip = shape.intersection(box(bounds[0] - 1, top - room, bounds[2] + 1, bottom + room))
            if strip.is_empty:
                continue
            c0 = max(math.floor((strip.bounds[0] - room - view.x) / view.gsd), 0)
            c1 = min(math.ceil((strip.bounds[2] + room - view.x) / view.gsd), view.cols)
            if c0 < c1:
                yield self._pixels(row, until, c0, c1)

    def _pixels(self, r0: int, r1: int, c0: int, c1: int) -> Patch:
        view = self.view
        x = (np.arange(c0, c1, dtype=np.float32) + np.float32(0.5)) * np.float32(view.gsd) + np.float32(view.x)
        y = (np.arange(r0, r1, dtype=np.float32) + np.float32(0.5)) * np.float32(view.gsd) + np.float32(view.y)
        return Patch(slice(r0, r1), slice(c0, c1), x[None, :], y[:, None])

    def blend(self, patch: Patch, alpha: Floats, colour: Floats) -> None:
        """Lay `colour` ([3] or [h, w, 3], linear) over the patch with `alpha` [h, w]."""
        under = self.albedo[patch.cut]
        under += alpha[..., None] * (colour - under)
