"""Photos tied together by points that they share: one similarity (turn, scale, shift) for each, all solved at once by
least squares over matched points and positions.

Linear, so that photos without any pose but a position can join in: their pixels are the base instead.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from imagery.errors import Refused
from imagery.values import Capture

Points = NDArray[np.float64]
"""[N, 2]."""

MATCH_SIGMA = 0.3
"""Metres, or pixels of a photo without a pose."""
TURN_SIGMA, SCALE_SIGMA = 0.06, 0.06
"""Radians and part: of a pose's yaw and height."""
HELD_OUT = 4
"""Every so many matches is kept out of the fit, to measure it."""
ROUNDS = 4
GAUGE, HELD = 1e4, 1e4
"""Weights of what is given: the first photo's place while nothing else has one, and the mean of the poses."""
RIDGE = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class Photo:
    """One photo of the block."""

    capture: Capture
    grey: NDArray[np.uint8]
    size: tuple[int, int]
    """Width and height of the picture it is drawn from."""
    corners: Points
    """[4, 2]: its corners in its own base: metres from its position where it has a pose, else pixels off its middle."""
    posed: bool
    turned: bool
    """Whether its pose may be wrong by a turn."""
    place: Points
    """Easting, northing."""


@dataclass(frozen=True, slots=True, eq=False)
class Match:
    """Points that two photos, the `i`th and the `j`th, share."""

    i: int
    j: int
    a: Points
    b: Points
    """[N, 2]: the same points in the bases of both."""


def connected(photos: list[Photo], matches: list[Match]) -> tuple[int, ...]:
    """Photos that can be placed: all with a pose, and those that are tied together with most others or with a posed
    one."""
    root = list(range(len(photos)))

    def find(i: int) -> int:
        while root[i] != i:
            root[i] = root[root[i]]
            i = root[i]
        return i

    for match in matches:
        root[find(match.i)] = find(match.j)
    groups: dict[int, list[int]] = {}
    for i in range(len(photos)):
        groups.setdefault(find(i), []).append(i)
    largest = max(groups.values(), key=len)
    fixed = {i for i, photo in enumerate(photos) if photo.posed and not photo.turned}
    wanted = [group for group in groups.values() if (group is largest and len(group) > 1) or fixed & set(group)]
    return tuple(sorted(i for group in wanted for i in group))


def to_metres(photos: list[Photo], matches: list[Match], used: tuple[int, ...]) -> tuple[list[Photo], list[Match]]:
    """Photos and matches with metres for bases, where no pose told any: photos are put together in the pixels of the
    first, and that picture is turned and scaled onto their positions (Umeyama, PAMI 1991). Positions held against
    matches directly would shrink it all to a point, which satisfies every match.

    Raises `Refused` (not-matching) where the positions lie too close together to tell the scale.
    """
    column = {i: 4 * n for n, i in enumerate(used)}
    # In units of half a picture, turns, scales and shifts weigh alike; the first photo holds the gauge.
    half = float(np.ptp(photos[used[0]].corners[:, 0])) / 2
    rows: list[tuple[list[int], list[float], float]] = [([n], [GAUGE], GAUGE if n == 0 else 0.0) for n in range(4)]
    for match in matches:
        if match.i not in column or match.j not in column:
            continue
        i, j = column[match.i], column[match.j]
        for (ax, ay), (bx, by) in zip(match.a / half, match.b / half, strict=True):
            rows.append(([i, i + 1, i + 2, j, j + 1, j + 2], [ax, -ay, 1, -bx, by, -1], 0.0))
            rows.append(([i, i + 1, i + 3, j, j + 1, j + 3], [ay, ax, 1, -by, -bx, -1], 0.0))
    relative = _least_squares(rows, 4 * len(used))
    centres = np.array([relative[column[i] + 2 : column[i] + 4] for i in used])
    places = np.array([photos[i].place for i in used])
    if len(used) < 3 or float(places.std(axis=0).max()) < 5:
        raise Refused(
            "not-matching",
            "The photos tell no pose, and their positions lie too close together to tell how large the ground is.",
            "Send photos that tell their attitude and height.",
        )
    z, g = (_complex(points - points.mean(axis=0)) for points in (centres, places))
    turn = (g * z.conj()).sum() / (z * z.conj()).sum().real / half
    made = list(photos)
    scales = {}
    for i in used:
        own = complex(relative[column[i]], relative[column[i] + 1]) * turn
        scales[i] = own
        turned = _complex(photos[i].corners) * own
        made[i] = replace(photos[i], corners=np.stack([turned.real, turned.imag], axis=-1), posed=True, turned=False)

    def scaled(i: int, points: Points) -> Points:
        moved = _complex(points) * scales[i]
        return np.stack([moved.real, moved.imag], axis=-1)

    kept = [match for match in matches if match.i in scales and match.j in scales]
    return made, [Match(m.i, m.j, scaled(m.i, m.a), scaled(m.j, m.b)) for m in kept]


def _complex(points: Points) -> NDArray[np.complex128]:
    return points[:, 0] + 1j * points[:, 1]


def solve(photos: list[Photo], matches: list[Match], used: tuple[int, ...]) -> tuple[dict[int, Points], float]:
    """[4] each: a, b, tx, ty of every photo's similarity from its base to easting, northing less their mean place; and
    the residual."""
    column = {i: 4 * n for n, i in enumerate(used)}
    ours = [match for match in matches if match.i in column and match.j in column]
    weights = [np.ones(len(match.a)) for match in ours]
    middle = np.mean([photos[i].place for i in used], axis=0)
    solution = np.zeros(4 * len(used))
    for _ in range(ROUNDS):
        rows: list[tuple[list[int], list[float], float]] = []
        for match, weight in zip(ours, weights, strict=True):
            i, j = column[match.i], column[match.j]
            for n in range(len(match.a)):
                if n % HELD_OUT == 0:
                    continue
                (ax, ay), (bx, by), s = match.a[n], match.b[n], float(weight[n]) / MATCH_SIGMA
                rows.append(([i, i + 1, i + 2, j, j + 1, j + 2], [s * ax, -s * ay, s, -s * bx, s * by, -s], 0.0))
                rows.append(([i, i + 1, i + 3, j, j + 1, j + 3], [s * ay, s * ax, s, -s * by, -s * bx, -s], 0.0))
        for i in used:
            at, photo = column[i], photos[i]
            position = photo.capture.position
            s = 1 / max(position.error_m if position is not None else 5.0, 0.05)
            place = photo.place - middle
            rows += [([at + 2], [s], s * float(place[0])), ([at + 3], [s], s * float(place[1]))]
            if photo.posed and not photo.turned:
                rows += [([at], [1 / SCALE_SIGMA], 1 / SCALE_SIGMA), ([at + 1], [1 / TURN_SIGMA], 0.0)]
        fixed = [column[i] for i in used if photos[i].posed and not photos[i].turned]
        # All matches are satisfied best by a mosaic of no size: the poses' mean scale and turn are held.
        rows.append((fixed, [HELD] * len(fixed), HELD * len(fixed)))
        rows.append(([at + 1 for at in fixed], [HELD] * len(fixed), 0.0))
        solution = _least_squares(rows, 4 * len(used))
        offs = [_apart(match, solution, column) for match in ours]
        usual = max(float(np.median(np.concatenate(offs))) if offs else 0.0, 1e-3)
        weights = [np.sqrt(np.minimum(1.0, 3 * usual / np.maximum(off, 1e-9))) for off in offs]
    held = [off[::HELD_OUT] for off in (_apart(match, solution, column) for match in ours)]
    residual = float(np.median(np.concatenate(held))) if held else math.nan
    fitted = {i: solution[column[i] : column[i] + 4] + np.array([0.0, 0.0, *middle]) for i in used}
    return fitted, residual


def _least_squares(rows: list[tuple[list[int], list[float], float]], unknowns: int) -> Points:
    """Normal equations, summed row by row: thousands of rows, a few hundred unknowns."""
    normal, right = np.zeros((unknowns, unknowns)), np.zeros(unknowns)
    for columns, values, told in rows:
        v = np.array(values)
        normal[np.ix_(columns, columns)] += np.outer(v, v)
        right[columns] += v * told
    return np.asarray(np.linalg.solve(normal + RIDGE * np.trace(normal) / unknowns * np.eye(unknowns), right))


def _apart(match: Match, solution: Points, column: dict[int, int]) -> Points:
    """Metres between the two places of each matched point."""
    first = similar(solution[column[match.i] : column[match.i] + 4], match.a)
    second = similar(solution[column[match.j] : column[match.j] + 4], match.b)
    return np.asarray(np.hypot(*(first - second).T))


def similar(by: Points, points: Points) -> Points:
    a, b, tx, ty = by
    x, y = points[:, 0], points[:, 1]
    return np.stack([a * x - b * y + tx, b * x + a * y + ty], axis=-1)
