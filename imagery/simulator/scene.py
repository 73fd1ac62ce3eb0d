"""What stands where on the block, on both dates: pure values from a seed."""

import math
from dataclasses import dataclass, field, replace

import numpy as np
import shapely
from shapely.geometry import Point, Polygon, box

from imagery.simulator.buildings import change_roof, make_building
from imagery.simulator.things import (
    DEBRIS,
    MATERIALS,
    SPOILS,
    make_car,
    make_debris,
    make_heap,
    make_lorry,
    make_material,
    put,
)
from imagery.simulator.values import Building, Colour, Ground, Part, Rect, Scene, Thing, Track, Tree, Zone, stream

MARGIN = 24.0
"""Metres of ground around what is visible that are laid out too: photos look beyond the orthophoto's border."""
INSET = 2.5
"""Nothing that counts stands nearer to the border of the visible ground."""
BLOCK = 120.0 * 90.0
"""Square metres that the counts below are meant for."""

SOILS: tuple[Colour, ...] = ((150, 130, 106), (158, 132, 102), (140, 124, 106), (168, 146, 120), (152, 118, 94))


@dataclass
class _Land:
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


def lay_out(seed: int, width: float = 120.0, height: float = 90.0) -> Scene:
    """The scene of a seed. The same seed and size give the same scene; nothing else is random."""
    rng = stream(seed, "frame")
    frame = Rect(
        width / 2 + rng.uniform(-0.14, 0.14) * width, height / 2 + rng.uniform(-0.14, 0.14) * height,
        width + 4 * MARGIN, height + 4 * MARGIN, float(rng.uniform(-0.3, 0.3)),
    )  # fmt: skip
    land = _Land(seed, width, height, frame)
    soil = SOILS[rng.integers(len(SOILS))]
    _roads(land)
    _trees_along_roads(land)
    _things(land)
    _cars(land)
    return Scene(
        seed, width, height, MARGIN, tuple(land.zones), tuple(land.tracks), tuple(land.markings),
        tuple(land.buildings), tuple(land.trees), tuple(land.cars), tuple(land.things), soil,
    )  # fmt: skip


def _roads(land: _Land) -> None:
    """Two roads that cross, with pavements, and the four parcels between them."""
    rng, frame = stream(land.seed, "roads"), land.frame
    main, side = rng.uniform(9.5, 14), rng.uniform(6.5, 9.5)
    paths = rng.uniform(2.4, 3.8), rng.uniform(1.8, 3.0)
    surface: Ground = "asphalt" if rng.random() < 0.7 else "concrete"
    long, wide = frame.length, frame.width
    half_v, half_u = main / 2 + paths[0], side / 2 + paths[1]
    corners = {
        (sign_u, sign_v): frame.part(sign_u * (half_u + long / 4), sign_v * (half_v + wide / 4), long / 2, wide / 2)
        for sign_u in (-1, 1)
        for sign_v in (-1, 1)
    }
    _parcels(land, corners)
    land.zones += [
        Zone(frame.part(0, 0, long, 2 * half_v), "pavers", 0.0, 0.12),
        Zone(frame.part(0, 0, 2 * half_u, wide), "pavers", 0.0, 0.12),
        Zone(frame.part(0, 0, side, wide), surface),
        Zone(frame.part(0, 0, long, main), surface),
    ]
    _markings(land, rng, main, side, paths)
    arm = long / 2 - half_u - 3
    for name, way, sign in (("kerb a", -1, -1), ("kerb b", 1, -1), ("kerb c", -1, 1), ("kerb d", 1, 1)):
        land.spots[name] = frame.part(way * (half_u + 3 + arm / 2), sign * (main / 2 + 0.4), arm, 2.8)
    land.spots["road"] = frame.part(0, 0, long, main - 2.3)


def _markings(land: _Land, rng: np.random.Generator, main: float, side: float, paths: tuple[float, float]) -> None:
    """Lanes, crossings, kerbs, manholes and patches on roads of these widths."""
    frame = land.frame
    long, wide = frame.length, frame.width
    white: Colour = (226, 226, 220)
    paint = float(rng.uniform(0.45, 0.85))

    def stripe(u: float, v: float, length: float, width: float, colour: Colour = white) -> None:
        land.markings.append(Part(frame.part(u, v, length, width), "flat", colour, pattern="worn", opacity=paint))

    half_u = side / 2 + paths[1]
    arm = long / 2 - half_u
    for sign in (-1, 1):
        for way in (-1, 1):  # kerbs, and the yellow tactile strip of a Chinese pavement
            stripe(way * (half_u + arm / 2), sign * (main / 2 + 0.08), arm, 0.16, (176, 174, 168))
            stripe(way * (half_u + arm / 2), sign * (main / 2 + paths[0] * 0.55), arm, 0.4, (196, 160, 70))
        stop = sign * (side / 2 + 3.6)
        for number in range(int(main)):  # zebra over the main road
            stripe(stop, number + 0.5 - main / 2, 2.6, 0.45)
        stripe(stop + sign * 2.4, sign * -main / 4, 0.3, main / 2 - 0.4)
        for gap in (-0.12, 0.12):
            stripe(sign * (side / 2 + 6.2 + long / 4), gap, long / 2 - 4, 0.1, (216, 172, 60))
        for number in range(int(long / 2 / 6)):
            stripe(sign * (side / 2 + 7 + number * 6), main * 0.27, 2.4, 0.12)
            stripe(sign * (side / 2 + 7 + number * 6), -main * 0.27, 2.4, 0.12)
        for number in range(int(wide / 2 / 6)):
            stripe(0, sign * (main / 2 + 7 + number * 6), 0.12, 2.4)
    for _ in range(26):
        cover = frame.part(rng.uniform(-0.5, 0.5) * long, rng.uniform(-0.4, 0.4) * main, 0.7, 0.7)
        land.markings.append(Part(cover, "disc", (84, 80, 76), pattern="stains", opacity=0.75))
    for _ in range(6):
        shade = float(rng.uniform(66, 128))
        u, v = rng.uniform(-0.4, 0.4) * long, rng.uniform(-0.35, 0.35) * main
        patch = frame.part(u, v, rng.uniform(2, 11), rng.uniform(0.8, 2.4))
        land.markings.append(Part(patch, "flat", (shade, shade, shade + 2), pattern="stains", opacity=0.7))


def _parcels(land: _Land, corners: dict[tuple[int, int], Rect]) -> None:
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


def _site(land: _Land, plot: Rect, seen: Rect, corner: tuple[int, int]) -> None:
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


def _vacant(land: _Land, plot: Rect, seen: Rect, corner: tuple[int, int]) -> None:
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


def _houses(land: _Land, plot: Rect, seen: Rect, corner: tuple[int, int]) -> None:
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


def _park(land: _Land, plot: Rect, seen: Rect, corner: tuple[int, int]) -> None:
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


def _grow(land: _Land, rng: np.random.Generator, seen: Rect, count: int, tall: float) -> None:
    """Trees and bushes where there is room."""
    for _ in range(count):
        x, y = seen.at(rng.uniform(-0.48, 0.48) * seen.length, rng.uniform(-0.48, 0.48) * seen.width)
        _plant(land, rng, x, y, float(rng.uniform(0.7, 1.6) + (rng.uniform(0.5, 2.6) if rng.random() < tall else 0)))


def _plant(land: _Land, rng: np.random.Generator, x: float, y: float, radius: float) -> None:
    crown = Point(x, y).buffer(radius * 1.05)
    if not land.free(crown, 0.1):
        return
    green: Colour = ((62, 86, 44), (80, 100, 52), (52, 76, 46), (98, 108, 58))[rng.integers(4)]
    height = float(radius * rng.uniform(1.4, 2.2) + 0.4)
    tree = Tree(x, y, radius, height, green, float(rng.uniform(0.75, 1)), bool(rng.random() < 0.5), len(land.trees))
    land.trees.append(tree)
    land.taken.append(crown)


def _trees_along_roads(land: _Land) -> None:
    rng = stream(land.seed, "street trees")
    if rng.random() < 0.15:
        return
    step, radius = rng.uniform(6, 10), rng.uniform(1.2, 2.4)
    for name in KERBS:
        strip = land.spots[name]
        out = -1.0 if name in KERBS[:2] else 1.0
        for number in range(int(strip.length / step)):
            if rng.random() < 0.62:
                u = -strip.length / 2 + (number + 0.5) * step
                x, y = strip.at(float(u + rng.normal(0, 0.2)), out * 1.3)
                _plant(land, rng, x, y, float(radius * rng.uniform(0.75, 1.2)))


def _try(
    land: _Land, rng: np.random.Generator, thing: Thing, places: dict[str, float], gap: float = 0.9
) -> Thing | None:
    """The thing put down somewhere free in one of the places (with weights), or None where there is no room."""
    names = [name for name in places if name in land.spots]
    weights = np.array([places[name] for name in names])
    for _ in range(160):
        spot = land.spots[names[rng.choice(len(names), p=weights / weights.sum())]]
        x, y = spot.at(rng.uniform(-0.5, 0.5) * spot.length, rng.uniform(-0.5, 0.5) * spot.width)
        if not (0 < x < land.width and 0 < y < land.height):
            continue
        turn = (
            rng.uniform(0, 2 * math.pi)
            if thing.kind != "construction_material"
            else spot.angle + rng.choice([0, math.pi / 2]) + rng.normal(0, 0.12)
        )
        placed = put(thing, x, y, float(turn), before=thing.before, after=thing.after)
        if land.shown(placed.polygon) and land.free(placed.polygon, gap):
            land.taken.append(placed.polygon)
            return placed
    return None


KERBS = ("kerb a", "kerb b", "kerb c", "kerb d")
DUMPED = {"site": 0.34, "vacant": 0.36, **dict.fromkeys(KERBS, 0.06), "park": 0.08, "yard": 0.08}
STACKED = {"site": 0.75, "vacant": 0.1, "yard": 0.1, **dict.fromkeys(KERBS, 0.02)}
LITTERED = {"site": 0.2, "vacant": 0.4, **dict.fromkeys(KERBS, 0.07), "yard": 0.2, "park": 0.1}
"""Weights of the places where heaps, material and debris are put."""


def _things(land: _Land) -> None:
    """Heaps, material and debris that come, go and stay, and one roof that changes."""
    rng = stream(land.seed, "things")
    share = min(1.0, land.width * land.height / BLOCK)

    def count(low: int, high: int) -> int:
        return max(1, round(int(rng.integers(low, high + 1)) * share))

    fates: list[tuple[str, bool, bool]] = []
    for kind, come, go, stay in (
        ("spoil_heap", count(5, 9), count(1, 2), count(2, 4)),
        ("construction_material", count(2, 4), count(1, 2), count(2, 5)),
        ("debris", count(2, 3), count(1, 1), count(1, 2)),
    ):
        fates += [(kind, False, True)] * come + [(kind, True, False)] * go + [(kind, True, True)] * stay
    _roof(land, rng)
    for key, (kind, before, after) in enumerate(fates):
        if kind == "spoil_heap":
            area = math.exp(rng.uniform(math.log(2.2), math.log(40)))
            made, places = make_heap(land.seed, key, area, SPOILS[rng.integers(len(SPOILS))]), DUMPED
        elif kind == "construction_material":
            made, places = make_material(land.seed, key, list(MATERIALS)[rng.integers(len(MATERIALS))]), STACKED
        else:
            made, places = (
                make_debris(land.seed, key, rng.uniform(1.5, 7), list(DEBRIS)[rng.integers(len(DEBRIS))]),
                LITTERED,
            )
        placed = _try(land, rng, replace(made, before=before, after=after), places)
        if placed is not None:
            land.things.append(placed)


def _roof(land: _Land, rng: np.random.Generator) -> None:
    """One roof in full view is built on or covered anew."""
    roofs = [
        number
        for number, building in enumerate(land.buildings)
        if building.height > 2.9 and land.shown(building.plan.polygon)
    ]
    if roofs:
        number = roofs[rng.integers(len(roofs))]
        land.buildings[number] = change_roof(rng, land.buildings[number])


def _cars(land: _Land) -> None:
    """Parked and driving cars; each slot is filled anew on the second date."""
    rng = stream(land.seed, "cars")
    _lorries(land)
    rows = [(spot, 5.6, 0.6) for name, spot in land.spots.items() if name.startswith("lane")]
    kerb = land.spots["road"]
    rows += [(kerb.part(0, sign * kerb.width / 2, kerb.length, 2), 6.4, 0.36) for sign in (-1, 1)]
    rows += [(kerb.part(0, sign * kerb.width / 5.5, kerb.length, 2), 15.0, 0.3) for sign in (-1, 1)]
    for row, step, filled in rows:
        for number in range(int(row.length / step)):
            u = -row.length / 2 + (number + 0.5) * step
            was = _car(land, rng, row, u) if rng.random() < filled else None
            stays = was is not None and rng.random() < 0.25
            now = was if stays else _car(land, rng, row, u) if rng.random() < filled else None
            slot = [replace(was, before=True, after=stays)] if was is not None else []
            if now is not None and not stays:
                slot.append(replace(now, after=True))
            for car in slot:
                if land.free(car.polygon, 0.25):
                    land.cars.append(car)


def _lorries(land: _Land) -> None:
    """A lorry on the site, here today and gone tomorrow."""
    rng = stream(land.seed, "lorries")
    for before, after in ((True, False), (False, True)):
        if rng.random() < 0.45:
            lorry = replace(make_lorry(rng, len(land.cars)), before=before, after=after)
            placed = _try(land, rng, lorry, {"site": 1.0})
            if placed is not None:
                land.cars.append(placed)


def _car(land: _Land, rng: np.random.Generator, row: Rect, u: float) -> Thing:
    x, y = row.at(float(u + rng.normal(0, 0.35)), float(rng.normal(0, 0.12)))
    turn = row.angle + (math.pi if rng.random() < 0.5 else 0.0) + rng.normal(0, 0.02)
    return put(make_car(rng, len(land.cars)), x, y, float(turn), before=False, after=False)
