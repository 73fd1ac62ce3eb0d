"""Two dates made of real pictures: grounds as they are, things pasted into one date or both, and everything else that
differs between two flights but is no change: shadow, season, lean, another crop of weeds, vehicles."""

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from detectors import change_sprites as sprites
from detectors.change_pairs import (
    ALTERED,
    APPEARED,
    DISAPPEARED,
    IGNORE,
    UNCHANGED,
    VEHICLE,
    Pair,
    moved_back,
    sampled,
)
from detectors.change_sprites import SIDE, Floats, Sprite
from detectors.change_stock import FRAME_GSD, TOWN_GSD, Picture, Stock
from imagery.simulator.values import stream


def real(number: int, stock: Stock) -> Pair:
    """One pair of `SIDE` pixels. The same number and stock give the same pair."""
    rng = stream(number, "real")
    kind = rng.choice(["town", "apart", "frame", "joined", "farmland"], p=[0.28, 0.12, 0.2, 0.2, 0.2])
    label = np.full((SIDE, SIDE), UNCHANGED, dtype=np.uint8)
    if kind in ("town", "apart"):
        gsd = float(rng.uniform(0.2, 0.6))
        before, roofs = _town(rng, stock, gsd)
        after = before.copy()
        if kind == "apart":
            after, other = _town(rng, stock, gsd)
            label[(other > 0) & (roofs == 0)] = APPEARED
            label[(roofs > 0) & (other == 0)] = DISAPPEARED
            label[(roofs > 0) & (other > 0)] = IGNORE
            label[_rim(roofs) | _rim(other)] = IGNORE
        elif rng.random() < 0.5:
            after = _leaning(rng, after, roofs)
    elif kind == "farmland":
        gsd = float(rng.uniform(0.25, 0.6))
        first, second = rng.integers(len(stock.farmland), size=2)
        before, after = _same_crop(rng, stock.farmland[first], stock.farmland[second], 1.0)
    else:
        gsd = float(rng.uniform(FRAME_GSD, 0.09 if rng.random() < 0.7 else 0.16))
        before, after = _site(rng, stock, gsd, joined=kind == "joined")
    if kind != "apart" and gsd > 0.18 and rng.random() < 0.4:
        before, after = (_other_ground(rng, stock, date) if rng.random() < 0.5 else date for date in (before, after))
    suns = rng.uniform(0, 2 * math.pi, 2)
    dates = [_weathered(rng, date) for date in (before, after)]
    for _ in range(int(rng.integers(0, 12 if kind != "apart" else 3))):
        _put(rng, stock, dates, label, gsd, suns)
    for _ in range(int(rng.integers(0, 5)) if gsd < 0.4 else 0):
        _park(rng, dates, label, gsd)
    images = [np.clip(date, 0, 255).astype(np.uint8).transpose(2, 0, 1) for date in dates]
    still = np.zeros((SIDE, SIDE))
    moved, seen = moved_back(np.ascontiguousarray(images[1]), still, still, rng)
    label[~seen] = IGNORE
    return Pair(f"real {kind} {number}", "real", np.ascontiguousarray(images[0]), moved, label, gsd)


def _crop(rng: np.random.Generator, picture: Picture, scale: float) -> tuple[Floats, tuple[int, int, int]]:
    """A random square of the picture, brought to `SIDE` pixels; `scale`: result pixels per picture pixel. And where
    it lies: row, column, side."""
    side = min(round(SIDE / scale), *picture.shape[:2])
    for _ in range(8):
        row, col = (int(rng.integers(0, size - side + 1)) for size in picture.shape[:2])
        part = picture[row : row + side, col : col + side]
        if (part[::4, ::4].min(axis=2) > 250).mean() < 0.02:  # the white beyond the orthophoto's edge
            break
    return _scaled(part), (row, col, side)


def _scaled(part: Picture) -> Floats:
    kind = Image.Resampling.BOX if part.shape[0] > SIDE else Image.Resampling.BICUBIC
    return np.asarray(Image.fromarray(part).resize((SIDE, SIDE), kind)).astype(np.float32)


def _town(rng: np.random.Generator, stock: Stock, gsd: float) -> tuple[Floats, NDArray[np.uint8]]:
    """Ground and its buildings, uint8 [SIDE, SIDE] 0 or 1."""
    image, (row, col, side) = _crop(rng, stock.town, TOWN_GSD / gsd)
    scale = SIDE / side
    mask = Image.new("L", (SIDE, SIDE), 0)
    pen = ImageDraw.Draw(mask)
    for ring in stock.roofs:
        x, y = (ring[:, 0] - col) * scale, (ring[:, 1] - row) * scale
        if x.max() > 0 and y.max() > 0 and x.min() < SIDE and y.min() < SIDE:
            pen.polygon(list(zip(x.tolist(), y.tolist(), strict=True)), fill=1)
    return image, np.asarray(mask)


def _rim(mask: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Where outlines are not to be trusted."""
    image = Image.fromarray(mask * 255)
    grown, shrunk = image.filter(ImageFilter.MaxFilter(5)), image.filter(ImageFilter.MinFilter(3))
    return np.asarray(np.asarray(grown) != np.asarray(shrunk), dtype=np.bool_)


def _leaning(rng: np.random.Generator, image: Floats, roofs: NDArray[np.uint8]) -> Floats:
    """What stands high, a little aside, as another camera position shows it."""
    shift = tuple(int(v) for v in rng.integers(-2, 3, 2))
    moved, cover = np.roll(image, shift, (0, 1)), np.roll(roofs, shift, (0, 1))
    return np.asarray(np.where(cover[..., None] > 0, moved, image))


def _same_crop(rng: np.random.Generator, one: Picture, two: Picture, scale: float) -> tuple[Floats, Floats]:
    height, width = (min(a, b) for a, b in zip(one.shape[:2], two.shape[:2], strict=True))
    first, (row, col, side) = _crop(rng, one[:height, :width], scale)
    return first, _scaled(two[row : row + side, col : col + side])


def _site(rng: np.random.Generator, stock: Stock, gsd: float, *, joined: bool) -> tuple[Floats, Floats]:
    """The building site on one frame, or on two that were taken from different places."""
    if not joined:
        picture = stock.frames[rng.integers(len(stock.frames))]
        image, _ = _crop(rng, picture, FRAME_GSD / gsd)
        return image, image.copy()
    i, j, matrix = stock.joined[rng.integers(len(stock.joined))]
    one, two = stock.frames[i], stock.frames[j]
    side = round(SIDE * gsd / FRAME_GSD)
    best: tuple[float, Floats, Floats] | None = None
    for _ in range(6):
        row, col = (int(rng.integers(0, max(1, size - side + 1))) for size in one.shape[:2])
        y, x = np.meshgrid(np.arange(side) + row, np.arange(side) + col, indexing="ij")
        at = np.stack((x, y, np.ones_like(x)), axis=-1) @ matrix.T
        u, v = at[..., 0] / at[..., 2], at[..., 1] / at[..., 2]
        inside = (u >= 0) & (v >= 0) & (u <= two.shape[1] - 1) & (v <= two.shape[0] - 1)
        share = float(inside.mean())
        if best is None or share > best[0]:
            here = one[row : row + side, col : col + side]
            there = sampled(np.ascontiguousarray(two.transpose(2, 0, 1)), u, v).transpose(1, 2, 0).copy()
            there[~inside] = here[~inside]
            best = share, _scaled(here), _scaled(there)
        if best[0] > 0.95:
            break
    if best is None:
        raise RuntimeError("no crop was tried")
    return best[1], best[2]


def _noise(rng: np.random.Generator, cells: int) -> Floats:
    """A smooth field of about unit variance, float32 [SIDE, SIDE]."""
    nodes = Image.fromarray(rng.standard_normal((cells + 1, cells + 1), dtype=np.float32) * np.float32(1.3))
    return np.asarray(nodes.resize((SIDE, SIDE), Image.Resampling.BICUBIC))


def _other_ground(rng: np.random.Generator, stock: Stock, image: Floats) -> Floats:
    """Parts of the ground under another texture, with soft or hard borders: what grew, dried up or was ploughed."""
    sources = (*stock.farmland, stock.outskirts, *stock.frames[:6])
    texture, _ = _crop(rng, sources[rng.integers(len(sources))], float(rng.uniform(0.5, 1.5)))
    if rng.random() < 0.5:  # only its grain and its colour, not its things
        flat = texture.reshape(-1, 3)
        texture = flat.mean(0) + (texture - flat.mean(0)) * 0.4
    soft = float(rng.choice([0.05, 0.6]))
    share = np.clip((_noise(rng, int(rng.integers(2, 7))) - rng.uniform(-0.5, 1)) / soft + 0.5, 0, 1)
    share = share * float(rng.uniform(0.4, 1))
    return np.asarray(image + (texture - image) * share[..., None], dtype=np.float32)


def _weathered(rng: np.random.Generator, image: Floats) -> Floats:
    """The ground on one date: season on what is green, slow light, shadows of clouds and of what stands outside."""
    if rng.random() < 0.5:
        green = np.clip((image[..., 1] - (image[..., 0] + image[..., 2]) / 2) / 20, 0, 1)
        target = np.array([[130, 120, 80], [90, 95, 50], [70, 100, 55], [150, 140, 110]][rng.integers(4)])
        bright = image.mean(2, keepdims=True) / 100
        mix = green * rng.uniform(0.2, 0.9)
        image = image + mix[..., None] * (target * bright - image)
    if rng.random() < 0.4:
        image = image * np.exp(0.1 * _noise(rng, 3))[..., None]
    if rng.random() < 0.4:
        shade = Image.new("L", (SIDE, SIDE), 0)
        pen = ImageDraw.Draw(shade)
        for _ in range(int(rng.integers(1, 6))):
            middle, reach = rng.uniform(0, SIDE, 2), rng.uniform(5, 60)
            corners = int(rng.integers(3, 12))
            angles = np.sort(rng.uniform(0, 2 * math.pi, corners))
            radius = reach * rng.uniform(0.4, 1, corners)
            ring = np.stack((middle[0] + radius * np.cos(angles), middle[1] + radius * np.sin(angles)), axis=1)
            pen.polygon([(float(x), float(y)) for x, y in ring], fill=255)
        cover = np.asarray(shade.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.5, 3))))).astype(
            np.float32
        ) / np.float32(255)
        image = _shaded(rng, image, cover)
    return image.astype(np.float32)


def _shaded(rng: np.random.Generator, image: Floats, cover: Floats) -> Floats:
    dark = float(rng.uniform(0.3, 0.7)) * np.array([0.94, 1.0, 1.08], dtype=np.float32)
    return np.asarray(image * (1 - cover[..., None] * (1 - dark)), dtype=np.float32)


def _put(
    rng: np.random.Generator, stock: Stock, dates: list[Floats], label: NDArray[np.uint8], gsd: float,
    suns: NDArray[np.float64],
) -> None:  # fmt: skip
    """Paste one thing into one date, or the same or another into both."""
    sprite = sprites.drawn(rng, stock, gsd)
    row, col = (int(rng.integers(-size // 4, SIDE - size * 3 // 4)) for size in sprite.cover.shape)
    what = rng.choice([APPEARED, DISAPPEARED, ALTERED, UNCHANGED], p=[0.42, 0.28, 0.08, 0.22])
    there = (what != APPEARED, what != DISAPPEARED)
    for date, here in enumerate(there):
        shown = sprite
        if what == ALTERED and date == 1:
            other = np.clip(sprite.colour.mean((0, 1)) + rng.choice([-1, 1]) * rng.uniform(35, 110, 3), 10, 250)
            grain = sprite.colour - sprite.colour.mean((0, 1))
            shown = Sprite(np.asarray(other + 0.6 * grain, dtype=np.float32), sprite.cover, sprite.tall)
        if here:
            dates[date] = _pasted(rng, dates[date], shown, row, col, float(suns[date]))
    if what != UNCHANGED:
        rows, cols, cut = _place(sprite.cover.shape, row, col)
        part = label[rows, cols]
        part[sprite.cover[cut] > 0.5] = what
    elif sprite.tall:  # it now stands on what may have been marked before
        rows, cols, cut = _place(sprite.cover.shape, row, col)
        part = label[rows, cols]
        part[sprite.cover[cut] > 0.5] = UNCHANGED


def _place(shape: tuple[int, ...], row: int, col: int) -> tuple[slice, slice, tuple[slice, slice]]:
    """Slices into the picture, and into the sprite, of where they overlap."""
    top, left = max(row, 0), max(col, 0)
    bottom, right = min(row + shape[0], SIDE), min(col + shape[1], SIDE)
    bottom, right = max(bottom, top), max(right, left)
    return slice(top, bottom), slice(left, right), (slice(top - row, bottom - row), slice(left - col, right - col))


def _pasted(rng: np.random.Generator, image: Floats, sprite: Sprite, row: int, col: int, sun: float) -> Floats:
    cover = np.zeros((SIDE, SIDE), dtype=np.float32)
    rows, cols, cut = _place(sprite.cover.shape, row, col)
    cover[rows, cols] = sprite.cover[cut]
    if sprite.tall >= 1:
        shade = np.zeros_like(cover)
        steps = max(1, round(sprite.tall))
        for step in range(1, steps + 1):
            dy, dx = round(math.sin(sun) * step), round(math.cos(sun) * step)
            shade = np.maximum(shade, np.roll(cover, (dy, dx), (0, 1)))
        image = _shaded(rng, image, np.clip(shade - cover, 0, 1))
    out = image.copy()
    alpha = cover[rows, cols][..., None]
    gain = float(np.exp(rng.normal(0, 0.08)))
    out[rows, cols] += alpha * (sprite.colour[cut] * gain - out[rows, cols])
    return out


def _park(rng: np.random.Generator, dates: list[Floats], label: NDArray[np.uint8], gsd: float) -> None:
    """A vehicle on one of the dates."""
    length, width = float(rng.uniform(3.6, 5.2)) / gsd, float(rng.uniform(1.6, 2.1)) / gsd
    if rng.random() < 0.1:
        length, width = length * 2.2, width * 1.4
    angle = float(rng.uniform(0, math.pi))
    side = int(length + 5)
    y, x = np.meshgrid(np.arange(side) - side / 2, np.arange(side) - side / 2, indexing="ij")
    u, v = x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle)
    cover = np.clip(np.minimum(length / 2 - np.abs(u), width / 2 - np.abs(v)) + 0.5, 0, 1)
    paint = np.array([[225, 225, 222], [30, 32, 36], [150, 152, 156], [140, 36, 30], [40, 60, 110]])[rng.integers(5)]
    glass = (np.abs(np.abs(u) - length * 0.2) < length * 0.07) & (np.abs(v) < width * 0.4)
    colour = np.where(glass[..., None], (40, 46, 52), paint + rng.normal(0, 8, 3))
    sprite = Sprite(colour.astype(np.float32), cover.astype(np.float32), 1.2 / gsd * float(rng.uniform(0.3, 1)))
    row, col = (int(rng.integers(0, SIDE - side)) for _ in range(2))
    rows, cols, cut = _place(cover.shape, row, col)
    if (label[rows, cols] != UNCHANGED).any():
        return
    date = int(rng.integers(2))
    dates[date] = _pasted(rng, dates[date], sprite, row, col, float(rng.uniform(0, 6.3)))
    label[rows, cols][cover[cut] > 0.5] = VEHICLE
