"""Sub-pixel registration against shifts that are known because they were made."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from imagery.registration import phase_shift, resample

SIZE = 160


def ground(seed: int, size: int = SIZE, slope: float = 1.3) -> torch.Tensor:
    """complex64 [H, W], the spectrum of a periodic random ground with natural (1/f) contrast, band-limited."""
    rng = np.random.default_rng(seed)
    fy, fx = np.fft.fftfreq(size)[:, None], np.fft.fftfreq(size)[None]
    radius = np.hypot(fx, fy)
    strength = np.where(radius > 0, 1 / np.maximum(radius, 1 / size) ** slope, 0) * (radius < 0.3)
    return torch.from_numpy(np.fft.fft2(rng.standard_normal((size, size))) * strength)


def seen(spectrum: torch.Tensor, dx: float, dy: float) -> torch.Tensor:
    """The ground moved exactly by (dx, dy) pixels, contrast 40 about 120: the shift theorem is the oracle."""
    n = spectrum.shape[0]
    f = torch.fft.fftfreq(n, dtype=torch.float64)
    moved = torch.fft.ifft2(spectrum * torch.exp(-2j * torch.pi * (f[:, None] * dy + f[None] * dx))).real
    return (moved / moved.std() * 40 + 120).float()


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    dx=st.floats(-12, 12),
    dy=st.floats(-12, 12),
    gain=st.floats(0.3, 2.5),
    offset=st.floats(-60, 60),
)
def test_known_shift_is_recovered_through_noise_gain_and_offset(
    seed: int, dx: float, dy: float, gain: float, offset: float
) -> None:
    spectrum = ground(seed)
    noise = torch.from_numpy(np.random.default_rng(seed + 1).normal(0, 3, (2, SIZE, SIZE))).float()
    first, second = seen(spectrum, 0, 0) + noise[0], (seen(spectrum, dx, dy) + noise[1]) * gain + offset
    found = phase_shift(first, second, torch.ones(SIZE, SIZE, dtype=torch.bool), 20)
    assert found is not None
    assert abs(found.dx - dx) < 0.15
    assert abs(found.dy - dy) < 0.15
    assert found.confidence > 0.4


def test_unrelated_grounds_give_no_confidence() -> None:
    valid = torch.ones(SIZE, SIZE, dtype=torch.bool)
    found = [phase_shift(seen(ground(s), 0, 0), seen(ground(s + 100), 0, 0), valid, 20) for s in range(12)]
    assert max(f.confidence for f in found if f is not None) < 0.4


def test_a_third_without_data_does_not_pull_the_shift_to_zero() -> None:
    spectrum = ground(5)
    first, second = seen(spectrum, 0, 0), seen(spectrum, 4.5, -2.25)
    valid = torch.ones(SIZE, SIZE, dtype=torch.bool)
    valid[:, : SIZE // 3] = False
    first[~valid], second[~valid] = 0, 0
    found = phase_shift(first, second, valid, 20)
    assert found is not None
    assert abs(found.dx - 4.5) < 0.15
    assert abs(found.dy + 2.25) < 0.15


@pytest.mark.parametrize("what", ["flat", "unseen"])
def test_nothing_to_see_is_said(what: str) -> None:
    image = torch.full((64, 64), 90.0)
    valid = torch.full((64, 64), what == "flat")
    assert phase_shift(image, image, valid, 8) is None


def test_a_search_wider_than_the_image_is_refused() -> None:
    image = torch.zeros(32, 32)
    with pytest.raises(ValueError, match="cannot search 16 px"):
        phase_shift(image, image, torch.ones(32, 32, dtype=torch.bool), 16)


@given(dx=st.integers(-5, 5), dy=st.integers(-5, 5))
@settings(max_examples=20, deadline=None)
def test_whole_pixel_resampling_is_exact_and_knows_its_edges(dx: int, dy: int) -> None:
    image = torch.arange(2 * 20 * 30, dtype=torch.float32).reshape(2, 20, 30)
    valid = torch.ones(20, 30, dtype=torch.bool)
    shape = {"size": (20, 30), "dtype": torch.float64}
    out, ok = resample(image, valid, torch.full(fill_value=dx, **shape), torch.full(fill_value=dy, **shape))
    for y in range(20):
        for x in range(30):
            inside = 0 <= y + dy < 20 and 0 <= x + dx < 30
            assert bool(ok[y, x]) == inside
            assert out[0, y, x] == (image[0, y + dy, x + dx] if inside else 0)


@given(dx=st.floats(-3, 3), dy=st.floats(-3, 3))
@settings(max_examples=20, deadline=None)
def test_bilinear_resampling_of_a_plane_is_the_plane(dx: float, dy: float) -> None:
    y, x = torch.meshgrid(torch.arange(24.0), torch.arange(24.0), indexing="ij")
    plane = (2 * x - 3 * y)[None]
    valid = torch.ones(24, 24, dtype=torch.bool)
    out, ok = resample(plane, valid, torch.full((24, 24), dx).double(), torch.full((24, 24), dy).double())
    expected = 2 * (x + dx) - 3 * (y + dy)
    assert ok[5:-5, 5:-5].all()
    assert (out[0][ok] - expected[ok]).abs().max() < 5 / 256 + 1e-3
