"""Training on pictures so small that it takes seconds: that it learns, and that it can be repeated."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from shapely import box

from detectors import crops, folds, pretrained, train
from detectors.crops import Crops, Group
from detectors.debris import CLASSES, GSD, STAGES, VEHICLE, Net
from detectors.grounds import cut
from detectors.grounds import grounds as grounds_of
from detectors.samples import (
    IGNORE,
    LOOK_ALIKE,
    Sample,
    backgrounds,
    kept,
    labelled_frames,
    rasterise,
    rescaled,
)
from detectors.train import Plan, groups

SIDE = crops.CROP + 32


def yard(seed: int) -> Sample:
    """Grey ground with a dark square of class 1 and a bright one of class 2."""
    rng = np.random.default_rng(seed)
    image, label = rng.normal(120, 8, (3, SIDE, SIDE)), np.zeros((SIDE, SIDE), dtype=np.uint8)
    for value, shade in ((1, 50), (2, 210)):
        row, col = rng.integers(10, SIDE - 50, 2)
        image[:, row : row + 40, col : col + 40] = shade
        label[row : row + 40, col : col + 40] = value
    return Sample(f"yard {seed}", image.clip(0, 255).astype(np.uint8), label)


def bare(seed: int) -> Sample:
    """Grey ground and nothing on it."""
    image = np.random.default_rng(seed).normal(120, 8, (3, SIDE, SIDE)).clip(0, 255).astype(np.uint8)
    return Sample(f"bare {seed}", image, np.zeros((SIDE, SIDE), dtype=np.uint8))


def test_training_lowers_the_loss_and_repeats_bit_for_bit() -> None:
    plan = Plan(seed=3, steps=24, batch=2)
    samples = groups([yard(seed) for seed in range(4)], [yard(9)], [bare(1)], plan)
    net, losses = train.train(samples, plan)
    again, same = train.train(samples, plan)
    assert len(losses) == plan.steps
    assert np.mean(losses[-6:]) < 0.8 * np.mean(losses[:6])
    assert losses == same
    for one, other in zip(net.state_dict().values(), again.state_dict().values(), strict=True):
        assert torch.equal(one, other)


def test_training_goes_on_from_given_weights() -> None:
    plan = Plan(seed=3, steps=24, batch=2)
    samples = groups([yard(seed) for seed in range(4)], [], [], plan)
    net, losses = train.train(samples, plan)
    _, further = train.train(samples, Plan(seed=4, steps=4, batch=2, rate=1e-5), net.state_dict())
    assert np.mean(further) < np.mean(losses[:6])


def test_vehicles_are_looked_for_and_are_an_output_of_their_own() -> None:
    sample = yard(1)
    sample.label[:] = 0
    sample.label[90:97, 80:85] = LOOK_ALIKE
    _, label = Crops([Group([sample], 1.0, near=1.0)], batch=6, seed=1).batch()
    assert VEHICLE in label.unique().tolist()
    assert set(label.unique().tolist()) <= {0, VEHICLE, IGNORE}


def test_crops_keep_image_and_label_together() -> None:
    image, label = Crops([Group([yard(1)], 0.5), Group([yard(2)], 0.5)], batch=8, seed=5).batch()
    assert image.shape == (8, 4, crops.CROP, crops.CROP)
    assert label.shape == (8, crops.CROP, crops.CROP)
    seen = set()
    for pixels, classes in zip(image, label, strict=True):
        ground = pixels[0][(classes == 0) & (pixels[3] > 0)].mean()
        for value, darker in ((1, True), (2, False)):
            if (classes == value).sum() > 200:
                seen.add(value)
                assert (pixels[0][classes == value].mean() < ground) == darker
        assert (classes[pixels[3] == 0] == IGNORE).all()
    assert seen == {1, 2}


def test_a_large_picture_gives_as_many_crops_as_it_has_room_for() -> None:
    large = bare(1)
    large = Sample("large", np.tile(large.image, (1, 2, 4)), np.tile(large.label, (2, 4)) + np.uint8(1))
    _, label = Crops([Group([bare(2), large], 1.0, near=0.0)], batch=90, seed=3).batch()
    from_large = sum(int((each == 1).any()) for each in label)
    assert 70 <= from_large < 90  # eight ninths of the ground


def test_bare_ground_is_cut_from_the_photographs_that_the_list_names(tmp_path: Path) -> None:
    (tmp_path / "clones/kites/images").mkdir(parents=True)
    red = np.zeros((60, 80, 3), dtype=np.uint8)
    red[20:40, 16:56, 0] = 200
    Image.fromarray(red).save(tmp_path / "clones/kites/images/a.png")
    listed = tmp_path / "list.csv"
    listed.write_text(
        "repository,commit,path,left,top,width,height,gsd\nsomeone/kites,0123,images/a.png,16,20,40,20,0.04\n"
    )
    (made,) = cut(tmp_path / "clones", tmp_path / "out", grounds_of(listed))
    (sample,) = backgrounds(tmp_path / "out")
    assert made.name == "kites_a-16-20@0.08.jpg"
    assert sample.image.shape == (3, 10, 20)
    assert abs(int(sample.image[0].mean()) - 200) < 4
    with pytest.raises(FileNotFoundError, match=r"kites/images/a\.png"):
        list(cut(tmp_path, tmp_path / "out", grounds_of(listed)))


def test_the_shipped_list_names_each_rectangle_once_by_a_full_commit() -> None:
    listed = grounds_of()
    assert len({ground.name for ground in listed}) == len(listed) > 20
    assert all(len(ground.commit) == 40 and 0.01 < ground.gsd < 0.15 for ground in listed)


def test_things_are_pasted_onto_bare_ground_with_their_label() -> None:
    both = [Group([yard(1)], 0.5, near=1.0), Group([bare(1)], 0.5, near=0.0, pasted=1.0)]
    image, label = Crops(both, batch=24, seed=2).batch()
    plain = [Group([yard(1)], 0.5, near=1.0), Group([bare(1)], 0.5, near=0.0)]
    _, before = Crops(plain, batch=24, seed=2).batch()
    gained = [index for index in range(24) if not (before[index] == 1).any() and (label[index] == 1).sum() > 200]
    # Both crops are disguised by themselves before: in a few the thing's light is so much stronger that it is brighter.
    darker = [bool(image[i, 0][label[i] == 1].mean() < image[i, 0][label[i] == 0].mean()) for i in gained]
    assert sum(darker) > 0.7 * len(gained) > 0


def test_training_starts_from_what_imagenet_taught(tmp_path: Path) -> None:
    """A file with the names and shapes of EfficientNet-Lite0 and random numbers; the package's own file is read so."""
    wanted = Net().state_dict()
    given: dict[str, torch.Tensor] = {"_conv_stem.weight": torch.randn(32, 3, 3, 3), "_fc.weight": torch.randn(10, 4)}

    def norm(name: str, width: int) -> None:
        for part in ("weight", "bias", "running_mean", "running_var"):
            given[f"{name}.{part}"] = torch.rand(width)

    norm("_bn0", 32)
    number = 0
    for stage, blocks in enumerate(STAGES):
        for index, (_, outputs, _, _, widen) in enumerate(blocks):
            ours, theirs = f"stages.{stage}.{index}", f"_blocks.{number}"
            wide = wanted[f"{ours}.depthwise.conv.weight"].shape[0]
            for part, conv, bn, width in (
                ("expand", "_expand_conv", "_bn0", wide),
                ("depthwise", "_depthwise_conv", "_bn1", wide),
                ("project", "_project_conv", "_bn2", outputs),
            ):
                if part != "expand" or widen > 1:
                    given[f"{theirs}.{conv}.weight"] = torch.randn(wanted[f"{ours}.{part}.conv.weight"].shape)
                    norm(f"{theirs}.{bn}", width)
            number += 1
    torch.save(given, tmp_path / pretrained.EFFICIENTNET)
    net = Net()
    missing = net.load_state_dict(pretrained.from_imagenet(tmp_path / pretrained.EFFICIENTNET), strict=False)
    assert missing.unexpected_keys == []
    assert {key.split(".")[0] for key in missing.missing_keys if not key.endswith("num_batches_tracked")} == {
        "context", "to_eighth", "to_quarter", "to_half", "head",
    }  # fmt: skip
    assert torch.equal(net.stages[3][2].project.conv.weight, given["_blocks.7._project_conv.weight"])
    assert torch.equal(net.stem.conv.weight[:, :3], given["_conv_stem.weight"])


def test_pictures_of_bare_ground_are_brought_to_the_models_gsd(tmp_path: Path) -> None:
    Image.new("RGB", (100, 60), (10, 20, 30)).save(tmp_path / f"wood@{GSD * 2}.png")
    (found,) = backgrounds(tmp_path)
    assert found.image.shape == (3, 120, 200)
    assert not found.label.any()


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
    frames = labelled_frames(data / "flights/caliterra_east", folds.FRAME_GSD)
    assert len(frames) == 8
    assert {int(v) for frame in frames for v in np.unique(frame.label)} == {0, 1, 2, 3, IGNORE}
    heaps = sum(int((frame.label == 1).sum()) for frame in frames) * GSD**2
    assert 100 < heaps < 2000
