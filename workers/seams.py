"""Regions of many cores joined as the cores come in, so that only those that still wait for a neighbour are held.

A region that touches its core's border waits for the core on the other side. Once every border that a group of regions
touches has been looked at from both sides, the group is joined and handed on. In row order, that is about one row of
cores that waits, whatever the size of the raster.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import shapely

from imagery.polygons import Region, merge
from imagery.tiles import TilePlan, Window

Place = tuple[int, int]
"""Row and column of a core in the plan."""

_SIDES = ((-1, 0), (1, 0), (0, -1), (0, 1))
"""North, south, west, east."""


@dataclass(slots=True, eq=False)
class _Group:
    """Regions known to belong together. `into`: the group that took this one over."""

    members: list[Region]
    waits: int = 0
    """Borders touched whose other side is not known yet."""
    into: "_Group | None" = field(default=None, repr=False)

    def root(self) -> "_Group":
        group = self
        while group.into is not None:
            if group.into.into is not None:
                group.into = group.into.into
            group = group.into
        return group


@dataclass(frozen=True, slots=True)
class _Contact:
    """A stretch of a core's border, along the border from `low` to `high`, and the group that touches it."""

    low: float
    high: float
    value: int
    group: _Group


class Seams:
    """Takes the regions of every core of a plan over an extent once, in any order; gives whole regions to `keep`."""

    def __init__(self, plan: TilePlan, extent: Window, keep: Callable[[Region], None]) -> None:
        self._core = plan.core
        self._rows = range(extent.row // plan.core, (extent.row + extent.height - 1) // plan.core + 1)
        self._cols = range(extent.col // plan.core, (extent.col + extent.width - 1) // plan.core + 1)
        self._keep = keep
        self._done: set[Place] = set()
        self._contacts: dict[tuple[Place, Place], list[_Contact]] = defaultdict(list)
        """By core and neighbour: what waits for that neighbour."""

    @property
    def waiting(self) -> int:
        """Regions that are held."""
        groups = {id(c.group.root()): c.group.root() for some in self._contacts.values() for c in some}
        return sum(len(group.members) for group in groups.values())

    def add(self, core: Window, regions: Sequence[Region] = ()) -> None:
        """The regions of one core; none for one that could not be looked at."""
        here = (core.row // self._core, core.col // self._core)
        self._done.add(here)
        touched: list[_Group] = []
        for region, borders in zip(regions, _at_border(regions, core), strict=True):
            contacts = list(_contacts(region, core)) if borders else ()
            if not contacts:
                self._keep(region)
                continue
            group = _Group([region])
            touched.append(group)
            for step, low, high in contacts:
                neighbour = (here[0] + step[0], here[1] + step[1])
                if neighbour[0] in self._rows and neighbour[1] in self._cols:
                    group.waits += 1
                    self._contacts[here, neighbour].append(_Contact(low, high, region.value, group))
        for step in _SIDES:
            neighbour = (here[0] + step[0], here[1] + step[1])
            if neighbour in self._done:
                touched += _meet(self._contacts.pop((here, neighbour), []), self._contacts.pop((neighbour, here), []))
        for group in {id(group.root()): group.root() for group in touched}.values():
            if group.waits == 0:
                for region in merge(group.members):
                    self._keep(region)


def _meet(ours: list[_Contact], theirs: list[_Contact]) -> list[_Group]:
    """Join what lies side by side across a border, and let nobody wait for it any more."""
    groups = []
    for contact in (*ours, *theirs):
        contact.group.root().waits -= 1
        groups.append(contact.group)
    ours, theirs = (sorted(some, key=lambda contact: contact.low) for some in (ours, theirs))
    start = 0
    for one in ours:
        while start < len(theirs) and theirs[start].high <= one.low:
            start += 1
        for other in theirs[start:]:
            if other.low >= one.high:
                break
            if other.value == one.value:
                _join(one.group.root(), other.group.root())
    return groups


def _join(one: _Group, other: _Group) -> None:
    if one is other:
        return
    if len(one.members) < len(other.members):
        one, other = other, one
    one.members += other.members
    one.waits += other.waits
    other.members, other.into = [], one


def _at_border(regions: Sequence[Region], core: Window) -> list[bool]:
    """Of each region, whether it reaches its core's border; together, since asking one by one takes long."""
    west, north, east, south = shapely.bounds([region.polygon for region in regions]).reshape(-1, 4).T
    left, top, right, bottom = core.col, core.row, core.col + core.width, core.row + core.height
    inside = (left < west) & (top < north) & (east < right) & (south < bottom)
    return [not clear for clear in inside.tolist()]


def _contacts(region: Region, core: Window) -> Iterator[tuple[Place, float, float]]:
    """Side and stretch of every edge of the region that lies on the core's border; corners alone are none."""
    left, top, right, bottom = core.col, core.row, core.col + core.width, core.row + core.height
    # A hole that reached the border would be open to it: the outer ring holds all that lies there.
    xy = shapely.get_coordinates(region.polygon.exterior)
    first, second = xy[:-1], xy[1:]
    for (step, axis), line in zip(zip(_SIDES, (1, 1, 0, 0), strict=True), (top, bottom, left, right), strict=True):
        along = 1 - axis
        for index in np.flatnonzero((first[:, axis] == line) & (second[:, axis] == line)):
            low, high = sorted((float(first[index, along]), float(second[index, along])))
            yield step, low, high
