"""The table of figures: what is measured where, and that nothing is measured on what was learned from."""

from pathlib import Path

import numpy as np
import pytest
import torch
from shapely import box

from detectors import checkpoint, debris, folds, registry, scoreboard
from detectors.base import ModelSpec
from detectors.folds import Site, learned_from, left_out
from detectors.places import Line, Mark
from detectors.samples import Sample
from imagery.errors import Refused


def fold(path, **about):
    """Weights of nothing, whose header says this."""
    checkpoint.write(path, {"x": torch.zeros(3)}, {"loss": "1", **about})
    return path


def test_folds_tell_which_side_they_learned_from_or_are_refused(tmp_path):
    assert learned_from(fold(tmp_path / "a.safetensors", side="-1")) == -1
    assert learned_from(fold(tmp_path / "b.safetensors", side="1")) == 1
    for about in ({}, {"side": ""}, {"side": "2"}):
        with pytest.raises(Refused) as refused:
            learned_from(fold(tmp_path / "c.safetensors", **about))
        assert refused.value.reason == "other-fold"


def test_the_shipped_weights_are_no_fold():
    shipped = checkpoint.FOLDER / f"debris-{debris.spec.version}.safetensors"
    with pytest.raises(Refused) as refused:
        learned_from(shipped)
    assert refused.value.reason == "other-fold"


def test_pictures_that_a_detector_was_trained_on_are_never_measured_on():
    learned = registry.about("debris")
    name = learned["frames"].split()[0]
    for known in (name, learned["backgrounds"].split()[0]):
        with pytest.raises(Refused) as refused:
            scoreboard.unheld("debris", [Path("folder") / known])
        assert refused.value.reason == "trained-on"
    scoreboard.unheld("debris", [Path("DJI_0018.JPG"), Path("OSBS_029.tif")])
    scoreboard.unheld("change", [Path("DJI_0018.JPG")])


def mark(kind, x, y, side=100):
    polygon = box(x, y, x + side, y + side)
    return Mark("one.jpg", kind, polygon, polygon)


class Reds:
    """Score of heaps: the red band."""

    spec = ModelSpec(
        name="reds", version="1", classes=debris.CLASSES, gsd=debris.GSD, core=1024, halo=16, batch=1,
        thresholds=(128, 128, 128), min_area=1.0, licence="MIT",
    )  # fmt: skip

    def scores(self, pixels, valid):
        out = torch.zeros_like(pixels)
        out[:, 0] = pixels[:, 0] * valid
        return out


@pytest.fixture
def site():
    """One frame on its own plane, cut in the middle: on the left two heaps, on the right one and something red."""
    rows, cols = 400, 950
    share = 4000 / cols
    image = np.zeros((3, rows, cols), dtype=np.uint8)
    marks = [mark("spoil_heap", 400, 400), mark("spoil_heap", 1000, 900), mark("spoil_heap", 2600, 400)]
    for one in (marks[0], marks[2], mark("spoil_heap", 3400, 900)):
        left, top, right, bottom = (round(edge / share) for edge in one.polygon.bounds)
        image[0, top:bottom, left:right] = 255
    frame = Sample("one.jpg", image, np.zeros((rows, cols), dtype=np.uint8))
    return Site([frame], {"one.jpg": np.eye(3)}, marks, Line(0.0, 2000.0))


def test_each_side_is_scored_by_weights_that_learned_from_the_other(tmp_path, site, monkeypatch):
    asked = []

    def read(path, sha256):
        asked.append(path.name)
        return Reds()

    monkeypatch.setattr(folds.Debris, "read", read)
    minus, plus = fold(tmp_path / "minus.safetensors", side="-1"), fold(tmp_path / "plus.safetensors", side="1")
    out = left_out(site, {-1: minus, 1: plus})
    heap = out[None]["spoil_heap"]
    assert (heap["hits"], heap["missed"], heap["false"]) == (2, 1, 1)
    assert (heap["things"], heap["things_found"]) == (3, 2)
    assert heap["f1"] == pytest.approx(2 * 2 / (2 * 2 + 1 + 1), abs=1e-3)
    low, high = heap["f1_interval"]
    assert low <= heap["f1"] <= high
    assert asked == ["minus.safetensors", "plus.safetensors"]
    with pytest.raises(Refused) as refused:
        left_out(site, {1: minus, -1: plus})
    assert refused.value.reason == "other-fold"


def test_scored_keeps_to_one_side(site):
    left, right = (folds.scored(site, Reds.spec, folds.planes(site, Reds()), side) for side in (-1, 1))
    count = {
        name: sum(one.hits for one in half.tallies["spoil_heap"].values()) for name, half in (("l", left), ("r", right))
    }
    assert count == {"l": 1, "r": 1}
    assert sum(one.false for one in left.tallies["spoil_heap"].values()) == 0
    assert sum(one.false for one in right.tallies["spoil_heap"].values()) == 1


def test_the_table_has_a_row_for_every_figure_even_without_data(tmp_path, monkeypatch):
    monkeypatch.setenv("FLYONCE_DATA", str(tmp_path))
    monkeypatch.setattr(scoreboard, "draw", lambda seed, gsd: seed)
    monkeypatch.setattr(scoreboard, "false_on_clean", lambda drawn, ready: scoreboard.Tally(false=1, hectares=1.0))
    figures = {"f1": 0.95, "registration_px": 0.2}
    monkeypatch.setattr(scoreboard.assess_change, "on_block", lambda drawn: figures)
    monkeypatch.setattr(scoreboard.assess_change, "same_block_twice", lambda seed: 0.004)
    said = []
    rows = list(scoreboard.rows(2, (), said.append))
    by_what = {(row["what"], row["data"].split(",")[0]): row["reached"] for row in rows}
    assert by_what[("debris, leave-one-place-out, object F1 at IoU 0.3", "caliterra_east")] is None
    assert by_what[("debris, false alarms per hectare", "brighton_beach")] is None
    assert by_what[("debris, false alarms per hectare", "simulator")] is True
    assert by_what[("change, pixel F1", "simulator")] is True
    assert next(row for row in rows if row["what"].startswith("the same twice"))["reached"] is False
    assert len([what for what in said if what.startswith("block ")]) == 2


def test_thresholds_reach_the_precision_from_there_on():
    def swept(*precisions):
        named = {name: {"precision": None} for name in debris.CLASSES}
        return {100 + 10 * i: {**named, "debris": {"precision": one}} for i, one in enumerate(precisions)}

    assert folds.chosen(swept(0.5, 0.9, 0.7, 0.8, 0.85, None), 0.8)["debris"] == 130, "one lucky threshold is none"
    assert folds.chosen(swept(0.9, 0.95), 0.8)["debris"] == 100
    assert folds.chosen(swept(0.9, 0.7), 0.8) == dict.fromkeys(debris.CLASSES)
