"""How each region of a comparison changed: appeared, disappeared or altered; looked at once more with its ground."""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from rasterio.features import rasterize
from shapely import transform

from detectors import change as detector
from imagery.polygons import Region
from imagery.tiles import Window
from workers.change import Comparison, both_grey, lay_out
from workers.windows import Sheet, read_all

LEAST_MARGIN, MOST_SIDE, STEP = 40, 256, 16
"""Cells around a region, the longest side of a crop, and what its sides are multiples of."""


def kinds(comparison: Comparison) -> Callable[[Region], str]:
    """The function that tells the kind of a region. A large one is looked at on coarser cells."""
    torch.set_num_threads(1)
    sheets = lay_out(comparison.before, comparison.after, comparison.cell)
    grey = both_grey(sheets)

    def kind(region: Region) -> str:
        west, north, east, south = region.polygon.bounds
        reach = max(east - west, south - north) + 2 * LEAST_MARGIN
        coarse = max(1.0, reach / MOST_SIDE)
        side = math.ceil(reach / coarse / STEP) * STEP
        middle = np.array([(west + east) / 2, (north + south) / 2])
        dx, dy = comparison.pair.shift.at(middle[:1], middle[1:])
        col, row = np.floor(middle / coarse - side / 2).astype(int).tolist()
        window = Window(row, col, side, side)
        aside = Window(row + round(float(dy[0]) / coarse), col + round(float(dx[0]) / coarse), side, side)
        (first,) = read_all([_coarser(sheets.before, coarse)], window)
        (second,) = read_all([_coarser(sheets.after, coarse)], aside)
        return detector.kind_of(grey(first), grey(second), _inside(region, window, coarse), comparison.cell * coarse)

    return kind


def _coarser(sheet: Sheet, factor: float) -> Sheet:
    return replace(sheet, grid=replace(sheet.grid, cell=sheet.grid.cell * factor))


def _inside(region: Region, window: Window, coarse: float) -> NDArray[np.bool_]:
    """Which cells of the crop are the region's."""
    corner = np.array([window.col, window.row])
    outline = transform(region.polygon, lambda xy: xy / coarse - corner)
    return np.asarray(rasterize([outline], (window.height, window.width), all_touched=True, dtype="uint8") > 0)
