"""Masks to polygons and back to the ground: exact on the grid, so that seams leave no trace.

Polygons of the grid have whole-number coordinates (x: column, y: row, downwards) of cell corners. They are kept in one
canonical form (valid, no corner on a straight side, rings turned and ordered by shapely's `normalize`), so that a
region's polygon is the same whether it was found in one window or put together from many.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry import Polygon
from shapely.geometry.polygon import orient

from imagery.ground import LONLAT, WGS84, as_geojson, transformation
from imagery.outlines import outlines
from imagery.tiles import PIXELS, GroundGrid, Window

NOT_ANALYSED = 255
DEGREE_DIGITS = 9
"""0.1 mm: GeoJSON readers need no more, and written so the digits do not depend on the last bit of a projection."""


@dataclass(frozen=True, slots=True)
class Region:
    """Cells of one value that touch along sides, with sums that add up exactly when regions are merged."""

    value: int
    """The class in the mask, 1 to 254."""
    polygon: Polygon
    """Cell corners, absolute columns and rows of the grid."""
    cells: int
    score_sum: int = 0
    """Sum of the cells' quantised scores (0 to 255 each)."""

    @property
    def score(self) -> float:
        """Mean score, 0 to 1."""
        return self.score_sum / (255 * self.cells)


def polygonise(mask: NDArray[np.uint8], window: Window, scores: NDArray[np.uint8] | None = None) -> list[Region]:
    """Regions of equal values in `mask` uint8 [H, W] of `window`; 0 (clean) and 255 (not analysed) make none.

    `scores`, uint8 [H, W], are summed per region. In canonical order; cells that touch at a corner alone are apart.
    """
    if mask.shape != (window.height, window.width):
        raise ValueError(f"a mask of {mask.shape} for a window of {window.height} x {window.width}")
    wanted = (mask != 0) & (mask != NOT_ANALYSED)
    if not wanted.any():
        return []
    weights = np.zeros_like(mask) if scores is None else scores
    regions = [
        Region(value, found.polygon, found.cells, found.total)
        for value in np.flatnonzero(np.bincount(mask[wanted])).tolist()
        for found in outlines(mask == value, weights, (window.col, window.row))
    ]
    return sorted(regions, key=_order)


def merge(regions: Iterable[Region]) -> list[Region]:
    """Join regions of one value that share a side, as windows cut them; what touches nothing passes through.

    The windows they were found in must not overlap. Independent of order and tiling.
    """
    by_value: dict[int, list[Region]] = defaultdict(list)
    for region in regions:
        by_value[region.value].append(region)
    merged: list[Region] = []
    for value, group in by_value.items():
        for members in _touching(group):
            if len(members) == 1:
                merged.append(members[0])
                continue
            # Members that meet in corners alone come out as several polygons again.
            polygons = _canonical([member.polygon for member in members])
            cells = [0] * len(polygons)
            sums = [0] * len(polygons)
            tree = shapely.STRtree(polygons)
            for member in members:
                inside = member.polygon.representative_point()
                (i,) = tree.query(inside, predicate="within").tolist()
                cells[i] += member.cells
                sums[i] += member.score_sum
            merged.extend(
                Region(value, polygon, count, total)
                for polygon, count, total in zip(polygons, cells, sums, strict=True)
            )
    return sorted(merged, key=_order)


def to_lonlat(polygon: Polygon, grid: GroundGrid) -> Polygon:
    """The polygon in EPSG:4326 (longitude, latitude), its outer ring counter-clockwise (RFC 7946)."""
    if grid.crs == PIXELS:
        raise ValueError("pixels have no longitude; see to_pixels")
    project = transformation(grid.crs, LONLAT)

    def convert(cells: NDArray[np.float64]) -> NDArray[np.float64]:
        x, y = project.transform(cells[:, 0] * grid.cell, cells[:, 1] * (grid.y_sign * grid.cell))
        return np.round(np.stack([x, y], axis=-1), DEGREE_DIGITS)

    return orient(shapely.transform(polygon, convert))


def to_pixels(polygon: Polygon, grid: GroundGrid) -> Polygon:
    """The polygon in the source's own pixels, x right and y down from the top left corner; outer ring
    counter-clockwise as its numbers read, as RFC 7946 has it."""
    if grid.crs != PIXELS:
        raise ValueError(f"a grid in {grid.crs} is not one of pixels")
    return orient(shapely.transform(polygon, lambda cells: np.round(cells * grid.cell, 3)))


def geojson(polygon: Polygon, grid: GroundGrid) -> dict[str, Any]:
    """The GeoJSON geometry of a grid polygon: longitude and latitude, or pixels on a grid of pixels."""
    return as_geojson(to_pixels(polygon, grid) if grid.crs == PIXELS else to_lonlat(polygon, grid))


def area_m2(polygon: Polygon, grid: GroundGrid, gsd: float | None = None) -> float:
    """Area on the ground, square metres: geodesic (Karney 2013, by pyproj.Geod). On a grid of pixels `gsd`, metres per
    *cell*, is needed."""
    if grid.crs == PIXELS:
        if gsd is None:
            raise ValueError("the area of pixels needs their size on the ground")
        return float(polygon.area) * gsd * gsd
    area, _ = WGS84.geometry_area_perimeter(to_lonlat(polygon, grid))
    return abs(float(area))


def _order(region: Region) -> tuple[int, tuple[float, ...], bytes]:
    left, top, right, bottom = region.polygon.bounds
    return region.value, (top, left, bottom, right), region.polygon.wkb


def _canonical(polygons: Polygon | Sequence[Polygon]) -> list[Polygon]:
    """The union of polygons on whole numbers, as canonical polygons that share no side."""
    # GDAL lets a ring touch itself in a corner, where the standard wants a hole: snap-rounding to whole numbers, which
    # moves nothing here, builds valid rings from such input.
    union = shapely.union_all(polygons, grid_size=1)
    parts = [part for part in shapely.get_parts(union) if part.area > 0]
    return [shapely.normalize(Polygon(_corners(p.exterior), [_corners(ring) for ring in p.interiors])) for p in parts]


def _corners(ring: Any) -> NDArray[np.float64]:
    """Where a ring of horizontal and vertical sides turns, [N, 2]."""
    xy = shapely.get_coordinates(ring)[:-1]
    before, after = xy - np.roll(xy, 1, axis=0), np.roll(xy, -1, axis=0) - xy
    return np.asarray(xy[(before[:, 0] == 0) != (after[:, 0] == 0)])


def _touching(regions: list[Region]) -> list[list[Region]]:
    """Groups of regions whose polygons meet, directly or by way of others."""
    tree = shapely.STRtree([region.polygon for region in regions])
    pairs = tree.query([region.polygon for region in regions], predicate="intersects").T.tolist()
    root = list(range(len(regions)))

    def find(i: int) -> int:
        while root[i] != i:
            root[i] = root[root[i]]
            i = root[i]
        return i

    for i, j in pairs:
        root[find(i)] = find(j)
    groups: dict[int, list[Region]] = defaultdict(list)
    for i, region in enumerate(regions):
        groups[find(i)].append(region)
    return list(groups.values())
