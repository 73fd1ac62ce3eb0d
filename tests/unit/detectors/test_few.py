"""A class taught from a handful of outlines: checked crosses on a picture that nothing was trained on."""

import json

import numpy as np
import pytest
from PIL import Image

from detectors import registry, shelf
from detectors.few import fit, teach
from detectors.labels import read_labels
from imagery.errors import Refused


def site(folder, name, places, kind="pool", count=None):
    """Grassy ground with blue basins 2.4 m a side at 8 cm, and outlines of the first `count` of them."""
    rng = np.random.default_rng(len(name))
    image = np.clip(rng.normal((96, 118, 70), 14, (480, 480, 3)), 0, 255)
    image[200:230, :] = (120, 118, 116)  # a road
    marks = []
    for index, (row, col) in enumerate(places):
        image[row : row + 30, col : col + 30] = np.clip(rng.normal((60, 150, 205), 8, (30, 30, 3)), 0, 255)
        if count is None or index < count:
            ring = [col, row, col + 30, row, col + 30, row + 30, col, row + 30]
            marks.append({"image_id": 1, "category_id": 1, "segmentation": [ring]})
    Image.fromarray(image.astype(np.uint8)).save(folder / f"{name}.png")
    document = {
        "images": [{"id": 1, "file_name": f"{name}.png", "gsd": 0.08}],
        "categories": [{"id": 1, "name": kind}],
        "annotations": marks,
    }
    path = folder / f"{name}.json"
    path.write_text(json.dumps(document))
    return path


SEEN = [(40, 60), (60, 300), (300, 80), (380, 250), (120, 400)]


def test_five_outlines_teach_a_class_that_is_found_elsewhere(tmp_path, monkeypatch):
    monkeypatch.setenv("FLYONCE_SHELF", str(tmp_path / "shelf"))
    learned = teach("pools", read_labels([site(tmp_path, "seen", SEEN)]), shelf.folder())
    assert learned["outlines"] == 5
    assert learned["found_when_left_out"] >= 4
    detector = registry.load("pools")
    assert detector.spec.classes == ("pool",)
    assert registry.about("pools")["frames"] == "seen.png"
    assert "pools" in registry.names()

    import torch

    site(tmp_path, "elsewhere", [(90, 200), (330, 330)])
    picture = torch.from_numpy(np.asarray(Image.open(tmp_path / "elsewhere.png")).transpose(2, 0, 1).copy())[None]
    scores = detector.scores(picture, torch.ones(1, 480, 480, dtype=torch.bool))[0, 0].numpy()
    found = scores >= detector.spec.thresholds[0]
    for row, col in ((90, 200), (330, 330)):
        assert found[row + 6 : row + 24, col + 6 : col + 24].mean() > 0.8
    assert found.mean() < 0.06


def test_a_head_of_other_weights_is_refused(tmp_path, monkeypatch):
    from detectors import debris
    from detectors.filemodels import ready

    teach("pools", read_labels([site(tmp_path, "seen", SEEN)]), tmp_path)
    model = shelf.described(tmp_path / "pools.json")
    from dataclasses import replace

    monkeypatch.setattr(debris, "spec", replace(debris.spec, weights_sha256="0" * 64))
    with pytest.raises(Refused) as refused:
        ready(model)
    assert refused.value.reason == "other-encoder"


def test_too_few_outlines_and_two_classes_at_once_are_refused(tmp_path):
    with pytest.raises(Refused) as refused:
        teach("pools", read_labels([site(tmp_path, "few", SEEN, count=4)]), tmp_path)
    assert refused.value.reason == "few-labels"
    both = [site(tmp_path, "one", SEEN), site(tmp_path, "two", SEEN, kind="tank")]
    with pytest.raises(Refused) as refused:
        teach("pools", read_labels(both), tmp_path)
    assert refused.value.reason == "several-classes"


def test_the_regression_separates_what_can_be_separated():
    rng = np.random.default_rng(1)
    rows, others = rng.normal(1.5, 1, (300, 6)), rng.normal(-0.5, 1, (3000, 6))
    import torch

    head = fit(rows.astype(np.float32), others.astype(np.float32))

    def chances(values):
        return head(torch.from_numpy(values.astype(np.float32)).T[None, :, :, None])[0, :, 0].numpy()

    assert (chances(rows) > 0.5).mean() > 0.95
    assert (chances(others) > 0.5).mean() < 0.05
