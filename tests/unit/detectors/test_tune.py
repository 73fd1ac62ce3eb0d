"""Teaching the debris network from outlines: what is written, that it repeats, and what is refused."""

import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from shapely import box

from detectors import checkpoint, debris, registry, shelf
from detectors import tune as module
from detectors.assess import assess
from detectors.labels import IGNORE, REJECTED, Labels, Shape, read_labels
from detectors.samples import IGNORE as UNKNOWN
from detectors.samples import LOOK_ALIKE
from detectors.tune import Wish, sample_of, tune
from imagery.errors import Refused


@pytest.fixture(autouse=True)
def small_windows(monkeypatch):
    """What is cut into smaller windows is answered the same and, on small pictures, sooner."""
    monkeypatch.setattr(debris, "spec", replace(debris.spec, core=192))
    monkeypatch.setattr(module, "_EXAMPLES", 1)


PLACES = [(row, col) for row in (20, 130, 240) for col in (20, 120, 220, 320)]


def site(folder, kind="pool", count=12, name="site", more=()):
    """Grass with blue basins and an outline of each."""
    rng = np.random.default_rng(len(name))
    image = np.clip(rng.normal((96, 118, 70), 14, (320, 400, 3)), 0, 255)
    marks = []
    for row, col in PLACES[:count]:
        image[row : row + 30, col : col + 30] = np.clip(rng.normal((60, 150, 205), 8, (30, 30, 3)), 0, 255)
        ring = [col, row, col + 30, row, col + 30, row + 30, col, row + 30]
        marks.append({"image_id": 1, "category_id": 1, "segmentation": [ring]})
    Image.fromarray(image.astype(np.uint8)).save(folder / f"{name}.png")
    document = {
        "images": [{"id": 1, "file_name": f"{name}.png", "gsd": 0.08, "place": name}],
        "categories": [{"id": 1, "name": kind}, {"id": 2, "name": "other"}],
        "annotations": [*marks, *more],
    }
    path = folder / f"{name}.json"
    path.write_text(json.dumps(document))
    return path


def few_steps(**more):
    return Wish("pools", ("pool",), steps=3, batch=2, **more)


def test_a_new_class_is_written_with_what_it_depends_on_and_repeats_bit_for_bit(tmp_path, monkeypatch):
    monkeypatch.setenv("FLYONCE_SHELF", str(tmp_path / "shelf"))
    labels = read_labels([site(tmp_path)], classes=("pool",))
    steps = []
    learned = tune(labels, few_steps(), shelf.folder(), cache=tmp_path, say=lambda *told: steps.append(told))
    again = tune(labels, few_steps(), tmp_path / "again", cache=tmp_path, say=lambda *_: None)
    assert [(step, of) for step, of, _, _ in steps] == [(3, 3)]
    assert (learned["weights_sha256"], learned["data_sha256"]) == (again["weights_sha256"], again["data_sha256"])
    assert learned["learned"]["pool"] + learned["held"]["pool"] == 12

    other = tune(labels, few_steps(seed=2), tmp_path / "other", cache=tmp_path, say=lambda *_: None)
    assert other["weights_sha256"] != learned["weights_sha256"]

    with safe_open(shelf.folder() / "pools.safetensors", "pt") as opened:
        header = json.loads(opened.metadata()["about"])
    assert header["data_sha256"] == learned["data_sha256"]
    assert header["seed"] == "1"
    assert header["frames_sha256"] == hashlib.sha256((tmp_path / "site.png").read_bytes()).hexdigest()
    item = json.loads((shelf.folder() / "pools.json").read_text())
    assert item["properties"]["flyonce:training"]["data_sha256"] == learned["data_sha256"]
    assert item["assets"]["weights"]["file:checksum"] == "1220" + learned["weights_sha256"]
    for path in learned["pictures"]:
        with Image.open(path) as picture:
            assert picture.width > 200
            assert len(picture.convert("RGB").getcolors(1 << 20)) > 3

    ready = registry.load("pools")
    assert ready.spec.classes == ("pool",)
    scores = ready.scores(torch.zeros(1, 3, 64, 64, dtype=torch.uint8), torch.ones(1, 64, 64, dtype=torch.bool))
    assert scores.shape == (1, 1, 64, 64)
    with pytest.raises(Refused, match="trained on"):
        assess(ready, labels, registry.about("pools"))


def test_the_encoder_stays_and_what_it_knew_of_the_ground_stays(tmp_path):
    labels = read_labels([site(tmp_path)], classes=("pool",))
    learned = tune(labels, few_steps(), tmp_path / "out", cache=tmp_path, say=lambda *_: None)
    shipped = checkpoint.read(
        checkpoint.FOLDER / f"debris-{debris.spec.version}.safetensors", debris.spec.weights_sha256
    )
    tuned = checkpoint.read(tmp_path / "out/pools.safetensors", learned["weights_sha256"])
    for name, tensor in shipped.items():
        if name.startswith(("stem", "stages")):
            assert torch.equal(tensor, tuned[name]), name
    assert not torch.equal(shipped["to_half.conv.weight"], tuned["to_half.conv.weight"])
    assert tuned["head.weight"].shape[0] == 3


def test_places_are_held_out_and_thresholds_are_not_judged_on_them_again(tmp_path):
    paths = [site(tmp_path, name=name, count=count) for name, count in (("north", 12), ("south", 4))]
    labels = read_labels(paths, classes=("pool",))
    learned = tune(labels, few_steps(), tmp_path / "out", cache=tmp_path, say=lambda *_: None)
    assert learned["split"] in ("held out: south", "held out: north")
    assert set(learned["held_out"]["pool"]) == {"threshold", "reached", "precision", "recall", "held"}
    about = checkpoint.about(tmp_path / "out/pools.safetensors")
    with pytest.raises(Refused, match="trained on"):
        assess(debris.Debris.load(), labels, about)


def test_what_cannot_be_learned_from_is_refused_by_name(tmp_path):
    def reason(wish, path):
        with pytest.raises(Refused) as refused:
            tune(read_labels([path], classes=wish.classes), wish, tmp_path / "out", cache=tmp_path)
        return refused.value

    five = reason(Wish("mine"), site(tmp_path, kind="spoil_heap", count=5))
    assert (five.reason, "5 of spoil_heap" in five.message) == ("few-labels", True)
    assert "few-shot" in five.remedy
    assert reason(few_steps(), site(tmp_path, count=9)).reason == "few-labels"
    assert reason(Wish("mine", ("pool", "basin")), site(tmp_path)).reason == "few-labels"
    for name in ("background", IGNORE, REJECTED):
        assert reason(Wish("mine", (name, "pool")), site(tmp_path)).reason == "unknown-class"
    assert not (tmp_path / "out").exists()


def test_bad_outlines_are_named_and_the_rest_is_learned_from(tmp_path):
    bow_tie, outside, mark = (
        [10, 200, 40, 230, 40, 200, 10, 230],
        [900, 10, 930, 10, 930, 40],
        [300, 200, 330, 200, 330, 230],
    )
    more = [
        {"image_id": 1, "category_id": kind, "segmentation": [ring]}
        for kind, ring in ((1, bow_tie), (1, outside), (2, mark))
    ]
    labels = read_labels([site(tmp_path, more=more)], classes=("pool",))
    assert [left.reason for left in labels.left] == ["self-crossing", "outside", "unknown-class"]
    learned = tune(labels, few_steps(), tmp_path / "out", cache=tmp_path, say=lambda *_: None)
    assert learned["learned"]["pool"] + learned["held"]["pool"] == 12


def test_weights_of_another_sum_or_another_kind_are_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("FLYONCE_SHELF", str(tmp_path / "shelf"))
    tune(read_labels([site(tmp_path)], classes=("pool",)), few_steps(), tmp_path, cache=tmp_path, say=lambda *_: None)
    assert shelf.add(tmp_path / "pools.json").spec.classes == ("pool",)
    kept = shelf.folder() / "pools.safetensors"
    kept.write_bytes(kept.read_bytes() + b" ")
    with pytest.raises(Refused) as refused:
        registry.load("pools")
    assert refused.value.reason == "wrong-checksum"

    torch.save(debris.Net(1), kept)  # a pickled module
    item = json.loads((shelf.folder() / "pools.json").read_text())
    item["assets"]["weights"]["file:checksum"] = "1220" + hashlib.sha256(kept.read_bytes()).hexdigest()
    (shelf.folder() / "pools.json").write_text(json.dumps(item))
    with pytest.raises(Refused) as refused:
        registry.load("pools")
    assert refused.value.reason == "not-safetensors"


def test_of_reviewed_pictures_only_what_was_reviewed_is_learned(tmp_path):
    site(tmp_path)
    (whole,) = read_labels([tmp_path / "site.json"]).pictures
    seen = replace(
        whole, whole=False, shapes=(Shape("pool", box(120, 20, 150, 50)), Shape(REJECTED, box(20, 240, 60, 280)))
    )
    label = sample_of(seen, ("pool",)).label
    assert label[35, 135] == 1
    assert label[260, 40] == LOOK_ALIKE
    assert label[35, 155] == 0, "right beside it is ground"
    assert label[140, 140] == UNKNOWN, "an outline that nobody reviewed is not clean ground"
    assert (sample_of(whole, ("pool",)).label == UNKNOWN).mean() < 0.05
    assert Labels([seen]).kinds == {"pool": 1, REJECTED: 1}


def test_pictures_of_unknown_scale_are_refused(tmp_path):
    path = site(tmp_path)
    document = json.loads(path.read_text())
    del document["images"][0]["gsd"]
    path.write_text(json.dumps(document))
    labels = read_labels([path], classes=("pool",))
    with pytest.raises(Refused) as refused:
        tune(labels, few_steps(), tmp_path / "shelf", cache=tmp_path, say=lambda *_: None)
    assert (refused.value.reason, "--gsd" in refused.value.remedy) == ("no-gsd", True)
