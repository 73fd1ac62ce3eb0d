"""The shift field: planes with a bend, corners where phase correlation gives up, and an honest residual."""

import json
from dataclasses import dataclass

import numpy as np
import pytest

from detectors import shift
from detectors.change import spec
from detectors.pair import PairModel, ShiftField, ShiftVote
from detectors.shift import fit_shift, matched_corners, observe_shift
from imagery.tiles import Window


def votes(bend, noise=0.05, wrong=0, seed=1):
    rng = np.random.default_rng(seed)
    x, y = (part.ravel() for part in np.meshgrid(np.arange(64, 2000, 128.0), np.arange(64, 1500, 128.0)))
    dx, dy = bend(x, y)
    dx, dy = dx + rng.normal(0, noise, x.shape), dy + rng.normal(0, noise, x.shape)
    out = [ShiftVote(*map(float, each), 0.8) for each in zip(x, y, dx, dy, strict=True)]
    bad = rng.uniform((0, 0, -40, -40), (2000, 1500, 40, 40), (wrong, 4))
    return [tuple(out + [ShiftVote(*map(float, each), 0.5) for each in bad])]


def wave(x, y):
    return 3 + 0.9 * np.sin(x / 330), -2 + 0.8 * np.cos(y / 300)


def plane(x, y):
    return 3 + x / 900, -2 - y / 1200


def error(field, bend):
    x, y = (part.ravel() for part in np.meshgrid(np.arange(150.0, 1800, 40), np.arange(150.0, 1300, 40)))
    found, true = field.at(x, y), bend(x, y)
    return float(np.median(np.hypot(found[0] - true[0], found[1] - true[1])))


def test_a_bent_overlap_is_followed_and_the_residual_says_how_well():
    field = fit_shift(votes(wave, wrong=40))
    assert field.bend is not None
    assert error(field, wave) < 0.2
    without = ShiftField(field.x0, field.y0, field.along_x, field.along_y)
    assert error(without, wave) > 3 * error(field, wave)
    # Measured on votes that had no say at their own place: never rosier than the noise in them.
    assert 0.05 < field.residual < 0.35


def test_a_plane_stays_a_plane():
    field = fit_shift(votes(plane, wrong=20))
    assert error(field, plane) < 0.05
    if field.bend is not None:
        assert np.abs(np.array(field.bend.nodes)).max() < 0.15


def test_votes_in_any_order_give_the_same_field_and_it_survives_json():
    every = list(votes(wave, wrong=30)[0])
    field = fit_shift([tuple(every)])
    assert fit_shift([(vote,) for vote in reversed(every)]) == field
    pair = PairModel(field, (), 1.0, 0.06)
    assert PairModel.from_dict(json.loads(json.dumps(pair.to_dict()))) == pair


@dataclass(frozen=True)
class Patch:
    data: np.ndarray
    valid: np.ndarray


def scattered(dx, dy, side=640, seed=3):
    """Plain ground with a few bright stones, seen `dx`, `dy` cells further right and down on the second date."""
    rng = np.random.default_rng(seed)
    dates = []
    places = rng.integers(120, side - 120, (40, 2))
    shapes = [rng.integers(120, 250, (11, 11)) for _ in places]
    for across, down in ((0, 0), (dx, dy)):
        image = np.full((side, side), 100.0)
        for (row, col), stone in zip(places, shapes, strict=True):
            image[row + down : row + down + 11, col + across : col + across + 11] = stone
        image += rng.normal(0, 1.0, image.shape)
        dates.append(Patch(np.clip(np.stack([image] * 3), 0, 255).astype(np.uint8), np.ones((side, side), dtype=bool)))
    return dates


def test_corners_find_a_shift_that_is_out_of_reach_of_phase_correlation():
    before, after = scattered(55, -48)
    window = Window(0, 0, 640, 640)
    assert max(55, 48) > shift.REACH
    found = observe_shift(window, 64, before, after)
    field = fit_shift([found])
    assert field.votes >= 10
    dx, dy = field.at(np.array([320.0]), np.array([320.0]))
    assert (dx[0], dy[0]) == (pytest.approx(55, abs=0.5), pytest.approx(-48, abs=0.5))


def test_unrelated_grounds_give_no_field():
    before, _ = scattered(0, 0, seed=3)
    _, after = scattered(0, 0, seed=99)
    assert fit_shift([observe_shift(Window(0, 0, 640, 640), 64, before, after)]).votes == 0


def test_corners_need_ground_that_both_dates_show():
    before, after = scattered(10, 5)
    import torch

    grey = [torch.from_numpy(date.data).float().sum(0) for date in (before, after)]
    nothing = torch.zeros(640, 640, dtype=torch.bool)
    assert matched_corners(Window(0, 0, 640, 640), 64, *grey, nothing) == []
    assert spec.halo >= shift.FAR
