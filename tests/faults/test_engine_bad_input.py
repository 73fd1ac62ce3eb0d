"""Sources void, tiny, cut short or changed under the run: what can be analysed is, the rest is told by name."""

import os

import numpy as np
import pytest
import rasterio

from imagery.cog import write_cog
from imagery.errors import Refused
from workers import versions
from workers.cluster import connect
from workers.detect import Task, analyse, detect
from workers.inputs import open_input
from workers.outputs import about_detection
from workers.testing import SPEC, load, patches, write_raster
from workers.windows import Sheet, origin_of

pytestmark = pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")  # rasterio's own


@pytest.fixture(scope="module")
def client():
    with connect(workers=2, processes=False) as client:
        yield client


def mask_of(path):
    with rasterio.open(path) as ds:
        return ds.read(1)


def test_a_raster_without_one_valid_pixel_is_not_analysed_and_not_clean(client, tmp_path):
    path = write_raster(tmp_path / "a.tif", np.zeros((3, 40, 50), dtype=np.uint8))
    with rasterio.open(path, "r+") as ds:
        ds.nodata = 0
    found = detect(client, SPEC, open_input(path), tmp_path / "m.tif", load=load)
    assert (mask_of(tmp_path / "m.tif") == 255).all()
    about = about_detection(found)
    assert (about["analysed_m2"], about["not_analysed_m2"]) == (0, {"no_data": 2000})


def test_one_pixel_is_analysed(client, tmp_path):
    path = write_raster(tmp_path / "a.tif", np.full((3, 1, 1), 250, dtype=np.uint8))
    found = detect(client, SPEC, open_input(path), tmp_path / "m.tif", load=load)
    assert found.extent.height == found.extent.width == 1
    assert about_detection(found)["analysed_m2"] == 1


def test_not_a_number_is_no_data(client, tmp_path):
    data = patches(np.random.default_rng(1), 40, 40).astype(np.float32)
    data[:, :, 30:] = np.nan
    profile = {"driver": "GTiff", "width": 40, "height": 40, "count": 3, "dtype": "float32", "crs": "EPSG:32650"}
    transform = rasterio.Affine(1, 0, 500_000, 0, -1, 3_400_000)
    with rasterio.open(tmp_path / "a.tif", "w", transform=transform, **profile) as ds:
        ds.write(data)
    detect(client, SPEC, open_input(tmp_path / "a.tif"), tmp_path / "m.tif", load=load)
    mask = mask_of(tmp_path / "m.tif")
    assert (mask[:, 30:] == 255).all()
    assert (mask[:, :30] != 255).all()


def test_a_cog_cut_short_is_analysed_as_far_as_it_goes(client, tmp_path):
    """GDAL keeps a COG's directory in front: the file opens, and blocks at its end are gone."""
    write_raster(tmp_path / "plain.tif", np.random.default_rng(1).integers(0, 255, (3, 300, 1300), dtype=np.uint8))
    write_cog(tmp_path / "plain.tif", tmp_path / "a.tif")
    whole = open_input(tmp_path / "a.tif")
    detect(client, SPEC, whole, tmp_path / "whole.tif", load=load)
    os.truncate(tmp_path / "a.tif", int((tmp_path / "a.tif").stat().st_size * 0.6))
    found = detect(client, SPEC, open_input(tmp_path / "a.tif"), tmp_path / "m.tif", load=load)
    assert 0 < len(found.analysis.failed) < found.analysis.tiles
    assert {failure.error.split(":")[0] for failure in found.analysis.failed} == {"unreadable"}
    mask, expected = mask_of(tmp_path / "m.tif"), mask_of(tmp_path / "whole.tif")
    lost = np.zeros_like(mask, dtype=bool)
    for failure in found.analysis.failed:
        lost[failure.item.core.intersect(found.extent).slices_in(found.extent)] = True
    assert (mask[lost] == 255).all()
    assert (mask[~lost] == expected[~lost]).all()
    assert about_detection(found)["not_analysed_m2"] == {"failed": int(lost.sum())}


def test_a_source_written_to_while_it_is_read_is_told_and_never_mixed(client, tmp_path):
    data = patches(np.random.default_rng(1), 200, 200)
    source = open_input(write_raster(tmp_path / "a.tif", data))
    detect(client, SPEC, source, tmp_path / "whole.tif", load=load)

    def rewritten_half_way(_stage, done, total):
        if done == total // 2:
            write_raster(tmp_path / "b.tif", 255 - data)
            (tmp_path / "b.tif").replace(tmp_path / "a.tif")

    found = detect(client, SPEC, source, tmp_path / "m.tif", load=load, chunk=2, progress=rewritten_half_way)
    assert 0 < len(found.analysis.failed) < found.analysis.tiles
    assert {failure.error.split(":")[0] for failure in found.analysis.failed} == {"source-changed"}
    mask, expected = mask_of(tmp_path / "m.tif"), mask_of(tmp_path / "whole.tif")
    assert ((mask == 255) | (mask == expected)).all()


def test_a_source_that_is_gone_is_refused_by_name(client, tmp_path):
    source = open_input(write_raster(tmp_path / "a.tif", patches(np.random.default_rng(1), 40, 40)))
    (tmp_path / "a.tif").unlink()
    with pytest.raises(Refused, match=r"a\.tif") as refusal:
        detect(client, SPEC, source, tmp_path / "m.tif", load=load)
    assert refusal.value.reason == "unreadable"


def test_a_worker_with_other_packages_computes_nothing(tmp_path):
    source = open_input(write_raster(tmp_path / "a.tif", patches(np.random.default_rng(1), 40, 40)))
    sheet = Sheet(origin_of(source.source), source.source.grid(1.0))
    theirs = tuple((name, "0.1" if name == "torch" else own) for name, own in versions.here())
    task = Task(load, SPEC.name, SPEC.weights_sha256, "float32", sheet, None, theirs)
    with pytest.raises(Refused, match=r"torch .*\(here") as refusal:
        analyse(task, list(SPEC.plan.tiles(source.source.extent(sheet.grid))))
    assert refusal.value.reason == "other-versions"


def test_workers_of_another_version_are_refused_before_the_run(client, tmp_path, monkeypatch):
    source = open_input(write_raster(tmp_path / "a.tif", patches(np.random.default_rng(1), 40, 40)))
    here = versions.here()
    monkeypatch.setattr(type(client), "run", lambda *_: {"tcp://far:1": (("flyonce", "9.9"), *here[1:])})
    with pytest.raises(Refused, match=r"tcp://far:1 has flyonce 9\.9"):
        detect(client, SPEC, source, tmp_path / "m.tif", load=load)
