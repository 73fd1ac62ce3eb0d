"""`flyonce detect` over a real photo without pose, and over items of the catalogue."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio.errors import NotGeoreferencedWarning
from rasterio.features import rasterize
from shapely.geometry import shape

pytestmark = pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")  # rasterio's own

PHOTO = "flights/caliterra_east/IMG_9361.jpg"
CODES = {"spoil_heap": "06011", "construction_material": "08006", "debris": "08005"}


def flyonce(home, *arguments):
    environment = {**os.environ, "FLYONCE_HOME": str(home)}
    return subprocess.run(
        [sys.executable, "-m", "flyonce", *map(str, arguments)], capture_output=True, text=True, env=environment
    )


@pytest.fixture(scope="module")
def photo(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("photo")
    out, mask = folder / "debris.geojson", folder / "mask.tif"
    options = ["--pixels", "--gsd", "0.019", "--out", out, "--mask", mask, "--json"]
    run = flyonce(folder / "home", "detect", "debris", data / PHOTO, *options)
    assert run.returncode == 0, run.stderr
    return run, json.loads(out.read_text("utf-8")), mask


def test_a_photo_is_answered_in_its_own_pixels(photo, data):
    run, document, mask_path = photo
    with Image.open(data / PHOTO) as image:
        width, height = image.size
    with pytest.warns(NotGeoreferencedWarning):
        ds = rasterio.open(mask_path)
    with ds:
        assert (ds.width, ds.height, ds.crs) == (width, height, None)
        mask = ds.read(1)
    assert set(np.unique(mask)) <= {0, 1, 2, 3, 255}
    features = document["features"]
    assert len(features) == json.loads(run.stdout)["found"]
    classes = ["spoil_heap", "construction_material", "debris"]
    burnt = np.zeros_like(mask)
    for feature in features:
        polygon, said = shape(feature["geometry"]), feature["properties"]
        west, north, east, south = polygon.bounds
        assert west >= 0
        assert north >= 0
        assert east <= width + 5  # the last cell reaches over the edge
        assert south <= height + 5
        assert polygon.is_valid
        assert 0 < said["score"] <= 1
        assert said["area_m2"] == pytest.approx(polygon.area * 0.019**2, rel=0.01)
        assert said["code"] == CODES[said["class"]]
        assert said["name_zh"]
        assert said["name_en"]
        value = classes.index(said["class"]) + 1
        burnt = np.maximum(burnt, rasterize([(polygon, value)], mask.shape))
    # What is in the mask and in no polygon is smaller than the smallest polygon that is told of.
    told = burnt > 0
    assert (burnt[told] == mask[told]).mean() > 0.99


def test_the_output_says_which_gsd_was_used(photo):
    run, document, _ = photo
    (about,) = document["flyonce"]["runs"]
    assert (about["source"]["gsd"], about["source"]["gsd_from"]) == (0.019, "given")
    assert about["coordinates"] == "pixels"
    assert "as given" in run.stderr


def test_without_any_gsd_the_models_own_is_assumed_and_said(data, tmp_path):
    small = tmp_path / "small.png"
    with Image.open(data / PHOTO) as image:
        image.crop((1000, 1000, 1500, 1400)).save(small)
    run = flyonce(
        tmp_path / "home", "detect", "debris", small, "--mask", tmp_path / "m.tif", "--workers", "1", "--json"
    )
    assert run.returncode == 0, run.stderr
    (about,) = json.loads(run.stdout)["runs"]
    assert about["source"]["gsd_from"] == "model"
    assert "assumed, the model's own" in run.stderr
    assert not (tmp_path / "home").exists()


def test_a_detector_that_is_not_there_is_refused_by_name(data, tmp_path):
    run = flyonce(tmp_path, "detect", "nonsense", data / PHOTO, "--out", tmp_path / "a.geojson")
    assert run.returncode == 1
    assert "no-such-detector" in run.stderr
    assert "debris" in run.stderr


def test_nothing_to_write_is_an_error_not_hours_of_work(data, tmp_path):
    run = flyonce(tmp_path, "detect", "debris", data / PHOTO)
    assert run.returncode == 1
    assert "--out" in run.stderr
