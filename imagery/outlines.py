"""Outlines of cells that lie side by side, traced along their edges with whole numbers alone.

A ring of horizontal and vertical sides is known by where it turns. In each row of corners the turns pair up into the
horizontal sides, in each column into the vertical ones, and following the two kinds in turn walks around a ring. A row
of cells begins at a vertical side and ends at one: what lies in a ring, and which ring lies in which, follows from
these runs. So the work grows with the length of the outlines; of the cells it takes a few passes of bytes.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry import Polygon

Ints = NDArray[np.intp]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Outline:
    """Cells that touch along sides. `polygon`: cell corners (x: column, y: row), valid, without a corner on a straight
    side, as shapely's `normalize` leaves it. `total`: the sum of their weights."""

    polygon: Polygon
    cells: int
    total: int


def outlines(inside: Flags, weights: NDArray[np.uint8], corner: tuple[int, int] = (0, 0)) -> list[Outline]:
    """Of the cells that are True in `inside`, bool [H, W], with `weights`, uint8 [H, W].

    `corner`: column and row of the first cell. Cells that meet in a corner alone are apart. Two parts of one outline
    that meet in a corner are a ring and a hole that touch there, as the OGC's Simple Features want it.
    """
    rows, cols = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    if not len(rows):
        return []
    # Most ground has few such cells: no more is looked at than the box around them.
    box = slice(rows[0], rows[-1] + 1), slice(cols[0], cols[-1] + 1)
    corner = int(corner[0] + cols[0]), int(corner[1] + rows[0])
    height, width = inside[box].shape
    cells = np.zeros((height + 2, width + 2), np.int8)
    cells[1:-1, 1:-1] = inside[box]
    steps = cells[:, 1:] - cells[:, :-1]
    turns = _turns(cells, steps)
    upright = np.lexsort((~turns.up, turns.y, turns.x)).reshape(-1, 2)
    sideways = np.lexsort((~turns.left, turns.x, turns.y)).reshape(-1, 2)
    loops, ring = _follow(sideways, upright, (turns.x * (height + 1) + turns.y).tolist())

    # Each row's steps are a beginning and an end in turn, each on a vertical side.
    row, col = _where(steps[1:-1] != 0)
    tops = upright[:, 0]
    side = np.searchsorted(turns.x[tops] * height + turns.y[tops], col * height + row, side="right") - 1
    on = ring[tops][side]
    shell = _shells(col, on)
    region = shell[on[0::2]]

    count = np.bincount(region, weights=col[1::2] - col[0::2])
    total = np.bincount(region, weights=_sums(weights[box], row * width + col))
    polygons = _polygons(loops, shell, np.stack([turns.x, turns.y], axis=-1) + np.array(corner))
    return [Outline(polygon, int(count[of]), int(total[of])) for of, polygon in polygons]


@dataclass(frozen=True, slots=True, eq=False)
class _Turns:
    """Where outlines turn, each once for every ring that does: corner, and whether of its two sides the horizontal one
    lies to the left, the vertical one above."""

    x: Ints
    y: Ints
    left: Flags
    up: Flags


def _turns(cells: NDArray[np.int8], steps: NDArray[np.int8]) -> _Turns:
    y, x = _where(steps[1:] != steps[:-1])
    above, below = steps[y, x], steps[y + 1, x]
    # Two cells that meet in this corner alone have a turn each.
    double = (above != 0) & (below != 0)
    left = np.where(double, above < 0, cells[y, x] != cells[y + 1, x])
    return _Turns(
        np.concatenate([x, x[double]]),
        np.concatenate([y, y[double]]),
        np.concatenate([left, above[double] > 0]),
        np.concatenate([above != 0, np.zeros(np.count_nonzero(double), dtype=bool)]),
    )


def _where(flags: Flags) -> tuple[Ints, Ints]:
    """Rows and columns of what is True, row by row: numpy's `nonzero` is several times faster along one axis."""
    rows, cols = np.divmod(np.flatnonzero(flags), flags.shape[1])
    return rows, cols


def _follow(sideways: Ints, upright: Ints, corners: list[int]) -> tuple[list[tuple[int, list[int]]], Ints]:
    """Every ring walked around: its number and the turns of each loop of it, and the number of each turn's ring.

    A ring that comes through a corner twice is two loops.
    """
    across, along = np.empty(len(corners), np.intp), np.empty(len(corners), np.intp)
    across[sideways], along[upright] = sideways[:, ::-1], upright[:, ::-1]
    mates = across.tolist(), along.tolist()
    numbers = [-1] * len(corners)
    loops: list[tuple[int, list[int]]] = []
    for start in range(len(corners)):
        if numbers[start] >= 0:
            continue
        number = len(loops)
        loops += [(number, loop) for loop in _loops(start, number, *mates, numbers, corners)]
    return loops, np.array(numbers)


def _loops(
    start: int, number: int, across: list[int], along: list[int], numbers: list[int], corners: list[int]
) -> Iterator[list[int]]:
    """Turns of each loop of the ring through `start`; enters the ring's number for all of them."""
    loop: list[int] = []
    place: dict[int, int] = {}
    turn, sides = start, (across, along)
    while numbers[turn] < 0:
        numbers[turn] = number
        corner = corners[turn]
        if corner in place:
            first = place[corner]
            yield loop[first:]
            for past in loop[first:]:
                del place[corners[past]]
            del loop[first:]
        place[corner] = len(loop)
        loop.append(turn)
        turn, sides = sides[0][turn], (sides[1], sides[0])
    yield loop


def _shells(col: Ints, on: Ints) -> Ints:
    """For each ring the number of the one around it, its own for an outer ring. Sides are told row by row, a beginning
    and an end in turn: `col` where they lie, `on` which ring."""
    order = np.argsort(col, kind="stable")
    rings, first = np.unique(on[order], return_index=True)
    leftmost = order[first]
    shell = np.full(on.max() + 1, -1)
    # An outer ring's leftmost side begins a run. A hole's ends one, which begins further left: on a ring that is done.
    for of in np.argsort(col[leftmost], kind="stable"):
        side = leftmost[of]
        shell[rings[of]] = rings[of] if side % 2 == 0 else shell[on[side - 1]]
    return shell


def _sums(weights: NDArray[np.uint8], bounds: Ints) -> NDArray[np.int64]:
    """Over runs of the flattened cells: `bounds` has the beginning and the end of each."""
    return np.add.reduceat(np.append(weights.ravel(), np.uint8(0)), bounds, dtype=np.int64)[::2]


def _polygons(loops: list[tuple[int, list[int]]], shell: Ints, xy: NDArray[np.int64]) -> list[tuple[int, Polygon]]:
    """Loops put together: each outer ring's number and polygon."""
    sizes = [len(loop) for _, loop in loops]
    points = xy[np.concatenate([loop for _, loop in loops])]
    rings = shapely.linearrings(points, indices=np.repeat(np.arange(len(loops)), sizes))
    of = shell[[number for number, _ in loops]]
    # The widest of a region's loops is its outer one: the others lie inside it.
    west, _, east, _ = shapely.bounds(rings).T
    order = np.lexsort((west - east, of))
    numbers, region = np.unique(of[order], return_inverse=True)
    made = shapely.normalize(shapely.polygons(rings[order], indices=region))
    return list(zip(numbers.tolist(), made.tolist(), strict=True))
