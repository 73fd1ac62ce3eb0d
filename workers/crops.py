"""Evidence for a person's eyes: one finding cut out of one date, with its outline drawn."""

import io

import numpy as np
import shapely
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from pyproj import Transformer
from shapely.geometry import Polygon

from imagery.mosaic import Readable
from imagery.tiles import PIXELS, GroundGrid

MARGIN = 0.2
"""Of the finding's longer side, on each of its sides."""
LEAST_MARGIN_M = 6.0
LEAST_SIDE, MOST_SIDE = 320, 1024
"""Pixels of a crop's longer side."""
QUALITY = 88
_LINE, _EDGE = (255, 220, 0), (0, 0, 0)


def crop(reader: Readable, crs: str, outline: Polygon, unit_m: float) -> bytes:
    """A JPEG of the ground around `outline` (in units of `crs`, or in pixels of the source for `PIXELS`), north up.

    `unit_m`: metres on the ground per unit of `crs`. The picture is as fine as the source, within `LEAST_SIDE` and
    `MOST_SIDE`; ground without pixels is black.
    """
    west, south, east, north = outline.bounds
    longest = max(east - west, north - south)
    margin = max(MARGIN * longest, LEAST_MARGIN_M / unit_m)
    side = longest + 2 * margin
    own = 1.0 if crs == PIXELS else (reader.source.gsd or side / LEAST_SIDE) / unit_m
    cell = max(min(own, side / LEAST_SIDE), side / MOST_SIDE)
    grid = GroundGrid(crs, cell)
    top, bottom = (south, north) if crs == PIXELS else (north, south)
    sign = grid.y_sign
    window = grid.cover(west - margin, bottom + sign * margin, east + margin, top - sign * margin)
    shown = reader.read(grid, window)
    picture = Image.fromarray(np.ascontiguousarray(np.moveaxis(shown.data, 0, -1)))
    draw = ImageDraw.Draw(picture)
    for ring in (outline.exterior, *outline.interiors):
        xy = shapely.get_coordinates(ring)
        points = [(x / cell - window.col, sign * y / cell - window.row) for x, y in xy.tolist()]
        draw.line(points, fill=_EDGE, width=4, joint="curve")
        draw.line(points, fill=_LINE, width=2, joint="curve")
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=QUALITY)
    return out.getvalue()


def in_crs_units(polygon: Polygon, grid: GroundGrid) -> Polygon:
    """A polygon of grid cells in units of the grid's CRS."""
    return polygon_of(shapely.transform(polygon, lambda cells: cells * [grid.cell, grid.y_sign * grid.cell]))


def from_lonlat(polygon: Polygon, crs: str) -> Polygon:
    """A polygon in degrees in units of `crs`."""
    to_crs = Transformer.from_crs("OGC:CRS84", crs, always_xy=True)

    def convert(degrees: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.stack(to_crs.transform(degrees[:, 0], degrees[:, 1]), axis=-1)

    return polygon_of(shapely.transform(polygon, convert))


def polygon_of(shape: object) -> Polygon:
    """The polygon that this geometry must be. Raises TypeError."""
    if not isinstance(shape, Polygon):
        raise TypeError(f"an outline is a polygon, not {shape!r}")
    return shape
