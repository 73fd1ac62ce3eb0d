"""Things that come, go or stay: heaps, construction material, debris, cars. Shapes only; `paint` gives them light."""

import math
from collections.abc import Callable

import numpy as np
from shapely import affinity, unary_union
from shapely.geometry import Polygon
from shapely.geometry.base import BaseGeometry

from imagery.simulator.values import Colour, Form, Lobe, Part, Pattern, Rect, Spoil, Thing, jitter, stream

SPOILS: tuple[Spoil, ...] = ("loam", "clay", "topsoil", "sand", "gravel", "concrete", "brick", "mixed", "local")
"""`local` is dug on the spot and hardly differs from the bare ground around it."""

CAR_COLOURS: tuple[Colour, ...] = (
    (232, 232, 230), (236, 236, 236), (40, 41, 45), (58, 60, 64), (150, 153, 156), (178, 180, 182), (112, 28, 32),
    (40, 58, 100), (164, 150, 124), (88, 92, 86), (206, 164, 62),
)  # fmt: skip

CAR_SHARES = (0.2, 0.14, 0.12, 0.08, 0.13, 0.13, 0.06, 0.05, 0.04, 0.03, 0.02)


def _wobble(rng: np.random.Generator, strength: float) -> tuple[tuple[float, float], ...]:
    return tuple((float(rng.normal(0, strength / order)), float(rng.uniform(0, 2 * math.pi))) for order in range(2, 9))


def heap(rng: np.random.Generator, area: float) -> tuple[tuple[Lobe, ...], Polygon, float]:
    """A heap of about `area` m² about the origin: one to four dumped loads that run into each other.

    Returns its lobes, its outline and its height. Slopes stay below the angle of repose of loose soil (about 35°);
    some heaps are spread flat by a machine.
    """
    loads = int(np.clip(rng.poisson(area / 9) + 1, 1, 4))
    size = math.sqrt(area / (math.pi * (1 + 0.45 * (loads - 1))))
    line = rng.uniform(0, math.pi)
    steep = rng.uniform(0.4, 0.72) if rng.random() > 0.2 else rng.uniform(0.12, 0.22)
    lobes: list[Lobe] = []
    for number in range(loads):
        step = (number - (loads - 1) / 2) * size * rng.uniform(0.75, 1.05)
        side = rng.normal(0, 0.28 * size) if loads > 1 else 0.0
        radius = size * rng.uniform(0.8, 1.15)
        x, y = step * math.cos(line) - side * math.sin(line), step * math.sin(line) + side * math.cos(line)
        top = radius * steep * rng.uniform(0.85, 1.1)
        lobes.append(Lobe(float(x), float(y), float(radius), float(top), _wobble(rng, 0.13)))
    outline = _one(unary_union([lobe.polygon for lobe in lobes]))
    # The wobble and the overlap decide the area; one scaling brings it to what was asked.
    scale = math.sqrt(area / outline.area)
    scaled = tuple(
        Lobe(lobe.x * scale, lobe.y * scale, lobe.radius * scale, lobe.height * scale, lobe.wobble) for lobe in lobes
    )
    return scaled, affinity.scale(outline, scale, scale, origin=(0, 0)), max(lobe.height for lobe in scaled)


def _one(shape: BaseGeometry) -> Polygon:
    """The shape without holes; its largest piece where it has several."""
    pieces = [piece for piece in getattr(shape, "geoms", [shape]) if isinstance(piece, Polygon)]
    return Polygon(max(pieces, key=lambda piece: piece.area).exterior)


def _outline(parts: list[Part], gap: float) -> Polygon:
    """One outline around all parts, joining those less than two `gap`s apart; the gap grows until all are joined."""
    plans = [part.plan.polygon for part in parts]
    while True:
        joined: BaseGeometry = unary_union([plan.buffer(gap) for plan in plans]).buffer(-gap * 0.9)
        if isinstance(joined, Polygon):
            return _one(joined)
        gap *= 1.25


def _pipes(rng: np.random.Generator) -> list[Part]:
    plastic = rng.random() < 0.35
    colour = jitter(
        rng, (196, 92, 40) if plastic and rng.random() < 0.4 else (44, 46, 48) if plastic else (178, 174, 166), 8
    )
    diameter = rng.uniform(0.22, 0.4) if plastic else rng.uniform(0.5, 1.5)
    length = rng.uniform(4, 6) if plastic else rng.uniform(2.0, 2.6)
    rows, count = (1, int(rng.integers(5, 11))) if plastic else (int(rng.integers(1, 3)), int(rng.integers(2, 6)))
    parts = []
    for row in range(rows):
        for number in range(count):
            u = (row - (rows - 1) / 2) * (length + 0.25) + rng.normal(0, 0.05 if not plastic else 0.2)
            v = (number - (count - 1) / 2) * diameter * rng.uniform(1.0, 1.04)
            plan = Rect(u, v, length, diameter, float(rng.normal(0, 0.02)))
            parts.append(Part(plan, "pipe", jitter(rng, colour, 4), diameter, pattern="stains"))
    return parts


def _bricks(rng: np.random.Generator) -> list[Part]:
    colour = jitter(rng, ((150, 82, 62), (166, 160, 150), (122, 118, 114), (172, 108, 76))[rng.integers(4)], 7)
    side = rng.uniform(0.95, 1.2)
    rows, columns = int(rng.integers(1, 4)), int(rng.integers(2, 6))
    parts = []
    for row in range(rows):
        for column in range(columns):
            if rng.random() < 0.12:
                continue
            plan = Rect(
                (column - (columns - 1) / 2) * (side + 0.18) + rng.normal(0, 0.05),
                (row - (rows - 1) / 2) * (side + 0.14) + rng.normal(0, 0.05),
                side, side * 0.9, float(rng.normal(0, 0.05)),
            )  # fmt: skip
            parts.append(
                Part(plan, "box", jitter(rng, colour, 5), rng.uniform(0.7, 1.2), pattern="bricks", period=0.24)
            )
    return parts or [Part(Rect(0, 0, side, side), "box", colour, 0.9, pattern="bricks", period=0.24)]


def _bundles(rng: np.random.Generator, colour: Colour, pattern: Pattern, period: float) -> list[Part]:
    count, length = int(rng.integers(2, 6)), rng.uniform(3.0, 8.0) if pattern == "rods" else rng.uniform(2.4, 4.2)
    parts = []
    for number in range(count):
        width = rng.uniform(0.35, 0.6) if pattern == "rods" else rng.uniform(0.8, 1.2)
        v = (number - (count - 1) / 2) * 1.15 * (0.6 if pattern == "rods" else 1.1)
        plan = Rect(rng.normal(0, 0.25), v, length * rng.uniform(0.93, 1.05), width, float(rng.normal(0, 0.03)))
        parts.append(Part(plan, "box", jitter(rng, colour, 7), rng.uniform(0.25, 0.8), pattern=pattern, period=period))
    return parts


def _timber(rng: np.random.Generator) -> list[Part]:
    return _bundles(rng, (178, 146, 98) if rng.random() < 0.7 else (138, 84, 58), "boards", 0.16)


def _steel(rng: np.random.Generator) -> list[Part]:
    return _bundles(rng, (112, 76, 58) if rng.random() < 0.6 else (112, 116, 122), "rods", 0.07)


def _precast(rng: np.random.Generator) -> list[Part]:
    parts = []
    for number in range(int(rng.integers(3, 8))):
        side = rng.uniform(0.9, 1.6)
        u, v = (number % 3 - 1) * 1.85 + rng.normal(0, 0.15), (number // 3 - 0.5) * 1.85 + rng.normal(0, 0.15)
        form: Form = "ring" if rng.random() < 0.55 else "box"
        plan = Rect(u, v, side, side, float(rng.uniform(0, math.pi)))
        parts.append(Part(plan, form, jitter(rng, (186, 182, 174), 6), rng.uniform(0.5, 1.3), pattern="stains"))
    return parts


MATERIALS: dict[str, Callable[[np.random.Generator], list[Part]]] = {
    "pipes": _pipes, "bricks": _bricks, "timber": _timber, "steel": _steel, "precast": _precast,
}  # fmt: skip


def _rubble(rng: np.random.Generator, area: float) -> list[Part]:
    colours: tuple[Colour, ...] = ((184, 180, 172), (150, 146, 140), (150, 86, 66), (206, 202, 192), (118, 112, 104))
    reach = math.sqrt(area / math.pi)
    parts = []
    for _ in range(int(16 * area)):
        distance, bearing = reach * rng.random() ** 0.62, rng.uniform(0, 2 * math.pi)
        size = float(np.clip(rng.lognormal(-1.55, 0.5), 0.08, 0.7))
        plan = Rect(
            distance * math.cos(bearing), distance * math.sin(bearing) * 0.8,
            size, size * rng.uniform(0.5, 1.0), float(rng.uniform(0, math.pi)),
        )  # fmt: skip
        parts.append(Part(plan, "chunk", jitter(rng, colours[rng.integers(5)], 10), size * rng.uniform(0.3, 0.7)))
    return parts


def _bags(rng: np.random.Generator, area: float) -> list[Part]:
    colours: tuple[Colour, ...] = (
        (222, 220, 212),
        (196, 194, 186),
        (48, 50, 56),
        (70, 92, 128),
        (176, 160, 118),
        (150, 58, 50),
    )
    reach = math.sqrt(area / math.pi)
    parts = []
    for _ in range(int(np.clip(3.2 * area, 7, 60))):
        distance, bearing = reach * rng.random() ** 0.6, rng.uniform(0, 2 * math.pi)
        plan = Rect(
            distance * math.cos(bearing) * 1.2, distance * math.sin(bearing) * 0.75,
            rng.uniform(0.5, 0.95), rng.uniform(0.35, 0.6), float(rng.uniform(0, math.pi)),
        )  # fmt: skip
        shade = colours[min(int(rng.exponential(1.6)), 5)]
        parts.append(Part(plan, "dome", jitter(rng, shade, 8), rng.uniform(0.2, 0.42)))
    return parts + _rubble(rng, area * 0.4)


DEBRIS: dict[str, Callable[[np.random.Generator, float], list[Part]]] = {"rubble": _rubble, "bags": _bags}


def make_heap(seed: int, key: int, area: float, style: Spoil) -> Thing:
    """A heap about the origin, present on neither date yet."""
    lobes, outline, height = heap(stream(seed, "heap", key), area)
    return Thing("spoil_heap", outline, height, style, key, False, False, lobes=lobes)


def make_material(seed: int, key: int, style: str) -> Thing:
    """Stacked material about the origin, present on neither date yet."""
    parts = MATERIALS[style](stream(seed, "material", key))
    height = max(part.height for part in parts)
    return Thing("construction_material", _outline(parts, 0.6), height, style, key, False, False, parts=tuple(parts))


def make_debris(seed: int, key: int, area: float, style: str) -> Thing:
    """Scattered debris about the origin; its outline is drawn round the bulk of it, single stones may lie outside."""
    parts = DEBRIS[style](stream(seed, "debris", key), area)
    height = max(part.height for part in parts)
    return Thing("debris", _outline(parts, 0.28), height, style, key, False, False, parts=tuple(parts))


def make_car(rng: np.random.Generator, key: int) -> Thing:
    """A car or a van about the origin, along x."""
    van = rng.random() < 0.15
    length, width, height = (5.4, 1.95, 2.1) if van else (rng.uniform(4.2, 4.9), rng.uniform(1.74, 1.88), 1.45)
    colour = jitter(rng, CAR_COLOURS[rng.choice(len(CAR_COLOURS), p=CAR_SHARES)], 4)
    glass = jitter(rng, (46, 52, 60), 7)
    body = Rect(0, 0, length, width)
    parts = [Part(body, "box", colour, 0.95)]
    cabin_at, cabin = (-0.15, length * 0.8) if van else (-0.08 * length, length * 0.56)
    parts.append(Part(body.part(cabin_at, 0, cabin, width * 0.88), "box", glass, height - 0.06))
    parts.append(Part(body.part(cabin_at - 0.04, 0, cabin * 0.66, width * 0.78), "box", colour, height))
    return Thing("car", body.polygon, height, "van" if van else "car", key, False, False, parts=tuple(parts))


def make_lorry(rng: np.random.Generator, key: int) -> Thing:
    """A tipper about the origin, along x, its tray empty."""
    colour = jitter(rng, ((40, 96, 66), (150, 44, 36), (206, 150, 40))[rng.integers(3)], 5)
    body = Rect(0, 0, rng.uniform(7.6, 9.0), 2.5)
    tray = body.part(-1.1, 0, body.length - 2.6, 2.44)
    parts = (
        Part(body, "box", (64, 64, 66), 1.2),
        Part(tray, "box", colour, 2.6),
        Part(tray.part(0, 0, tray.length - 0.24, 2.2), "box", jitter(rng, (112, 104, 94), 6), 2.61, pattern="stains"),
        Part(body.part(body.length / 2 - 1.05, 0, 2.1, 2.46), "box", colour, 2.9),
        Part(body.part(body.length / 2 - 0.3, 0, 0.4, 2.2), "box", (44, 50, 58), 2.91),
    )
    return Thing("car", body.polygon, 2.9, "lorry", key, False, False, parts=parts)


def put(thing: Thing, x: float, y: float, turn: float, *, before: bool, after: bool) -> Thing:
    """The thing turned by `turn` radians about the origin and moved to (x, y)."""
    c, s = math.cos(turn), math.sin(turn)

    def moved(u: float, v: float) -> tuple[float, float]:
        return x + u * c - v * s, y + u * s + v * c

    outline = affinity.translate(affinity.rotate(thing.polygon, turn, origin=(0, 0), use_radians=True), x, y)
    parts = tuple(
        Part(
            Rect(*moved(p.plan.x, p.plan.y), p.plan.length, p.plan.width, p.plan.angle + turn),
            p.form, p.colour, p.height, p.base, p.pattern, p.period, p.opacity,
        )
        for p in thing.parts
    )  # fmt: skip
    lobes = tuple(
        Lobe(
            *moved(lobe.x, lobe.y), lobe.radius, lobe.height,
            tuple((a, phase - order * turn) for order, (a, phase) in enumerate(lobe.wobble, start=2)),
        )
        for lobe in thing.lobes
    )  # fmt: skip
    return Thing(thing.kind, outline, thing.height, thing.style, thing.key, before, after, parts, lobes)
