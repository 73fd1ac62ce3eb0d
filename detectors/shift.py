"""Pass 1a: where the ground of one date lies in the other, to a fraction of a cell, as a field over the overlap.

Blocks of every window vote by phase correlation; where a window gives hardly any vote, corners and their surroundings
are matched instead, over a longer reach. A robust plane through the votes takes out what is far off it, and what the
others leave over is drawn smooth (a kernel mean that shrinks to the plane where votes are few: Nadaraya 1964, Watson
1964) on the nodes of a coarse grid. The residual is measured on votes that had no say at their own place.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from detectors.pair import Bend, Pixels, ShiftField, ShiftVote
from imagery.registration import phase_shift
from imagery.tiles import Window

REACH = 40
"""Cells to either side within which phase correlation searches a shift."""
FAR = 72
"""The same for matched corners; the halo covers it."""
BLOCK, MARGIN = 128, 32
TRUSTED = 0.35
"""Confidence from which a vote counts; unrelated grounds stay below (tests/unit/imagery/test_registration.py)."""
_FEW = 0.25
"""Share of a window's blocks below which corners are matched as well."""
_CORNERS, _PATCH, _SURE = 160, 8, 0.85
"""Corners in a window; half the side of what is compared around them; the best distance over the second best one."""
_REACH_OF_VOTE = 190.0
"""Cells: standard deviation of the kernel that smooths what the plane leaves over."""
_SHRINK = 1.5
"""Votes' worth of belief in the plane alone."""
_NODE = 128
"""Cells between the nodes of the smooth rest."""
_MOST_NODES = 64
_ENOUGH = 12
"""Votes from which a slope, and a bend, are fitted."""


def observe_shift(window: Window, halo: int, before: Pixels, after: Pixels) -> tuple[ShiftVote, ...]:
    """One vote per block of the window's core in which both dates show something; corners where those are few."""
    first, second = _grey(before), _grey(after)
    valid = torch.from_numpy(np.asarray(before.valid & after.valid))
    votes, seen = [], 0
    for row in range(halo, window.height - halo, BLOCK):
        for col in range(halo, window.width - halo, BLOCK):
            part = (slice(row - MARGIN, row + BLOCK + MARGIN), slice(col - MARGIN, col + BLOCK + MARGIN))
            found = phase_shift(first[part], second[part], valid[part], REACH)
            seen += bool(valid[part].any())
            if found is not None and found.confidence >= TRUSTED:
                x, y = window.col + col + BLOCK / 2, window.row + row + BLOCK / 2
                votes.append(ShiftVote(x, y, found.dx, found.dy, found.confidence))
    if len(votes) < _FEW * seen:
        votes += matched_corners(window, halo, first, second, valid)
    return tuple(votes)


def fit_shift(votes: Sequence[tuple[ShiftVote, ...]]) -> ShiftField:
    """The field that most votes agree with. The order of `votes` does not matter."""
    every = sorted(vote for some in votes for vote in some)
    if not every:
        return ShiftField()
    x, y, dx, dy, trust = np.array([(v.x, v.y, v.dx, v.dy, v.confidence) for v in every]).T
    x0, y0 = float(np.median(x)), float(np.median(y))
    design = np.stack((np.ones_like(x), x - x0, y - y0), axis=1)
    along_x, along_y = _densest(dx, dy)
    distance = np.zeros_like(dx)
    near = np.zeros(len(dx), dtype=bool)
    for limit in (6.0, 4.0, 2.5, 1.5, 1.5, 1.5):
        distance = np.hypot(dx - design @ along_x, dy - design @ along_y)
        near = distance <= limit
        if near.sum() < 3:
            return ShiftField()
        along_x = _plane(design[near], dx[near], trust[near])
        along_y = _plane(design[near], dy[near], trust[near])
    rest = np.stack((dx - design @ along_x, dy - design @ along_y), axis=1)[near]
    bend, left = _bend(x[near], y[near], rest, trust[near])
    return ShiftField(x0, y0, _three(along_x), _three(along_y), left, int(near.sum()), bend)


def matched_corners(window: Window, halo: int, first: Tensor, second: Tensor, valid: Tensor) -> list[ShiftVote]:
    """Votes of corners (Harris, Stephens 1988) in the core that are found again within `FAR` cells, and whose match
    finds them again in turn. `first`, `second`: float [H, W]; `valid`: bool [H, W]."""
    usable = F.max_pool2d((~valid).float()[None, None], 2 * _PATCH + 3, 1, _PATCH + 1)[0, 0] == 0
    inner = torch.zeros_like(usable)
    inner[halo:-halo, halo:-halo] = True
    here, there = _corners(first, usable & inner), _corners(second, usable)
    if len(here) < 3 or len(there) < 3:
        return []
    alike = _patches(first, here) @ _patches(second, there).T
    apart = (there[None] - here[:, None]).abs().amax(2)
    alike[apart > FAR] = -1
    best = alike.topk(2, dim=1)
    back = alike.argmax(0)
    votes = []
    for i in range(len(here)):
        j = int(best.indices[i, 0])
        one, two = float(best.values[i, 0]), float(best.values[i, 1])
        if int(back[j]) == i and one > 0.5 and math.sqrt(max(0.0, 1 - one)) < _SURE * math.sqrt(max(1e-6, 1 - two)):
            (row, col), (to_row, to_col) = here[i].tolist(), there[j].tolist()
            place = window.col + col + 0.5, window.row + row + 0.5
            votes.append(ShiftVote(*place, float(to_col - col), float(to_row - row), TRUSTED * one))
    return votes


def _corners(image: Tensor, usable: Tensor) -> Tensor:
    """int64 [K, 2]: row and column of the strongest corners, none within eight cells of another."""
    smooth = F.avg_pool2d(image[None, None], 3, 1, 1, count_include_pad=False)
    gx, gy = torch.zeros_like(smooth), torch.zeros_like(smooth)
    gx[..., 1:-1] = smooth[..., 2:] - smooth[..., :-2]
    gy[..., 1:-1, :] = smooth[..., 2:, :] - smooth[..., :-2, :]
    xx, yy, xy = (F.avg_pool2d(product, 7, 1, 3) for product in (gx * gx, gy * gy, gx * gy))
    strength = (xx * yy - xy * xy) / (xx + yy + 1e-9)
    strength = torch.where(usable[None, None], strength, 0.0)
    peak = (strength == F.max_pool2d(strength, 17, 1, 8)) & (strength > 0)
    values = torch.where(peak, strength, 0.0).flatten()
    count = min(_CORNERS, int(peak.sum()))
    order = torch.sort(values, descending=True, stable=True).indices[:count]
    return torch.stack((order // image.shape[1], order % image.shape[1]), dim=1)


def _patches(image: Tensor, corners: Tensor) -> Tensor:
    """float [K, D]: gradients around the corners, of unit length, so that light does not matter."""
    smooth = F.avg_pool2d(image[None, None], 3, 1, 1, count_include_pad=False)[0, 0]
    steps = torch.arange(-_PATCH, _PATCH + 1)
    rows = (corners[:, 0, None, None] + steps[None, :, None]).clamp(1, image.shape[0] - 2)
    cols = (corners[:, 1, None, None] + steps[None, None]).clamp(1, image.shape[1] - 2)
    gx = smooth[rows, cols + 1] - smooth[rows, cols - 1]
    gy = smooth[rows + 1, cols] - smooth[rows - 1, cols]
    strength = torch.hypot(gx, gy)
    usual = strength.flatten(1).median(1).values[:, None, None] + 1e-6
    both = torch.stack((gx, gy), dim=1) / (strength + usual)[:, None]
    return F.normalize(both.flatten(1), dim=1)


def _bend(
    x: NDArray[np.float64], y: NDArray[np.float64], rest: NDArray[np.float64], trust: NDArray[np.float64]
) -> tuple[Bend | None, float]:
    """The smooth rest [N, 2] over the plane, and the median distance of votes from a field that they had no say in."""
    if len(x) < _ENOUGH:
        return None, float(np.median(np.hypot(*rest.T)))
    places = np.stack((x, y), axis=1)
    sum_without, weight_without = _kernel(places, places, rest, trust, itself=False)
    guessed = sum_without / (weight_without + _SHRINK)[:, None]
    bent, flat = (float(np.median(np.hypot(*left.T))) for left in (rest - guessed, rest))
    if bent >= flat:  # nothing smooth is left over
        return None, flat
    step = max(_NODE, math.ceil(max(np.ptp(x), np.ptp(y)) / (_MOST_NODES - 1)))
    cols, rows = (int(np.ptp(axis) // step) + 2 for axis in (x, y))
    gx, gy = np.meshgrid(x.min() + np.arange(cols) * step, y.min() + np.arange(rows) * step)
    nodes = np.stack((gx.ravel(), gy.ravel()), axis=1)
    total, weight = _kernel(nodes, places, rest, trust, itself=True)
    values = (total / (weight + _SHRINK)[:, None]).round(4).reshape(rows, cols, 2)
    return Bend(float(x.min()), float(y.min()), float(step), tuple(tuple(map(_two, row)) for row in values)), bent


def _kernel(
    at: NDArray[np.float64], places: NDArray[np.float64], rest: NDArray[np.float64], trust: NDArray[np.float64],
    *, itself: bool,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:  # fmt: skip
    """Weighted sums [K, 2] of the rest about each place of `at`, and the weights [K]; a part at a time."""
    sums, weights = np.zeros((len(at), 2)), np.zeros(len(at))
    for start in range(0, len(at), 512):
        part = slice(start, start + 512)
        squared = ((at[part, None] - places[None]) ** 2).sum(2)
        share = np.exp(-squared / (2 * _REACH_OF_VOTE**2)) * trust
        if not itself:
            share[squared == 0] = 0
        sums[part], weights[part] = share @ rest, share.sum(1)
    return sums, weights


def _densest(dx: NDArray[np.float64], dy: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Planes of the constant shift that has most votes within 1.5 cells a side."""
    side = 2 * FAR + 1
    count = np.zeros((side + 2, side + 2))
    rows, cols = (np.clip(np.round(d).astype(int) + FAR, 0, side - 1) for d in (dy, dx))
    for i in range(3):
        for j in range(3):
            np.add.at(count, (rows + i, cols + j), 1)
    row, col = np.unravel_index(count.argmax(), count.shape)
    return np.array([col - 1.0 - FAR, 0, 0]), np.array([row - 1.0 - FAR, 0, 0])


def _plane(design: NDArray[np.float64], values: NDArray[np.float64], trust: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weighted least squares; a constant where the votes are too few or too close together for a slope."""
    if len(values) < _ENOUGH or np.ptp(design[:, 1]) < 3 * BLOCK or np.ptp(design[:, 2]) < 3 * BLOCK:
        return np.array([np.average(values, weights=trust), 0.0, 0.0])
    root = np.sqrt(trust)
    return np.asarray(np.linalg.lstsq(design * root[:, None], values * root, rcond=None)[0], dtype=np.float64)


def _three(values: NDArray[np.float64]) -> tuple[float, float, float]:
    return float(values[0]), float(values[1]), float(values[2])


def _two(values: NDArray[np.float64]) -> tuple[float, float]:
    return float(values[0]), float(values[1])


def _grey(pixels: Pixels) -> Tensor:
    return torch.log(torch.from_numpy(np.asarray(pixels.data)).float().sum(0) + 24)
