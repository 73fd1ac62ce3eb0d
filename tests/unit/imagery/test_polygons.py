"""Polygons of masks against rasterio and shapely, whatever the tiling; areas against the ellipsoid."""

import json
import random

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pyproj import Geod, Transformer
from rasterio.features import shapes
from shapely.geometry import Polygon, box

from imagery.polygons import Region, area_m2, geojson, merge, polygonise, to_lonlat, to_pixels
from imagery.tiles import PIXELS, GroundGrid, Window

masks = hnp.arrays(
    np.uint8, st.tuples(st.integers(1, 24), st.integers(1, 24)), elements=st.sampled_from([0, 0, 0, 1, 1, 1, 2, 255])
)


def tiled(mask: np.ndarray, scores: np.ndarray, side: int, row: int = -7, col: int = 1000) -> list[Region]:
    found: list[Region] = []
    for i in range(0, mask.shape[0], side):
        for j in range(0, mask.shape[1], side):
            part = mask[i : i + side, j : j + side]
            window = Window(row + i, col + j, *part.shape)
            found += polygonise(part, window, scores[i : i + side, j : j + side])
    random.shuffle(found)
    return merge(found)


@settings(deadline=None, max_examples=50)
@given(masks, st.integers(2, 25), st.integers(0, 2**32 - 1))
def test_any_tiling_gives_the_whole_mask_s_polygons(mask: np.ndarray, side: int, seed: int) -> None:
    scores = np.random.default_rng(seed).integers(0, 256, mask.shape, dtype=np.uint8)
    whole = polygonise(mask, Window(-7, 1000, *mask.shape), scores)
    assert tiled(mask, scores, side) == whole
    assert [r.polygon.wkb for r in tiled(mask, scores, side)] == [r.polygon.wkb for r in whole]


@settings(deadline=None)
@given(masks)
def test_regions_are_those_of_rasterio(mask: np.ndarray) -> None:
    regions = polygonise(mask, Window(0, 0, *mask.shape))
    oracle = [(v, shapely.geometry.shape(g)) for g, v in shapes(mask) if v not in (0, 255)]
    assert sorted((r.value, r.polygon.area) for r in regions) == sorted((int(v), p.area) for v, p in oracle)
    for value in (1, 2):
        ours = shapely.union_all([r.polygon for r in regions if r.value == value])
        theirs = shapely.union_all([p for v, p in oracle if v == value], grid_size=1)
        assert ours.equals(theirs)
    assert all(r.polygon.is_valid and r.cells == r.polygon.area for r in regions)


@settings(deadline=None)
@given(masks)
def test_scores_are_means_over_the_region(mask: np.ndarray) -> None:
    scores = np.arange(mask.size, dtype=np.uint32).reshape(mask.shape).astype(np.uint8)
    for region in polygonise(mask, Window(0, 0, *mask.shape), scores):
        y, x = np.mgrid[: mask.shape[0], : mask.shape[1]] + 0.5
        inside = shapely.contains_xy(region.polygon, x, y)
        assert region.score == pytest.approx(scores[inside].mean() / 255)
        assert set(mask[inside].tolist()) == {region.value}


def test_a_mask_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="window of 3 x 4"):
        polygonise(np.zeros((4, 3), np.uint8), Window(0, 0, 3, 4))


def test_to_lonlat_is_where_pyproj_says_and_turns_as_rfc_7946_wants() -> None:
    grid = GroundGrid("EPSG:4547", 0.05)
    polygon = box(10_000_000, -68_000_000, 10_000_100, -67_999_940)
    ring = to_lonlat(polygon, grid)
    back = Transformer.from_crs(4326, 4547)  # in the CRS's own order: northing, easting
    lon, lat = ring.exterior.xy
    north, east = back.transform(lat, lon)
    assert (min(east), max(east)) == pytest.approx((500_000, 500_005), abs=1e-3)
    assert (min(north), max(north)) == pytest.approx((3_399_997, 3_400_000), abs=1e-3)
    assert ring.exterior.is_ccw
    assert json.loads(json.dumps(geojson(polygon, grid)))["type"] == "Polygon"


@pytest.mark.parametrize("crs", ["EPSG:4547", "EPSG:32650", "EPSG:3857"])
def test_area_is_geodesic_not_the_map_s(crs: str) -> None:
    x, y = Transformer.from_crs(4326, crs, always_xy=True).transform(114.3, 60.0)
    grid = GroundGrid(crs, 0.5)
    col, row = round(x / 0.5), round(-y / 0.5)
    polygon = box(col, row, col + 40, row + 20)
    to_lonlat_oracle = Transformer.from_crs(crs, 4326, always_xy=True)
    corners = [to_lonlat_oracle.transform(c * 0.5, -r * 0.5) for c, r in polygon.exterior.coords]
    expected = abs(Geod(ellps="WGS84").polygon_area_perimeter(*zip(*corners, strict=True))[0])
    assert area_m2(polygon, grid) == pytest.approx(expected, rel=1e-4)
    if crs == "EPSG:3857":  # 800 cells of 0.5 m; twice too long at 60 degrees north
        assert expected == pytest.approx(200 / 4, rel=0.02)


def test_pixels_stay_pixels() -> None:
    grid = GroundGrid(PIXELS, 2.5)
    square = Polygon([(0, 0), (4, 0), (4, 2), (0, 2)])
    assert to_pixels(square, grid).bounds == (0, 0, 10, 5)
    assert area_m2(square, grid, gsd=0.05) == pytest.approx(8 * 0.05**2)
    with pytest.raises(ValueError, match="no longitude"):
        to_lonlat(square, grid)
    with pytest.raises(ValueError, match="size on the ground"):
        area_m2(square, grid)
    with pytest.raises(ValueError, match="not one of pixels"):
        to_pixels(square, GroundGrid("EPSG:4547", 1.0))
