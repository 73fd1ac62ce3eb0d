"""What is learned from and what is held out: whole places, or, of one picture, the other side of a line.

Pictures of one place show the same things, so a place is never on both sides. Pure.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from shapely import Polygon, box

from detectors.labels import IGNORE, Labelled, Shape

LEARNED = (0.5, 0.85)
"""Share of one picture's outlines that stay to learn from, at least and at most; the middle of both is best liked."""


@dataclass(frozen=True, slots=True)
class Split:
    """`how`, for people; where nothing could be held out `held` is empty."""

    learn: tuple[Labelled, ...]
    held: tuple[Labelled, ...]
    how: str


def split(pictures: Sequence[Labelled], seed: int = 1, share: float = 0.25) -> Split:
    """Hold out at least `share` of the outlines, if each class keeps some to learn from.

    The order of `pictures` does not matter.
    """
    ordered = sorted(pictures, key=lambda one: (one.place, one.sha256))
    places = sorted({one.place for one in ordered})
    if len(places) > 1:
        return _by_place(ordered, places, seed, share)
    if len(ordered) == 1:
        return _by_line(ordered[0])
    return Split(tuple(ordered), (), f"nothing held out: {len(ordered)} pictures of one place")


def _by_place(pictures: Sequence[Labelled], places: Sequence[str], seed: int, share: float) -> Split:
    counts = {place: kinds([one for one in pictures if one.place == place]) for place in places}
    total = sum(counts.values(), Counter[str]())
    held: list[str] = []
    for index in np.random.default_rng(seed).permutation(len(places)).tolist():
        away = sum((counts[place] for place in [*held, places[index]]), Counter[str]())
        if any(away[kind] >= total[kind] for kind in total):
            continue
        held.append(places[index])
        if sum(away.values()) >= share * sum(total.values()):
            break
    if not sum((counts[place] for place in held), Counter[str]()):
        return Split(tuple(pictures), (), "nothing held out: no place can be spared")
    learn = tuple(one for one in pictures if one.place not in held)
    return Split(learn, tuple(one for one in pictures if one.place in held), f"held out: {', '.join(sorted(held))}")


def _by_line(picture: Labelled) -> Split:
    across = picture.width >= picture.height
    middles = [one.polygon.centroid for one in picture.shapes if one.kind != IGNORE]
    along = sorted(middle.x if across else middle.y for middle in middles)
    total, best, most = kinds([picture]), None, (0.0, 0.0)
    for index in range(1, len(along)):
        share = index / len(along)
        if not LEARNED[0] <= share <= LEARNED[1]:
            continue
        at = (along[index - 1] + along[index]) / 2
        near, far = _halves(picture, at, across)
        learn, held = _side(picture, near, far), _side(picture, far, near)
        # Where the line cuts the fewest outlines; of equals, where the shares are best.
        good = float(sum(kinds([learn, held]).values())), -abs(share - sum(LEARNED) / 2)
        if kinds([held]) and all(kinds([learn])[kind] for kind in total) and (best is None or good > most):
            edge = "right of x" if across else "below y"
            best, most = Split((learn,), (held,), f"held out: {picture.path.name} {edge} = {at:.0f}"), good
    if best is not None:
        return best
    return Split((picture,), (), "nothing held out: no line across the picture leaves outlines on both sides")


def _halves(picture: Labelled, at: float, across: bool) -> tuple[Polygon, Polygon]:
    width, height = picture.width, picture.height
    if across:
        return box(0, 0, at, height), box(at, 0, width, height)
    return box(0, 0, width, at), box(0, at, width, height)


def _side(picture: Labelled, own: Polygon, other: Polygon) -> Labelled:
    """The picture with nothing told of the other side; what lies across the line counts on neither."""
    shapes = []
    for one in picture.shapes:
        if not one.polygon.intersects(other):
            shapes.append(one)
        elif one.polygon.intersects(own):
            shapes.append(Shape(IGNORE, one.polygon))
    return replace(picture, shapes=(*shapes, Shape(IGNORE, other)))


def kinds(pictures: Sequence[Labelled]) -> Counter[str]:
    """How many outlines of each class, those that nothing is claimed about aside."""
    return Counter(one.kind for picture in pictures for one in picture.shapes if one.kind != IGNORE)
