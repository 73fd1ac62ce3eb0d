"""How far one image lies beside another: sub-pixel phase correlation of gradients, and resampling by a shift field.

The correlation looks at the *direction* of gradients and hardly at their strength (orientation correlation: Fitch,
Kadyrov, Christmas, Kittler, BMVC 2002), so that gain, offset and contrast do not matter; the spectrum is whitened and
smoothed to a peak of known width, and the peak is refined on an upsampled transform about it (Guizar-Sicairos, Thurman,
Fienup, Optics Letters 33, 2008). Torch alone, on the device of its input.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

_PEAK_SIGMA = 1.2
"""Width in pixels that the spectral low-pass gives the correlation peak."""
_UPSAMPLE = 25
"""Steps per pixel of the refinement, before a parabola through the best three."""
_MIN_VALID = 0.4
"""Share of a block that must be seen in both images."""


@dataclass(frozen=True, slots=True)
class Shift:
    """What is at (x, y) in the first image is at (x + dx, y + dy) in the second. Pixels; y down."""

    dx: float
    dy: float
    confidence: float
    """1 - (second highest, elsewhere) / (highest correlation): 0 for noise, towards 1 for one clear peak."""


def phase_shift(first: Tensor, second: Tensor, valid: Tensor, reach: int) -> Shift | None:
    """The shift between two images of one size, searched up to `reach` pixels a side.

    `first`, `second`: float [H, W], any linear scale. `valid`: bool [H, W], seen in both. None where less than 40 % is
    valid or nothing in an image has an edge.
    """
    height, width = first.shape
    if not 0 < reach < min(height, width) // 2:
        raise ValueError(f"cannot search {reach} px in an image of {height} x {width} px")
    if valid.float().mean().item() < _MIN_VALID:
        return None
    inner = _eroded(valid)
    weight = _hann(height, width, first.device) * inner
    a, b = _directions(first, inner) * weight, _directions(second, inner) * weight
    if not (bool(a.abs().any()) and bool(b.abs().any())):
        return None
    cross = torch.fft.fft2(b) * torch.fft.fft2(a).conj()
    strength = cross.abs()
    cross = cross / (strength + 0.05 * strength.mean()) * _low_pass(height, width, first.device)
    surface = torch.fft.ifft2(cross).real
    near = torch.roll(surface, (reach, reach), (0, 1))[: 2 * reach + 1, : 2 * reach + 1]
    best = int(near.argmax().item())
    row, col = divmod(best, 2 * reach + 1)
    peak = near[row, col].item()
    if peak <= 0:
        return None
    others = near.clone()
    guard = math.ceil(3 * _PEAK_SIGMA)
    others[max(0, row - guard) : row + guard + 1, max(0, col - guard) : col + guard + 1] = -math.inf
    second_peak = max(0.0, others.max().item())
    dy, dx = _refine(cross, row - reach, col - reach)
    return Shift(dx, dy, max(0.0, 1.0 - second_peak / peak))


def resample(image: Tensor, valid: Tensor, dx: Tensor, dy: Tensor) -> tuple[Tensor, Tensor]:
    """The second image drawn over the first: out(x, y) = image(x + dx, y + dy), bilinear.

    `image`: float [C, H, W]; `valid`: bool [H, W]; `dx`, `dy`: float64 [H, W], pixels. A result pixel is valid where
    all the pixels it is made of are; invalid ones are 0. Shifts are rounded to 1/256 pixel, so that the same ground
    gets the same value in whichever window it is computed.
    """
    height, width = valid.shape
    rows = torch.arange(height, device=valid.device).unsqueeze(1)
    cols = torch.arange(width, device=valid.device).unsqueeze(0)
    step_x, step_y = torch.round(dx * 256).to(torch.int64), torch.round(dy * 256).to(torch.int64)
    x, y = cols + torch.div(step_x, 256, rounding_mode="floor"), rows + torch.div(step_y, 256, rounding_mode="floor")
    fx, fy = (step_x % 256).to(image.dtype) / 256, (step_y % 256).to(image.dtype) / 256
    out, seen = torch.zeros_like(image), torch.ones_like(valid)
    corners = ((0, 0, (1 - fx) * (1 - fy)), (1, 0, fx * (1 - fy)), (0, 1, (1 - fx) * fy), (1, 1, fx * fy))
    for right, down, share in corners:
        inside = (x + right >= 0) & (x + right < width) & (y + down >= 0) & (y + down < height)
        at = ((y + down).clamp(0, height - 1), (x + right).clamp(0, width - 1))
        out += share * image[:, at[0], at[1]]
        seen &= (inside & valid[at[0], at[1]]) | (share == 0)
    return out * seen, seen


def _directions(image: Tensor, inner: Tensor) -> Tensor:
    """complex64 [H, W]: the gradient, its strength squeezed to 0..1 about the image's own noise."""
    smooth = F.avg_pool2d(image[None, None], 3, 1, 1, count_include_pad=False)[0, 0]
    gx, gy = torch.zeros_like(image), torch.zeros_like(image)
    gx[:, 1:-1] = smooth[:, 2:] - smooth[:, :-2]
    gy[1:-1] = smooth[2:] - smooth[:-2]
    strength = torch.hypot(gx, gy)
    usual = strength[inner].median()
    return torch.complex(gx, gy) / (strength + usual + 1e-6)


def _eroded(valid: Tensor) -> Tensor:
    """`valid` less two pixels along its edges, where a gradient would see the edge instead of the ground."""
    return F.max_pool2d((~valid).float()[None, None], 5, 1, 2)[0, 0] == 0


def _hann(height: int, width: int, device: torch.device) -> Tensor:
    down = torch.hann_window(height, periodic=False, device=device)
    return down[:, None] * torch.hann_window(width, periodic=False, device=device)[None]


def _low_pass(height: int, width: int, device: torch.device) -> Tensor:
    fy = torch.fft.fftfreq(height, device=device)[:, None]
    fx = torch.fft.fftfreq(width, device=device)[None]
    return torch.exp(-2 * (math.pi * _PEAK_SIGMA) ** 2 * (fx**2 + fy**2))


def _refine(cross: Tensor, row: int, col: int) -> tuple[float, float]:
    """The peak about whole-pixel (row, col) of the inverse transform of `cross`, as (dy, dx)."""
    height, width = cross.shape
    steps = torch.arange(-_UPSAMPLE, _UPSAMPLE + 1, device=cross.device) / _UPSAMPLE
    fy, fx = torch.fft.fftfreq(height, device=cross.device), torch.fft.fftfreq(width, device=cross.device)
    down = torch.exp(2j * math.pi * (row + steps)[:, None] * fy[None])
    across = torch.exp(2j * math.pi * fx[:, None] * (col + steps)[None])
    fine = (down @ cross @ across).real
    i, j = divmod(int(fine.argmax().item()), len(steps))
    return (
        row + (i - _UPSAMPLE + _vertex(fine[:, j], i)) / _UPSAMPLE,
        col + (j - _UPSAMPLE + _vertex(fine[i], j)) / _UPSAMPLE,
    )


def _vertex(line: Tensor, at: int) -> float:
    """Where between its neighbours the parabola through three samples has its top, -0.5..0.5 samples from `at`."""
    if not 0 < at < len(line) - 1:
        return 0.0
    left, middle, right = (line[at + k].item() for k in (-1, 0, 1))
    bend = left - 2 * middle + right
    return 0.5 * (left - right) / bend if bend < 0 else 0.0
