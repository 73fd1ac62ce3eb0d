"""Ground, roofs, heaps, trees and all the small parts: from values to albedo and relief on a canvas."""

import math

import numpy as np
from shapely.geometry import Polygon, box

from imagery.simulator.canvas import Canvas, Floats, Patch, View, linear
from imagery.simulator.looks import CHUNKS, LOOKS, SPOIL
from imagery.simulator.values import Colour, Lobe, Part, Rect, Scene, Spoil, Thing, Track, Tree, Zone, stream


def smooth(value: Floats) -> Floats:
    """Smoothstep of a value clipped to 0..1."""
    t = np.clip(value, 0, 1)
    return t * t * (3 - 2 * t)


def axes(plan: Rect, patch: Patch) -> tuple[Floats, Floats]:
    """Each pixel's place along and across the rectangle, metres from its centre, [h, w]."""
    c, s = np.float32(math.cos(plan.angle)), np.float32(math.sin(plan.angle))
    dx, dy = patch.x - np.float32(plan.x), patch.y - np.float32(plan.y)
    return dx * c + dy * s, dy * c - dx * s


def paint_ground(scene: Scene, view: View) -> Canvas:
    """The block without anything that differs between the dates."""
    m = scene.margin
    canvas = Canvas(scene.seed, (-m, -m, scene.width + m, scene.height + m), view)
    canvas.albedo[:] = linear((140, 130, 110))
    for zone in scene.zones:
        _zone(canvas, zone, scene.soil)
    for track in scene.tracks:
        _track(canvas, track)
    for marking in scene.markings:
        paint_part(canvas, marking)
    return canvas


def paint_date(canvas: Canvas, scene: Scene, *, after: bool, leaves: float) -> Canvas:
    """Paint what stands on the ground on one date onto `canvas`, and return it.

    `leaves`: how full the crowns of the trees that shed are, 0..1.
    """
    for thing in scene.things:
        if thing.after if after else thing.before:
            _thing(canvas, scene, thing)
    for car in scene.cars:
        if car.after if after else car.before:
            for part in car.parts:
                paint_part(canvas, part, rounded=0.3)
    for building in scene.buildings:
        for part in building.after if after else building.before:
            paint_part(canvas, part)
    for tree in scene.trees:
        _tree(canvas, scene.seed, tree, leaves)
    return canvas


def _zone(canvas: Canvas, zone: Zone, soil: Colour) -> None:
    look, gsd = LOOKS[zone.ground], canvas.view.gsd
    one, two = linear(look.one), linear(look.two)
    if look.soil > 0.9:  # bare ground has the colour of the place
        shift = linear(soil) / linear((152, 130, 106))
        one, two = one * shift, two * shift
    reach = zone.ragged * 1.5
    for patch in canvas.around(zone.plan.polygon, reach + gsd):
        u, v = axes(zone.plan, patch)
        inside = np.minimum(zone.plan.length / 2 - np.abs(u), zone.plan.width / 2 - np.abs(v))
        fields = [field[patch.cut] for field in canvas.fields]
        edge = inside
        if zone.ragged:
            edge = inside + zone.ragged * (0.45 * fields[1] + 0.4 * fields[2] + 0.2 * fields[3] + 0.08 * fields[4])
            edge += min(zone.ragged, 1.0) * (0.12 * fields[4] + 0.12 * fields[5])
        alpha = np.clip(edge / max(gsd, zone.ragged * 0.3) + 0.5, 0, 1).astype(np.float32)
        if zone.within is not None:
            far_u, far_v = axes(zone.within, patch)
            alpha *= (np.abs(far_u) < zone.within.length / 2) & (np.abs(far_v) < zone.within.width / 2)
        share = smooth(0.5 + 0.55 * _sum(fields, look.mix))
        fine = 1 + look.speckle * (0.35 * fields[3] + 0.5 * fields[4] + 0.6 * fields[5])
        if look.soil:  # pebbles
            fine += 0.3 * (fields[5] + 0.25 * fields[2] > 2.15)
        if zone.ground == "pavers":
            fine *= 1 - 0.12 * ((np.mod(u, 0.6) < 0.04) | (np.mod(v, 0.3) < 0.03))
            fine *= 1 + 0.05 * np.sign(np.sin(u * (math.pi / 0.6)) * np.sin(v * (math.pi / 0.3)))
        elif zone.ground in ("concrete", "yard"):
            fine *= 1 - 0.22 * ((np.mod(u, 5.0) < 0.035) | (np.mod(v, 4.5) < 0.035))
        elif zone.ground == "asphalt":
            # Tyres darken and polish the middle of each lane; fine cracks follow the noise's zero line.
            fine *= 1 - 0.06 * np.cos(v * (2 * math.pi / 3.2)) - 0.22 * (np.abs(fields[1] + 0.12 * fields[3]) < 0.004)
        canvas.blend(patch, alpha, (one + share[..., None] * (two - one)) * fine[..., None])
        slope = smooth((inside + 0.12 * fields[3]) / zone.bank) if zone.bank else np.ones_like(alpha)
        level = zone.level * slope
        grain = look.grain * (0.9 * fields[3] + 0.5 * fields[4] + 0.3 * fields[5])
        height = canvas.height[patch.cut]
        height += alpha * (level + grain - height)
        for target, amount in ((canvas.plants, look.plants), (canvas.soil, look.soil)):
            part = target[patch.cut]
            wanted = amount * (share if zone.ground == "weeds" and target is canvas.plants else 1.0)
            part += alpha * (wanted - part)


def _sum(fields: list[Floats], weights: tuple[float, ...]) -> Floats:
    total = weights[0] * fields[0]
    for field, weight in zip(fields[1:], weights[1:], strict=True):
        total += weight * field
    return total


def _track(canvas: Canvas, track: Track) -> None:
    """Two ruts: compressed, smoother and darker ground, with a low rim."""
    for patch in canvas.around(track.clip.polygon, 0.0):
        u, v = axes(track.clip, patch)
        shown = (np.abs(u) < track.clip.length / 2) & (np.abs(v) < track.clip.width / 2)
        distance = np.hypot(patch.x - np.float32(track.x), patch.y - np.float32(track.y))
        wander = 0.1 * canvas.fields[1][patch.cut]
        rut = np.abs(np.abs(distance - track.radius + wander) - track.gauge / 2)
        broken = np.clip(0.7 + 0.5 * canvas.fields[1][patch.cut] + 0.3 * canvas.fields[2][patch.cut], 0, 1)
        alpha = track.strength * np.clip(1.5 - rut / 0.16, 0, 1) * broken * shown
        canvas.albedo[patch.cut] *= (1 - 0.25 * alpha)[..., None]
        canvas.height[patch.cut] -= alpha * (0.05 + 0.02 * np.sin((u + v) * (2 * math.pi / 0.35)))


def paint_part(canvas: Canvas, part: Part, rounded: float = 0.0) -> None:
    """One body or one flat patch. `rounded`: radius of its corners and edges, metres."""
    plan, gsd = part.plan, canvas.view.gsd
    if max(plan.length, plan.width) > 12:
        patches = list(canvas.around(plan.polygon, gsd))
    else:
        rx, ry = plan.reach
        whole = canvas.patch(plan.x - rx - gsd, plan.y - ry - gsd, plan.x + rx + gsd, plan.y + ry + gsd)
        patches = [whole] if whole is not None else []
    for patch in patches:
        u, v = axes(plan, patch)
        inside, top = _body(part, u, v, rounded)
        alpha = np.clip(inside / gsd + 0.5, 0, 1) * part.opacity
        if part.pattern == "worn":
            alpha *= np.clip(1 + 0.35 * canvas.fields[2][patch.cut] + 0.4 * canvas.fields[4][patch.cut], 0.15, 1)
        fine = _pattern(canvas, part, patch, u, v)
        colour = linear(part.colour) * fine[..., None]
        if part.form == "ring":
            hole = np.clip((0.62 * plan.length / 2 - np.hypot(u, v)) / gsd + 0.5, 0, 1)
            colour = colour + hole[..., None] * (linear((30, 30, 32)) - colour)
        canvas.blend(patch, alpha, colour)
        if part.form not in ("flat", "disc"):
            height = canvas.height[patch.cut]
            height += np.clip(inside / gsd + 0.5, 0, 1) * (np.maximum(top, height) - height)
        canvas.plants[patch.cut] *= 1 - alpha
        canvas.soil[patch.cut] *= 1 - alpha


def _body(part: Part, u: Floats, v: Floats, rounded: float) -> tuple[Floats, Floats]:
    """Metres inside the outline (negative outside) and the height of the top, both [h, w]."""
    a, b = part.plan.length / 2, part.plan.width / 2
    inside = np.minimum(a - np.abs(u), b - np.abs(v))
    top = np.full_like(inside, part.base + part.height)
    if part.form == "disc":
        inside = a - np.hypot(u, v)
    elif part.form == "pipe":
        top = part.base + part.height / 2 * (1 + np.sqrt(np.clip(1 - (v / b) ** 2, 0, 1)))
    elif part.form == "ring":
        distance = np.hypot(u, v)
        inside = a - distance
        top = np.where(distance < 0.62 * a, part.base, top)
    elif part.form == "gable":
        top = part.base + part.height * (1 - np.abs(v) / b)
    elif part.form == "hip":
        top = part.base + part.height * np.clip(np.minimum(1 - np.abs(v) / b, (a - np.abs(u)) / b), 0, 1)
    elif part.form == "dome":
        bulge = (np.abs(u) / a) ** 2.5 + (np.abs(v) / b) ** 2.5
        inside = (1 - bulge) * b * 0.5
        top = part.base + part.height * np.sqrt(np.clip(1 - bulge, 0, 1))
    elif part.form == "chunk":
        # Two corners are broken off, and the top lies aslant; which way follows from where it lies.
        lean = math.sin(part.plan.x * 37.0 + part.plan.y * 59.0)
        inside = np.minimum(inside, 0.62 * (a + b) - np.abs(u + lean * v))
        top = part.base + part.height * (0.75 + 0.3 * lean * u / a + 0.3 * (1 - abs(lean)) * v / b)
    elif rounded:
        corner = np.hypot(np.clip(np.abs(u) - a + rounded, 0, None), np.clip(np.abs(v) - b + rounded, 0, None))
        inside = np.where(corner > 0, np.minimum(inside, rounded - corner), inside)
        top -= 0.35 * np.clip(1 - inside / 0.22, 0, 1) ** 2
    return inside.astype(np.float32), top.astype(np.float32)


def _pattern(canvas: Canvas, part: Part, patch: Patch, u: Floats, v: Floats) -> Floats:
    """Brightness of the surface about 1, [h, w]."""
    fields = [field[patch.cut] for field in canvas.fields[2:]]
    fine = 1 + 0.025 * fields[1] + 0.03 * fields[2] + 0.02 * fields[3]
    period, gsd = part.period, canvas.view.gsd
    sharp = float(np.clip((period / gsd - 2) / 3, 0, 1))  # a pattern finer than two pixels is not seen
    if part.pattern == "bricks":
        fine *= 1 - sharp * 0.3 * ((np.mod(u, period) < 0.045) | (np.mod(v, period / 2) < 0.03))
    elif part.pattern == "corrugated":
        fine *= 1 + sharp * 0.09 * np.sin(u * (2 * math.pi / period)) + 0.02 * fields[0]
    elif part.pattern == "tiles":
        fine *= (
            1 + sharp * (0.08 * np.sin(u * (2 * math.pi / period)) - 0.12 * (np.mod(v, 0.36) < 0.06)) + 0.05 * fields[0]
        )
    elif part.pattern == "boards":
        board = np.floor(v / period)
        fine *= 1 + 0.13 * np.sin(board * 12.9898 + 1.7) - sharp * 0.35 * (np.mod(v, period) < 0.025)
    elif part.pattern == "rods":
        fine *= 1 + 0.16 * np.sin(v * (2 * math.pi / max(period, 2.5 * gsd))) + 0.1 * fields[2]
    elif part.pattern == "panels":
        fine *= 1 + 0.5 * (np.mod(u, period) < 0.03) * sharp
    elif part.pattern == "stains":
        fine *= 1 + 0.035 * fields[0] + 0.03 * fields[1] + 0.035 * canvas.fields[1][patch.cut]
    return np.asarray(np.clip(fine, 0.3, 1.8), dtype=np.float32)


def _thing(canvas: Canvas, scene: Scene, thing: Thing) -> None:
    if thing.kind == "spoil_heap":
        _heap(canvas, scene, thing)
        return
    for part in thing.parts:
        paint_part(canvas, part)


def _heap(canvas: Canvas, scene: Scene, thing: Thing) -> None:
    """Dumped loads lit by their own relief, with lumps and broken pieces on and around them."""
    style: Spoil = thing.style  # type: ignore[assignment]
    rng = stream(scene.seed, "heap look", thing.key)
    one, two, rough = SPOIL[style]
    if style == "local":
        one = scene.soil
        two = tuple(float(np.clip(value * rng.uniform(0.8, 0.95), 0, 255)) for value in scene.soil)  # type: ignore[assignment]
    tint = np.asarray(rng.normal(1, 0.035, 3) * rng.normal(1, 0.09), dtype=np.float32)
    for patch in canvas.around(thing.polygon, 0.3):
        relief, edge = _relief(thing.lobes, patch)
        fields = [field[patch.cut] for field in canvas.fields]
        lumps = 0.9 * fields[3] + 0.4 * fields[4] + 0.14 * fields[5]
        alpha = smooth(edge / 0.14 + 0.5 + 0.35 * fields[4] + 0.25 * fields[5])
        share = smooth(0.5 + 0.5 * (0.5 * fields[2] + 0.6 * fields[3] + 0.4 * fields[4]))
        fine = 1 + 0.09 * fields[4] + 0.09 * fields[5]
        base = linear(one) + share[..., None] * (linear(two) - linear(one))
        canvas.blend(patch, alpha, base * tint * fine[..., None])
        height = canvas.height[patch.cut]
        height += alpha * (relief + rough * lumps * np.clip(relief / 0.15, 0.25, 1))
        canvas.plants[patch.cut] *= 1 - alpha
        soil = canvas.soil[patch.cut]
        soil += alpha * ((0.5 if style in ("concrete", "brick", "gravel") else 1.0) - soil)
    density, colours = CHUNKS[style]
    for _ in range(int(density * thing.polygon.area)):
        lobe = thing.lobes[rng.integers(len(thing.lobes))]
        bearing, far = rng.uniform(0, 2 * math.pi), float(rng.random() ** 0.55 * 1.18)
        distance = far * float(lobe.radius_at(np.array([bearing]))[0])
        size = float(np.clip(rng.lognormal(-1.75, 0.55), 0.07, 0.75))
        if far > 1 and size > 0.3:
            continue
        colour = colours[rng.integers(len(colours))] if colours else two
        x, y = lobe.x + distance * math.cos(bearing), lobe.y + distance * math.sin(bearing)
        plan = Rect(x, y, size, size * float(rng.uniform(0.5, 1)), float(rng.uniform(0, math.pi)))
        shade = np.clip(np.asarray(colour) * rng.normal(1, 0.07), 8, 250)
        stands = _ground_at(canvas, x, y)
        rise = size * float(rng.uniform(0.15, 0.45))
        broken = (float(shade[0]), float(shade[1]), float(shade[2]))
        paint_part(canvas, Part(plan, "chunk", broken, rise, stands))


def _relief(lobes: tuple[Lobe, ...], patch: Patch) -> tuple[Floats, Floats]:
    """Height of the heap and metres inside its outline, both [h, w]."""
    relief: Floats = np.zeros((patch.y.size, patch.x.size), dtype=np.float32)
    edge: Floats = np.full_like(relief, -1e3)
    for lobe in lobes:
        dx, dy = patch.x - np.float32(lobe.x), patch.y - np.float32(lobe.y)
        radius = lobe.radius_at(np.arctan2(dy, dx))
        distance = np.hypot(dx, dy)
        t = distance / radius
        cone = lobe.height * np.clip((1 - np.sqrt(t * t + 0.02)) / 0.86, 0, 1)
        relief = np.maximum(relief, cone) + 0.25 * np.minimum(relief, cone)
        edge = np.maximum(edge, radius - distance)
    return relief.astype(np.float32), edge.astype(np.float32)


def _ground_at(canvas: Canvas, x: float, y: float) -> float:
    view = canvas.view
    row = min(max(int((y - view.y) / view.gsd), 0), view.rows - 1)
    col = min(max(int((x - view.x) / view.gsd), 0), view.cols - 1)
    return float(canvas.height[row, col])


def _tree(canvas: Canvas, seed: int, tree: Tree, leaves: float) -> None:
    """A crown of clumps with a ragged border; thin crowns let the ground through."""
    rng = stream(seed, "crown", tree.key)
    full = tree.leaves * (1.0 if tree.evergreen else leaves)
    wobble = [(float(rng.normal(0, 0.16 / order)), float(rng.uniform(0, 6.3))) for order in range(2, 8)]
    lobe = Lobe(tree.x, tree.y, tree.radius, tree.height, tuple(wobble))
    outline: Polygon = box(
        tree.x - tree.radius * 1.2, tree.y - tree.radius * 1.2, tree.x + tree.radius * 1.2, tree.y + tree.radius * 1.2
    )
    for patch in canvas.around(outline, 0.1):
        dx, dy = patch.x - np.float32(tree.x), patch.y - np.float32(tree.y)
        t = np.hypot(dx, dy) / lobe.radius_at(np.arctan2(dy, dx))
        fields = [field[patch.cut] for field in canvas.fields]
        clumps = 0.55 * fields[3] + 0.55 * fields[4] + 0.35 * fields[5]
        alpha = smooth(4.5 * (1.05 - t) * (0.5 + 0.5 * full) + 0.9 * clumps - 1.2 * (1 - full))
        shade = np.clip(1 + 0.16 * clumps + 0.10 * fields[2] + 0.12 * fields[5], 0.35, 1.9)
        canvas.blend(patch, alpha, linear(tree.colour) * shade[..., None])
        dome = tree.height * np.sqrt(np.clip(1 - 0.85 * t * t, 0, 1))
        rough = 0.14 * tree.radius * 0.6 * fields[3] + 0.13 * fields[4] + 0.05 * fields[5]
        height = canvas.height[patch.cut]
        height += alpha * np.maximum(dome + rough - height, 0)
        plants, soil = canvas.plants[patch.cut], canvas.soil[patch.cut]
        plants += alpha * ((0.35 if tree.evergreen else 1.0) - plants)
        soil *= 1 - alpha
