"""Dates void, tiny, cut short or changed under the run: what can be compared is, the rest is told by name."""

import os
from dataclasses import replace

import numpy as np
import pytest
import rasterio

from detectors import change
from imagery.cog import write_cog
from imagery.errors import Refused
from workers import versions
from workers.change import compare, lay_out, votes
from workers.cluster import connect
from workers.inputs import open_input
from workers.outputs import about_comparison, comparison_features
from workers.testing import label, soil, write_raster

pytestmark = pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")  # rasterio's own

GSD = 0.1
EDGE = 3
"""Cells along the raster's edges that have no whole pixel under them: the ground grid is in true metres."""


@pytest.fixture(scope="module")
def client():
    with connect(workers=2, processes=False) as client:
        yield client


@pytest.fixture(autouse=True)
def small_windows(monkeypatch):
    monkeypatch.setattr(change, "spec", replace(change.spec, core=64, halo=32))


def date(path, data, nodata=None):
    """`data` [3, H, W] of uint8 or float32 as one date."""
    profile = {"driver": "GTiff", "count": 3, "dtype": data.dtype.name, "crs": "EPSG:32650", "nodata": nodata}
    profile |= {"height": data.shape[1], "width": data.shape[2]}
    transform = rasterio.Affine(GSD, 0, 500_000, 0, -GSD, 3_400_000)
    with rasterio.open(path, "w", transform=transform, **profile) as ds:
        ds.write(data)
    return open_input(path)


def mask_of(path):
    with rasterio.open(path) as ds:
        return ds.read(1)


def test_a_date_without_one_valid_pixel_is_not_comparable_and_not_unchanged(client, tmp_path):
    before = date(tmp_path / "a.tif", soil(np.random.default_rng(1), 70, 90))
    after = date(tmp_path / "b.tif", np.zeros((3, 70, 90), dtype=np.uint8), nodata=0)
    found = compare(client, before, after, tmp_path / "m.tif")
    assert (mask_of(tmp_path / "m.tif") == 255).all()
    about = about_comparison(found)
    assert about["analysed_m2"] == 0
    assert about["not_analysed_m2"] == {"no_data": pytest.approx(70 * 90 * GSD**2, rel=0.05)}
    assert list(found.analysis.regions) == []


def test_dates_of_one_pixel_are_answered(client, tmp_path):
    before, after = (date(tmp_path / f"{name}.tif", np.full((3, 1, 1), 90, np.uint8)) for name in "ab")
    found = compare(client, before, after, tmp_path / "m.tif")
    assert found.analysis.failed == ()
    assert 1 <= mask_of(tmp_path / "m.tif").size <= 4, "a pixel may lie on four cells of the ground grid"
    assert list(comparison_features(found, label)) == []


def test_not_a_number_is_no_data(client, tmp_path):
    ground = soil(np.random.default_rng(1), 70, 90)
    after = ground.astype(np.float32)
    after[:, :, 50:] = np.nan
    found = compare(client, date(tmp_path / "a.tif", ground), date(tmp_path / "b.tif", after), tmp_path / "m.tif")
    mask = mask_of(tmp_path / "m.tif")
    assert (mask[:, 50:] == 255).all()
    assert (mask[EDGE:-EDGE, EDGE:45] == 0).all(), "the same ground"
    assert about_comparison(found)["not_analysed_m2"]["no_data"] >= 70 * 40 * GSD**2


def test_a_cog_cut_short_is_compared_as_far_as_it_goes(client, tmp_path):
    ground = np.random.default_rng(1).integers(1, 255, (3, 150, 1300), dtype=np.uint8)  # so that blocks are many bytes
    whole = write_raster(tmp_path / "plain.tif", ground, gsd=GSD)
    write_cog(whole, tmp_path / "cut.tif")
    os.truncate(tmp_path / "cut.tif", int((tmp_path / "cut.tif").stat().st_size * 0.6))
    found = compare(client, open_input(whole), open_input(tmp_path / "cut.tif"), tmp_path / "m.tif")
    assert 0 < len(found.analysis.failed) < found.analysis.tiles
    assert {failure.error.split(":")[0] for failure in found.analysis.failed} == {"unreadable"}
    mask, lost = mask_of(tmp_path / "m.tif"), np.zeros((found.extent.height, found.extent.width), dtype=bool)
    for failure in found.analysis.failed:
        lost[failure.item.core.intersect(found.extent).slices_in(found.extent)] = True
    assert (mask[lost] == 255).all()
    assert about_comparison(found)["not_analysed_m2"]["failed"] == pytest.approx(lost.sum() * GSD**2, rel=0.01)
    lost[:EDGE] = lost[-EDGE:] = lost[:, :EDGE] = lost[:, -EDGE:] = True
    assert (mask[~lost] == 0).all(), "the same ground"


@pytest.mark.parametrize("stage", ["shift", "compare"])
def test_a_date_written_to_while_it_is_read_is_told_and_never_mixed(client, tmp_path, stage):
    ground = soil(np.random.default_rng(1), 150, 200)
    before, after = (date(tmp_path / f"{name}.tif", ground) for name in "ab")

    def rewritten_half_way(now, done, total):
        if now == stage and done == total // 2:
            date(tmp_path / "c.tif", 255 - ground)
            (tmp_path / "c.tif").replace(tmp_path / "b.tif")

    options = {"chunk": 1, "progress": rewritten_half_way}
    if stage == "shift":  # nothing can be read any more when the pair model is to be fitted
        with pytest.raises(Refused) as refusal:
            compare(client, before, after, tmp_path / "m.tif", **options)
        assert refusal.value.reason == "nothing-analysed"
        return
    found = compare(client, before, after, tmp_path / "m.tif", **options)
    assert 0 < len(found.analysis.failed) < found.analysis.tiles
    assert {failure.error.split(":")[0] for failure in found.analysis.failed} == {"source-changed"}
    assert set(np.unique(mask_of(tmp_path / "m.tif"))) == {0, 255}, "the same ground, or not compared"


def test_a_worker_with_other_packages_measures_nothing(tmp_path):
    before, after = (date(tmp_path / f"{name}.tif", np.full((3, 40, 40), 90, np.uint8)) for name in "ab")
    theirs = tuple((name, "0.1" if name == "torch" else own) for name, own in versions.here())
    sheets = replace(lay_out(before, after, GSD), versions=theirs)
    with pytest.raises(Refused, match=r"torch .*\(here") as refusal:
        votes(sheets, list(change.spec.plan.tiles(sheets.overlap)))
    assert refusal.value.reason == "other-versions"
