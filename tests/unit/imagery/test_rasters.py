"""Orthophotos: where they lie, how fine they are on the ground, what of them is valid; against rasterio and pyproj."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import shapely
from pyproj import Geod, Transformer
from rasterio.enums import ColorInterp
from rasterio.transform import Affine
from shapely.geometry import box, shape

from imagery.errors import Refused
from imagery.rasters import read_raster
from imagery.sources import open_source

GEOD = Geod(ellps="WGS84")


def write(path: Path, crs: Any, transform: Affine, height: int = 300, width: int = 400, **profile: Any) -> Path:
    rng = np.random.default_rng(3)
    data = rng.integers(1, 255, (3, height, width), dtype=np.uint8)
    void = profile.pop("void", None)
    if void is not None:
        data[:, void] = 0
    with rasterio.open(path, "w", "GTiff", width, height, 3, crs, transform, "uint8", **profile) as ds:
        ds.write(data)
    return path


def at(lon: float, lat: float, crs: str, cell: float) -> Affine:
    x, y = Transformer.from_crs(4326, crs, always_xy=True).transform(lon, lat)
    return Affine(cell, 0, x, 0, -cell, y)


def ground(capture_geometry: dict[str, Any], crs: str) -> Any:
    to_map = Transformer.from_crs(4326, crs, always_xy=True)
    return shapely.transform(shape(capture_geometry), to_map.transform, interleaved=False)


@pytest.mark.parametrize("name", ["orthos/naip_2009_2016/*.tif", "photos/misc/*.tif"])
def test_real_orthophotos_lie_where_rasterio_says(data: Path, name: str) -> None:
    for path in sorted(data.glob(name)):
        capture = read_raster(path)
        with rasterio.open(path) as ds:
            assert (capture.width, capture.height, capture.bands) == (ds.width, ds.height, ds.count)
            assert capture.georeference is not None
            assert capture.georeference.crs == ds.crs.to_string()
            assert capture.georeference.transform == tuple(ds.transform)[:6]
            outline = box(*ds.bounds)
        assert capture.footprint.method == "georeference"
        got = ground(capture.footprint.geometry, capture.georeference.crs)
        # NAIP lies as it is cut to whole cells: a margin of void may be left out
        assert got.symmetric_difference(outline).area < 0.01 * outline.area
        assert capture.gsd == pytest.approx(abs(ds.transform.a), rel=1e-3)


@pytest.mark.parametrize(
    ("crs", "cell", "lon", "lat", "gsd"),
    [
        ("EPSG:4547", 0.05, 114.3, 30.6, 0.05),
        ("EPSG:32650", 0.05, 117.0, 30.6, 0.05 / 0.9996),
        ("EPSG:3857", 0.05, 114.3, 60.0, 0.025),  # at 60 degrees the map shows everything twice as long
        ("EPSG:2263", 1.0, -73.97, 40.75, 0.3048),  # feet
    ],
)
def test_gsd_is_metres_on_the_ground(tmp_path: Path, crs: str, cell: float, lon: float, lat: float, gsd: float) -> None:
    capture = read_raster(write(tmp_path / "a.tif", crs, at(lon, lat, crs, cell)))
    assert capture.gsd == pytest.approx(gsd, rel=3e-3)
    area = abs(GEOD.geometry_area_perimeter(shape(capture.footprint.geometry))[0])
    assert area == pytest.approx(400 * 300 * gsd**2, rel=6e-3)


def test_gsd_of_degrees(tmp_path: Path) -> None:
    capture = read_raster(write(tmp_path / "a.tif", "EPSG:4490", Affine(1e-6, 0, 114.3, 0, -1e-6, 30.6)))
    across = GEOD.inv(114.3, 30.6, 114.300001, 30.6)[2]
    along = GEOD.inv(114.3, 30.6, 114.3, 30.600001)[2]
    assert capture.gsd == pytest.approx(math.sqrt(across * along), rel=1e-4)


@pytest.mark.parametrize(
    ("crs", "lon", "lat", "kept"),
    [
        ("EPSG:4547", 114.3, 30.6, "EPSG:4547"),
        ("EPSG:32650", 117.3, 30.6, "EPSG:32650"),
        ("EPSG:3857", 114.3, 30.6, "EPSG:32650"),
        ("EPSG:3857", 151.2, -33.9, "EPSG:32756"),
        ("EPSG:2263", -73.97, 40.75, "EPSG:32618"),
        ("EPSG:4490", 114.3, 30.6, "EPSG:32650"),
    ],
)
def test_the_grid_is_metres_on_the_ground(tmp_path: Path, crs: str, lon: float, lat: float, kept: str) -> None:
    cell = 1e-6 if crs == "EPSG:4490" else 0.1
    source = open_source(write(tmp_path / "a.tif", crs, at(lon, lat, crs, cell)))
    grid = source.grid(0.1)
    assert (grid.crs, grid.cell) == (kept, 0.1)
    window = source.extent(grid)
    outline = ground(read_raster(tmp_path / "a.tif").footprint.geometry, kept)
    left, bottom, right, top = (value / 0.1 for value in outline.bounds)
    assert (window.col, window.row) == pytest.approx((left, -top), abs=1.01)
    assert (window.width, window.height) == pytest.approx((right - left, top - bottom), abs=2.02)


def test_valid_pixels_bound_the_footprint(tmp_path: Path) -> None:
    void = np.zeros((300, 400), dtype=bool)
    void[:, :200] = True
    path = write(tmp_path / "half.tif", "EPSG:4547", at(114.3, 30.6, "EPSG:4547", 0.05), nodata=0, void=void)
    capture = read_raster(path)
    got = ground(capture.footprint.geometry, "EPSG:4547")
    with rasterio.open(path) as ds:
        left, bottom, right, top = ds.bounds
    expected = box((left + right) / 2, bottom, right, top)
    assert got.symmetric_difference(expected).area < 0.01 * expected.area
    assert capture.footprint.error_m >= 1


def test_alpha_bounds_it_too_and_islands_are_parts(tmp_path: Path) -> None:
    path = tmp_path / "alpha.tif"
    alpha = np.zeros((300, 400), np.uint8)
    alpha[20:120, 30:130] = alpha[150:280, 200:390] = 255
    alpha[5, 5] = 255  # a speck
    with rasterio.open(path, "w", "GTiff", 400, 300, 4, "EPSG:4547", at(114.3, 30.6, "EPSG:4547", 0.05), "uint8") as ds:
        ds.write(np.full((3, 300, 400), 90, np.uint8), [1, 2, 3])
        ds.write(alpha, 4)
        ds.colorinterp = [ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha]
    geometry = shape(read_raster(path).footprint.geometry)
    assert geometry.geom_type == "MultiPolygon"
    assert len(geometry.geoms) == 2
    assert all(part.exterior.is_ccw for part in geometry.geoms)
    areas = sorted(abs(GEOD.geometry_area_perimeter(part)[0]) for part in geometry.geoms)
    assert areas == pytest.approx([100 * 100 * 0.05**2, 130 * 190 * 0.05**2], rel=0.01)


def test_a_rotated_raster_has_a_rotated_footprint(tmp_path: Path) -> None:
    transform = at(114.3, 30.6, "EPSG:4547", 0.05) @ Affine.rotation(30)
    capture = read_raster(write(tmp_path / "a.tif", "EPSG:4547", transform))
    got = ground(capture.footprint.geometry, "EPSG:4547")
    expected = shapely.Polygon([transform @ corner for corner in ((0, 0), (400, 0), (400, 300), (0, 300))])
    assert got.symmetric_difference(expected).area < 1e-3 * expected.area
    assert capture.gsd == pytest.approx(0.05, rel=1e-3)


@pytest.mark.parametrize(
    ("tags", "taken", "zone"),
    [
        ({}, None, "none"),
        ({"TIFFTAG_DATETIME": "2026:06:15 10:20:57"}, "2026-06-15T10:20:57+08:00", "solar"),
        ({"ACQUISITIONDATETIME": "2026-06-15T10:20:57+09:00"}, "2026-06-15T10:20:57+09:00", "tag"),
        ({"ACQUISITIONDATETIME": "2026-06-15T10:20:57"}, "2026-06-15T10:20:57+00:00", "tag"),
    ],
)
def test_time(tmp_path: Path, tags: dict[str, str], taken: str | None, zone: str) -> None:
    path = write(tmp_path / "a.tif", "EPSG:4547", at(114.3, 30.6, "EPSG:4547", 0.05))
    with rasterio.open(path, "r+") as ds:
        ds.update_tags(**tags)
    capture = read_raster(path)
    assert (capture.taken.isoformat() if capture.taken else None, capture.taken_zone) == (taken, zone)


HERE = Affine(0.05, 0, 500_000, 0, -0.05, 3_400_000)
LOCAL = 'LOCAL_CS["site grid",UNIT["metre",1]]'


@pytest.mark.parametrize(
    ("crs", "transform", "profile", "reason"),
    [
        (None, HERE, {}, "no-crs"),
        ("EPSG:4547", Affine.identity(), {}, "no-georeference"),
        ("EPSG:4326", HERE, {}, "outside-crs"),
        (LOCAL, HERE, {}, "unusable-crs"),
        ("EPSG:4547", HERE, {"nodata": 0, "void": np.ones((300, 400), dtype=bool)}, "no-data"),
    ],
)
@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_refusals(tmp_path: Path, crs: str | None, transform: Affine, profile: dict[str, Any], reason: str) -> None:
    path = write(tmp_path / "bad.tif", crs, transform, **profile)
    with pytest.raises(Refused, match=r"bad\.tif") as refused:
        read_raster(path)
    assert refused.value.reason == reason
    assert refused.value.remedy


def test_a_truncated_geotiff_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "cut.tif", "EPSG:4547", HERE, tiled=True, blockxsize=64, blockysize=64, nodata=0)
    content = path.read_bytes()
    for kept in (5, 100, len(content) // 2):
        path.write_bytes(content[:kept])
        with pytest.raises(Refused, match=r"cut\.tif"):
            read_raster(path)


@pytest.mark.parametrize("down", [-0.05, 0.05])
def test_the_ring_is_counter_clockwise_whichever_way_rows_run(tmp_path: Path, down: float) -> None:
    path = write(tmp_path / "a.tif", "EPSG:4547", Affine(0.05, 0, 500_000, 0, down, 3_400_000))
    assert shape(read_raster(path).footprint.geometry).exterior.is_ccw
