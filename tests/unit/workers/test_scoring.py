"""Batches on a device: equal for a window whatever stands beside it, and going on when memory is short."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from detectors import registry
from imagery.tiles import Window
from workers.scoring import Scorer, classify, needed
from workers.testing import SPEC, Bright, load

SIDE = SPEC.core + 2 * SPEC.halo


@dataclass
class Pixels:
    data: np.ndarray
    valid: np.ndarray


def window(seed):
    rng = np.random.default_rng(seed)
    return Pixels(rng.integers(0, 256, (3, SIDE, SIDE), dtype=np.uint8).repeat(1, 0), rng.random((SIDE, SIDE)) < 0.9)


def answers(scorer, windows):
    return [(scored.mask.tolist(), scored.top.tolist()) for scored in scorer([scorer.stage(w) for w in windows])]


def test_the_strongest_class_above_its_own_threshold_wins():
    scores = torch.tensor([[[[160, 149, 200, 150, 180]], [[200, 180, 169, 255, 180]]]], dtype=torch.uint8)
    valid = torch.tensor([[[False, True, True, True, True]]])
    mask, top = classify(scores, valid, (150, 170))
    assert mask.tolist() == [[[255, 2, 1, 2, 1]]]
    assert top.tolist()[0][0][1:] == [180, 200, 255, 180]


@given(st.integers(0, 2**32 - 1), st.lists(st.integers(0, 255), min_size=1, max_size=4))
def test_classes_are_those_of_a_plain_loop(seed, thresholds):
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 256, (2, len(thresholds), 3, 4), dtype=np.uint8)
    mask, top = classify(torch.from_numpy(scores), torch.ones(2, 3, 4, dtype=torch.bool), tuple(thresholds))
    for place in np.ndindex(2, 3, 4):
        reached = [
            (int(scores[place[0], k, place[1], place[2]]), -k)
            for k, threshold in enumerate(thresholds)
            if scores[place[0], k, place[1], place[2]] >= max(threshold, 1)
        ]
        score, k = max(reached, default=(0, 1))
        assert (int(mask[place]), int(top[place])) == (1 - k if reached else 0, score)


@given(seeds=st.lists(st.integers(0, 5), min_size=1, max_size=7))
def test_a_window_scores_alike_in_any_company(seeds):
    scorer = Scorer(lambda _: load(SPEC.name))
    alone = {seed: answers(scorer, [window(seed)])[0] for seed in set(seeds)}
    assert answers(scorer, [window(seed) for seed in seeds]) == [alone[seed] for seed in seeds]


class Watched(Bright):
    """Tells on which threads it computed."""

    def __init__(self):
        self.threads = set()

    def scores(self, pixels, valid):
        self.threads.add(threading.get_ident())
        return super().scores(pixels, valid)


def test_the_device_is_worked_on_by_the_same_threads_whatever_task_asks():
    detector = Watched()
    scorer = Scorer(lambda _: detector, lanes=2)
    for seed in range(4):
        with ThreadPoolExecutor(3) as task:
            list(task.map(lambda number: answers(scorer, [window(number)]), range(seed, seed + 3)))
    assert 1 <= len(detector.threads) <= 2
    assert threading.get_ident() not in detector.threads


class Hungry(Bright):
    """Has room for a batch of at most `room` windows."""

    def __init__(self, room):
        self.room = room

    def scores(self, pixels, valid):
        if len(pixels) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory")
        parts = zip(pixels.split(SPEC.batch), valid.split(SPEC.batch), strict=True)
        return torch.cat([super(Hungry, self).scores(*part) for part in parts])


@pytest.mark.parametrize(("room", "left"), [(12, 12), (7, 6), (3, 3)])
def test_out_of_memory_halves_the_batch_and_loses_no_window(room, left):
    windows = [window(seed) for seed in range(12)]
    expected = answers(Scorer(lambda _: load(SPEC.name)), windows)
    scorer = Scorer(lambda _: Hungry(room), batch=12)
    assert answers(scorer, windows) == expected
    assert scorer.fits == left
    assert scorer.batch == 12


def test_a_device_without_room_for_one_batch_leaves_it_to_the_cpu():
    loaded = []

    def loads(device):
        loaded.append(device)
        return Hungry(0 if len(loaded) == 1 else 3)

    windows = [window(seed) for seed in range(4)]
    scorer = Scorer(loads, batch=6)
    assert answers(scorer, windows) == answers(Scorer(lambda _: load(SPEC.name)), windows)
    assert loaded == ["cpu", "cpu"]
    with pytest.raises(torch.OutOfMemoryError):
        answers(Scorer(lambda _: Hungry(0), batch=6), windows)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_gives_the_same_classes():
    windows = [window(seed) for seed in range(5)]
    expected = answers(Scorer(lambda _: load(SPEC.name)), windows)
    assert answers(Scorer(lambda _: load(SPEC.name), device="cuda", batch=SPEC.batch), windows) == expected


CUT = replace(SPEC, lattice=4)
WHOLE = Window(0, 0, SIDE, SIDE)


class Anywhere(Bright):
    """Looks at windows of any size."""

    spec = CUT

    def scores(self, pixels, valid):
        mean = F.avg_pool2d(pixels.float().mean(1, keepdim=True), 5, stride=1, padding=2)
        return (torch.cat([mean, 255 - mean], dim=1) * valid[:, None]).round().to(torch.uint8)


class Uncut(Anywhere):
    spec = SPEC


def partly(seed, window):
    """A window of which only this part has pixels."""
    data, valid = np.zeros((3, SIDE, SIDE), np.uint8), np.zeros((SIDE, SIDE), bool)
    rows, cols = window.slices_in(WHOLE)
    valid[rows, cols] = True
    data[:, rows, cols] = np.random.default_rng(seed).integers(0, 256, (3, window.height, window.width))
    return Pixels(data, valid)


parts = st.tuples(*(st.tuples(st.integers(0, SIDE - 1), st.integers(1, SIDE)) for _ in range(2))).map(
    lambda axes: Window(axes[0][0], axes[1][0], axes[0][1], axes[1][1]).intersect(WHOLE)
)


@given(part=parts)
def test_what_is_needed_holds_the_halo_of_every_valid_cell_and_lies_on_the_lattice(part):
    core = WHOLE.grow(-CUT.halo)
    inside = part.intersect(core)
    place = needed(partly(0, part).valid, CUT)
    assert (place.row % 4, place.col % 4, place.height % 4, place.width % 4) == (0, 0, 0, 0)
    if inside.empty:
        assert place == WHOLE
    else:
        reach = inside.grow(CUT.halo)
        assert reach.intersect(place) == reach
        assert place.height < reach.height + 8
        assert place.width < reach.width + 8
    assert needed(partly(0, part).valid, SPEC) == WHOLE


@given(st.lists(st.tuples(st.integers(0, 2**32 - 1), parts), min_size=1, max_size=7))
def test_windows_cut_to_what_is_needed_score_as_whole_ones(asked):
    windows = [partly(seed, part) for seed, part in asked]
    assert answers(Scorer(lambda _: Anywhere()), windows) == answers(Scorer(lambda _: Uncut()), windows)


@pytest.mark.parametrize("part", [Window(0, 833, 1280, 447), Window(700, 0, 580, 300)], ids=["strip", "corner"])
def test_the_debris_detector_scores_cut_windows_as_whole_ones(part):
    detector = registry.load("debris")
    spec = detector.spec
    assert spec.core % spec.lattice == spec.halo % spec.lattice == 0
    side = spec.core + 2 * spec.halo
    pixels, valid = torch.zeros(1, 3, side, side, dtype=torch.uint8), torch.zeros(1, side, side, dtype=torch.bool)
    rows, cols = part.slices_in(Window(0, 0, side, side))
    torch.manual_seed(5)
    coarse = torch.randint(0, 256, (1, 3, part.height // 8 + 1, part.width // 8 + 1)).float()
    pixels[..., rows, cols] = F.interpolate(coarse, scale_factor=8)[..., : part.height, : part.width].byte()
    valid[..., rows, cols] = True
    place = needed(valid[0].numpy(), spec)
    assert place.height * place.width < 0.65 * side * side
    cut = place.slices_in(Window(0, 0, side, side))
    inside = part.intersect(Window(0, 0, side, side).grow(-spec.halo))
    whole = detector.scores(pixels, valid)[(..., *inside.slices_in(Window(0, 0, side, side)))]
    alone = detector.scores(pixels[(..., *cut)].contiguous(), valid[(..., *cut)].contiguous())
    alone = alone[(..., *inside.slices_in(place))]
    assert int(whole.max()) > 0
    # Equal bits with AVX2; another processor may round a sum of another length otherwise, and a score with it.
    assert int(((whole.int() - alone.int()).abs() > 1).sum()) <= whole.numel() // 100_000
