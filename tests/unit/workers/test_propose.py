"""What is new on changed ground, and the pictures to judge it by."""

import io

import numpy as np
import pytest
import shapely
from PIL import Image
from pyproj import Transformer
from shapely.geometry import box

from imagery.reader import reader
from imagery.sources import open_source
from imagery.tiles import PIXELS
from workers.crops import LEAST_MARGIN_M, crop, from_lonlat
from workers.propose import captures_of, on_changed_ground
from workers.testing import write_raster


def test_only_what_changed_over_enough_of_its_area_is_new():
    outlines = {3: box(0, 0, 10, 10), 5: box(20, 0, 30, 10), 7: box(40, 0, 50, 10)}
    changed = [box(-5, 0, 1.9, 10), box(20, 0, 21, 10), box(21, 0, 22.1, 10), box(100, 0, 200, 10)]
    assert on_changed_ground(outlines, changed) == {5: outlines[5]}
    assert on_changed_ground(outlines, []) == {}


def test_a_runs_captures_are_read_from_its_links_and_its_model_is_none_of_them():
    links = [
        {"rel": "derived_from", "href": "/stac/collections/orthophotos/items/a%20b"},
        {"rel": "derived_from", "href": "/stac/collections/orthophotos/items/c"},
        {"rel": "derived_from", "href": "/stac/collections/models/items/change-1"},
        {"rel": "self", "href": "/stac/collections/changes/items/x"},
    ]
    assert captures_of({"links": links}) == ["orthophotos/a b", "orthophotos/c"]


def test_a_crop_shows_the_finding_with_its_surroundings_and_its_outline(tmp_path):
    data = np.full((3, 400, 600), 60, dtype=np.uint8)
    data[:, 200:260, 300:400] = np.array([200, 30, 30])[:, None, None]
    path = write_raster(tmp_path / "a.tif", data, gsd=0.1)
    heap = box(500_030, 3_400_000 - 26, 500_040, 3_400_000 - 20)
    with reader(open_source(path)) as opened:
        picture = np.asarray(Image.open(io.BytesIO(crop(opened, "EPSG:32650", heap, 1.0)))).astype(int)
    wide, high = 10 + 2 * LEAST_MARGIN_M, 6 + 2 * LEAST_MARGIN_M
    assert picture.shape[1] / picture.shape[0] == pytest.approx(wide / high, rel=0.02)
    middle = picture[picture.shape[0] // 2, picture.shape[1] // 2]
    assert middle == pytest.approx([200, 30, 30], abs=12)
    assert picture[3, 3] == pytest.approx([60, 60, 60], abs=6)
    yellow = (picture[..., 0] > 180) & (picture[..., 1] > 150) & (picture[..., 2] < 110)
    rows, cols = np.nonzero(yellow)
    per_metre = picture.shape[1] / wide
    assert (cols.min() + 1) / per_metre == pytest.approx(LEAST_MARGIN_M, abs=0.3)
    assert (picture.shape[0] - rows.max() - 1) / per_metre == pytest.approx(LEAST_MARGIN_M, abs=0.3)


def test_a_crop_in_pixel_coordinates_has_y_downwards(tmp_path):
    data = np.full((3, 400, 600), 60, dtype=np.uint8)
    data[:, 20:80, 100:200] = 220
    path = write_raster(tmp_path / "a.tif", data)
    with reader(open_source(path, pixels=True, gsd=0.05)) as opened:
        picture = np.asarray(Image.open(io.BytesIO(crop(opened, PIXELS, box(100, 20, 200, 80), 0.05)))).astype(int)
    assert picture[picture.shape[0] // 2, picture.shape[1] // 2] == pytest.approx([220] * 3, abs=8)


def test_degrees_come_back_as_metres():
    ground = box(500_000, 3_400_000, 500_010, 3_400_020)
    to_degrees = Transformer.from_crs("EPSG:32650", "OGC:CRS84", always_xy=True)
    degrees = shapely.transform(ground, lambda xy: np.stack(to_degrees.transform(xy[:, 0], xy[:, 1]), axis=-1))
    back = from_lonlat(degrees, "EPSG:32650")
    assert back.symmetric_difference(ground).area < 1e-4
