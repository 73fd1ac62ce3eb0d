"""Another version of a detector over what an older one has answered for."""

import numpy as np
import pytest
import torch

from detectors import registry
from detectors.base import ModelSpec
from detectors.registry import Shelved
from stac.store import Query
from workers.backfill import backfill
from workers.ingest import ingest
from workers.jobs import DetectJob
from workers.publish import run_detection
from workers.testing import label, write_raster


class Red:
    """Score: the red band, from a limit on that the version brings."""

    def __init__(self, version, limit):
        self.spec = ModelSpec(
            name="red", version=version, classes=("red",), gsd=0.1, core=64, halo=16, batch=1, thresholds=(128,),
            min_area=0.5, licence="MIT", weights_sha256=version.rjust(64, "0"),
        )  # fmt: skip
        self.limit = limit

    def scores(self, pixels, valid):
        return torch.where(pixels[:, :1] >= self.limit, pixels[:, :1], 0) * valid[:, None]


@pytest.fixture
def version(monkeypatch):
    """Put a version of the detector on the shelf."""

    def use(name, limit):
        detector = Red(name, limit)
        shelved = Shelved(detector.spec, lambda device: detector, architecture="threshold")
        monkeypatch.setitem(registry._OURS, "red", lambda: shelved)
        monkeypatch.setattr("workers.shelf._code", lambda name: __import__("pathlib").Path(__file__))

    return use


@pytest.fixture
def captures(home, tmp_path):
    """Three orthophotos with a bright and a less bright square."""
    for index in range(3):
        data = np.full((3, 160, 160), 40, dtype=np.uint8)
        data[0, 20:50, 20:50], data[0, 90:120, 90:120] = 250, 200
        write_raster(tmp_path / f"o{index}.tif", data, gsd=0.1, left=500_000 + 100 * index)
    report = ingest(home, sorted(tmp_path.glob("o*.tif")), "flight", "UAV").to_dict()
    return [one["item"] for one in report["accepted"]]


def test_the_present_version_runs_over_what_the_old_one_saw_and_tells_the_difference(home, clusters, captures, version):
    version("1", 180)
    old = [run_detection(home, clusters[2], DetectJob("red", name), label) for name in captures]
    assert [item["properties"]["flyonce:found"] for item in old] == [{"red": 2}] * 3
    version("2", 220)
    report = backfill(home, clusters[2], "red", label, minutes=5, most=2)
    assert len(report["runs"]) == 2
    assert report["waiting"] == 1
    for run in report["runs"]:
        assert (run["same"], run["new"], run["gone"]) == (1, 0, 1)
    rest = backfill(home, clusters[2], "red", label, minutes=5)
    assert len(rest["runs"]) == 1
    assert backfill(home, clusters[2], "red", label, minutes=5)["runs"] == []
    runs = home.catalog.search(Query(collections=("detections",), limit=50)).items
    named = sorted(item["properties"]["flyonce:model"] for item in runs)
    assert named == ["red@1"] * 3 + ["red@2"] * 3
    assert {item["id"] for item in home.catalog.search(Query(collections=("models",))).items} >= {"red-1", "red-2"}


def test_nothing_starts_once_the_budget_is_spent(home, clusters, captures, version):
    version("1", 180)
    run_detection(home, clusters[2], DetectJob("red", captures[0]), label)
    version("2", 220)
    report = backfill(home, clusters[2], "red", label, minutes=0)
    assert report["runs"] == []
    assert report["waiting"] == 1
