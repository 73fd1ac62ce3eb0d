"""Change between two dates: rule 5 with the real detector, and an answer for all ground, comparable or not."""

import json
from dataclasses import dataclass

import numpy as np
import pytest
import rasterio
from shapely.geometry import box, shape

from imagery.errors import Refused
from imagery.tiles import Window
from workers.change import Comparison, compare
from workers.inputs import open_input
from workers.outputs import about_comparison, comparison_features, write_mask
from workers.testing import label, write_raster
from workers.vectors import encode

GSD = 0.1
SIDE = 620
HEAP = (slice(300, 340), slice(260, 310))
"""Rows and columns of what is new; 4 m x 5 m."""


@dataclass
class Dates:
    before: object
    after: object
    folder: object


def ground(seed, shift=0):
    """uint8 [3, H, W] of soil with stones and roofs of many sizes, seen `shift` pixels further right and down."""
    rng = np.random.default_rng(seed)
    side = SIDE + 40
    picture = np.zeros((side, side))
    for size, strength in ((2, 25), (5, 25), (16, 30), (60, 40)):
        cells = rng.normal(0, strength, (side // size + 2, side // size + 2))
        picture += np.kron(cells, np.ones((size, size)))[:side, :side]
    start = 20 - shift
    picture = picture[start : start + SIDE, start : start + SIDE]
    return np.clip(np.stack([picture + 120, picture + 110, picture + 95]), 1, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def dates(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dates")
    before, after = ground(1), ground(1, shift=2)
    after = np.clip(after.astype(float) * 0.9 + 8, 1, 255).astype(np.uint8)
    rng = np.random.default_rng(2)
    after[:, *HEAP] = np.clip(rng.normal([[[215]], [[120]], [[60]]], 12, (3, 40, 50)), 1, 255).astype(np.uint8)
    after[:, :, :50] = 0
    paths = []
    for name, data in (("before", before), ("after", after)):
        path = write_raster(folder / f"{name}.tif", data, gsd=GSD)
        with rasterio.open(path, "r+") as ds:
            ds.nodata = 0
        paths.append(open_input(path))
    return Dates(*paths, folder)


def run(client, dates, *, chunk=0, extent=None) -> tuple[Comparison, bytes, bytes]:
    raw, out = dates.folder / "raw.tif", dates.folder / "mask.tif"
    found = compare(client, dates.before, dates.after, raw, chunk=chunk, extent=extent)
    write_mask(raw, out, dates.before, found.grid, found.extent)
    return found, encode(comparison_features(found, label), about_comparison(found)), out.read_bytes()


@pytest.fixture(scope="module")
def whole(clusters, dates):
    return run(clusters[1], dates, chunk=1)


def test_what_is_new_is_found_and_what_only_looks_different_is_not(whole):
    found, geojson, _ = whole
    document = json.loads(geojson)
    left, top = 500_000 + HEAP[1].start * GSD, 3_400_000 - HEAP[0].start * GSD
    to_ground = rasterio.warp.transform_geom
    heap = shape(to_ground("EPSG:32650", "OGC:CRS84", box(left, top - 4, left + 5, top).__geo_interface__))
    changed = [shape(feature["geometry"]) for feature in document["features"]]
    assert sum(polygon.intersection(heap).area for polygon in changed) > 0.6 * heap.area
    elsewhere = sum(polygon.difference(heap.buffer(heap.length / 20)).area for polygon in changed)
    assert elsewhere < 0.5 * heap.area
    assert {feature["properties"]["class"] for feature in document["features"]} == {"changed"}
    largest = max(document["features"], key=lambda feature: feature["properties"]["area_m2"])
    assert largest["properties"]["kind"] == "appeared"
    registration = document["flyonce"]["registration"]
    assert registration["shift_m"] == pytest.approx([0.2, 0.2], abs=0.05)
    assert found.cell == pytest.approx(GSD, rel=1e-3)


def test_ground_without_data_on_one_date_is_not_called_unchanged(whole, dates):
    _, geojson, _ = whole
    about = json.loads(geojson)["flyonce"]
    assert about["not_analysed_m2"]["no_data"] == pytest.approx(50 * SIDE * GSD**2, rel=0.1)
    with rasterio.open(dates.folder / "mask.tif") as ds:
        mask = ds.read(1)
    assert (mask[:, :45] == 255).all()
    assert set(np.unique(mask)) <= {0, 1, 255}


@pytest.mark.parametrize(("chunk", "workers"), [(3, 2), (2, 4)])
def test_chunks_and_workers_change_no_byte(clusters, dates, whole, chunk, workers):
    _, geojson, mask = run(clusters[workers], dates, chunk=chunk)
    assert geojson == whole[1]
    assert mask == whole[2]


def test_the_pair_model_is_that_of_the_whole_overlap_whatever_is_asked_for(clusters, dates, whole):
    everything = whole[0]
    around = Window(everything.extent.row + 250, everything.extent.col + 200, 150, 170)
    part, _, _ = run(clusters[2], dates, extent=around)
    assert part.pair == everything.pair
    assert part.extent == around

    def inside(region):
        west, north, east, south = region.polygon.bounds
        in_rows = around.row < north and south < around.row + around.height
        return in_rows and around.col < west and east < around.col + around.width

    kept = [region for region in everything.analysis.regions if inside(region)]
    assert kept
    assert kept == [region for region in part.analysis.regions if inside(region)]


def test_dates_that_cannot_be_laid_on_each_other_are_refused(clusters, dates, tmp_path):
    far = open_input(write_raster(tmp_path / "far.tif", ground(3), left=900_000, gsd=GSD))
    with pytest.raises(Refused) as refusal:
        compare(clusters[1], dates.before, far, tmp_path / "raw.tif")
    assert refusal.value.reason == "no-overlap"
    plain = open_input(write_raster(tmp_path / "plain.tif", ground(3), gsd=GSD), pixels=True)
    with pytest.raises(Refused) as refusal:
        compare(clusters[1], dates.before, plain, tmp_path / "raw.tif")
    assert refusal.value.reason == "mixed-coordinates"
