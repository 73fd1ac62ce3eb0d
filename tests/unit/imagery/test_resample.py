"""Integer resampling against exact fractions, pixel by pixel; what lies under a void must not show."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from imagery.resample import UNIT, axis_taps, bilinear, mean_blocks, separable

sides = st.integers(6, 14)
pictures = st.tuples(sides, sides).flatmap(
    lambda size: st.tuples(hnp.arrays(np.uint8, (1, *size)), hnp.arrays(np.bool_, size))
)


def mean(weights: dict[tuple[int, int], int], data: np.ndarray, valid: np.ndarray, total: int) -> int | None:
    """Exact weighted mean of the valid pixels, halves up; None where less than half of the weight is valid."""
    seen = {at: weight for at, weight in weights.items() if valid[at]}
    weight = sum(seen.values())
    if 2 * weight < total or not weight:
        return None
    return math.floor(Fraction(sum(w * int(data[0][at]) for at, w in seen.items()), weight) + Fraction(1, 2))


def overlaps(centre: int, half: int, size: int) -> dict[int, int]:
    """Overlap of [centre - half, centre + half) with each pixel, 1/64 pixel."""
    shared = {i: min(centre + half, (i + 1) * UNIT) - max(centre - half, i * UNIT) for i in range(size)}
    return {i: weight for i, weight in shared.items() if weight > 0}


@settings(deadline=None, max_examples=40)
@given(pictures, st.floats(0.2, 4), st.booleans())
def test_separable(picture: tuple[np.ndarray, np.ndarray], width: float, whole: bool) -> None:
    data, mask = picture
    valid = np.ones_like(mask) if whole else mask
    height, across = mask.shape
    half = round(max(width, 1.0) * UNIT / 2)
    rows, cols = (np.arange(half, size * UNIT - half + 1, 37) for size in (height, across))
    y, x = axis_taps(rows, width), axis_taps(cols, width)
    part = (slice(None), slice(y.first, y.stop), slice(x.first, x.stop))
    got, shown = separable(data[part], None if whole else valid[part[1:]], y, x)
    for i, v in enumerate(rows.tolist()):
        for j, u in enumerate(cols.tolist()):
            down, beside = overlaps(v, half, height), overlaps(u, half, across)
            weights = {(r, c): a * b for r, a in down.items() for c, b in beside.items()}
            expected = mean(weights, data, valid, (2 * half) ** 2)
            assert (int(got[0, i, j]), bool(shown[i, j])) == (expected or 0, expected is not None)


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("width", [0.7, 1.0, 2.3])
def test_a_row_of_cells_does_not_depend_on_how_many_are_asked_for(width: float, whole: bool) -> None:
    rng = np.random.default_rng(7)
    data, valid = rng.integers(0, 256, (3, 420, 20), dtype=np.uint8), rng.random((420, 20)) > 0.4
    step = round(max(width, 1.0) * UNIT)
    y, x = (axis_taps(np.arange(step, size * UNIT - step, step), width) for size in (420, 20))
    part = (slice(None), slice(y.first, y.stop), slice(x.first, x.stop))
    some = None if whole else valid[part[1:]]
    means, shown = separable(data[part], some, y, x)
    assert len(shown) > 150
    for row in range(len(shown)):
        alone = separable(data[part], some, y.some(slice(row, row + 1)), x)
        assert (alone[0][:, 0] == means[:, row]).all()
        assert (alone[1][0] == shown[row]).all()


@settings(deadline=None, max_examples=40)
@given(pictures, st.integers(0, 2**32 - 1), st.booleans())
def test_bilinear(picture: tuple[np.ndarray, np.ndarray], seed: int, whole: bool) -> None:
    data, mask = picture
    valid = np.ones_like(mask) if whole else mask
    height, width = mask.shape
    rng = np.random.default_rng(seed)
    u, v = rng.integers(32, width * UNIT - 96, (5, 6)), rng.integers(32, height * UNIT - 96, (5, 6))
    got, shown = bilinear(data, None if whole else valid, u, v)
    for at in np.ndindex(u.shape):
        down, beside = overlaps(int(v[at]), 32, height), overlaps(int(u[at]), 32, width)
        weights = {(r, c): a * b for r, a in down.items() for c, b in beside.items()}
        expected = mean(weights, data, valid, UNIT * UNIT)
        assert (int(got[0][at]), bool(shown[at])) == (expected or 0, expected is not None)


@settings(deadline=None, max_examples=40)
@given(pictures, st.integers(1, 4), st.integers(1, 4), st.booleans())
def test_mean_blocks(picture: tuple[np.ndarray, np.ndarray], down: int, across: int, whole: bool) -> None:
    data, mask = picture
    rows, cols = mask.shape[0] // down * down, mask.shape[1] // across * across
    data, valid = data[:, :rows, :cols], (np.ones_like(mask) if whole else mask)[:rows, :cols]
    got, shown = mean_blocks(data, None if whole else valid, down, across)
    assert (shown is None) == whole
    for i, j in np.ndindex(rows // down, cols // across):
        weights = {(i * down + r, j * across + c): 1 for r in range(down) for c in range(across)}
        expected = mean(weights, data, valid, down * across)
        assert int(got[0, i, j]) == (expected or 0)
        assert shown is None or bool(shown[i, j]) == (expected is not None)


def test_cells_too_wide_are_not_summed_wrong() -> None:
    with pytest.raises(ValueError, match="wider than 4"):
        axis_taps(np.array([640]), 4.1)
    white = np.full((1, 4, 4), 255, np.uint8)
    taps = axis_taps(np.array([128]), 4.0)
    data, valid = separable(white, None, taps, taps)
    assert (data.item(), valid.item()) == (255, True)
