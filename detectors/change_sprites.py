"""Things to paste into a date: cut out of real pictures, or painted."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from detectors.change_stock import FRAME_GSD, TOWN_GSD, Picture, Stock

SIDE = 352
"""Of a pair, in pixels."""
Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Sprite:
    """Something to paste: `colour` float32 [h, w, 3] 0..255, `cover` float32 [h, w] 0..1, `tall`: how far its shadow
    falls in pixels."""

    colour: Floats
    cover: Floats
    tall: float


def drawn(rng: np.random.Generator, stock: Stock, gsd: float) -> Sprite:
    choice = rng.random()
    if gsd > 0.15:
        return _roof(rng, stock, gsd) if choice < 0.45 else _painted_roof(rng, stock, gsd)
    if choice < 0.4:
        return _thing(rng, stock, gsd)
    return _heap(rng, gsd) if choice < 0.8 else _painted_roof(rng, stock, gsd)


def _turned(picture: Picture, ring: NDArray[np.float64], rng: np.random.Generator, scale: float, tall: float) -> Sprite:
    """What an outline cuts out of a picture, scaled and turned."""
    left, top = np.floor(ring.min(0)).astype(int)
    right, bottom = np.ceil(ring.max(0)).astype(int) + 1
    left, top = max(left, 0), max(top, 0)
    part = picture[top:bottom, left:right]
    if part.shape[0] < 3 or part.shape[1] < 3:
        part = np.full((4, 4, 3), 128, dtype=np.uint8)
    mask = Image.new("L", (part.shape[1], part.shape[0]), 0)
    ImageDraw.Draw(mask).polygon([(float(x - left), float(y - top)) for x, y in ring], fill=255)
    size = max(3, round(part.shape[1] * scale)), max(3, round(part.shape[0] * scale))
    angle = float(rng.uniform(0, 360))
    colour = Image.fromarray(part).resize(size, Image.Resampling.BILINEAR)
    cover = mask.resize(size, Image.Resampling.BILINEAR)
    colour = colour.rotate(angle, Image.Resampling.BILINEAR, expand=True)
    cover = cover.rotate(angle, Image.Resampling.BILINEAR, expand=True)
    return Sprite(np.asarray(colour).astype(np.float32), np.asarray(cover).astype(np.float32) / np.float32(255), tall)


def _roof(rng: np.random.Generator, stock: Stock, gsd: float) -> Sprite:
    ring = stock.roofs[rng.integers(len(stock.roofs))]
    size = float(np.ptp(ring, axis=0).max()) * TOWN_GSD
    larger = float(rng.uniform(0.8, 1.6)) * max(1.0, 9 / max(size, 3.0))
    return _turned(stock.town, ring, rng, TOWN_GSD / gsd * larger, float(rng.uniform(2, 7)) / gsd * rng.uniform(0.2, 1))


def _thing(rng: np.random.Generator, stock: Stock, gsd: float) -> Sprite:
    frame, ring = stock.things[rng.integers(len(stock.things))]
    scale = FRAME_GSD / gsd * float(rng.uniform(0.8, 1.5))
    return _turned(stock.frames[frame], ring, rng, scale, float(rng.uniform(0.1, 1.0)) / gsd)


def _painted_roof(rng: np.random.Generator, stock: Stock, gsd: float) -> Sprite:
    """A roof of one to three wings, each slope in its own light, with a grain from a real picture."""
    long = float(rng.uniform(7, 24) if rng.random() < 0.85 else rng.uniform(24, 70)) / gsd
    if gsd <= 0.15:
        long = float(rng.uniform(2, 9)) / gsd
    side = int(min(long * 1.5 + 6, SIDE * 0.9))
    long = min(long, side / 1.5)
    angle = float(rng.uniform(0, math.pi))
    base = np.clip(rng.uniform(50, 225) + rng.normal(0, 25 if rng.random() < 0.3 else 8, 3), 15, 250)
    y, x = np.meshgrid(np.arange(side) - side / 2, np.arange(side) - side / 2, indexing="ij")
    u, v = x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle)
    cover, shade = np.zeros((side, side)), np.ones((side, side))
    pitch = float(rng.uniform(0, 0.3))
    for wing in range(int(rng.integers(1, 4))):
        a, b = (long / 2, long * rng.uniform(0.3, 0.5)) if wing == 0 else long * rng.uniform(0.15, 0.35, 2)
        cu, cv = (0.0, 0.0) if wing == 0 else rng.uniform(-0.35, 0.35, 2) * long
        along, across = (v - cv, u - cu) if wing == 1 else (u - cu, v - cv)
        inside = np.clip(np.minimum(a - np.abs(along), b - np.abs(across)) + 0.5, 0, 1)
        hip = rng.random() < 0.5
        slope = np.where((a - np.abs(along) < b - np.abs(across)) & hip, np.sign(along) * 0.5, np.sign(across))
        shade = np.where(inside > 0.5, 1 + pitch * slope, shade)
        cover = np.maximum(cover, inside)
    row, col = (int(rng.integers(0, size - side)) for size in stock.outskirts.shape[:2])
    texture = stock.outskirts[row : row + side, col : col + side].astype(np.float32)
    grain = (texture - texture.mean((0, 1))) * float(rng.uniform(0, 0.25))
    colour = base * shade[..., None] + grain
    return Sprite(
        colour.astype(np.float32), cover.astype(np.float32), float(rng.uniform(2, 7)) / gsd * rng.uniform(0.2, 1)
    )


def _heap(rng: np.random.Generator, gsd: float) -> Sprite:
    """A dumped heap: an irregular lit disc with lumps, in the colours of earth, sand, gravel or rubble."""
    reach = float(rng.uniform(0.6, 3.5)) / gsd
    side = int(min(2.6 * reach + 6, SIDE * 0.8))
    y, x = np.meshgrid(np.arange(side) - side / 2, np.arange(side) - side / 2, indexing="ij")
    bearing = np.arctan2(y, x)
    edge = np.ones_like(bearing)
    for order in range(2, 7):
        edge += rng.uniform(0, 0.28) / order * np.cos(order * bearing + rng.uniform(0, 6.3))
    edge *= reach
    distance = np.hypot(x, y * rng.uniform(0.8, 1.25))
    cover = np.clip(edge - distance + 0.5, 0, 1)
    base = np.array([[150, 128, 104], [126, 100, 76], [96, 80, 64], [190, 170, 134], [160, 156, 150], [150, 110, 92]])
    colour = base[rng.integers(len(base))] + rng.normal(0, 12) + rng.normal(0, 5, 3)
    lit = 1 + rng.uniform(0.05, 0.3) * (x * math.cos(sun := rng.uniform(0, 6.3)) + y * math.sin(sun)) / max(reach, 1)
    lumps = rng.standard_normal((side, side), dtype=np.float32)
    soft = Image.fromarray(rng.standard_normal((max(2, side // 3), max(2, side // 3)), dtype=np.float32))
    lumps = 0.5 * lumps + np.asarray(soft.resize((side, side), Image.Resampling.BICUBIC))
    rough = float(rng.uniform(0.03, 0.2))
    shaded = colour * (lit * (1 + rough * lumps))[..., None]
    return Sprite(shaded.astype(np.float32), cover.astype(np.float32), float(rng.uniform(0.3, 1.2)) / gsd * 0.6)
