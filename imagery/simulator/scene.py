"""What stands where on the block, on both dates: pure values from a seed."""

import math
from dataclasses import replace

import numpy as np

from imagery.simulator.buildings import change_roof
from imagery.simulator.land import MARGIN, Land, plant
from imagery.simulator.parcels import parcels
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
from imagery.simulator.values import Colour, Ground, Part, Rect, Scene, Thing, Zone, stream

BLOCK = 120.0 * 90.0
"""Square metres that the counts below are meant for."""

SOILS: tuple[Colour, ...] = ((150, 130, 106), (158, 132, 102), (140, 124, 106), (168, 146, 120), (152, 118, 94))


def lay_out(seed: int, width: float = 120.0, height: float = 90.0) -> Scene:
    """The scene of a seed. The same seed and size give the same scene; nothing else is random."""
    rng = stream(seed, "frame")
    frame = Rect(
        width / 2 + rng.uniform(-0.14, 0.14) * width, height / 2 + rng.uniform(-0.14, 0.14) * height,
        width + 4 * MARGIN, height + 4 * MARGIN, float(rng.uniform(-0.3, 0.3)),
    )  # fmt: skip
    land = Land(seed, width, height, frame)
    soil = SOILS[rng.integers(len(SOILS))]
    _roads(land)
    _trees_along_roads(land)
    _things(land)
    _cars(land)
    return Scene(
        seed, width, height, MARGIN, tuple(land.zones), tuple(land.tracks), tuple(land.markings),
        tuple(land.buildings), tuple(land.trees), tuple(land.cars), tuple(land.things), soil,
    )  # fmt: skip


def _roads(land: Land) -> None:
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
    parcels(land, corners)
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


def _markings(land: Land, rng: np.random.Generator, main: float, side: float, paths: tuple[float, float]) -> None:
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


def _trees_along_roads(land: Land) -> None:
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
                plant(land, rng, x, y, float(radius * rng.uniform(0.75, 1.2)))


def _try(
    land: Land, rng: np.random.Generator, thing: Thing, places: dict[str, float], gap: float = 0.9
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


def _things(land: Land) -> None:
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


def _roof(land: Land, rng: np.random.Generator) -> None:
    """One roof in full view, where there is one, is built on or covered anew."""
    roofs = [
        number
        for number, building in enumerate(land.buildings)
        if building.height > 2.9 and land.shown(building.plan.polygon)
    ]
    if roofs:
        number = roofs[rng.integers(len(roofs))]
        land.buildings[number] = change_roof(rng, land.buildings[number])


def _cars(land: Land) -> None:
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


def _lorries(land: Land) -> None:
    """A lorry on the site, here today and gone tomorrow."""
    rng = stream(land.seed, "lorries")
    for before, after in ((True, False), (False, True)):
        if rng.random() < 0.45:
            lorry = replace(make_lorry(rng, len(land.cars)), before=before, after=after)
            placed = _try(land, rng, lorry, {"site": 1.0})
            if placed is not None:
                land.cars.append(placed)


def _car(land: Land, rng: np.random.Generator, row: Rect, u: float) -> Thing:
    x, y = row.at(float(u + rng.normal(0, 0.35)), float(rng.normal(0, 0.12)))
    turn = row.angle + (math.pi if rng.random() < 0.5 else 0.0) + rng.normal(0, 0.02)
    return put(make_car(rng, len(land.cars)), x, y, float(turn), before=False, after=False)
