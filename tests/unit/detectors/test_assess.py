"""Figures of a detector whose every answer is known."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from detectors.assess import ANY, assess, interval
from detectors.base import ModelSpec
from detectors.evaluate import Tally
from detectors.labels import read_labels
from imagery.errors import Refused

SPEC = ModelSpec(
    name="red", version="1", classes=("red", "blue"), gsd=0.1, core=96, halo=16, batch=1, thresholds=(128, 128),
    min_area=0.5, licence="Apache-2.0",
)  # fmt: skip


class Colours:
    """Score of red: the red band; of blue: the blue band."""

    spec = SPEC

    def scores(self, pixels, valid):
        return pixels[:, [0, 2]] * valid[:, None]


def site(folder, name, red, blue=(), ignore=(), found=()):
    """A picture with squares (row, col, side) of red and blue, labels for them, and squares that are only `found`."""
    image = np.zeros((200, 200, 3), dtype=np.uint8)
    marks = []
    for channel, category, squares in ((0, 1, red), (2, 2, blue), (0, 3, ignore), (0, None, found)):
        for row, col, side in squares:
            image[row : row + side, col : col + side, channel] = 240
            ring = [col, row, col + side, row, col + side, row + side, col, row + side]
            if category:
                marks.append({"image_id": 1, "category_id": category, "segmentation": [ring]})
    Image.fromarray(image).save(folder / f"{name}.png")
    categories = [{"id": i, "name": n} for i, n in enumerate(("red", "blue", "ignore"), start=1)]
    document = {
        "images": [{"id": 1, "file_name": f"{name}.png", "place": name, "gsd": 0.1}],
        "categories": categories,
        "annotations": marks,
    }
    path = folder / f"{name}.json"
    path.write_text(json.dumps(document))
    return path


def test_objects_pixels_alarms_and_calibration_are_what_they_must_be(tmp_path):
    one = site(tmp_path, "one", red=[(10, 10, 20), (60, 60, 20)], blue=[(120, 20, 30)], found=[(150, 150, 20)])
    two = site(tmp_path, "two", red=[(30, 30, 20)], ignore=[(100, 100, 40)])
    labels = read_labels([one, two], classes=SPEC.classes)
    out = assess(Colours(), labels, {})
    red, every = out["classes"]["red"], out["classes"][ANY]
    assert (red["objects"], every["objects"]) == (3, 4)
    assert red["iou_0.3"]["recall"] == 1
    assert red["iou_0.3"]["precision"] == pytest.approx(0.75)
    assert red["iou_0.5"]["f1"] == pytest.approx(6 / 7, abs=1e-3)
    assert red["false_per_hectare"] == pytest.approx(1 / 0.08)
    assert red["pixel_iou"] == pytest.approx(3 * 400 / (4 * 400), abs=0.01)
    assert out["classes"]["blue"]["iou_0.3"]["f1"] == 1
    low, high = red["iou_0.3"]["f1_interval"]
    assert low <= red["iou_0.3"]["f1"] <= high
    assert low < high
    top = out["calibration"]["curve"][9]
    assert top["pixels"] == 1200 + 900 + 400
    assert top["true"] == pytest.approx(2100 / 2500, abs=0.01)


def test_pictures_that_were_trained_on_are_not_scored(tmp_path):
    paths = [site(tmp_path, name, red=[(10, 10, 20)]) for name in ("one", "two")]
    labels = read_labels(paths, classes=SPEC.classes)
    out = assess(Colours(), labels, {"frames": "one.png other.png"})
    assert out["pictures"] == 1
    assert [each["picture"] for each in out["skipped"]] == ["one.png"]
    assert out["classes"]["red"]["iou_0.3"]["f1_interval"] is None
    hashes = " ".join(picture.sha256 for picture in labels.pictures)
    with pytest.raises(Refused) as refused:
        assess(Colours(), labels, {"frames_sha256": hashes})
    assert refused.value.reason == "trained-on"


def test_a_threshold_is_chosen_for_a_wanted_precision(tmp_path):
    class Graded(Colours):
        spec = replace(SPEC, thresholds=(60, 60))

    path = site(tmp_path, "one", red=[(10, 10, 20)], found=[(100, 100, 20)])
    image = np.asarray(Image.open(tmp_path / "one.png")).copy()
    image[100:120, 100:120, 0] = 100  # false, and less sure
    Image.fromarray(image).save(tmp_path / "one.png")
    out = assess(Graded(), read_labels([path], classes=SPEC.classes), {}, precision=0.9)
    assert out["classes"]["red"]["iou_0.3"]["precision"] == 0.5
    chosen = out["chosen"]["thresholds"]["red"]
    assert 100 < chosen["threshold"] <= 115
    assert (chosen["precision"], chosen["recall"]) == (1, 1)
    assert out["chosen"]["thresholds"]["blue"] is None


def test_intervals_come_from_places():
    rng = np.random.default_rng(1)
    alike = [Tally(hits=8, missed=2, false=2, hectares=1.0)] * 6
    low, high = interval(alike, lambda tally: tally.f1, rng)
    assert low == high == pytest.approx(0.8)
    mixed = [Tally(hits=10), Tally(missed=10)] * 3
    low, high = interval(mixed, lambda tally: tally.recall, rng)
    assert low < 0.3
    assert high > 0.7
    assert interval(alike[:1], lambda tally: tally.f1, rng) is None


def test_scores_of_a_picture_of_another_gsd_are_taken_on_the_models_cells(tmp_path):
    path = site(tmp_path, "one", red=[(40, 40, 80)])
    document = json.loads(path.read_text())
    document["images"][0]["gsd"] = 0.05
    path.write_text(json.dumps(document))
    out = assess(Colours(), read_labels([path], classes=SPEC.classes), {})
    assert out["classes"]["red"]["pixel_iou"] > 0.95
    assert out["classes"]["red"]["hectares"] == pytest.approx(0.01, rel=0.02)
    assert torch.is_inference_mode_enabled() is False
