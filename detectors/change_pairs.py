"""Two dates of one ground to learn change from: simulated blocks, simulated suburbs, real grounds with pasted things.

Every pair is a pure function of its kind and number (and, for real grounds, of the stock of pictures), so a training
run can be repeated. Simulated seeds stay below 10000, which is what training may see.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from rasterio.features import rasterize
from rasterio.transform import Affine
from shapely import Polygon

from imagery.simulator.buildings import make_building
from imagery.simulator.canvas import View
from imagery.simulator.days import two_days
from imagery.simulator.light import develop, expose
from imagery.simulator.paint import paint_date, paint_ground
from imagery.simulator.scene import lay_out
from imagery.simulator.simulate import draw
from imagery.simulator.values import Building, Colour, Ground, Part, Rect, Scene, Tree, Zone, stream

UNCHANGED, APPEARED, DISAPPEARED, ALTERED, VEHICLE, IGNORE = 0, 1, 2, 3, 4, 255
_KINDS = {"appeared": APPEARED, "disappeared": DISAPPEARED, "altered": ALTERED}
TRAINING_SEEDS = 10_000
Source = Literal["block", "suburb", "real"]


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """`before`, `after`: uint8 [3, H, W], RGB, the second registered on the first but for a small rest; `label`: uint8
    [H, W] of the values above; `gsd`: metres per pixel."""

    name: str
    source: Source
    before: NDArray[np.uint8]
    after: NDArray[np.uint8]
    label: NDArray[np.uint8]
    gsd: float

    @property
    def number(self) -> int:
        """What it was drawn from."""
        return int(self.name.split()[-1])


def block(number: int) -> Pair:
    """A simulated block as the simulator draws it, most often at 6 cm; moved vehicles have a label of their own."""
    rng = stream(number, "change pair")
    choice = rng.random()
    if choice < 0.12:
        gsd, cell, size = 0.03, 0.06, (70.0, 60.0)
    elif choice < 0.75:
        gsd, cell, size = 0.06, 0.06, (120.0, 90.0)
    else:
        gsd = cell = float(rng.uniform(0.065, 0.15))
        size = 120.0, 90.0
    drawn = draw(_training(number), gsd, size)
    rows, cols = (round(side * gsd / cell) for side in drawn.before.shape[1:])
    before, after = (resized(image, rows, cols) for image in (drawn.before, drawn.after))
    y, x = np.meshgrid((np.arange(rows) + 0.5) * cell, (np.arange(cols) + 0.5) * cell, indexing="ij")
    dx, dy = drawn.registration.offset(x, y)
    after, seen = moved_back(after, dx / cell, dy / cell, rng)
    keys = {thing.key for thing in drawn.objects_before} & {thing.key for thing in drawn.objects_after}
    cars = [
        (one.polygon.buffer(0.15), VEHICLE)
        for one in (*drawn.objects_before, *drawn.objects_after)
        if one.kind == "car" and one.before != one.after and one.key not in keys
    ]
    changes = [(one.polygon, _KINDS[one.change]) for one in drawn.changes]
    label = painted([*cars, *changes], rows, cols, cell)
    label[~seen] = IGNORE
    return Pair(f"block {number}", "block", before, after, label, cell)


def _training(number: int) -> int:
    if not 0 <= number < TRAINING_SEEDS:
        raise ValueError(f"seed {number} is not for training: those are 0 to {TRAINING_SEEDS - 1}")
    return number


def suburb(number: int) -> Pair:
    """Rows of houses that were built or pulled down between two dates of different years, at 0.15 to 0.6 m.

    Ground, yards, trees and cars differ freely between the dates and are no change: only houses are.
    """
    rng = stream(_training(number), "suburb")
    gsd = float(rng.uniform(0.15, 0.62))
    side = float(np.clip(rng.uniform(380, 560) * gsd, 70, 280))
    scene = lay_out(number, side, side)
    grounds: list[Ground] = ["grass", "lawn", "soil", "stripped", "weeds", "gravel"]
    houses = _houses(rng, side)
    came = rng.random(len(houses)) < rng.uniform(0.1, 0.9)
    went = ~came & (rng.random(len(houses)) < (0.3 if rng.random() < 0.3 else 0.03))
    field = Rect(side / 2, side / 2, 3 * side, 3 * side)
    cars = tuple(replace(car, before=bool(rng.integers(2)), after=bool(rng.integers(2))) for car in scene.cars)
    dates, keep_roads = [], rng.random() < 0.5
    first_ground = grounds[rng.integers(len(grounds))]
    for after in (False, True):
        there = [one for one, c, w in zip(houses, came, went, strict=True) if not (w if after else c)]
        ground = first_ground if rng.random() < 0.5 else grounds[rng.integers(len(grounds))]
        zones = [Zone(field, ground)] if rng.random() < 0.75 else list(scene.zones)
        if keep_roads or rng.random() < 0.4:
            zones += [zone for zone in scene.zones if zone.ground in ("asphalt", "concrete", "pavers")]
        zones += _patches(rng, side, grounds)
        zones += _yards(rng, there) if rng.random() < 0.8 else []
        trees = _trees(rng, scene, side, there)
        dates.append(replace(scene, zones=tuple(zones), buildings=tuple(there), trees=trees, things=(), cars=cars))
    before, after_image = _photographed(rng, number, dates[0], dates[1], gsd, side)
    rows, cols = before.shape[1:]
    after_image, seen = moved_back(after_image, np.zeros((rows, cols)), np.zeros((rows, cols)), rng)
    shapes = [(car.polygon, VEHICLE) for car in cars if car.before != car.after]
    shapes += [
        (part.plan.polygon, APPEARED if c else DISAPPEARED)
        for one, c, w in zip(houses, came, went, strict=True)
        if c or w
        for part in one.before
        if part.height > 1.5 or part.form in ("gable", "hip", "box")
    ]
    label = painted(shapes, rows, cols, gsd)
    label[~seen] = IGNORE
    return Pair(f"suburb {number}", "suburb", before, after_image, label, gsd)


def _houses(rng: np.random.Generator, side: float) -> list[Building]:
    """Houses along streets: one, two or three wings under pitched or flat roofs in whatever colours people choose."""
    houses = []
    deep, wide = rng.uniform(22, 40), rng.uniform(14, 28)
    turn = rng.normal(0, 0.2)
    c, s = math.cos(turn), math.sin(turn)
    palette = [_roof_colour(rng) for _ in range(int(rng.integers(2, 7)))]
    large = rng.random() < 0.2
    for u in np.arange(-0.8 * side, 0.8 * side, deep):
        for v in np.arange(-0.8 * side, 0.8 * side, wide):
            x, y = side / 2 + u * c - v * s, side / 2 + u * s + v * c
            if not (-5 < x < side + 5 and -5 < y < side + 5) or rng.random() < 0.25:
                continue
            length, width = rng.uniform(9, min(26, deep - 6)), rng.uniform(7, max(7.5, wide - 4))
            if large:
                length, width = length * 1.3, width * 1.2
            angle = turn + rng.choice([0, math.pi / 2]) * (rng.random() < 0.2) + rng.normal(0, 0.05)
            plan = Rect(float(x), float(y), float(length), float(width), float(angle))
            houses.append(_house(rng, plan, palette))
    return houses


def _roof_colour(rng: np.random.Generator) -> Colour:
    tint = rng.normal(0, 22 if rng.random() < 0.2 else 7, 3)
    red, green, blue = np.clip(rng.uniform(60, 215) + tint, 25, 245)
    return float(red), float(green), float(blue)


def _house(rng: np.random.Generator, plan: Rect, palette: Sequence[Colour]) -> Building:
    if rng.random() < 0.25:
        return make_building(rng, plan)
    colour = palette[int(rng.integers(len(palette)))]
    height = float(rng.uniform(2.8, 6.5))
    form: Literal["gable", "hip", "box"] = rng.choice(["gable", "hip", "hip", "box"])
    pattern: Literal["tiles", ""] = "tiles" if rng.random() < 0.5 else ""
    parts = [Part(plan, form, colour, plan.width * float(rng.uniform(0.1, 0.35)), height, pattern, 0.3)]
    for _ in range(int(rng.integers(0, 3))):
        wing = plan.part(
            float(rng.uniform(-0.4, 0.4)) * plan.length,
            float(rng.choice([-0.5, 0.5])) * plan.width,
            float(rng.uniform(0.25, 0.6)) * plan.length,
            float(rng.uniform(0.4, 0.9)) * plan.width,
            math.pi / 2 if rng.random() < 0.5 else 0.0,
        )
        parts.append(Part(wing, form, colour, wing.width * 0.2, height * 0.9, pattern, 0.3))
    return Building(plan, height, tuple(parts), tuple(parts))


def _patches(rng: np.random.Generator, side: float, grounds: Sequence[Ground]) -> list[Zone]:
    zones = []
    for _ in range(int(rng.integers(0, 6))):
        plan = Rect(*_floats(rng.uniform(0, (side, side, 0.7 * side, 0.7 * side, 3.0))))
        zones.append(Zone(plan, grounds[int(rng.integers(len(grounds)))], float(rng.uniform(0, 3))))
    for _ in range(int(rng.integers(0, 4))):  # streets, long and straight
        plan = Rect(*_floats(rng.uniform((0, 0, 3 * side, 4, 0), (side, side, 3 * side, 11, 3))))
        zones.append(Zone(plan, ("asphalt", "concrete", "gravel")[rng.integers(3)]))
    return zones


def _floats(values: NDArray[np.float64]) -> tuple[float, float, float, float, float]:
    x, y, length, width, angle = values.tolist()
    return x, y, length, width, angle


def _yards(rng: np.random.Generator, houses: Sequence[Building]) -> list[Zone]:
    zones = []
    ground: Ground = ("lawn", "grass", "soil", "concrete")[rng.integers(4)]
    for house in houses:
        plan = house.plan
        if rng.random() < 0.6:
            zones.append(Zone(Rect(plan.x, plan.y, plan.length + 7, plan.width + 6, plan.angle), ground, 0.4))
        if rng.random() < 0.6:  # the drive
            zones.append(Zone(plan.part(0, plan.width * 0.8, 4.5, plan.width), "concrete"))
    return zones


def _trees(rng: np.random.Generator, scene: Scene, side: float, houses: Sequence[Building]) -> tuple[Tree, ...]:
    if not scene.trees:
        return ()
    wood = rng.random() < 0.35
    count = int(rng.integers(0, 60 if not wood else 500) * (side / 200) ** 2)
    trees = list(scene.trees) if rng.random() < 0.5 else []
    plans = [house.plan.polygon.buffer(1.5) for house in houses]
    for key in range(count):
        one = scene.trees[rng.integers(len(scene.trees))]
        x, y = rng.uniform(0, side, 2)
        if not wood or not any(_near(plan, x, y) for plan in plans):
            size = float(rng.uniform(0.6, 1.7))
            trees.append(
                replace(
                    one, x=float(x), y=float(y), radius=one.radius * size, height=one.height * size, key=10_000 + key
                )
            )
    return tuple(trees)


def _near(plan: Polygon, x: float, y: float) -> bool:
    left, top, right, bottom = plan.bounds
    return bool(left < x < right and top < y < bottom)


def _photographed(
    rng: np.random.Generator, number: int, first: Scene, second: Scene, gsd: float, side: float
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Both dates, uint8 [3, H, W], with the days of two different years."""
    size, pad = round(side / gsd), 8
    view = View(-pad * gsd, -pad * gsd, gsd, size + 2 * pad, size + 2 * pad)
    days = two_days(number)[0], two_days(int(rng.integers(TRAINING_SEEDS)))[1]
    # Noise is fixed to the ground by the scene's seed; years apart, half of the time it is another.
    second = replace(second, seed=second.seed + 7 if rng.random() < 0.5 else second.seed)
    images = []
    for after, (scene, day) in enumerate(zip((first, second), days, strict=True)):
        canvas = paint_date(paint_ground(scene, view), scene, after=bool(after), leaves=day.leaves)
        picture = expose(canvas, day)[pad:-pad, pad:-pad]
        # Satellite pictures are softer than their pixels.
        soft = replace(day, blur=gsd * float(rng.uniform(0.2, 0.9)))
        images.append(np.ascontiguousarray(develop(picture, gsd, soft, rng).transpose(2, 0, 1)))
    return images[0], images[1]


def painted(shapes: Sequence[tuple[Polygon, int]], rows: int, cols: int, cell: float) -> NDArray[np.uint8]:
    """uint8 [rows, cols]: outlines in metres from the upper left corner, later ones on top; a cell belongs to the
    outline that its middle lies in."""
    if not shapes:
        return np.zeros((rows, cols), dtype=np.uint8)
    label = rasterize(shapes, (rows, cols), transform=Affine.scale(cell), dtype="uint8")
    return np.asarray(label)


def resized(image: NDArray[np.uint8], rows: int, cols: int) -> NDArray[np.uint8]:
    if image.shape[1:] == (rows, cols):
        return image
    picture = Image.fromarray(np.ascontiguousarray(image.transpose(1, 2, 0)))
    return np.ascontiguousarray(np.asarray(picture.resize((cols, rows), Image.Resampling.BOX)).transpose(2, 0, 1))


def moved_back(
    after: NDArray[np.uint8], dx: NDArray[np.float64], dy: NDArray[np.float64], rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """`after` brought back by a shift in pixels that is known but for a small rest, and where it has pixels."""
    rows, cols = after.shape[1:]
    spread = float(rng.choice([0.15, 0.4, 0.9, 1.6], p=[0.3, 0.45, 0.18, 0.07]))
    rest = []
    for _ in range(2):
        nodes = Image.fromarray(rng.normal(0, spread / 2, (4, 4)).astype(np.float32))
        rest.append(
            np.asarray(nodes.resize((cols, rows), Image.Resampling.BICUBIC)) + np.float32(rng.normal(0, spread))
        )
    u = np.arange(cols, dtype=np.float32)[None] + dx.astype(np.float32) + rest[0]
    v = np.arange(rows, dtype=np.float32)[:, None] + dy.astype(np.float32) + rest[1]
    seen = (u >= 0) & (v >= 0) & (u <= cols - 1) & (v <= rows - 1)
    return sampled(after, u, v) * seen, seen


def sampled(image: NDArray[np.uint8], u: NDArray[np.floating], v: NDArray[np.floating]) -> NDArray[np.uint8]:
    """`image`, uint8 [3, H, W], at columns `u` and rows `v`, both [h, w], bilinear."""
    rows, cols = image.shape[1:]
    grid = torch.from_numpy(np.stack((u / (cols - 1) * 2 - 1, v / (rows - 1) * 2 - 1), axis=-1).astype(np.float32))
    out = F.grid_sample(torch.from_numpy(image).float()[None], grid[None], align_corners=True, padding_mode="border")[0]
    return np.asarray(out.round().to(torch.uint8).numpy())
