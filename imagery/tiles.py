"""The ground grid that windows are anchored to, and the plan of windows over an extent.

A model's windows are fixed by the model version: core and halo in cells of a grid whose cell (0, 0) has its upper left
corner at the origin of the CRS. An extent only chooses *which* windows run, never where they lie, so that a result does
not depend on the extent, the chunking or the order of the work. Imports nothing beyond the standard library.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

PIXELS = ""
"""The "CRS" of a source without georeference: x to the right, y *down*, in the source's own pixels."""


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """A rectangle of grid cells. `row` grows downwards (south); `col` and `row` may be negative."""

    row: int
    col: int
    height: int
    width: int

    def __post_init__(self) -> None:
        if self.height < 0 or self.width < 0:
            raise ValueError(f"a window's size cannot be negative: {self.height} x {self.width}")

    @property
    def empty(self) -> bool:
        return self.height == 0 or self.width == 0

    def grow(self, cells: int) -> "Window":
        """The window with `cells` more on each of its four sides."""
        return Window(self.row - cells, self.col - cells, self.height + 2 * cells, self.width + 2 * cells)

    def intersect(self, other: "Window") -> "Window":
        """The cells in both; empty (0 x 0) where they do not meet."""
        row, col = max(self.row, other.row), max(self.col, other.col)
        height = min(self.row + self.height, other.row + other.height) - row
        width = min(self.col + self.width, other.col + other.width) - col
        return Window(row, col, height, width) if height > 0 and width > 0 else Window(row, col, 0, 0)

    def slices_in(self, outer: "Window") -> tuple[slice, slice]:
        """Row and column slices that cut this window out of an array [..., H, W] covering `outer`."""
        row, col = self.row - outer.row, self.col - outer.col
        return slice(row, row + self.height), slice(col, col + self.width)


@dataclass(frozen=True, slots=True)
class GroundGrid:
    """Square cells of `cell` CRS units, anchored to the CRS's origin. `crs` is an authority string, WKT, or `PIXELS`.

    In a georeferenced grid cell (row, col) covers x in [col, col + 1) * cell and y in (-(row + 1), -row] * cell; in a
    `PIXELS` grid y grows downwards, so that y is in [row, row + 1) * cell.
    """

    crs: str
    cell: float

    @property
    def y_sign(self) -> float:
        return 1.0 if self.crs == PIXELS else -1.0

    def transform(self, window: Window) -> tuple[float, float, float, float, float, float]:
        """Affine coefficients (a, b, c, d, e, f) from a pixel of `window` to CRS x, y, in rasterio's order."""
        down = self.y_sign * self.cell
        return (self.cell, 0.0, window.col * self.cell, 0.0, down, window.row * down)

    def cover(self, left: float, bottom: float, right: float, top: float) -> Window:
        """The smallest window holding these CRS bounds. `PIXELS` bounds have bottom > top."""
        edge = 1e-6  # a bound that misses a cell border by rounding alone does not open a new row
        top_cells, bottom_cells = self.y_sign * top / self.cell, self.y_sign * bottom / self.cell
        row, col = math.floor(top_cells + edge), math.floor(left / self.cell + edge)
        height = math.ceil(bottom_cells - edge) - row
        width = math.ceil(right / self.cell - edge) - col
        return Window(row, col, height, width)


@dataclass(frozen=True, slots=True, order=True)
class Tile:
    """One window of a plan: the `core` that its result is taken from and the `full` window that the model sees."""

    core: Window
    full: Window


@dataclass(frozen=True, slots=True)
class TilePlan:
    """Windows of `core` cells a side with `halo` cells of context around them, at multiples of `core`."""

    core: int
    halo: int

    def tiles(self, extent: Window) -> Iterator[Tile]:
        """Every tile whose core meets `extent`, row by row. Cores are never cut to the extent: outputs are."""
        if extent.empty:
            return
        for i in range(extent.row // self.core, (extent.row + extent.height - 1) // self.core + 1):
            for j in range(extent.col // self.core, (extent.col + extent.width - 1) // self.core + 1):
                core = Window(i * self.core, j * self.core, self.core, self.core)
                yield Tile(core, core.grow(self.halo))
