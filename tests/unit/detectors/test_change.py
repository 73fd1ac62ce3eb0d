"""The change detector on grounds made so that the truth is known."""

import json
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from detectors import change
from detectors.pair import Compared, PairModel, Reason, ShiftField, ShiftVote
from imagery.tiles import Window

FULL = change.spec.core + 2 * change.spec.halo
WINDOW = Window(-change.spec.halo, -change.spec.halo, FULL, FULL)


@dataclass(frozen=True)
class Patch:
    data: NDArray[np.uint8]
    valid: NDArray[np.bool_]


def blur(image: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
    """Periodic Gaussian blur of the last two axes."""
    fy, fx = (np.fft.fftfreq(n) for n in image.shape[-2:])
    gain = np.exp(-2 * (np.pi * sigma) ** 2 * (fy[:, None] ** 2 + fx[None] ** 2))
    return np.fft.ifft2(np.fft.fft2(image) * gain).real


def ground(seed: int, side: int = FULL) -> NDArray[np.float64]:
    """float64 [3, H, W]: bare soil, an asphalt road and a lawn, each with its texture, 0..255."""
    rng = np.random.default_rng(seed)
    soil, road, lawn = (np.array(c, dtype=float)[:, None, None] for c in ((150, 124, 96), (96, 97, 99), (84, 112, 60)))
    texture = sum(blur(rng.standard_normal((side, side)), s) * s for s in (0.8, 2, 6, 20)) * 0.16
    y, x = np.mgrid[:side, :side] / side
    image = np.where((x - 0.3 * y > 0.55)[None], lawn, soil)
    image = np.where((np.abs(y - 0.35 - 0.2 * x) < 0.08)[None], road, image)
    return np.clip(image * np.exp(texture * np.where(image == road, 0.4, 1.0)), 4, 250)


def seen(image: NDArray[np.float64], seed: int, light: tuple[float, float, float] = (1, 1, 1)) -> Patch:
    noise = np.random.default_rng(seed + 9000).normal(0, 2.0, image.shape)
    lit = image * np.array(light)[:, None, None] + noise
    return Patch(np.clip(lit.round(), 0, 255).astype(np.uint8), np.ones(image.shape[1:], dtype=bool))


def run(before: Patch, after: Patch) -> tuple[PairModel, Compared]:
    field = change.fit_shift([change.observe_shift(WINDOW, before, after)])
    pair = change.fit(field, [change.observe_light(field, WINDOW, before, after)], 0.06, 0.06)
    return pair, change.compare(pair, WINDOW, before, after)


def share_changed(answer: Compared) -> float:
    core = slice(change.spec.halo, -change.spec.halo)
    return float((answer.score[core, core] >= change.spec.thresholds[0]).mean())


def moved(image: NDArray[np.float64], dx: float, dy: float) -> NDArray[np.float64]:
    """Bilinear; what leaves on one side comes in on the other, which only the halo sees."""
    row, col = int(np.floor(dy)), int(np.floor(dx))
    fy, fx = dy - row, dx - col
    corners = ((0, 0, (1 - fy) * (1 - fx)), (1, 0, fy * (1 - fx)), (0, 1, (1 - fy) * fx), (1, 1, fy * fx))
    return sum(share * np.roll(image, (row + i, col + j), (1, 2)) for i, j, share in corners)


def heap(
    image: NDArray[np.float64], row: int, col: int, radius: int
) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_]]:
    """A shaded cone of dark earth on the ground; returns where it is and what is far from it too."""
    y, x = np.mgrid[: image.shape[1], : image.shape[2]]
    away = np.hypot(y - row, x - col)
    inside = away < radius
    shade = 1 + 0.35 * np.clip((x - col) / radius, -1, 1)
    grain = np.random.default_rng(1).normal(1, 0.08, inside.shape)
    earth = np.array([104, 78, 54])[:, None, None] * shade * blur(grain, 1)
    return np.where(inside, earth, image), inside, away > radius + 12


@pytest.mark.parametrize(("seed", "shift"), [(1, (0.0, 0.0)), (2, (5.0, -3.4)), (3, (-2.5, 4.75))])
def test_the_same_ground_in_other_light_and_shifted_is_unchanged(seed: int, shift: tuple[float, float]) -> None:
    image = ground(seed)
    pair, answer = run(seen(image, seed), seen(moved(image, *shift), seed + 1, (0.8, 0.84, 0.95)))
    assert pair.shift.votes > 0
    assert pair.shift.along_x[0] == pytest.approx(shift[0], abs=0.2)
    assert pair.shift.along_y[0] == pytest.approx(shift[1], abs=0.2)
    assert share_changed(answer) <= 0.003


@pytest.mark.parametrize(
    ("place", "appeared", "least"),
    [
        pytest.param((420, 520), True, 0.9, id="came on asphalt"),
        pytest.param((420, 520), False, 0.9, id="went from asphalt"),
        pytest.param((200, 150), True, 0.8, id="came on soil"),
        # Known weakness, not noise: here the classical distance marks 0.92 of the cone and the network talks it out of
        # it, since brown earth on brown soil looks to it like soil that dried (docs/models/change.md, "Where it
        # fails"; the picture there is this case). Version 1, which had no network, marked more than 0.6.
        pytest.param((200, 150), False, 0.4, id="went from soil"),
    ],
)
def test_a_heap_that_came_or_went_is_found(place: tuple[int, int], appeared: bool, least: float) -> None:
    image = ground(7)
    with_heap, inside, far = heap(image, *place, 22)
    dates = (image, with_heap) if appeared else (with_heap, image)
    _, answer = run(seen(dates[0], 7), seen(moved(dates[1], 3.3, 2.0), 8, (1.1, 1.05, 1.0)))
    changed = answer.score >= change.spec.thresholds[0]
    assert changed[inside].mean() > least
    assert changed[far].mean() < 0.003


def test_a_shadow_that_moved_is_not_comparable_and_not_changed() -> None:
    image = ground(11)
    shade = np.array([0.5, 0.54, 0.62])[:, None, None]
    here, there = np.zeros((2, FULL, FULL), dtype=bool)
    here[300:380, 100:200], there[300:380, 300:400] = True, True
    _, answer = run(seen(np.where(here, image * shade, image), 11), seen(np.where(there, image * shade, image), 12))
    for col in (100, 300):
        inner = (slice(304, 376), slice(col + 4, col + 96))
        assert (answer.reason[inner] == Reason.SHADOW).mean() > 0.9
        assert (answer.score[inner] >= change.spec.thresholds[0]).mean() < 0.02


def test_where_one_date_has_no_data_the_answer_says_so() -> None:
    image = ground(13)
    before, after = seen(image, 13), seen(image, 14)
    after.valid[:, 400:] = False
    after.data[:, :, 400:] = 0
    _, answer = run(before, after)
    assert (answer.reason[:, 401:] == Reason.NO_DATA).all()
    assert (answer.score[:, 401:] == 0).all()
    assert (answer.reason[2:-2, 2:398] != Reason.NO_DATA).all()
    assert share_changed(answer) <= 0.003


def test_a_source_much_coarser_than_the_other_is_not_compared() -> None:
    image = ground(17)
    before, after = seen(image, 17), seen(image, 18)
    field = ShiftField()
    pair = change.fit(field, [change.observe_light(field, WINDOW, before, after)], 0.06, 0.9)
    answer = change.compare(pair, WINDOW, before, after)
    assert (answer.reason == Reason.GSD).all()
    assert not answer.score.any()


def test_no_window_with_both_dates_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing to compare"):
        change.fit(ShiftField(), [], 0.06, 0.06)


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_the_fitted_shift_does_not_depend_on_the_order_or_grouping_of_votes(data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 10**6)))
    places, error = rng.uniform(0, 3000, (60, 2)), rng.normal(0, 0.1, (60, 2))
    votes = [
        ShiftVote(float(x), float(y), float(2 + x / 900 + ex), float(-3 + y / 1100 + ey), 0.8)
        for (x, y), (ex, ey) in zip(places, error, strict=True)
    ]
    wrong = [ShiftVote(float(x), 5.0, float(dx), float(dy), 0.5) for x, dx, dy in rng.uniform(-40, 40, (25, 3))]
    field = change.fit_shift([tuple(votes + wrong)])
    order = data.draw(st.permutations(votes + wrong))
    assert change.fit_shift([(vote,) for vote in order]) == field
    dx, dy = field.at(np.array([1500.0]), np.array([1500.0]))
    assert dx[0] == pytest.approx(2 + 1500 / 900, abs=0.15)
    assert dy[0] == pytest.approx(-3 + 1500 / 1100, abs=0.15)


def test_the_pair_model_does_not_depend_on_the_order_of_tallies_and_survives_json() -> None:
    field = ShiftField()
    tallies = [change.observe_light(field, WINDOW, seen(ground(s), s), seen(ground(s), s + 50)) for s in (21, 22, 23)]
    pair = change.fit(field, tallies, 0.06, 0.06)
    assert change.fit(field, [tallies[2], tallies[0] + tallies[1]], 0.06, 0.06) == pair
    assert PairModel.from_dict(json.loads(json.dumps(pair.to_dict()))) == pair


def test_the_cell_is_never_finer_than_a_source() -> None:
    assert change.cell(0.03, 0.019) == change.spec.gsd
    assert change.cell(0.03, 0.5) == 0.5
