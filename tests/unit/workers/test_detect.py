"""Rule 5 of the house plan: a result does not depend on how the work was cut up, and equals the whole in one piece."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.errors import NotGeoreferencedWarning
from rasterio.features import rasterize
from shapely.geometry import shape

import imagery.reader
from imagery.tiles import Window
from workers.detect import _scorer, detect
from workers.inputs import open_input
from workers.outputs import about_detection, detection_features, write_mask
from workers.testing import SPEC, Bright, label, load, patches, write_raster
from workers.tilecache import CacheAt
from workers.vectors import encode


def run(client, path, folder, *, extent=None, chunk=0, **options):
    """Detection, GeoJSON bytes and mask bytes of one run."""
    source = open_input(path, **options)
    raw, out = folder / "raw.tif", folder / "mask.tif"
    found = detect(client, SPEC, source, raw, load=load, extent=extent, chunk=chunk)
    write_mask(raw, out, source, found.grid, found.extent)
    return found, encode(detection_features(found, label), about_detection(found)), out.read_bytes()


rasters = st.tuples(
    st.integers(0, 2**32 - 1),
    st.integers(1, 70),
    st.integers(1, 70),
    st.floats(-40, 40, allow_nan=False),
    st.sampled_from([0.5, 1.0, 1.3]),
)


@settings(max_examples=25, deadline=None)
@given(raster=rasters, chunk=st.integers(1, 9), workers=st.integers(1, 4))
def test_chunks_and_workers_change_no_byte(clusters, tmp_path_factory, raster, chunk, workers):
    folder = tmp_path_factory.mktemp("rule5")
    seed, height, width, offset, gsd = raster
    data = patches(np.random.default_rng(seed), height, width)
    path = write_raster(folder / "a.tif", data, left=500_000 + offset, gsd=gsd)
    _, one_by_one, first_mask = run(clusters[1], path, folder, chunk=1)
    _, otherwise, second_mask = run(clusters[workers], path, folder, chunk=chunk)
    assert one_by_one == otherwise
    assert first_mask == second_mask


def told_inside(found, extent):
    """The features, as bytes, of those regions that lie in the extent and touch no border of it."""

    def inside(region):
        west, north, east, south = region.polygon.bounds
        inside_rows = extent.row < north and south < extent.row + extent.height
        return inside_rows and extent.col < west and east < extent.col + extent.width

    kept = [region for region in found.analysis.regions if inside(region)]
    some = replace(found, analysis=replace(found.analysis, regions=kept))
    return [encode([feature], {}) for feature in detection_features(some, label)]


@settings(max_examples=10, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    rows=st.integers(0, 40),
    cols=st.integers(0, 40),
    around=st.tuples(*[st.integers(0, 40)] * 2),
    workers=st.integers(1, 4),
)
def test_an_extent_filters_the_output_and_moves_no_window(
    clusters, tmp_path_factory, seed, rows, cols, around, workers
):
    """Asked for an extent, or for a larger one, or for everything: where they meet, the same bytes."""
    folder = tmp_path_factory.mktemp("extent")
    path = write_raster(folder / "a.tif", patches(np.random.default_rng(seed), 96, 96))
    whole, _, _ = run(clusters[2], path, folder)
    with rasterio.open(folder / "mask.tif") as ds:
        everything = ds.read(1)
    extent = Window(whole.extent.row + rows, whole.extent.col + cols, 50, 47)
    above, left = min(around[0], rows), min(around[1], cols)
    larger = Window(extent.row - above, extent.col - left, extent.height + above + 3, extent.width + left + 5)
    for asked in (extent, larger):
        part, _, _ = run(clusters[workers], path, folder, extent=asked, chunk=1 + seed % 4)
        cut = part.extent.slices_in(whole.extent)
        with rasterio.open(folder / "mask.tif") as ds:
            assert (ds.read(1) == everything[cut]).all()
        assert told_inside(part, asked) == told_inside(whole, asked)
        assert told_inside(part, extent) == told_inside(whole, extent)


def test_the_answer_is_that_of_one_window_over_everything(clusters, tmp_path):
    data = patches(np.random.default_rng(5), 75, 61)
    path = write_raster(tmp_path / "a.tif", data)
    found, geojson, _ = run(clusters[2], path, tmp_path, chunk=2)
    around = found.extent.grow(2)
    pixels = imagery.reader.read(found.input.source, found.grid, around)
    mean = sum(
        np.pad(pixels.data[0].astype(float), 2)[2 + i : 2 + i + around.height, 2 + j : 2 + j + around.width]
        for i in range(-2, 3)
        for j in range(-2, 3)
    )
    mean = np.round(mean / 25)[2:-2, 2:-2]
    expected = np.where(mean >= 150, 1, np.where(255 - mean >= 170, 2, 0))
    with rasterio.open(tmp_path / "mask.tif") as ds:
        mask, transform = ds.read(1), ds.transform
        assert (ds.crs.to_string(), transform.a, ds.nodata) == ("EPSG:32650", 1.0, 255)
        assert (transform.c, transform.f) == (500_000, 3_400_000)
    assert (mask == expected).all()
    burnt = np.zeros_like(mask)
    for region in found.analysis.regions:
        moved = rasterize(
            [(region.polygon, 1)], mask.shape, transform=rasterio.Affine.translation(found.extent.col, found.extent.row)
        )
        assert moved.sum() == region.cells
        burnt[moved == 1] = region.value
    assert (burnt == mask).all()
    features = json.loads(geojson)["features"]
    assert len(features) == sum(region.cells >= SPEC.min_area for region in found.analysis.regions)
    for feature in features:
        polygon, said = shape(feature["geometry"]), feature["properties"]
        assert polygon.is_valid
        assert polygon.exterior.is_ccw
        assert said["class"] in SPEC.classes
        assert 0.58 < said["score"] <= 1
        assert said["area_m2"] >= SPEC.min_area


def test_void_ground_is_not_clean(clusters, tmp_path):
    data = np.full((3, 40, 40), 100, dtype=np.uint8)
    data[:, :, 20:] = 7
    path = write_raster(tmp_path / "a.tif", data)
    with rasterio.open(path, "r+") as ds:
        ds.nodata = 7
    found, geojson, _ = run(clusters[1], path, tmp_path)
    with rasterio.open(tmp_path / "mask.tif") as ds:
        mask = ds.read(1)
    assert (mask[:, 20:] == 255).all()
    assert (mask[:, :20] != 255).all()
    about = json.loads(geojson)["flyonce"]
    assert about["analysed_m2"] == 800
    assert about["not_analysed_m2"] == {"no_data": 800}
    assert found.analysis.failed == ()


def test_pixel_coordinates_cover_the_picture_as_it_is(clusters, tmp_path):
    data = np.zeros((3, 60, 90), dtype=np.uint8) + np.uint8(100)
    data[:, 20:40, 30:70] = 255
    path = write_raster(tmp_path / "a.tif", data)
    found, geojson, _ = run(clusters[1], path, tmp_path, pixels=True, gsd=0.5)
    with pytest.warns(NotGeoreferencedWarning):
        ds = rasterio.open(tmp_path / "mask.tif")
    with ds:
        assert (ds.height, ds.width, ds.crs) == (60, 90, None)
        mask = ds.read(1)
    (feature,) = [f for f in json.loads(geojson)["features"] if f["properties"]["class"] == "bright"]
    west, north, east, south = shape(feature["geometry"]).bounds
    assert abs(west - 30) <= 2
    assert abs(north - 20) <= 2
    assert abs(east - 70) <= 2
    assert abs(south - 40) <= 2
    assert feature["properties"]["area_m2"] == pytest.approx(20 * 40 * 0.25, rel=0.3)
    assert (mask[23:37, 33:67] == 1).all()
    assert mask[10, 10] == 0
    assert found.input.gsd_origin == "given"


def test_a_tile_that_cannot_be_read_is_not_analysed_and_reported(clusters, tmp_path):
    class Fragile(Bright):
        def scores(self, pixels, valid):
            if (pixels == 201).any():
                raise OSError("disk gone")
            return super().scores(pixels, valid)

    data = np.full((3, 64, 64), 200, dtype=np.uint8)
    # the grid is anchored at the origin: (500000, 3400000) is a multiple of 16
    data[:, 24, 24] = 201
    path = write_raster(tmp_path / "a.tif", data)
    source = open_input(path)
    found = detect(clusters[2], SPEC, source, tmp_path / "raw.tif", load=lambda name, device="cpu": Fragile(), chunk=4)
    assert len(found.analysis.failed) == 1
    failure = found.analysis.failed[0]
    assert failure.error == "OSError: disk gone"
    with rasterio.open(tmp_path / "raw.tif") as ds:
        mask = ds.read(1)
    detect(clusters[2], SPEC, source, tmp_path / "raw.tif", load=load)
    with rasterio.open(tmp_path / "raw.tif") as ds:
        expected = ds.read(1)
    expected[failure.item.core.slices_in(found.extent)] = 255
    assert (mask == expected).all()
    assert about_detection(found)["not_analysed_m2"] == {"failed": 256}


def test_another_dtype_is_another_result_and_says_so(clusters, tmp_path):
    source = open_input(write_raster(tmp_path / "a.tif", patches(np.random.default_rng(3), 40, 40)))
    cache = CacheAt(str(tmp_path / "tiles"))

    def answered(dtype):
        found = detect(clusters[1], SPEC, source, tmp_path / "m.tif", load=load, dtype=dtype, cache=cache)
        assert about_detection(found)["dtype"] == dtype
        return found.analysis.kept, found.analysis.tiles

    first, tiles = answered("float32")
    assert (first, answered("float32"), answered("bfloat16")) == (0, (tiles, tiles), (0, tiles))


def test_the_first_tasks_of_a_process_share_one_model():
    """Else they would not wait for each other's turn on the device."""
    both, slow, loads = threading.Barrier(2), threading.Event(), []

    def load_slowly(name, device="cpu"):
        loads.append(name)
        slow.wait(0.2)
        return load(name, device)

    def first(_):
        both.wait(60)
        return _scorer(load_slowly, SPEC.name, SPEC.weights_sha256, "float32")

    with ThreadPoolExecutor(2) as threads:
        one, other = threads.map(first, range(2))
    assert one is other
    assert loads == [SPEC.name]
