"""Change between two dates without trained weights: registration, fitted light, and a robust distance of looks.

The score is a change vector analysis: the distance between what the ground looks like after and what unchanged ground
would, in robust sigmas, taken to the best match within one cell so that leftover misregistration does not count
(RCVA: Thonfeld, Feilhauer, Braun, Menz, Int. J. Applied Earth Observation 50, 2016). Ground in shadow on one date only
is told by its colour and by the small-scale contrast that shadow leaves in place, and is answered with its reason, not
with a score. `detectors.pair` says how the two passes are called.
"""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from detectors.base import ModelSpec
from detectors.light import Line, Look, blurred, fit_lines, look, stays_green, tally, vegetation
from detectors.pair import Compared, LightTally, PairModel, Pixels, Reason, ShiftField, ShiftVote
from imagery.registration import phase_shift, resample
from imagery.tiles import Window

spec = ModelSpec(
    name="change",
    version="1",
    classes=("changed",),
    gsd=0.06,
    core=512,
    halo=64,
    batch=1,
    thresholds=(128,),
    min_area=1.0,
    licence="Apache-2.0",
)

REACH = 40
"""Cells to either side within which a shift is searched; the halo covers it and the widest filter."""
_BLOCK, _MARGIN = 128, 32
_TRUSTED = 0.35
"""Confidence from which a vote counts; unrelated grounds stay below (tests/unit/imagery/test_registration.py)."""
_SIGMAS = 3.5
"""Distance that scores `thresholds[0]`."""
_WORTH = (1.0, 1.0, 1.0, 0.35)
"""Weight of each feature's squared distance; texture also follows focus and leaf."""
_BENT = 0.2
"""Sigma per unit of distance from the commonest value of a feature."""
_RELIEF = 1.5
"""Sigma of brightness per unit of small-scale contrast that is there on both dates."""
_SEASON = 0.4
"""Factor on the squared distance where both dates are green."""
_COARSEST = 8.0
"""Ratio of GSDs beyond which the finer date says nothing about the coarser."""


def cell(gsd_before: float, gsd_after: float) -> float:
    """Cell of the common ground grid in metres: never finer than `spec.gsd` nor than either source."""
    return max(spec.gsd, gsd_before, gsd_after)


def observe_shift(window: Window, before: Pixels, after: Pixels) -> tuple[ShiftVote, ...]:
    """Pass 1a: one vote per block of the window's core in which both dates show something."""
    first, second = _grey(before), _grey(after)
    valid = torch.from_numpy(np.asarray(before.valid & after.valid))
    votes = []
    for row in range(spec.halo, window.height - spec.halo, _BLOCK):
        for col in range(spec.halo, window.width - spec.halo, _BLOCK):
            part = (slice(row - _MARGIN, row + _BLOCK + _MARGIN), slice(col - _MARGIN, col + _BLOCK + _MARGIN))
            found = phase_shift(first[part], second[part], valid[part], REACH)
            if found is not None and found.confidence >= _TRUSTED:
                x, y = window.col + col + _BLOCK / 2, window.row + row + _BLOCK / 2
                votes.append(ShiftVote(x, y, found.dx, found.dy, found.confidence))
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
    for limit in (6.0, 4.0, 2.5, 1.5, 1.0, 1.0):
        distance = np.hypot(dx - design @ along_x, dy - design @ along_y)
        near = distance <= limit
        if near.sum() < 3:
            return ShiftField()
        along_x = _plane(design[near], dx[near], trust[near])
        along_y = _plane(design[near], dy[near], trust[near])
    return ShiftField(
        x0, y0, _three(along_x), _three(along_y), residual=float(np.median(distance[near])), votes=int(near.sum())
    )


def observe_light(shift: ShiftField, window: Window, before: Pixels, after: Pixels) -> LightTally:
    """Pass 1b: joint histograms of the registered looks in the window's core."""
    first, second = _looks(shift, window, before, after)
    where = torch.zeros_like(first.valid)
    core = slice(spec.halo, -spec.halo)
    where[core, core] = (first.valid & second.valid)[core, core]
    return LightTally(tally(first, second, where))


def fit(shift: ShiftField, tallies: Sequence[LightTally], gsd_before: float, gsd_after: float) -> PairModel:
    """The pair model. The order and grouping of `tallies` do not matter. No tally at all is refused."""
    if not tallies:
        raise ValueError("no window shows both dates: there is nothing to compare")
    joint = sum((t.joint for t in tallies[1:]), tallies[0].joint)
    ratio = max(gsd_before, gsd_after) / min(gsd_before, gsd_after)
    return PairModel(shift, fit_lines(joint), ratio)


def compare(pair: PairModel, window: Window, before: Pixels, after: Pixels) -> Compared:
    """Pass 2: score and reason of every cell of `window`; those within the halo are only there for the others."""
    first, second = _looks(pair.shift, window, before, after)
    seen = first.valid & second.valid
    expected, sigma = _expected(pair.lines, first, second, vegetation(first, second))
    distance = blurred(_distance(expected, sigma, second, stays_green(first, second))[None], seen, 1.0)[0]
    hidden = _shadow_on_one(second.features - expected, first, second)
    changed = distance >= _SIGMAS**2
    leaning = _misplaced(first, second, seen, changed & ~hidden)
    reason = torch.full(seen.shape, int(Reason.COMPARABLE), dtype=torch.uint8)
    reason[hidden] = Reason.SHADOW
    reason[leaning] = Reason.PARALLAX if pair.shift.votes else Reason.SHIFT
    reason[~seen] = Reason.NO_DATA
    if pair.gsd_ratio > _COARSEST:
        reason[seen] = Reason.GSD
    score = 255 * (1 - torch.exp2(-distance / _SIGMAS**2 * _HALF))
    score = score.round().clamp(0, 255).to(torch.uint8)
    score[reason != Reason.COMPARABLE] = 0
    return Compared(score.numpy(), reason.numpy())


_HALF = -float(np.log2(1 - 127.5 / 255))
"""Exponent that puts a distance of exactly `_SIGMAS` at a score of 127.5, which rounds up to the threshold."""


def _looks(shift: ShiftField, window: Window, before: Pixels, after: Pixels) -> tuple[Look, Look]:
    """Both dates on before's ground."""
    rows = window.row + np.arange(window.height, dtype=np.float64)[:, None] + 0.5
    cols = window.col + np.arange(window.width, dtype=np.float64)[None] + 0.5
    dx, dy = shift.at(*np.broadcast_arrays(cols, rows))
    moved, valid = resample(
        _tensor(after.data), torch.from_numpy(np.asarray(after.valid)), torch.from_numpy(dx), torch.from_numpy(dy)
    )
    return look(_tensor(before.data), torch.from_numpy(np.asarray(before.valid))), look(moved, valid)


def _expected(lines: tuple[tuple[Line, ...], ...], first: Look, second: Look, green: Tensor) -> tuple[Tensor, Tensor]:
    """What unchanged ground would look like after, and one sigma about that; both float32 [F, H, W].

    The sigma grows for rare values, such as strong colours, where haze and white balance bend the line, and for
    surfaces that are rough on both dates, whose bright and dark sides follow the sun.
    """
    kinds = torch.tensor([[(e.gain, e.offset, e.spread, e.centre) for e in features] for features in lines])
    plant, other = kinds[..., None, None].unbind()
    gain, offset, spread, centre = (torch.where(green, plant[:, k], other[:, k]) for k in range(4))
    sigma = (spread**2 + (_BENT * (first.features - centre)) ** 2).sqrt()
    rough = torch.minimum(first.features[3], second.features[3]).exp()
    sigma[0] = torch.hypot(sigma[0], _RELIEF * rough)
    return gain * first.features + offset, sigma


def _distance(expected: Tensor, sigma: Tensor, second: Look, green: Tensor) -> Tensor:
    """float32 [H, W]: squared distance of the looks in sigmas, to the best match within one cell. Vegetation on both
    dates is given its season: that much more of a difference counts as none."""
    scale = torch.tensor(_WORTH)[:, None, None].sqrt() / sigma
    near = F.pad(expected[None], (1, 1, 1, 1), mode="replicate")[0]
    height, width = green.shape
    best = torch.full((height, width), torch.inf)
    for row in range(3):
        for col in range(3):
            apart = (second.features - near[:, row : row + height, col : col + width]) * scale
            best = torch.minimum(best, apart.square().sum(0))
    return torch.where(green, best * _SEASON, best)


def _shadow_on_one(apart: Tensor, first: Look, second: Look) -> Tensor:
    """bool [H, W]: the darker date lost direct sunlight and nothing else. `apart`: float32 [F, H, W], not expected.

    Shadow takes a quarter or more of the (gamma-coded) brightness, leaves the light of the blue sky, and leaves the
    fine contrast of the ground in place. A dark heap brings its own contrast and the colour of earth.
    """
    darker, redder, bluer, _ = apart
    darker_after = darker < 0
    redder, bluer = torch.where(darker_after, redder, -redder), torch.where(darker_after, bluer, -bluer)
    like_shade = (darker.abs() > 0.22) & (darker.abs() < 1.2) & (redder < 0.04) & (bluer > -0.04) & (bluer < 0.2)
    both = first.valid & second.valid
    products = torch.stack((first.fine * second.fine, first.fine**2, second.fine**2))
    cross, one, two = blurred(products, both, 4.0)
    noise = 0.008**2
    same_ground = cross > 0.3 * torch.sqrt((one + noise) * (two + noise))
    smooth = torch.minimum(one, two) < 4 * noise
    # Closer up, so that a shadow's own edge does not count as relief.
    one, two = blurred(products[1:], both, 2.0)
    rougher = torch.where(darker_after, two > 3 * one + 6 * noise, one > 3 * two + 6 * noise)
    shade = both & like_shade & ~rougher & (same_ground | (smooth & (bluer > 0.02)))
    grown = F.max_pool2d(shade.float()[None, None], 9, 1, 4)[0, 0] > 0
    return grown & both


def _misplaced(first: Look, second: Look, seen: Tensor, changed: Tensor) -> Tensor:
    """bool [H, W]: of what seems changed, that which is found again elsewhere in the other date."""
    out = torch.zeros_like(seen)
    height, width = seen.shape
    for row in range(0, height - _BLOCK + 1, _BLOCK // 2):
        for col in range(0, width - _BLOCK + 1, _BLOCK // 2):
            part = (slice(row, row + _BLOCK), slice(col, col + _BLOCK))
            if changed[part].float().mean() < 0.25:
                continue
            one, two = first.features[0][part], second.features[0][part]
            found = phase_shift(one, two, seen[part], _BLOCK // 4)
            if found is None or found.confidence < _TRUSTED:
                continue
            dx, dy = round(found.dx), round(found.dy)
            if max(abs(dx), abs(dy)) >= 2 and _alike(one, two, dx, dy) > max(0.7, _alike(one, two, 0, 0) + 0.2):
                out[part] |= changed[part]
    return out


def _alike(one: Tensor, two: Tensor, dx: int, dy: int) -> float:
    """Correlation of what both show when `two` is moved back by whole cells."""
    height, width = one.shape
    a = one[max(0, -dy) : height - max(0, dy), max(0, -dx) : width - max(0, dx)]
    b = two[max(0, dy) : height - max(0, -dy), max(0, dx) : width - max(0, -dx)]
    a, b = a - a.mean(), b - b.mean()
    return float((a * b).sum() / (a.square().sum() * b.square().sum()).sqrt().clamp_min(1e-6))


def _densest(dx: NDArray[np.float64], dy: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Planes of the constant shift that has most votes within 1.5 cells a side."""
    side = 2 * REACH + 1
    count = np.zeros((side + 2, side + 2))
    rows, cols = (np.clip(np.round(d).astype(int) + REACH, 0, side - 1) for d in (dy, dx))
    for i in range(3):
        for j in range(3):
            np.add.at(count, (rows + i, cols + j), 1)
    row, col = np.unravel_index(count.argmax(), count.shape)
    return np.array([col - 1.0 - REACH, 0, 0]), np.array([row - 1.0 - REACH, 0, 0])


def _plane(design: NDArray[np.float64], values: NDArray[np.float64], trust: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weighted least squares; a constant where the votes are too few or too close together for a slope."""
    if len(values) < 12 or np.ptp(design[:, 1]) < 3 * _BLOCK or np.ptp(design[:, 2]) < 3 * _BLOCK:
        return np.array([np.average(values, weights=trust), 0.0, 0.0])
    root = np.sqrt(trust)
    return np.asarray(np.linalg.lstsq(design * root[:, None], values * root, rcond=None)[0], dtype=np.float64)


def _three(values: NDArray[np.float64]) -> tuple[float, float, float]:
    return float(values[0]), float(values[1]), float(values[2])


def _tensor(data: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(np.asarray(data)).float()


def _grey(pixels: Pixels) -> Tensor:
    return torch.log(_tensor(pixels.data).sum(0) + 24)
