"""Change between two dates: registration, fitted light, and two opinions of what no longer fits.

The first opinion needs no weights. It is a change vector analysis: the distance between what the ground looks like
after and what unchanged ground would, in robust sigmas, taken to the best match within one cell so that leftover
misregistration does not count (RCVA: Thonfeld, Feilhauer, Braun, Menz, Int. J. Applied Earth Observation 50, 2016).
The second is a small network of our own (`detectors.change_net`, docs/adr/0014), asked where the cells are of a size
that it was shown. Ground in shadow on one date only is told by its colour and by the small-scale contrast that shadow
leaves in place; it is answered with its reason, not with a score, unless the network is sure of what it sees there.
`detectors.pair` says how the two passes are called.
"""

import hashlib
import os
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from detectors import checkpoint, shift
from detectors.base import ModelSpec
from detectors.change_net import KINDS, ChangeNet, fits
from detectors.light import Line, Look, blurred, fit_lines, look, stays_green, tally, vegetation
from detectors.pair import Compared, LightTally, PairModel, Pixels, Reason, ShiftField, ShiftVote
from detectors.shift import fit_shift
from imagery.errors import Refused
from imagery.registration import phase_shift, resample
from imagery.tiles import Window

__all__ = ["cell", "compare", "fit", "fit_shift", "kind_of", "observe_light", "observe_shift", "spec"]


def _weights() -> tuple[Path, str, str]:
    """The network's file, its version and its SHA-256: what ships, or what FLYONCE_CHANGE_WEIGHTS names, as `flyonce
    train change` wrote it. Raises `Refused` (no-weights)."""
    version, sha256 = "2", "34efe3d315cd300074eab8d6bed1d9bec96099c9f1c24fb10bce640a04de112a"
    own = os.environ.get("FLYONCE_CHANGE_WEIGHTS")
    if not own:
        return checkpoint.FOLDER / f"change-{version}.safetensors", version, sha256
    path = Path(own)
    if not path.is_file():
        raise Refused("no-weights", f"FLYONCE_CHANGE_WEIGHTS names {own}, which is not there.", "Name another file.")
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return path, f"{version}-{sha256[:8]}", sha256


WEIGHTS, _VERSION, _SHA256 = _weights()

spec = ModelSpec(
    name="change",
    version=_VERSION,
    classes=("changed",),
    gsd=0.06,
    core=768,
    halo=128,
    batch=1,
    thresholds=(128,),
    min_area=1.0,
    licence="Apache-2.0",
    weights_sha256=_SHA256,
)

_BLOCK = shift.BLOCK
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
    """Pass 1a: votes of the window's core; see `detectors.shift`."""
    return shift.observe_shift(window, spec.halo, before, after)


def observe_light(field: ShiftField, window: Window, before: Pixels, after: Pixels) -> LightTally:
    """Pass 1b: joint histograms of the registered looks in the window's core."""
    first, second, _ = _looks(field, window, before, after)
    where = torch.zeros_like(first.valid)
    core = slice(spec.halo, -spec.halo)
    where[core, core] = (first.valid & second.valid)[core, core]
    return LightTally(tally(first, second, where))


def fit(field: ShiftField, tallies: Sequence[LightTally], gsd_before: float, gsd_after: float) -> PairModel:
    """The pair model. The order and grouping of `tallies` do not matter. No tally at all is refused."""
    if not tallies:
        raise ValueError("no window shows both dates: there is nothing to compare")
    joint = sum((t.joint for t in tallies[1:]), tallies[0].joint)
    ratio = max(gsd_before, gsd_after) / min(gsd_before, gsd_after)
    return PairModel(field, fit_lines(joint), ratio, cell(gsd_before, gsd_after))


def compare(pair: PairModel, window: Window, before: Pixels, after: Pixels) -> Compared:
    """Pass 2: score and reason of every cell of `window`; those within the halo are only there for the others."""
    first, second, moved = _looks(pair.shift, window, before, after)
    seen = first.valid & second.valid
    expected, sigma = _expected(pair.lines, first, second, vegetation(first, second))
    distance = blurred(_distance(expected, sigma, second, stays_green(first, second))[None], seen, 1.0)[0]
    hidden = _shadow_on_one(second.features - expected, first, second)
    changed = distance >= _SIGMAS**2
    leaning = _misplaced(first, second, seen, changed & ~hidden)
    chance = 1 - torch.exp2(-distance / _SIGMAS**2 * _HALF)
    network = _network() if fits(pair.cell) else None
    sure = torch.zeros_like(seen)
    if network is not None:
        likely = network.likely(_tensor(before.data), moved, seen, pair.cell).sum(0)
        chance = _agreed(likely, distance)
        sure = chance >= 0.5
    reason = torch.full(seen.shape, int(Reason.COMPARABLE), dtype=torch.uint8)
    reason[hidden & ~sure] = Reason.SHADOW
    reason[leaning & ~sure] = Reason.PARALLAX if pair.shift.votes else Reason.SHIFT
    reason[~seen] = Reason.NO_DATA
    if pair.gsd_ratio > _COARSEST:
        reason[seen] = Reason.GSD
    score = (255 * chance).round().clamp(0, 255).to(torch.uint8)
    score[reason != Reason.COMPARABLE] = 0
    return Compared(score.numpy(), reason.numpy())


def kind_of(before: Pixels, after: Pixels, inside: NDArray[np.bool_], size: float) -> str:
    """How what is `inside`, bool [H, W], of two registered crops changed: `appeared`, `disappeared` or `altered`.

    `size`: metres per cell; the sides of the crops are multiples of 16. Without the network, by which of the dates
    stands out from what lies around.
    """
    valid = torch.from_numpy(np.asarray(before.valid & after.valid))
    where = torch.from_numpy(inside) & valid
    network = _network() if fits(size) else None
    if network is not None and bool(where.any()):
        kinds = network.likely(_tensor(before.data), _tensor(after.data), valid, size)
        return KINDS[int(kinds[:, where].sum(1).argmax())]
    around = (F.max_pool2d(where.float()[None, None], 15, 1, 7)[0, 0] > 0) & ~where & valid
    if not bool(where.any()) or not bool(around.any()):
        return "altered"
    apart = []
    for date in (before, after):
        features = look(_tensor(date.data), valid).features
        apart.append(float((features[:, where].mean(1) - features[:, around].mean(1)).square().sum()))
    then, now = apart
    return "appeared" if now > 2 * then else "disappeared" if then > 2 * now else "altered"


@lru_cache(maxsize=1)
def _network() -> ChangeNet | None:
    """The network with the shipped weights, once per process. Refused: see `checkpoint.read`."""
    if not spec.weights_sha256:
        return None
    return ChangeNet.read(WEIGHTS, spec.weights_sha256)


def _agreed(likely: Tensor, distance: Tensor) -> Tensor:
    """float32 [H, W], 0 to 1: both opinions in one chance that the ground changed, by a logistic regression fitted on
    blocks 20000 to 20002, which neither had seen; 0.5 is where F1 is best (docs/models/change.md)."""
    likely = likely.clamp(1e-4, 1 - 1e-4)
    far = (distance / _SIGMAS**2).clamp(0, _FARTHEST)
    return torch.sigmoid(_BIAS + _NET * torch.logit(likely) + _RCVA * far)


_BIAS, _NET, _RCVA = -1.857, 1.207, 0.014
_FARTHEST = 4.0
"""Squared distance, in those of `_SIGMAS`, beyond which more says no more."""
_HALF = -float(np.log2(1 - 127.5 / 255))
"""Exponent that puts a distance of exactly `_SIGMAS` at a score of 127.5, which rounds up to the threshold."""


def _looks(field: ShiftField, window: Window, before: Pixels, after: Pixels) -> tuple[Look, Look, Tensor]:
    """Both dates on before's ground, and the second one's pixels there, float32 [3, H, W]."""
    rows = window.row + np.arange(window.height, dtype=np.float64)[:, None] + 0.5
    cols = window.col + np.arange(window.width, dtype=np.float64)[None] + 0.5
    dx, dy = field.at(*np.broadcast_arrays(cols, rows))
    moved, valid = resample(
        _tensor(after.data), torch.from_numpy(np.asarray(after.valid)), torch.from_numpy(dx), torch.from_numpy(dy)
    )
    return look(_tensor(before.data), torch.from_numpy(np.asarray(before.valid))), look(moved, valid), moved


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
            if found is None or found.confidence < shift.TRUSTED:
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


def _tensor(data: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(np.asarray(data)).float()
