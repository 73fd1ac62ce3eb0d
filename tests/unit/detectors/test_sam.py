"""SAM with a tiny network of the official package's own classes, its weights drawn at random."""

import hashlib

import numpy as np
import pytest
import torch

from detectors import registry
from detectors import sam as module
from detectors.sam import OFFICIAL, Sam, get
from imagery.errors import Refused

IMAGE = 64


def picture():
    rng = np.random.default_rng(2)
    image = rng.integers(90, 110, (IMAGE, IMAGE, 3), dtype=np.uint8)
    image[20:40, 24:50] = (220, 60, 40)
    return image


def test_without_a_checkpoint_it_says_which_file_to_get_from_whom(monkeypatch):
    monkeypatch.delenv("FLYONCE_SAM_CHECKPOINT", raising=False)
    with pytest.raises(Refused) as refused:
        registry.load("sam")
    assert refused.value.reason == "no-checkpoint"
    for word in (OFFICIAL[0].file, OFFICIAL[0].sha256, "Meta AI", "facebookresearch/segment-anything", "375 MB"):
        assert word in refused.value.remedy
    assert registry.spec("sam").classes == ("segment",)


def test_a_checkpoint_of_unknown_content_is_refused(sam_checkpoint, monkeypatch):
    monkeypatch.delenv("FLYONCE_SAM_SHA256")
    with pytest.raises(Refused) as refused:
        get()
    assert refused.value.reason == "wrong-checksum"


def test_a_pickled_checkpoint_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "module.pth"
    torch.save(torch.nn.Linear(2, 2), path)
    monkeypatch.setenv("FLYONCE_SAM_CHECKPOINT", str(path))
    monkeypatch.setenv("FLYONCE_SAM_SHA256", hashlib.sha256(path.read_bytes()).hexdigest())
    with pytest.raises(Refused) as refused:
        Sam.load(builder=lambda _: torch.nn.Linear(2, 2))
    assert refused.value.reason == "pickled"


def test_weights_of_another_network_are_refused(sam_checkpoint):
    with pytest.raises(Refused) as refused:
        Sam.load(builder=lambda _: torch.nn.Linear(2, 2))
    assert refused.value.reason == "other-network"


@pytest.mark.parametrize("prompt", [{"points": [(30.0, 30.0)]}, {"box": (24.0, 20.0, 50.0, 40.0)}])
def test_prompts_give_the_mask_that_the_official_predictor_gives(sam_checkpoint, tiny_sam, prompt):
    from segment_anything import SamPredictor

    sam = Sam.load()
    mask, quality = sam.prompted(picture(), **prompt)
    net = tiny_sam()
    net.load_state_dict(torch.load(sam_checkpoint, weights_only=True))
    predictor = SamPredictor(net)
    with torch.inference_mode():
        predictor.set_image(picture())
        points = prompt.get("points")
        masks, scores, _ = predictor.predict(
            point_coords=np.array(points, dtype=np.float32) if points else None,
            point_labels=np.ones(1, dtype=np.int32) if points else None,
            box=np.array(prompt["box"], dtype=np.float32) if "box" in prompt else None,
            multimask_output="box" not in prompt,
        )
    assert np.array_equal(mask, masks[int(scores.argmax())])
    assert quality == pytest.approx(float(scores.max()))


def test_a_prompt_is_needed(sam_checkpoint):
    with pytest.raises(ValueError, match="point or a box"):
        Sam.load().prompted(picture())


def test_automatic_masks_become_scores_with_neighbours_kept_apart(sam_checkpoint, monkeypatch):
    sam = Sam.load()
    left, right = np.zeros((2, IMAGE, IMAGE), dtype=bool)
    left[10:30, 10:30], right[10:30, 30:50] = True, True
    monkeypatch.setattr(sam, "everything", lambda image: [(left, 0.95), (right, 0.9)])
    pixels = torch.from_numpy(picture()).permute(2, 0, 1)[None]
    scores = sam.scores(pixels, torch.ones(1, IMAGE, IMAGE, dtype=torch.bool))[0, 0].numpy()
    assert (scores[11:29, 11:29] == round(0.95 * 255)).all()
    assert (scores[11:29, 31:49] == round(0.9 * 255)).all()
    assert (scores[:, 29:31] == 0).all()


def test_the_official_generator_runs_over_a_window(sam_checkpoint, monkeypatch):
    monkeypatch.setattr(module, "QUALITY", -10.0)
    monkeypatch.setattr(module, "STABILITY", 0.0)
    found = Sam(Sam.load()._net, points=4).everything(picture())
    assert found
    assert all(mask.shape == (IMAGE, IMAGE) and mask.dtype == bool for mask, _ in found)
    areas = [mask.sum() for mask, _ in found]
    assert areas == sorted(areas, reverse=True)
