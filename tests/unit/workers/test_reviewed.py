"""What reviewers decided becomes labels where the captures show it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from shapely import box

from detectors import registry
from detectors.base import ModelSpec
from detectors.debris import CLASSES
from detectors.labels import REJECTED
from detectors.registry import Shelved
from detectors.samples import IGNORE, LOOK_ALIKE
from detectors.tune import sample_of
from imagery.errors import Refused
from records.engine import transaction
from stac.store import Query
from tickets import store
from tickets.codes import load_codes
from tickets.states import Action
from workers.environment import WORKER_ENVIRONMENT
from workers.ingest import ingest
from workers.jobs import DetectJob
from workers.propose import proposals
from workers.publish import run_detection
from workers.reviewed import reviewed
from workers.testing import label, write_raster

SQUARES = {"approved": (20, 20), "rejected": (90, 30), "waiting": (40, 110)}
"""Row and column of 30 pixels squared of 10 cm."""


class Reds:
    """Everything red is a spoil heap."""

    spec = ModelSpec(
        name="reds", version="1", classes=("spoil_heap",), gsd=0.1, core=64, halo=16, batch=1, thresholds=(128,),
        min_area=0.5, licence="MIT", weights_sha256="1" * 64,
    )  # fmt: skip

    def scores(self, pixels, valid):
        return pixels[:, :1] * valid[:, None]


@pytest.fixture
def events(home, clusters, tmp_path, monkeypatch):
    """One orthophoto with three findings: the event of each square by its name."""
    detector = Reds()
    monkeypatch.setitem(registry._OURS, "reds", lambda: Shelved(detector.spec, lambda _: detector))
    monkeypatch.setattr("workers.shelf._code", lambda _: Path(__file__))
    data = np.full((3, 160, 160), 40, dtype=np.uint8)
    for row, col in SQUARES.values():
        data[0, row : row + 30, col : col + 30] = 250
    write_raster(tmp_path / "ortho.tif", data, gsd=0.1)
    report = ingest(home, [tmp_path / "ortho.tif"], "flight", "UAV").to_dict()
    run = run_detection(home, clusters[1], DetectJob("reds", report["accepted"][0]["item"]), label)
    seen, _ = proposals(home, run)
    with transaction(home.engine) as conn:
        known = store.record(conn, seen)
    # Findings come from north to south.
    order = sorted(SQUARES, key=lambda name: SQUARES[name])
    north_first = sorted(
        zip(seen, known, strict=True), key=lambda pair: -max(y for _, y in pair[0].geometry["coordinates"][0])
    )
    assert len(north_first) == 3
    return dict(zip(order, (event for _, event in north_first), strict=True))


def decide(home, event, action, reason=""):
    with transaction(home.engine) as conn:
        store.decide(conn, load_codes(), event, action, "somebody", reason)


def test_approved_is_the_class_rejected_looks_like_it_and_the_rest_is_unknown(home, events):
    decide(home, events["approved"], Action.APPROVE)
    decide(home, events["rejected"], Action.REJECT, "a roof")
    labels = reviewed(home, CLASSES)
    assert labels.left == []
    (picture,) = labels.pictures
    assert not picture.whole
    assert picture.place == "flight"
    assert {one.kind: one.thing for one in picture.shapes} == {
        "spoil_heap": events["approved"], REJECTED: events["rejected"],
    }  # fmt: skip
    for one in picture.shapes:
        row, col = SQUARES["approved" if one.kind == "spoil_heap" else "rejected"]
        square = box(col, row, col + 30, row + 30)
        assert one.polygon.intersection(square).area / one.polygon.union(square).area > 0.95
    sample = sample_of(picture, CLASSES)
    at = {
        name: sample.label[round((row + 15) * 1.25), round((col + 15) * 1.25)] for name, (row, col) in SQUARES.items()
    }
    assert at == {"approved": 1, "rejected": LOOK_ALIKE, "waiting": IGNORE}


def test_where_nothing_was_reviewed_there_is_nothing_to_learn(home, events):
    with pytest.raises(Refused) as refused:
        reviewed(home, CLASSES)
    assert refused.value.reason == "nothing-reviewed"
    decide(home, events["approved"], Action.APPROVE)
    with pytest.raises(Refused):
        reviewed(home, ("debris",))


def test_findings_whose_picture_is_gone_are_named(home, events):
    decide(home, events["approved"], Action.APPROVE)
    (item,) = home.catalog.search(Query(("orthophotos",))).items
    for path in {
        home.asset_path(item["assets"][name]["href"]) for name in ("cog", "original") if name in item["assets"]
    }:
        path.unlink()
    labels = reviewed(home, CLASSES)
    assert labels.pictures == []
    assert len(labels.left) == 1


def test_the_command_learns_from_what_was_reviewed(home, clusters, tmp_path, monkeypatch):
    detector = Reds()
    monkeypatch.setitem(registry._OURS, "reds", lambda: Shelved(detector.spec, lambda _: detector))
    monkeypatch.setattr("workers.shelf._code", lambda _: Path(__file__))
    data = np.full((3, 160, 220), 40, dtype=np.uint8)
    for index in range(12):
        row, col = 10 + 50 * (index % 3), 10 + 52 * (index // 3)
        data[0, row : row + 30, col : col + 30] = 250
    write_raster(tmp_path / "ortho.tif", data, gsd=0.1)
    report = ingest(home, [tmp_path / "ortho.tif"], "flight", "UAV").to_dict()
    run = run_detection(home, clusters[1], DetectJob("reds", report["accepted"][0]["item"]), label)
    with transaction(home.engine) as conn:
        known = store.record(conn, proposals(home, run)[0])
    for index, event in enumerate(known):
        decide(home, event, *((Action.APPROVE,) if index % 4 else (Action.REJECT, "paint")))
    environment = {**os.environ, **WORKER_ENVIRONMENT, "FLYONCE_HOME": str(home.settings.home)}
    asked = ["train", "debris", "--reviewed", "--name", "here", "--steps", "2", "--batch", "2"]
    asked += ["--blocks", "0", "--threads", "1", "--json"]
    run = subprocess.run([sys.executable, "-m", "flyonce", *asked], env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    learned = json.loads(run.stdout)
    counts = {kind: learned["learned"].get(kind, 0) + learned["held"].get(kind, 0) for kind in ("spoil_heap", REJECTED)}
    assert counts[REJECTED] >= 2
    assert 10 <= sum(counts.values()) <= 12, "at most one column lies across the line"
    assert "step 步 2/2" in run.stderr
    assert (home.settings.home / "shelf/here-examples.png").stat().st_size > 500
