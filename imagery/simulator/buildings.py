"""Buildings and their roofs."""

import numpy as np
from shapely.geometry import Polygon

from imagery.simulator.values import Building, Colour, Part, Pattern, Rect, jitter

FLAT: tuple[Colour, ...] = ((164, 160, 152), (132, 130, 126), (188, 184, 174), (120, 108, 98), (108, 116, 112))
TILED: tuple[Colour, ...] = ((148, 74, 56), (124, 62, 52), (92, 92, 96), (74, 80, 92), (160, 96, 70))
STEEL: tuple[Colour, ...] = (
    (62, 104, 158),
    (58, 120, 176),
    (176, 62, 50),
    (186, 190, 192),
    (204, 206, 204),
    (88, 128, 116),
)


def _flat(rng: np.random.Generator, plan: Rect, height: float) -> list[Part]:
    """A concrete or felt roof with a parapet and what is put on such roofs."""
    colour = jitter(rng, FLAT[rng.integers(len(FLAT))])
    rim = jitter(rng, (186, 182, 174))
    parts = [
        Part(plan, "box", rim, height + 0.6),
        Part(plan.part(0, 0, plan.length - 0.5, plan.width - 0.5), "box", colour, height, pattern="stains"),
    ]
    for _ in range(int(rng.integers(2, 8))):
        u, v = rng.uniform(-0.4, 0.4) * (plan.length - 2), rng.uniform(-0.4, 0.4) * (plan.width - 2)
        what = rng.random()
        if what < 0.5:  # air conditioning
            unit = plan.part(u, v, rng.uniform(0.7, 1.3), rng.uniform(0.5, 0.9))
            parts.append(Part(unit, "box", jitter(rng, (208, 208, 204)), rng.uniform(0.5, 1.0), height))
        elif what < 0.75:  # solar water heaters
            rack = plan.part(u, v, rng.uniform(1.6, 2.2), 1.2)
            parts.append(Part(rack, "box", jitter(rng, (44, 52, 72), 4), 0.5, height, "panels", 0.14))
            parts.append(Part(rack.part(0, -0.7, rack.length, 0.4), "pipe", jitter(rng, (206, 208, 210)), 0.8, height))
        elif what < 0.9:  # water tank
            tank = plan.part(u, v, 1.5, 1.5)
            parts.append(Part(tank, "dome", jitter(rng, (190, 196, 200)), 1.2, height))
        else:  # a mat or a patch of new felt
            patch = plan.part(u, v, rng.uniform(1.5, 4), rng.uniform(1, 3))
            parts.append(Part(patch, "flat", jitter(rng, (112, 110, 108), 14), 0, height))
    if plan.length > 9 and rng.random() < 0.7:  # head of the stairs
        head = plan.part(rng.uniform(-0.3, 0.3) * plan.length, rng.choice([-0.25, 0.25]) * plan.width, 3.2, 2.6)
        parts.append(Part(head, "box", jitter(rng, (170, 166, 158)), 2.4, height, "stains"))
    return parts


def _pitched(rng: np.random.Generator, plan: Rect, height: float) -> list[Part]:
    colour = jitter(rng, TILED[rng.integers(len(TILED))])
    parts = [
        Part(
            plan,
            "gable" if rng.random() < 0.65 else "hip",
            colour,
            plan.width * rng.uniform(0.2, 0.32),
            height,
            "tiles",
            0.3,
        )
    ]
    parts.append(
        Part(plan.part(0, 0, plan.length * 0.96, 0.22), "flat", jitter(rng, (110, 92, 84)), 0, height + parts[0].height)
    )
    if rng.random() < 0.5:  # a skylight or a heater on one slope
        spot = plan.part(rng.uniform(-0.3, 0.3) * plan.length, rng.choice([-0.25, 0.25]) * plan.width, 1.8, 1.2)
        parts.append(Part(spot, "flat", (52, 60, 78), 0, height + parts[0].height * 0.5, "panels", 0.15, 0.95))
    return parts


def _steel(rng: np.random.Generator, plan: Rect, height: float) -> list[Part]:
    colour = jitter(rng, STEEL[rng.integers(len(STEEL))])
    parts = [Part(plan, "gable", colour, plan.width * rng.uniform(0.05, 0.1), height, "corrugated", 0.32)]
    for _ in range(int(rng.integers(0, 4))):  # rooflights
        strip = plan.part(
            rng.uniform(-0.42, 0.42) * plan.length, rng.choice([-0.25, 0.25]) * plan.width, 0.9, plan.width * 0.4
        )
        parts.append(Part(strip, "flat", jitter(rng, (206, 210, 204)), 0, height, "corrugated", 0.32, 0.85))
    return parts


ROOFS = (_flat, _pitched, _steel)


def make_building(rng: np.random.Generator, plan: Rect) -> Building:
    """A building whose roof is the same on both dates."""
    roof = ROOFS[rng.choice(3, p=[0.5, 0.28, 0.22])]
    height = rng.uniform(3.2, 6) if roof is not _flat else rng.uniform(3.5, 14)
    parts = tuple(roof(rng, plan, float(height)))
    return Building(plan, float(height), parts, parts)


def change_roof(rng: np.random.Generator, building: Building) -> Building:
    """The building with a shed built on its flat roof, or with a new covering on the whole of it."""
    plan = building.plan
    flat = building.before[0].form == "box"
    if flat and rng.random() < 0.6:
        length, width = plan.length * rng.uniform(0.35, 0.6), plan.width * rng.uniform(0.45, 0.7)
        u, v = rng.uniform(-0.15, 0.15) * plan.length, rng.uniform(-0.1, 0.1) * plan.width
        shed = plan.part(float(u), float(v), float(length), float(width))
        colour = jitter(rng, STEEL[rng.integers(len(STEEL))])
        added = Part(shed, "gable", colour, 0.35, building.height + 2.6, "corrugated", 0.3)
        return Building(plan, building.height, building.before, (*building.before, added), shed.polygon)
    old = np.asarray(building.before[1 if flat else 0].colour)
    choices = [jitter(rng, colour) for colour in (*STEEL, *TILED)]
    new = max(choices[:], key=lambda colour: float(np.abs(np.asarray(colour) - old).sum()) + rng.uniform(0, 90))
    pattern: Pattern = "corrugated"
    cover = Part(plan, "gable", new, plan.width * 0.08, building.height + (0.6 if flat else 0.0), pattern, 0.3)
    outline: Polygon = plan.polygon
    return Building(plan, building.height, building.before, (cover,), outline)
