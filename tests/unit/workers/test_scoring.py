"""Batches on a device: equal for a window whatever stands beside it, and going on when memory is short."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from workers.scoring import Scorer, classify
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
