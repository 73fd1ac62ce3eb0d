"""Where the cells of a ground grid lie in a source, and how far its pixels are reduced before that."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imagery.ground import Points, apply, invert, transformation
from imagery.resample import UNIT
from imagery.sources import Source, check_coordinates
from imagery.tiles import GroundGrid, Window

LATTICE = 32
"""Cells between the nodes at which another CRS is computed exactly; linear between them. At cells of 5 m that is off by
under 1 mm, and the nodes are anchored to the grid, so that it is off alike in every window."""

NOWHERE = -1e6
"""Pixels for a cell that has no place in the source's CRS: far outside."""


@dataclass(frozen=True, slots=True)
class Mapping:
    """From the cells of `grid` to the reduced pixels of `source`.

    Reduced pixels: those of overview `level` (-1: the full image), averaged in blocks of `blocks` (across, down). A
    cell is between 2 and 4 reduced pixels wide where the axes of grid and source agree (`aligned`), and is averaged
    over exactly; else between 1 and 2, and is interpolated. Finer cells are narrower than one.
    """

    source: Source
    grid: GroundGrid
    aligned: bool
    level: int
    size: tuple[int, int]
    """Width and height of the level, in its own pixels."""
    blocks: tuple[int, int]
    reduction: tuple[float, float]
    """Full pixels per reduced pixel, across and down."""
    span: tuple[float, float]
    """Reduced pixels per cell, across and down."""

    @property
    def cost(self) -> float:
        """Pixels of the level behind one cell."""
        return max(1.0, self.span[0] * self.blocks[0]) * max(1.0, self.span[1] * self.blocks[1])

    def columns(self, window: Window) -> NDArray[np.int64]:
        """Centres of an aligned window's columns, in 1/64 reduced pixel: int64 [W]."""
        centres = np.arange(window.col, window.col + window.width, dtype=np.float64) + 0.5
        a, _, c, *_ = invert(self.source.transform)
        return _units((a * (centres * self.grid.cell) + c) / self.reduction[0])

    def rows(self, window: Window) -> NDArray[np.int64]:
        """Centres of an aligned window's rows, in 1/64 reduced pixel: int64 [H]."""
        centres = np.arange(window.row, window.row + window.height, dtype=np.float64) + 0.5
        *_, e, f = invert(self.source.transform)
        return _units((e * (centres * (self.grid.y_sign * self.grid.cell)) + f) / self.reduction[1])

    def centres(self, window: Window) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Centres (u, v) of any window's cells, in 1/64 reduced pixel: two int64 [H, W]."""
        rows = np.arange(window.row, window.row + window.height)
        cols = np.arange(window.col, window.col + window.width)
        to_pixel = pixel_of(self.source, self.grid)
        if self.source.crs == self.grid.crs:
            points = to_pixel(_pairs(cols + 0.5, rows + 0.5))
        else:
            i, j = rows // LATTICE, cols // LATTICE
            nodes = _pairs(np.arange(j[0], j[-1] + 2) * LATTICE, np.arange(i[0], i[-1] + 2) * LATTICE)
            exact = to_pixel(nodes.astype(np.float64))
            down = ((rows % LATTICE + 0.5) / LATTICE)[:, None, None]
            across = ((cols % LATTICE + 0.5) / LATTICE)[None, :, None]
            upper, lower = exact[i - i[0]], exact[i - i[0] + 1]
            strips = upper + (lower - upper) * down
            left, right = strips[:, j - j[0]], strips[:, j - j[0] + 1]
            points = left + (right - left) * across
        return _units(points[..., 0] / self.reduction[0]), _units(points[..., 1] / self.reduction[1])


def map_grid(source: Source, grid: GroundGrid) -> Mapping:
    """Decide the mapping from source and grid alone, never from a window."""
    check_coordinates(source, grid)
    steps = _steps(source, grid)
    aligned = source.crs == grid.crs and steps[0, 1] == 0 and steps[1, 0] == 0
    scale = np.hypot(steps[:, 0], steps[:, 1])
    keep = 2 if aligned else 1
    level, size = -1, (source.width, source.height)
    for i, (width, height) in enumerate(source.overviews):
        if width < size[0] and max(source.width / width, source.height / height) * keep <= scale.min():
            level, size = i, (width, height)
    overview = (source.width / size[0], source.height / size[1])
    across, down = (max(1, int(s / f / keep)) for s, f in zip(scale.tolist(), overview, strict=True))
    reduction = (overview[0] * across, overview[1] * down)
    span = (float(scale[0]) / reduction[0], float(scale[1]) / reduction[1])
    return Mapping(source, grid, bool(aligned), level, size, (across, down), reduction, span)


def pixel_of(source: Source, grid: GroundGrid) -> Callable[[Points], Points]:
    """A function from (column, row) [..., 2] of the grid's cells to (x, y) [..., 2] in the source's full pixels."""
    inverse = invert(source.transform)
    step = np.array([grid.cell, grid.y_sign * grid.cell])
    transformer = None if source.crs == grid.crs else transformation(grid.crs, source.crs)

    def convert(cells: Points) -> Points:
        ground = cells * step
        if transformer is not None:
            x, y = transformer.transform(ground[..., 0], ground[..., 1])
            ground = np.stack([x, y], axis=-1)
        return np.nan_to_num(apply(inverse, ground), nan=NOWHERE, posinf=NOWHERE, neginf=NOWHERE)

    return convert


def _steps(source: Source, grid: GroundGrid) -> NDArray[np.float64]:
    """[2, 2]: how many full pixels (x, y: rows) a step of one cell (right, down: columns) takes, in the middle."""
    if source.crs == grid.crs:
        a, b, _, d, e, _ = invert(source.transform)
        return np.array([[a, b * grid.y_sign], [d, e * grid.y_sign]]) * grid.cell
    extent = source.extent(grid)
    col, row = extent.col + extent.width / 2, extent.row + extent.height / 2
    here, right, below = pixel_of(source, grid)(np.array([[col, row], [col + 1, row], [col, row + 1]]))
    return np.stack([right - here, below - here], axis=-1)


def _pairs(x: NDArray[Any], y: NDArray[Any]) -> Points:
    """[len(y), len(x), 2]."""
    return np.stack(np.broadcast_arrays(x[None, :], y[:, None]), axis=-1).astype(np.float64)


def _units(pixels: Points) -> NDArray[np.int64]:
    return np.rint(pixels * UNIT).astype(np.int64)
