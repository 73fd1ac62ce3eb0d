"""What a surface looks like apart from the light on it, and how two dates' looks belong together.

Four features per cell, all in logarithms, so that a change of exposure, white balance or sun is an offset: brightness,
two colour ratios, and texture (the strength of small-scale contrast). For cells that did not change, the value after is
a line over the value before. The lines are fitted to joint histograms, one population for vegetation, whose colour
follows the season, and one for all else; counts are whole numbers, so neither order nor grouping of windows matters.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

LEVELS = 96
"""Histogram levels per feature."""
RANGES = ((2.5, 6.8), (-0.9, 0.9), (-0.9, 0.9), (-4.6, -0.6))
"""Of brightness, red over green, blue over green, texture; values outside count in the last level."""
POPULATIONS = 2
"""0: vegetation on either date; 1: all else."""
_DARK = 8.0
"""Added to every band before the logarithm: below it a byte is mostly noise."""
_GREEN = 0.09
"""log(G / mean(R, B)) above which a surface is vegetation."""
_TEXTURE_NOISE = 0.012
"""Texture of a sensor's own noise, in log units."""


@dataclass(frozen=True, slots=True)
class Look:
    """One date of one window: `features` float32 [4, H, W], `fine` float32 [H, W] (brightness less its surroundings),
    `green` float32 [H, W] (vegetation index), `valid` bool [H, W]."""

    features: Tensor
    fine: Tensor
    green: Tensor
    valid: Tensor


@dataclass(frozen=True, slots=True)
class Line:
    """after = offset + gain * before, for unchanged cells."""

    gain: float
    offset: float
    spread: float
    """One robust sigma about the line."""
    centre: float
    """The value before that most cells lie about; far from it the line is hardly known."""


def look(rgb: Tensor, valid: Tensor) -> Look:
    """Features of `rgb`, float32 [3, H, W] in 0..255, where `valid`, bool [H, W]."""
    smooth = blurred(rgb, valid, 1.3)
    red, green, blue = torch.log(smooth + _DARK)
    bright = torch.log(smooth.sum(0) + 3 * _DARK)
    sharp = torch.log(rgb.sum(0) + 3 * _DARK)
    fine = (blurred(sharp[None], valid, 0.8) - blurred(sharp[None], valid, 3.0))[0]
    texture = 0.5 * torch.log(blurred((fine**2)[None], valid, 2.5)[0] + _TEXTURE_NOISE**2)
    features = torch.stack((bright, red - green, blue - green, texture))
    return Look(features * valid, fine * valid, (green - torch.log((smooth[0] + smooth[2]) / 2 + _DARK)) * valid, valid)


def blurred(image: Tensor, valid: Tensor, sigma: float) -> Tensor:
    """Gaussian mean over the valid cells of `image`, float32 [C, H, W]; cut at three sigma."""
    radius = math.ceil(3 * sigma)
    kernel = [math.exp(-0.5 * (step / sigma) ** 2) for step in range(-radius, radius + 1)]
    weight = valid.to(image.dtype)
    stack = torch.cat((image * weight, weight[None]))
    height, width = valid.shape
    # A sum of shifted copies: several times faster on a CPU than a convolution of so few channels.
    stack = F.pad(stack, (radius, radius, radius, radius))
    stack = _summed([stack[:, step : step + height] for step in range(2 * radius + 1)], kernel)
    stack = _summed([stack[:, :, step : step + width] for step in range(2 * radius + 1)], kernel)
    return stack[:-1] / stack[-1:].clamp_min(1e-6)


def _summed(parts: list[Tensor], shares: list[float]) -> Tensor:
    out = parts[0] * shares[0]
    for part, share in zip(parts[1:], shares[1:], strict=True):
        out.add_(part, alpha=share)
    return out


def vegetation(before: Look, after: Look) -> Tensor:
    """bool [H, W]: green on either date, so that the season may show."""
    return (before.green > _GREEN) | (after.green > _GREEN)


def stays_green(before: Look, after: Look) -> Tensor:
    """bool [H, W]: vegetation on both dates, whatever the season made of it."""
    return (before.green > _GREEN) & (after.green > _GREEN)


def tally(before: Look, after: Look, where: Tensor) -> NDArray[np.int64]:
    """int64 [P, F, K, K]: joint histograms over the cells of `where`, bool [H, W]; axis 2 is before, axis 3 after."""
    joint = torch.zeros(POPULATIONS, len(RANGES), LEVELS, LEVELS, dtype=torch.int64)
    population = torch.where(vegetation(before, after), 0, 1)
    for p in range(POPULATIONS):
        chosen = where & (population == p)
        for f in range(len(RANGES)):
            pairs = _levels(before.features[f][chosen], f) * LEVELS + _levels(after.features[f][chosen], f)
            joint[p, f] = torch.bincount(pairs, minlength=LEVELS * LEVELS).view(LEVELS, LEVELS).cpu()
    return joint.numpy()


def fit_lines(joint: NDArray[np.int64]) -> tuple[tuple[Line, ...], ...]:
    """The lines [P][F] of joint histograms [P, F, K, K]. A population that hardly occurs takes the other's lines."""
    counts = joint.sum(axis=(2, 3))[:, 0]
    usual = int(counts.argmax())
    enough = max(400.0, 0.002 * float(counts.sum()))
    rows = [p if counts[p] >= enough else usual for p in range(len(joint))]
    return tuple(tuple(_line(joint[p, f], f) for f in range(joint.shape[1])) for p in rows)


def _levels(values: Tensor, feature: int) -> Tensor:
    low, high = RANGES[feature]
    return ((values - low) * (LEVELS / (high - low))).floor().clamp(0, LEVELS - 1).to(torch.int64)


def _line(joint: NDArray[np.int64], feature: int) -> Line:
    """Robust line through one joint histogram [K, K]: from the commonest difference outwards, cells farther than
    2.5 sigma (moved shadows, changed ground) losing their say at every step."""
    low, high = RANGES[feature]
    step = (high - low) / LEVELS
    i, j = np.nonzero(joint)
    weight = joint[i, j].astype(np.float64)
    if weight.sum() == 0:
        return Line(1.0, 0.0, 0.25, (low + high) / 2)
    x, y = low + (i + 0.5) * step, low + (j + 0.5) * step
    gain, offset = 1.0, _mode(y - x, weight, step)
    spread = 0.25
    for _ in range(12):
        residual = y - gain * x - offset
        spread = max(_spread(residual, weight), step)
        trust = weight * np.clip(1 - (residual / (2.5 * spread)) ** 2, 0, None) ** 2
        total = trust.sum()
        mx, my = (trust * x).sum() / total, (trust * y).sum() / total
        var, cov = (trust * (x - mx) ** 2).sum() / total, (trust * (x - mx) * (y - my)).sum() / total
        # Noise before flattens a fitted line; a weak pull to gain 1 stands against it where the values hardly vary.
        gain = float(np.clip((cov + spread**2) / (var + spread**2), 0.6, 1.6))
        offset = float(my - gain * mx)
    return Line(gain, offset, float(spread), float(mx))


def _mode(values: NDArray[np.float64], weight: NDArray[np.float64], step: float) -> float:
    bins = np.round(values / step).astype(np.int64)
    counts = np.bincount(bins - bins.min(), weights=weight)
    smooth = np.convolve(counts, np.ones(5), mode="same")
    return float((int(smooth.argmax()) + int(bins.min())) * step)


def _spread(values: NDArray[np.float64], weight: NDArray[np.float64]) -> float:
    """Sigma of the tightest two fifths of the values: the rest may have changed, or lie in other shadow."""
    share = 0.4
    order = np.argsort(values, kind="stable")
    values, running = values[order], np.cumsum(weight[order])
    last = np.searchsorted(running, running - weight[order] + share * running[-1])
    inside = last < len(values)
    width = float((values[np.minimum(last, len(values) - 1)] - values)[inside].min())
    return width / 1.0488  # two fifths of a normal distribution lie within 0.5244 sigma of its middle
