"""How well found outlines agree with true ones. Pure functions over shapely polygons in metres."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from shapely import Polygon
from shapely.geometry.base import BaseGeometry

IOU = 0.3


@dataclass(frozen=True, slots=True)
class Found:
    """One outline that a detector gave. `score`: 0..1, the higher the surer."""

    polygon: Polygon
    score: float


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts of objects; add the tallies of several pictures before asking for a ratio."""

    hits: int = 0
    """True objects that were matched, each by one found outline."""
    missed: int = 0
    false: int = 0
    """Found outlines that matched nothing."""
    hectares: float = 0.0

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(
            self.hits + other.hits, self.missed + other.missed, self.false + other.false, self.hectares + other.hectares
        )

    @property
    def precision(self) -> float:
        """Hits among what was found; NaN where nothing was."""
        return _ratio(self.hits, self.hits + self.false)

    @property
    def recall(self) -> float:
        """Hits among what is there; NaN where nothing is."""
        return _ratio(self.hits, self.hits + self.missed)

    @property
    def f1(self) -> float:
        """Harmonic mean of both; NaN where nothing is there and nothing was found."""
        return _ratio(2 * self.hits, 2 * self.hits + self.missed + self.false)

    @property
    def false_per_hectare(self) -> float:
        return _ratio(self.false, self.hectares)


@dataclass(frozen=True, slots=True)
class Matched:
    """Which is which, by their indices. An outline that counts as nothing is in none of them."""

    pairs: tuple[tuple[int, int], ...]
    """Found outline, true object."""
    missed: tuple[int, ...]
    false: tuple[int, ...]


def match(
    found: Sequence[Found],
    truth: Sequence[Polygon],
    *,
    iou: float = IOU,
    ignore: Sequence[BaseGeometry] = (),
    area_m2: float = 0.0,
) -> Tally:
    """How many of each `matched` gives. `area_m2`: ground looked at."""
    each = matched(found, truth, iou=iou, ignore=ignore)
    return Tally(len(each.pairs), len(each.missed), len(each.false), area_m2 / 10_000)


def matched(
    found: Sequence[Found], truth: Sequence[Polygon], *, iou: float = IOU, ignore: Sequence[BaseGeometry] = ()
) -> Matched:
    """Greedy matching: the surest outline takes the true object it overlaps most, if their IoU is at least `iou`.

    An unmatched outline of which half or more lies in `ignore` counts as nothing.
    """
    order = sorted(range(len(found)), key=lambda i: (-found[i].score, found[i].polygon.wkb))
    tree = shapely.STRtree(truth)
    free = np.ones(len(truth), dtype=bool)
    unsure = shapely.union_all(list(ignore))
    pairs: list[tuple[int, int]] = []
    false: list[int] = []
    for i in order:
        outline = found[i].polygon
        best, best_iou = -1, 0.0
        for j in sorted(int(k) for k in tree.query(outline, predicate="intersects")):
            share = intersection_over_union(outline, truth[j])
            if free[j] and share > best_iou:
                best, best_iou = j, share
        if best >= 0 and best_iou >= iou:
            free[best] = False
            pairs.append((i, best))
        elif outline.intersection(unsure).area < 0.5 * outline.area:
            false.append(i)
    return Matched(tuple(pairs), tuple(np.flatnonzero(free).tolist()), tuple(false))


def touched(found: Sequence[Found], truth: Sequence[Polygon], share: float = 0.2) -> int:
    """How many true objects have at least `share` of their area covered by what was found, of whatever class."""
    cover = shapely.union_all([one.polygon for one in found])
    return sum(bool(polygon.intersection(cover).area >= share * polygon.area) for polygon in truth)


def intersection_over_union(one: Polygon, other: Polygon) -> float:
    common = float(one.intersection(other).area)
    return common / (one.area + other.area - common) if common > 0 else 0.0


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")
