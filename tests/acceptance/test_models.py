"""The shelf, teaching and evaluating as a person at the command line would."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

PLACES = [(40, 60), (60, 300), (300, 80), (380, 250), (120, 400), (350, 400)]


def flyonce(home, *arguments):
    environment = {**os.environ, "FLYONCE_HOME": str(home), "FLYONCE_SAM_CHECKPOINT": ""}
    return subprocess.run(
        [sys.executable, "-m", "flyonce", *map(str, arguments)], capture_output=True, text=True, env=environment
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A picture of blue basins on grass, and outlines of them."""
    folder = tmp_path_factory.mktemp("site")
    rng = np.random.default_rng(1)
    image = np.clip(rng.normal((96, 118, 70), 14, (480, 480, 3)), 0, 255)
    marks = []
    for row, col in PLACES:
        image[row : row + 30, col : col + 30] = np.clip(rng.normal((60, 150, 205), 8, (30, 30, 3)), 0, 255)
        ring = [col, row, col + 30, row, col + 30, row + 30, col, row + 30]
        marks.append({"image_id": 1, "category_id": 1, "segmentation": [ring]})
    bow_tie = [10, 200, 40, 230, 40, 200, 10, 230]
    marks.append({"image_id": 1, "category_id": 1, "segmentation": [bow_tie]})
    for name, sort in (("taught", marks), ("unseen", marks[:-1])):
        picture = image if name == "taught" else image[::-1, ::-1]
        Image.fromarray(picture.astype(np.uint8)).save(folder / f"{name}.png")
        turned = [
            {**one, "segmentation": [[480 - v for v in one["segmentation"][0]]]} if name == "unseen" else one
            for one in sort
        ]
        document = {
            "images": [{"id": 1, "file_name": f"{name}.png", "gsd": 0.08, "place": name}],
            "categories": [{"id": 1, "name": "pool"}],
            "annotations": turned,
        }
        (folder / f"{name}.json").write_text(json.dumps(document))
    return folder


def test_a_class_is_taught_listed_run_and_evaluated(site, tmp_path):
    taught = flyonce(tmp_path, "train", "few-shot", site / "taught.json", "--name", "pools", "--json")
    assert taught.returncode == 0, taught.stderr
    learned = json.loads(taught.stdout)
    assert (learned["outlines"], learned["class"]) == (6, "pool")

    listed = flyonce(tmp_path, "models", "list", "--json")
    assert listed.returncode == 0, listed.stderr
    shelf = {one["name"]: one for one in json.loads(listed.stdout)}
    assert {"change", "debris", "pools", "sam"} <= set(shelf)
    assert shelf["pools"]["classes"] == ["pool"]
    assert shelf["pools"]["metrics"]["outlines"] == 6

    evaluated = flyonce(tmp_path, "evaluate", "pools", site / "unseen.json", "--precision", "0.9", "--json")
    assert evaluated.returncode == 0, evaluated.stderr
    figures = json.loads(evaluated.stdout)
    assert figures["classes"]["pool"]["objects"] == 6
    assert figures["classes"]["pool"]["iou_0.3"]["recall"] >= 0.8
    assert set(figures["calibration"]) == {"curve", "expected_error"}

    refused = flyonce(tmp_path, "evaluate", "pools", site / "taught.json")
    assert refused.returncode == 1
    assert "trained-on" in refused.stderr


def test_sam_without_its_checkpoint_says_what_to_get(site, tmp_path):
    run = flyonce(tmp_path, "detect", "sam", site / "taught.png", "--point", "75,55", "--out", tmp_path / "o.geojson")
    assert run.returncode == 1
    assert "no-checkpoint" in run.stderr
    assert "sam_vit_b_01ec64.pth" in run.stderr
    assert not (tmp_path / "o.geojson").exists()
