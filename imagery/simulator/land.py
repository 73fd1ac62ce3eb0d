"""The block while it is laid out: what stands there and what is taken already."""

from dataclasses import dataclass, field

import numpy as np
import shapely
from shapely.geometry import Point, Polygon, box

from imagery.simulator.values import Building, Colour, Part, Rect, Thing, Track, Tree, Zone

MARGIN = 24.0
"""Metres of ground around what is visible that are laid out too: photos look beyond the orthophoto's border."""
INSET = 2.5
"""Nothing that counts stands nearer to the border of the visible ground."""


@dataclass
class Land:
    """The block while it is laid out: one parcel per corner of the crossing, and what is taken already."""

    seed: int
    width: float
    height: float
    frame: Rect
    zones: list[Zone] = field(default_factory=list)
    tracks: list[Track] = field(default_factory=list)
    markings: list[Part] = field(default_factory=list)
    buildings: list[Building] = field(default_factory=list)
    trees: list[Tree] = field(default_factory=list)
    cars: list[Thing] = field(default_factory=list)
    things: list[Thing] = field(default_factory=list)
    taken: list[Polygon] = field(default_factory=list)
    spots: dict[str, Rect] = field(default_factory=dict)
    """Where things may be dumped, by name of the place."""

    def free(self, shape: Polygon, gap: float) -> bool:
        return not self.taken or not bool(shapely.dwithin(np.array(self.taken), shape, gap).any())

    def shown(self, shape: Polygon, inset: float = INSET) -> bool:
        return bool(box(inset, inset, self.width - inset, self.height - inset).contains(shape))


def plant(land: Land, rng: np.random.Generator, x: float, y: float, radius: float) -> None:
    crown = Point(x, y).buffer(radius * 1.05)
    if not land.free(crown, 0.1):
        return
    green: Colour = ((62, 86, 44), (80, 100, 52), (52, 76, 46), (98, 108, 58))[rng.integers(4)]
    height = float(radius * rng.uniform(1.4, 2.2) + 0.4)
    tree = Tree(x, y, radius, height, green, float(rng.uniform(0.75, 1)), bool(rng.random() < 0.5), len(land.trees))
    land.trees.append(tree)
    land.taken.append(crown)
