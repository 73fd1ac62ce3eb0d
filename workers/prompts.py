"""Segment Anything over one source: what a person points at, and other detectors' outlines drawn tighter.

Runs in the driver, one window per prompt, on the grid of the detector that asked.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from rasterio.features import rasterize
from shapely import transform

from detectors.sam import SIDE, Sam
from imagery.ground import LONLAT, transformation
from imagery.mosaic import Readable, reader
from imagery.polygons import Region, polygonise
from imagery.tiles import PIXELS, GroundGrid, Window
from workers.detect import Detection
from workers.inputs import Input
from workers.regions import Regions

LEAST_IOU = 0.3
"""An outline with less in common than this with the one it is to tighten shows something else: the old one stays."""
MARGIN = 8
"""Cells about a region that its box prompt is wider."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """A point on a thing (x, y) or a box about it (left, bottom, right, top): longitudes and latitudes, or pixels of a
    source without georeference (then left, top, right, bottom)."""

    point: tuple[float, float] | None = None
    box: tuple[float, float, float, float] | None = None


def prompted(source: Input, sam: Sam, prompts: Sequence[Prompt]) -> tuple[GroundGrid, list[Region]]:
    """The grid, and what each prompt shows, in their order; a prompt outside of the source shows nothing."""
    grid = source.source.grid(sam.spec.gsd)
    found: list[Region] = []
    with reader(source.source) as opened:
        for prompt in prompts:
            corners = [prompt.point] if prompt.point else [prompt.box[:2], prompt.box[2:]] if prompt.box else []
            cells = _cells(np.array(corners, dtype=np.float64), grid)
            window = _around(cells.min(0), cells.max(0))
            inside = cells - (window.col, window.row)
            low, high = inside.min(0).tolist(), inside.max(0).tolist()
            image = _image(opened, grid, window)
            if prompt.point:
                mask, quality = sam.prompted(image, points=[(low[0], low[1])])
            else:
                mask, quality = sam.prompted(image, box=(low[0], low[1], high[0], high[1]))
            found += _largest(mask, quality, window)
    return grid, found


def refined(detection: Detection, sam: Sam) -> Detection:
    """The detection with its outlines drawn by SAM where that finds the same thing; classes and scores stay.

    The mask on disk stays the detector's own.
    """
    with reader(detection.input.source) as opened:
        tightened = Regions()
        for region in detection.analysis.regions:
            tightened.add(_tightened(opened, detection.grid, region, sam))
    return replace(detection, analysis=replace(detection.analysis, regions=tightened))


def _tightened(opened: Readable, grid: GroundGrid, region: Region, sam: Sam) -> Region:
    west, north, east, south = region.polygon.bounds
    if max(east - west, south - north) + 2 * MARGIN > SIDE:
        return region
    window = _around(np.array([west, north]), np.array([east, south]))
    box = (
        west - window.col - MARGIN,
        north - window.row - MARGIN,
        east - window.col + MARGIN,
        south - window.row + MARGIN,
    )
    mask, _ = sam.prompted(_image(opened, grid, window), box=box)
    corner = np.array([window.col, window.row])
    outline = transform(region.polygon, lambda xy: xy - corner)
    old = rasterize([outline], mask.shape, dtype="uint8") > 0
    both, either = int((mask & old).sum()), int((mask | old).sum())
    if both < LEAST_IOU * either:
        return region
    for found in _largest(mask, 1.0, window):
        return Region(region.value, found.polygon, found.cells, round(region.score * 255 * found.cells))
    return region


def _largest(mask: NDArray[np.bool_], quality: float, window: Window) -> Iterable[Region]:
    """The largest piece of a mask."""
    values = mask.astype(np.uint8)
    score = np.full(mask.shape, round(255 * min(1.0, max(0.0, quality))), dtype=np.uint8)
    regions = polygonise(values, window, score)
    return [max(regions, key=lambda region: region.cells)] if regions else []


def _around(low: NDArray[np.float64], high: NDArray[np.float64]) -> Window:
    col, row = np.floor((low + high) / 2 - SIDE / 2).astype(int).tolist()
    return Window(row, col, SIDE, SIDE)


def _image(opened: Readable, grid: GroundGrid, window: Window) -> NDArray[np.uint8]:
    return np.ascontiguousarray(opened.read(grid, window).data.transpose(1, 2, 0))


def _cells(points: NDArray[np.float64], grid: GroundGrid) -> NDArray[np.float64]:
    """Columns and rows [N, 2] of points [N, 2]."""
    if grid.crs == PIXELS:
        return points / grid.cell
    x, y = transformation(LONLAT, grid.crs).transform(points[:, 0], points[:, 1])
    return np.stack((np.asarray(x) / grid.cell, grid.y_sign * np.asarray(y) / grid.cell), axis=-1)
