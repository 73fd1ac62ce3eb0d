"""Whether `GPS(a, b, …)` is longitude before latitude or the other way round: by what the file itself gives away.

Models of one maker differ in it, and most pairs of numbers are possible places both ways. A wrong order puts a flight
on another continent, so that nothing is guessed: either one of these decides, or the file is refused.

1. *Range*: a number beyond 90 is no latitude.
2. *Distance*: the file's own distance from home (`D 221 m`) against the one between its two positions.
3. *Speed*: the file's own speed (`H.S 5.6 m/s`) against the one along the track.
4. *Evenness*: the aircraft flies as fast east-west as north-south. Degrees of longitude are shorter than those of
   latitude, so that the wrong order makes it slower one way and faster the other. Needs a flight that went both ways.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from imagery.ground import WGS84

Order = Literal["lonlat", "latlon"]
Pair = tuple[float, float]

WINDOW = 8.0
"""Seconds that a speed is taken over: positions of four decimals jump by 11 m."""
MOVING = 3.0
"""Metres per second."""
LEAST_LEGS = 15
EVEN, UNEVEN = 0.16, 0.35
"""Of the logarithm of speed east-west over speed north-south: 3 to 9 % apart in files whose range decides."""


@dataclass(frozen=True, slots=True)
class Cues:
    """What a file tells beside its pairs; None where a cue has none."""

    seconds: Sequence[float]
    pairs: Sequence[Pair]
    homes: Sequence[Pair | None]
    distances: Sequence[float | None]
    speeds: Sequence[float | None]


def decide(cues: Cues) -> tuple[Order | None, str]:
    """The order and what it was told by; None and why where nothing tells it."""
    flat = [*cues.pairs, *(home for home in cues.homes if home is not None)]
    first, second = (max(abs(pair[i]) for pair in flat) for i in (0, 1))
    if first > 90 and second > 90:
        return None, "both of its numbers go beyond 90 degrees"
    if first > 90 or second > 90:
        return ("lonlat" if first > 90 else "latlon"), "range"
    for name, tell in (("distance", _by_distance), ("speed", _by_speed), ("evenness", _by_evenness)):
        order = tell(cues)
        if order is not None:
            return order, name
    return (
        None,
        "both orders are possible places, and neither distances, speeds nor the way it flew tell which is meant",
    )


def _by_distance(cues: Cues) -> Order | None:
    known = [
        (pair, home, distance)
        for pair, home, distance in zip(cues.pairs, cues.homes, cues.distances, strict=True)
        if home is not None and distance is not None and distance > 20
    ]
    if len(known) < 3:
        return None
    told = np.array([distance for *_, distance in known])
    errors = {}
    for order in ("lonlat", "latlon"):
        a, b = _lonlat([here for here, *_ in known], order), _lonlat([home for _, home, _ in known], order)
        errors[order] = float(np.median(np.abs(_lengths(a, b) - told) / told))
    return _clear(errors, good=0.05, bad=0.12)


def _by_speed(cues: Cues) -> Order | None:
    steps = _steps(cues)
    told = [
        np.mean([s for s in cues.speeds[i : j + 1] if s is not None])
        if any(s is not None for s in cues.speeds[i : j + 1])
        else math.nan
        for i, j in steps
    ]
    speeds = np.array(told)
    moving = speeds > MOVING
    if moving.sum() < LEAST_LEGS:
        return None
    errors = {}
    for order in ("lonlat", "latlon"):
        flown = np.hypot(*_velocities(cues, steps, order).T)
        errors[order] = float(np.median(np.abs(flown - speeds)[moving] / speeds[moving]))
    return _clear(errors, good=0.12, bad=0.2)


def _by_evenness(cues: Cues) -> Order | None:
    steps = _steps(cues)
    apart: dict[str, float] = {}
    for order in ("lonlat", "latlon"):
        velocity = _velocities(cues, steps, order)
        east, north = np.abs(velocity[:, 0]), np.abs(velocity[:, 1])
        speed = np.hypot(east, north)
        across, along = speed[(east > 2 * north) & (speed > MOVING)], speed[(north > 2 * east) & (speed > MOVING)]
        if min(len(across), len(along)) < LEAST_LEGS:
            return None
        apart[order] = abs(math.log(float(np.percentile(across, 90)) / float(np.percentile(along, 90))))
    return _clear(apart, good=EVEN, bad=UNEVEN)


def _clear(errors: dict[str, float], good: float, bad: float) -> Order | None:
    """The order that fits, where the other does not."""
    if errors["lonlat"] <= good and errors["latlon"] >= bad:
        return "lonlat"
    return "latlon" if errors["latlon"] <= good and errors["lonlat"] >= bad else None


def _steps(cues: Cues) -> list[tuple[int, int]]:
    """Pairs of cues about `WINDOW` seconds apart."""
    seconds = np.asarray(cues.seconds)
    ends = np.searchsorted(seconds, seconds + WINDOW)
    stride = max(1, len(seconds) // 2000)
    steps = [(i, int(j)) for i, j in enumerate(ends.tolist()) if j < len(seconds)][::stride]
    return [(i, j) for i, j in steps if seconds[j] - seconds[i] < 2 * WINDOW]


def _velocities(cues: Cues, steps: list[tuple[int, int]], order: str) -> NDArray[np.float64]:
    """East, north [N, 2] metres per second; on a sphere, which is good enough to compare."""
    if not steps:
        return np.zeros((0, 2))
    places, seconds = _lonlat(cues.pairs, order), np.asarray(cues.seconds)
    i, j = (np.array(side) for side in zip(*steps, strict=True))
    moved, time = places[j] - places[i], seconds[j] - seconds[i]
    east = moved[:, 0] * np.cos(np.radians(places[i, 1])) * 111_320
    return np.stack([east / time, moved[:, 1] * 110_574 / time], axis=-1)


def _lonlat(pairs: Sequence[Pair], order: str) -> NDArray[np.float64]:
    found = np.array(pairs, dtype=np.float64)
    return found if order == "lonlat" else found[:, ::-1]


def _lengths(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(WGS84.inv(a[:, 0], a[:, 1], b[:, 0], b[:, 1])[2])
