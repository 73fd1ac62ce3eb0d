"""The four parcels between the roads: a building site, vacant land, houses, a park."""

import numpy as np
from shapely.geometry import box

from imagery.simulator.buildings import make_building
from imagery.simulator.land import MARGIN, Land, plant
from imagery.simulator.values import Building, Colour, Part, Rect, Track, Zone, stream


def parcels(land: Land, corners: dict[tuple[int, int], Rect]) -> None:
    """The two largest visible parcels are the site and vacant land; the others are built up and green."""
    rng = stream(land.seed, "parcels")
    visible = box(0, 0, land.width, land.height)
    order = sorted(corners, key=lambda corner: -visible.intersection(corners[corner].polygon).area)
    uses = ["site", "houses", "vacant", "houses" if rng.random() < 0.5 else "park"]
    if rng.random() < 0.5:
        uses[:3] = ["houses", "vacant", "site"] if rng.random() < 0.5 else ["vacant", "site", "houses"]
    for corner, use in zip(order, uses, strict=True):
        plot = corners[corner]
        # The corner next to the crossing, which is what is seen of the parcel.
        length, width = land.width * 0.62 + MARGIN, land.height * 0.62 + MARGIN
        seen = plot.part(-corner[0] * (plot.length - length) / 2, -corner[1] * (plot.width - width) / 2, length, width)
        {"site": _site, "houses": _houses, "vacant": _vacant, "park": _park}[use](land, plot, seen, corner)


def _site(land: Land, plot: Rect, seen: Rect, corner: tuple[int, int]) -> None:
    """Stripped soil with a pit, wheel tracks, a gravel road, containers and a hoarding."""
    rng = stream(land.seed, "site", *map(str, corner))
    land.zones.append(Zone(plot, "stripped"))
    for _ in range(4):
        patch = seen.part(
            rng.uniform(-0.45, 0.45) * seen.length, rng.uniform(-0.45, 0.45) * seen.width,
            rng.uniform(6, 18), rng.uniform(4, 12), float(rng.uniform(0, 3)),
        )  # fmt: skip
        land.zones.append(Zone(patch, ("soil", "weeds", "gravel", "soil")[rng.integers(4)], 2.5))
    road = seen.part(
        -corner[0] * seen.length * 0.1, -corner[1] * seen.width * 0.3, seen.length * 0.7, 4.5, rng.normal(0, 0.05)
    )
    land.zones.append(Zone(road, "gravel", 0.7))
    pit = seen.part(
        rng.uniform(-0.2, 0.05) * seen.length * corner[0], rng.uniform(-0.12, 0.12) * seen.width,
        rng.uniform(9, 17), rng.uniform(6, 11), float(rng.normal(0, 0.06)),
    )  # fmt: skip
    land.zones.append(Zone(pit, "soil", 0.3, -rng.uniform(1.2, 2.6), rng.uniform(0.8, 2.2)))
    land.taken.append(pit.polygon)
    if rng.random() < 0.7:  # a slab with starter bars beside or in the pit
        slab = seen.part(
            rng.uniform(-0.35, 0.1) * seen.length * corner[0], 0.3 * seen.width, rng.uniform(8, 14), rng.uniform(6, 9)
        )
        body = Part(slab, "box", (170, 168, 160), 0.4, pattern="stains")
        bars = [
            Part(slab.part(u * slab.length / 6, v * slab.width / 5, 0.5, 0.5), "box", (128, 92, 70), 1.2, 0.4)
            for u in (-2.5, -0.8, 0.8, 2.5)
            for v in (-2.0, 0.0, 2.0)
        ]
        land.buildings.append(Building(slab, 0.4, (body, *bars), (body, *bars)))
        land.taken.append(slab.polygon)
    if rng.random() < 0.6:  # green net against dust, over loose soil
        cover = seen.part(
            rng.uniform(-0.3, 0.3) * seen.length, rng.uniform(-0.3, 0.3) * seen.width,
            rng.uniform(6, 14), rng.uniform(4, 8), float(rng.normal(0, 0.2)),
        )  # fmt: skip
        land.zones.append(Zone(cover, "net", 0.4))
    for _ in range(9):
        x, y = seen.at(rng.uniform(-0.6, 0.6) * seen.length, rng.uniform(-0.6, 0.6) * seen.width)
        radius, gauge = rng.uniform(14, 60), rng.uniform(1.6, 2.3)
        land.tracks.append(Track(x, y, float(radius), float(gauge), float(rng.uniform(0.3, 0.9)), plot))
    colours: tuple[Colour, ...] = ((210, 212, 210), (54, 96, 152), (196, 200, 202), (150, 62, 44))
    edge = -corner[1] * (seen.width / 2 - 2.5)
    for number in range(int(rng.integers(2, 6))):
        hut = seen.part(-corner[0] * (seen.length / 2 - 7 - number * 6.6), edge, 6.06, 2.44)
        body = Part(hut, "box", colours[rng.integers(4)], 2.6, pattern="corrugated", period=0.28)
        land.buildings.append(Building(hut, 2.6, (body,), (body,)))
        land.taken.append(hut.polygon)
    fence: Colour = (70, 112, 150) if rng.random() < 0.6 else (96, 128, 92)
    for plan in (
        plot.part(0, -corner[1] * (plot.width / 2 - 0.2), plot.length, 0.12),
        plot.part(-corner[0] * (plot.length / 2 - 0.2), 0, 0.12, plot.width),
    ):
        body = Part(plan, "box", fence, 2.0)
        land.buildings.append(Building(plan, 2.0, (body,), (body,)))
        land.taken.append(plan.polygon)
    _grow(land, rng, seen, 3, 0.25)
    land.spots["site"] = seen


def _vacant(land: Land, plot: Rect, seen: Rect, corner: tuple[int, int]) -> None:
    """Bare soil and weeds with a trodden path."""
    rng = stream(land.seed, "vacant", *map(str, corner))
    land.zones.append(Zone(plot, "weeds"))
    for _ in range(7):
        patch = seen.part(
            rng.uniform(-0.45, 0.45) * seen.length, rng.uniform(-0.45, 0.45) * seen.width,
            rng.uniform(5, 20), rng.uniform(4, 14), float(rng.uniform(0, 3)),
        )  # fmt: skip
        land.zones.append(Zone(patch, ("soil", "soil", "grass", "stripped")[rng.integers(4)], 3.0))
    land.zones.append(
        Zone(seen.part(0, rng.uniform(-0.2, 0.2) * seen.width, plot.length, 1.1, rng.normal(0, 0.25)), "soil", 0.5)
    )
    for _ in range(2):
        x, y = seen.at(rng.uniform(-0.6, 0.6) * seen.length, rng.uniform(-0.6, 0.6) * seen.width)
        land.tracks.append(Track(x, y, float(rng.uniform(18, 70)), 1.7, float(rng.uniform(0.2, 0.6)), plot))
    _grow(land, rng, seen, int(rng.integers(5, 11)), 0.4)
    land.spots["vacant"] = seen


def _houses(land: Land, plot: Rect, seen: Rect, corner: tuple[int, int]) -> None:
    """Rows of buildings in a paved yard with grass and a car park."""
    rng = stream(land.seed, "houses", *map(str, corner))
    land.zones.append(Zone(plot, "yard"))
    inner = plot.polygon.buffer(-1.0)
    v = -seen.width / 2 + rng.uniform(2, 4)
    while v < seen.width / 2 - 5:
        depth = rng.uniform(8, 12.5)
        u = -seen.length / 2 + rng.uniform(2, 4)
        while u < seen.length / 2 - 6:
            front = rng.uniform(9, 21)
            if rng.random() < 0.84:
                plan = seen.part(
                    u + front / 2, v + depth / 2, front, depth * rng.uniform(0.85, 1), float(rng.normal(0, 0.012))
                )
                if inner.contains(plan.polygon):
                    land.buildings.append(make_building(rng, plan))
                    land.taken.append(plan.polygon)
            else:
                garden = seen.part(u + front / 2, v + depth / 2, front, depth)
                land.zones.append(Zone(garden, "lawn", 0.6, within=plot))
            u += front + rng.uniform(1.5, 4.5)
        lane = rng.uniform(4.5, 8.5)
        green = rng.random() < 0.7
        if v + depth + lane < seen.width / 2:
            if green:
                hedge = seen.part(0, v + depth + lane - 1.2, seen.length, 1.6)
                land.zones.append(Zone(hedge, "lawn", 0.35, within=plot))
            land.spots.setdefault("yard", seen.part(0, v + depth + lane / 2, seen.length, lane))
            land.spots[f"lane {corner} {len(land.spots)}"] = seen.part(0, v + depth + 1.4, seen.length - 3, 2.2)
        v += depth + lane
    _grow(land, rng, seen, int(rng.integers(8, 15)), 0.6)


def _park(land: Land, plot: Rect, seen: Rect, corner: tuple[int, int]) -> None:
    """Grass, paths and trees."""
    rng = stream(land.seed, "park", *map(str, corner))
    land.zones.append(Zone(plot, "lawn"))
    for _ in range(3):
        patch = seen.part(
            rng.uniform(-0.4, 0.4) * seen.length, rng.uniform(-0.4, 0.4) * seen.width,
            rng.uniform(3, 10), rng.uniform(3, 8), float(rng.uniform(0, 3)),
        )  # fmt: skip
        land.zones.append(Zone(patch, ("soil", "grass")[rng.integers(2)], 2.0))
    for turn in (0.35, -0.5):
        path = seen.part(rng.normal(0, 4), rng.normal(0, 4), 2.5 * plot.length, 1.9, turn)
        land.zones.append(Zone(path, "pavers", 0.05, within=plot))
    _grow(land, rng, seen, int(rng.integers(22, 34)), 0.8)
    land.spots["park"] = seen


def _grow(land: Land, rng: np.random.Generator, seen: Rect, count: int, tall: float) -> None:
    """Trees and bushes where there is room."""
    for _ in range(count):
        x, y = seen.at(rng.uniform(-0.48, 0.48) * seen.length, rng.uniform(-0.48, 0.48) * seen.width)
        plant(land, rng, x, y, float(rng.uniform(0.7, 1.6) + (rng.uniform(0.5, 2.6) if rng.random() < tall else 0)))
