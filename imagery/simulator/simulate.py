"""Two simulated orthophotos of one block with what changed between them, in memory."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from shapely.geometry import Polygon

from imagery.simulator.canvas import View
from imagery.simulator.light import Day, a_day, develop, expose
from imagery.simulator.paint import paint_date, paint_ground
from imagery.simulator.scene import lay_out
from imagery.simulator.values import Change, Kind, Scene, Thing, stream
from imagery.simulator.warp import Registration, displace, misregister

GSD = 0.03
EDGE = 0.6
"""Metres drawn beyond the visible ground, so that a displaced orthophoto has no empty border."""


@dataclass(frozen=True, slots=True)
class Truth:
    """One thing that changed, or that stayed and must not be reported. `polygon`: scene metres."""

    polygon: Polygon
    kind: Kind
    change: Change
    area: float
    """Square metres on the plane of the scene."""
    height: float
    style: str


@dataclass(frozen=True, slots=True)
class Drawn:
    """Simulated orthophotos of two dates over the same grid.

    `before`, `after`: uint8 [3, H, W], RGB; pixel (col, row) covers scene x in [col, col + 1) * gsd and y (down) in
    [row, row + 1) * gsd. `after` is drawn with its registration error: what stands at a point p is shown at
    p + registration.offset(p). Truth is in scene metres and true to `before`.
    """

    seed: int
    gsd: float
    before: NDArray[np.uint8]
    after: NDArray[np.uint8]
    objects_before: tuple[Thing, ...]
    """Heaps, material, debris and cars that are there on the first date."""
    objects_after: tuple[Thing, ...]
    truth: tuple[Truth, ...]
    registration: Registration
    days: tuple[Day, Day]

    @property
    def changes(self) -> tuple[Truth, ...]:
        """What appeared, disappeared or was altered; cars and light are no changes."""
        return tuple(one for one in self.truth if one.change != "unchanged")


def truth_of(scene: Scene) -> tuple[Truth, ...]:
    """What a perfect observer would tell of the two dates."""
    found = [
        Truth(thing.polygon, thing.kind, thing.change, thing.polygon.area, thing.height, thing.style)
        for thing in scene.things
    ]
    found += [
        Truth(building.changed, "roof", "altered", building.changed.area, building.height, "roof")
        for building in scene.buildings
        if building.changed is not None
    ]
    return tuple(found)


def draw(seed: int, gsd: float = GSD, size_m: tuple[float, float] = (120.0, 90.0)) -> Drawn:
    """Draw a block of `size_m` (width, height) metres on both dates.

    The same seed and size show the same scene at every GSD; on one machine the same arguments give the same bytes.
    Raises ValueError where a size is too small for a crossing with its parcels or the GSD is not a drone's.
    """
    width, height = size_m
    if min(size_m) < 30 or max(size_m) > 400:
        raise ValueError(f"a block of {width} x {height} m cannot be drawn: each side must be 30 to 400 m")
    if not 0.01 <= gsd <= 1:
        raise ValueError(f"a GSD of {gsd} m cannot be drawn: it must be 0.01 to 1 m")
    scene = lay_out(seed, width, height)
    cols, rows = round(width / gsd), round(height / gsd)
    pad = round(EDGE / gsd) + 8
    view = View(-pad * gsd, -pad * gsd, gsd, rows + 2 * pad, cols + 2 * pad)
    ground = paint_ground(scene, view)
    days = a_day(seed, "before"), a_day(seed, "after")
    registration = misregister(seed, width, height, gsd)

    first = expose(paint_date(ground, scene, after=False, leaves=days[0].leaves), days[0])
    before = develop(first[pad : pad + rows, pad : pad + cols], gsd, days[0], stream(seed, "sensor", "before"))
    second = expose(paint_date(ground, scene, after=True, leaves=days[1].leaves), days[1])
    moved = displace(second, view, registration, gsd)
    after = develop(moved, gsd, days[1], stream(seed, "sensor", "after"))
    seen = (*scene.things, *scene.cars)
    return Drawn(
        seed, gsd,
        np.ascontiguousarray(before.transpose(2, 0, 1)), np.ascontiguousarray(after.transpose(2, 0, 1)),
        tuple(thing for thing in seen if thing.before), tuple(thing for thing in seen if thing.after),
        truth_of(scene), registration, days,
    )  # fmt: skip
