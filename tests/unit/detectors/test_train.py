"""Training on pictures so small that it takes seconds: that it learns, and that it can be repeated."""

from pathlib import Path

import numpy as np
import pytest
import torch
from shapely import box

from detectors import train
from detectors.debris import CLASSES, GSD, VEHICLE
from detectors.samples import IGNORE, LOOK_ALIKE, Sample, kept, labelled_frames, rasterise, rescaled
from detectors.train import Crops, Plan

SIDE = train.CROP + 32


def yard(seed: int) -> Sample:
    """Grey ground with a dark square of class 1 and a bright one of class 2."""
    rng = np.random.default_rng(seed)
    image, label = rng.normal(120, 8, (3, SIDE, SIDE)), np.zeros((SIDE, SIDE), dtype=np.uint8)
    for value, shade in ((1, 50), (2, 210)):
        row, col = rng.integers(10, SIDE - 50, 2)
        image[:, row : row + 40, col : col + 40] = shade
        label[row : row + 40, col : col + 40] = value
    return Sample(f"yard {seed}", image.clip(0, 255).astype(np.uint8), label)


def test_training_lowers_the_loss_and_repeats_bit_for_bit() -> None:
    plan = Plan(seed=3, steps=24, batch=2)
    yards = [yard(seed) for seed in range(4)]
    net, losses = train.train(yards, [], plan)
    again, same = train.train(yards, [], plan)
    assert len(losses) == plan.steps
    assert np.mean(losses[-6:]) < 0.8 * np.mean(losses[:6])
    assert losses == same
    for one, other in zip(net.state_dict().values(), again.state_dict().values(), strict=True):
        assert torch.equal(one, other)


def test_training_goes_on_from_given_weights() -> None:
    yards = [yard(seed) for seed in range(4)]
    net, losses = train.train(yards, [], Plan(seed=3, steps=24, batch=2))
    _, further = train.train(yards, [], Plan(seed=4, steps=4, batch=2, rate=1e-5), net.state_dict())
    assert np.mean(further) < np.mean(losses[:6])


def test_vehicles_are_looked_for_and_are_an_output_of_their_own() -> None:
    sample = yard(1)
    sample.label[:] = 0
    sample.label[5:12, 7:12] = LOOK_ALIKE
    _, label = Crops([sample], [], Plan(batch=6, near_share=1.0)).batch()
    assert VEHICLE in label.unique().tolist()
    assert set(label.unique().tolist()) <= {0, VEHICLE, IGNORE}


def test_crops_keep_image_and_label_together() -> None:
    crops = Crops([yard(1)], [yard(2)], Plan(seed=5, batch=6))
    image, label = crops.batch()
    assert image.shape == (6, 4, train.CROP, train.CROP)
    assert label.shape == (6, train.CROP, train.CROP)
    for pixels, classes in zip(image, label, strict=True):
        ground = pixels[0][(classes == 0) & (pixels[3] > 0)].mean()
        for value, darker in ((1, True), (2, False)):
            if (classes == value).sum() > 200:
                assert (pixels[0][classes == value].mean() < ground) == darker
        assert (classes[pixels[3] == 0] == IGNORE).all()


def test_the_data_hash_follows_every_pixel_and_every_label() -> None:
    one, other = yard(1), yard(1)
    assert train.data_hash([one]) == train.data_hash([other])
    other.label[0, 0] = 1
    assert train.data_hash([one]) != train.data_hash([other])


def test_seeds_kept_for_measuring_cannot_be_trained_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        train.main(["debris", "--out", str(tmp_path / "w.safetensors"), "--seeds", "10001"])
    assert "0 to 9999" in capsys.readouterr().err


def test_outlines_become_labels_where_they_lie() -> None:
    heap, unsure = box(2, 1, 6, 4), box(5, 0, 9, 5)
    label = rasterise([("spoil_heap", heap), ("ignore", unsure)], 100, 150)
    value = CLASSES.index("spoil_heap") + 1
    assert label[round(2.5 / GSD), round(3 / GSD)] == value
    assert label[round(2.5 / GSD), round(5.5 / GSD)] == value, "what is unsure never hides a class"
    assert label[round(2.5 / GSD), round(8 / GSD)] == IGNORE
    assert label[round(4.8 / GSD), round(3 / GSD)] == 0
    assert ((label == value).sum() + (label == IGNORE).sum()) * GSD**2 == pytest.approx(
        heap.union(unsure).area, rel=0.05
    )


def test_pictures_are_averaged_to_the_models_gsd() -> None:
    image = np.zeros((3, 80, 160), dtype=np.uint8)
    image[:, ::2] = 200
    small = rescaled(image, GSD / 2)
    assert small.shape == (3, 40, 80)
    assert (small == 100).all()


def test_a_kept_block_is_the_block_that_was_drawn(tmp_path: Path) -> None:
    first = kept(tmp_path, 4, gsd=0.2)
    again = kept(tmp_path, 4, gsd=0.2)
    assert [s.sha256 for s in first] == [s.sha256 for s in again]
    assert len(list(tmp_path.iterdir())) == 1
    assert all((s.label == 1).any() for s in first)
    assert all(s.label.shape == s.image.shape[1:] for s in first)


def test_the_labelled_frames_are_read_with_their_classes(data: Path) -> None:
    frames = labelled_frames(data / "flights/caliterra_east", train.FRAME_GSD)
    assert len(frames) == 8
    assert {int(v) for frame in frames for v in np.unique(frame.label)} == {0, 1, 2, 3, IGNORE}
    heaps = sum(int((frame.label == 1).sum()) for frame in frames) * GSD**2
    assert 100 < heaps < 2000
