"""The network that tells change: what must hold for any weights, and that it can be taught."""

import hashlib
import json

import numpy as np
import pytest
import torch
from PIL import Image

from detectors import change, change_crops, change_pairs, change_train, checkpoint
from detectors.change_crops import Plan, Pool
from detectors.change_net import KINDS, STRIDE, ChangeNet, Net, fits
from detectors.change_pairs import ALTERED, APPEARED, DISAPPEARED, IGNORE, VEHICLE, Pair, block, painted, suburb
from detectors.change_train import Run, counted
from imagery.errors import Refused


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(1)
    return ChangeNet(Net())


def dates(side=64, seed=1):
    rng = np.random.default_rng(seed)
    before, after = (torch.from_numpy(rng.integers(0, 256, (3, side, side))).float() for _ in range(2))
    return before, after, torch.ones(side, side, dtype=torch.bool)


def test_weights_fit_into_three_megabytes_and_survive_the_file(tmp_path, net):
    path = tmp_path / "w.safetensors"
    torch.manual_seed(1)
    sha256 = checkpoint.write(path, Net().eval().state_dict(), {"kinds": " ".join(KINDS)})
    assert path.stat().st_size <= 3_000_000
    assert checkpoint.about(path)["kinds"] == " ".join(KINDS)
    read = ChangeNet.read(path, sha256)
    before, after, valid = dates()
    ours, theirs = (one.likely(before, after, valid, 0.06) for one in (net, read))
    assert torch.allclose(ours, theirs, atol=2e-2)
    with pytest.raises(Refused) as refused:
        ChangeNet.read(path, "0" * 64)
    assert refused.value.reason == "wrong-checksum"
    other = tmp_path / "other.safetensors"
    with pytest.raises(Refused) as refused:
        ChangeNet.read(other, checkpoint.write(other, {"a": torch.zeros(1)}, {}))
    assert refused.value.reason == "other-network"
    other.write_bytes(b"\x80\x04pickled")
    with pytest.raises(Refused) as refused:
        checkpoint.about(other)
    assert refused.value.reason == "not-safetensors"


def test_what_is_not_seen_on_both_dates_has_no_chance_of_change(net):
    before, after, valid = dates()
    valid[:20] = False
    likely = net.likely(before, after, valid, 0.06)
    assert likely.shape == (len(KINDS), 64, 64)
    assert not likely[:, :20].any()
    assert likely[:, 20:].any()
    # What lies under the hidden cells does not matter.
    before[:, :20], after[:, :20] = 7, 99
    assert torch.equal(net.likely(before, after, valid, 0.06), likely)


def test_sides_that_are_no_multiple_are_refused_and_sizes_of_cells_are_told(net):
    before, after, valid = dates(side=STRIDE * 4 + 8)
    with pytest.raises(ValueError, match="multiples of 16"):
        net.likely(before, after, valid, 0.06)
    assert [fits(cell) for cell in (0.01, 0.06, 0.5, 1.0, 5.0)] == [False, True, True, True, False]


def test_labels_are_painted_by_the_middles_of_cells():
    from shapely import box

    label = painted([(box(1, 1, 3, 2), VEHICLE), (box(2, 1, 3, 3), APPEARED)], 8, 8, 0.5)
    assert (label[2:4, 2:4] == VEHICLE).all()
    assert (label[2:6, 4:6] == APPEARED).all()
    assert (label > 0).sum() == 4 + 8


def test_a_simulated_block_is_registered_and_its_labels_lie_on_what_changed():
    pair = block(30)
    label, lit = pair.label, pair.before.astype(float).mean(0) - pair.after.astype(float).mean(0)
    for value in (APPEARED, DISAPPEARED):
        assert (label == value).any()
    changed = (label >= APPEARED) & (label <= ALTERED)
    quiet = label == 0
    median = np.median(lit[quiet])
    assert np.abs(lit[changed] - median).mean() > 1.3 * np.abs(lit[quiet] - median).mean()
    assert (label == VEHICLE).any()
    again = block(30)
    assert np.array_equal(pair.before, again.before)
    assert np.array_equal(pair.label, again.label)


def test_houses_of_a_suburb_come_and_go():
    pair = suburb(3)
    assert pair.before.shape == pair.after.shape == (3, *pair.label.shape)
    assert 0.15 <= pair.gsd <= 0.62
    assert 0.005 < (pair.label == APPEARED).mean() < 0.6


def test_seeds_that_measure_are_not_for_training():
    for source in (block, suburb):
        with pytest.raises(ValueError, match="not for training"):
            source(change_pairs.TRAINING_SEEDS)


def pair_of_squares(name):
    """Soil, and a bright square that came; a darker one stays."""
    rng = np.random.default_rng(4)
    before = np.clip(rng.normal(110, 6, (3, 320, 320)), 0, 255).astype(np.uint8)
    before[:, 200:240, 60:100] = 50
    after = before.copy()
    after[:, 80:140, 90:150] = 220
    label = np.zeros((320, 320), dtype=np.uint8)
    label[80:140, 90:150] = APPEARED
    label[0] = IGNORE
    return Pair(name, "block", before, after, label, 0.06)


def learn(monkeypatch, steps):
    monkeypatch.setattr(change_crops, "CROP", 64)
    plan = Plan(seed=3, batch=1, rate=4e-3, warm=15)
    pool = Pool(plan, torch.device("cpu"))
    pool.add(pair_of_squares("block 1"))
    training = Run(plan, torch.device("cpu"), pool)
    return training, pool, [float(training.step(step / steps)) for step in range(steps)]


def test_a_run_repeats_to_the_byte(monkeypatch):
    training, pool, losses = learn(monkeypatch, 2)
    again, other, repeated = learn(monkeypatch, 2)
    assert repeated == losses
    assert other.digest == pool.digest
    ours, theirs = (one.net.state_dict() for one in (training, again))
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.soak
def test_it_learns_what_it_is_shown(monkeypatch):
    training, pool, losses = learn(monkeypatch, 60)
    assert np.mean(losses[-5:]) < 0.6 * np.mean(losses[:5])
    figures = counted(training.averaged.eval(), pool.pairs["block"], torch.device("cpu"))
    assert set(figures) == {"f1_at_0.35", "f1_at_0.5", "f1_at_0.65"}
    assert json.dumps(figures)


class Made:
    """In place of the processes that draw."""

    def __init__(self, folder, numbers, workers):
        assert folder is None, "no stock was given"
        self.numbers = list(numbers)

    def every(self):
        return [pair_of_squares("block 1"), pair_of_squares("block 2")]

    def stop(self):
        pass


def test_the_shipped_network_is_taught_further_and_what_is_written_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(change_crops, "CROP", 64)
    monkeypatch.setattr(change_train, "Drawing", Made)
    shipped = checkpoint.FOLDER / "change-2.safetensors"
    digests = []
    for name in ("a", "b"):
        out = tmp_path / f"{name}.safetensors"
        given = ["--out", out, "--steps", 2, "--batch", 1, "--start", shipped, "--rate", 1e-4, "--device", "cpu"]
        change_train.main([str(one) for one in given])
        digests.append(hashlib.sha256(out.read_bytes()).hexdigest())
    assert digests[0] == digests[1]
    assert digests[0] in capsys.readouterr().out
    about = checkpoint.about(tmp_path / "a.safetensors")
    assert about["start_sha256"] == hashlib.sha256(shipped.read_bytes()).hexdigest()
    assert (about["seed"], about["trained_on"]) == ("1", "simulated seeds 0 to 9999")
    assert json.loads((tmp_path / "a.json").read_text())["about"]["data_sha256"] == about["data_sha256"]
    for kind in ("curve", "examples"):
        with Image.open(tmp_path / f"a-{kind}.png") as picture:
            assert picture.width > 300
    before, after = (checkpoint.read(path, hashlib.sha256(path.read_bytes()).hexdigest()) for path in (shipped, out))
    # What batch normalisation has counted of two crops may be anything.
    learned = [name for name in before if not name.endswith(("running_mean", "running_var", "num_batches_tracked"))]
    apart = max(float((before[name] - after[name]).abs().max()) for name in learned)
    assert 0 < apart < 0.1, "two steps on from what ships, not anew"


def test_weights_of_ones_own_are_used_under_a_version_of_their_own(tmp_path, monkeypatch):
    own = tmp_path / "mine.safetensors"
    own.write_bytes((checkpoint.FOLDER / "change-2.safetensors").read_bytes())
    sha256 = hashlib.sha256(own.read_bytes()).hexdigest()
    monkeypatch.setenv("FLYONCE_CHANGE_WEIGHTS", str(own))
    assert change._weights() == (own, f"2-{sha256[:8]}", sha256)
    monkeypatch.setenv("FLYONCE_CHANGE_WEIGHTS", str(tmp_path / "gone.safetensors"))
    with pytest.raises(Refused) as refused:
        change._weights()
    assert refused.value.reason == "no-weights"
    pickled = tmp_path / "pickled.safetensors"
    torch.save({"a": torch.zeros(1)}, pickled)
    monkeypatch.setenv("FLYONCE_CHANGE_WEIGHTS", str(pickled))
    path, _, sha256 = change._weights()
    with pytest.raises(Refused) as refused:
        ChangeNet.read(path, sha256)
    assert refused.value.reason == "not-safetensors"
    monkeypatch.delenv("FLYONCE_CHANGE_WEIGHTS")
    assert change._weights()[1] == "2"
