"""`flyonce change` on two dates of real orthophotos."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import rasterio
from pyproj import Geod
from rasterio.features import rasterize
from rasterio.warp import transform_geom
from shapely.geometry import shape

BEFORE, AFTER = (f"orthos/naip_2009_2016/m_4709963_se_14_1_{day}.tif" for day in ("20090818", "20160816"))


def flyonce(home, *arguments):
    environment = {**os.environ, "FLYONCE_HOME": str(home)}
    return subprocess.run(
        [sys.executable, "-m", "flyonce", *map(str, arguments)], capture_output=True, text=True, env=environment
    )


@pytest.fixture(scope="module")
def naip(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("naip")
    out, mask = folder / "change.geojson", folder / "mask.tif"
    run = flyonce(folder / "home", "change", data / BEFORE, data / AFTER, "--out", out, "--mask", mask, "--json")
    assert run.returncode == 0, run.stderr
    return run, json.loads(out.read_text("utf-8")), mask


def test_polygons_and_mask_tell_the_same(naip, data):
    run, document, mask_path = naip
    summary = json.loads(run.stdout)
    with rasterio.open(mask_path) as ds, rasterio.open(data / BEFORE) as source:
        mask, transform, crs = ds.read(1), ds.transform, ds.crs
        assert crs == source.crs
        assert np.allclose(ds.bounds, source.bounds, atol=6)
        assert ds.overviews(1)
    assert set(np.unique(mask)) == {0, 1, 255}
    features = document["features"]
    assert len(features) == summary["found"] > 10
    geod = Geod(ellps="WGS84")
    shapes = []
    for feature in features:
        polygon = shape(feature["geometry"])
        assert polygon.is_valid
        assert polygon.exterior.is_ccw
        area, _ = geod.geometry_area_perimeter(polygon)
        assert feature["properties"]["area_m2"] == pytest.approx(area, rel=1e-3)
        assert feature["properties"]["class"] == "changed"
        shapes.append((transform_geom("OGC:CRS84", crs, feature["geometry"]), 1))
    burnt = rasterize(shapes, mask.shape, transform=transform)
    assert (burnt != (mask == 1)).mean() < 1e-4  # corners go through degrees of nine digits and back


def test_the_run_says_how_fine_it_looked_and_what_it_could_not_compare(naip):
    run, document, mask_path = naip
    (about,) = document["flyonce"]["runs"]
    for date in ("before", "after"):
        assert about[date]["gsd_from"] == "georeference"
        assert about[date]["gsd"] == pytest.approx(5.0, rel=0.01)
    assert "5 m per pixel, read from its georeference" in run.stderr
    with rasterio.open(mask_path) as ds:
        cells = int((ds.read(1) == 255).sum())
    assert sum(about["not_analysed_m2"].values()) == pytest.approx(cells * about["cell_m"] ** 2, rel=1e-3)
    assert set(about["not_analysed_m2"]) <= {"shift", "shadow", "parallax", "gsd", "no_data"}
    assert about["failed_tiles"] == []


def test_a_file_that_is_not_there_is_refused_with_its_name(tmp_path, data):
    run = flyonce(tmp_path, "change", data / BEFORE, tmp_path / "gone.tif", "--out", tmp_path / "c.geojson")
    assert run.returncode == 1
    assert "gone.tif" in run.stderr
    assert not (tmp_path / "c.geojson").exists()


def test_an_output_that_cannot_be_written_is_refused_before_the_work(tmp_path, data):
    run = flyonce(tmp_path, "change", data / BEFORE, data / AFTER, "--out", tmp_path / "no" / "c.geojson")
    assert run.returncode == 1
    assert "cannot-write" in run.stderr
