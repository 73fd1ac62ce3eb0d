"""What sun, sky, season and camera make of a canvas."""

import io
import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from imagery.simulator.canvas import BAND, Canvas, Floats
from imagery.simulator.days import Day

Picture = NDArray[np.uint8]
"""uint8 [H, W, 3], RGB."""


def shadow_depth(height: Floats, gsd: float, day: Day) -> Floats:
    """How far below the edge of the sunlight each pixel lies, metres (negative: in the sun), float32 [H, W].

    The upper edge of the shadow volume is a running maximum of the relief towards the sun that sinks with the distance;
    doubling the distance at each step makes it logarithmic in the shadow's length.
    """
    azimuth, slope = math.radians(day.azimuth), math.tan(math.radians(day.elevation))
    step_x, step_y = math.sin(azimuth), -math.cos(azimuth)
    edge = height - np.float32(0.5 * gsd * slope)
    longest = (float(height.max()) - float(np.percentile(height[::16, ::16], 1))) / slope / gsd
    reach, done_x, done_y = 1, 0, 0
    while reach < longest * 2:
        dx, dy = round(step_x * reach), round(step_y * reach)
        done_x, done_y = done_x + dx, done_y + dy
        edge = np.maximum(edge, _shifted(edge, dy, dx) - np.float32(math.hypot(dx, dy) * gsd * slope))
        reach *= 2
    return edge - height


def _shifted(field: Floats, rows: int, cols: int) -> Floats:
    """The field's values `rows` down and `cols` to the right of each pixel; far below outside of it."""
    h, w = field.shape
    out = np.full_like(field, -1e6)
    if abs(rows) >= h or abs(cols) >= w:
        return out
    out[max(0, -rows) : h - max(0, rows), max(0, -cols) : w - max(0, cols)] = field[
        max(0, rows) : h - max(0, -rows), max(0, cols) : w - max(0, -cols)
    ]
    return out


def expose(canvas: Canvas, day: Day) -> Picture:
    """What the camera sees of the canvas on that day, before noise and compression."""
    gsd = canvas.view.gsd
    depth = shadow_depth(canvas.height, gsd, day)
    around = _blurred(canvas.height, 1.2 / gsd)
    azimuth, elevation = math.radians(day.azimuth), math.radians(day.elevation)
    sun = np.array(
        [math.sin(azimuth) * math.cos(elevation), -math.cos(azimuth) * math.cos(elevation), math.sin(elevation)]
    )
    warm = np.array([1.03, 1.0, 0.94], dtype=np.float32) * np.float32((1 - day.sky) / sun[2])
    cool = np.array([0.93, 1.0, 1.1], dtype=np.float32) * np.float32(day.sky)
    gain = np.asarray(day.balance, dtype=np.float32) * np.float32(day.exposure)
    veil = np.float32(day.haze * 0.55)
    penumbra = np.float32(1 / (0.06 + 0.5 * gsd))
    table = _response(day)
    rows = canvas.view.rows
    picture = np.empty((rows, canvas.view.cols, 3), dtype=np.uint8)
    for first in range(0, rows, BAND):
        last = min(first + BAND, rows)
        band = slice(first, last)
        low, high = max(first - 1, 0), min(last + 1, rows)
        height = canvas.height[low:high]
        down, across = _slopes(height, gsd)
        down, across = down[first - low : last - low], across[first - low : last - low]
        bright = (np.float32(sun[2]) - np.float32(sun[0]) * across - np.float32(sun[1]) * down) / np.sqrt(
            1 + across * across + down * down
        )
        direct = np.maximum(bright, 0) * np.clip(1 - (depth[band] - 0.02) * penumbra, 0, 1)
        open_sky = np.clip(1 - 0.16 * (around[band] - canvas.height[band]), 0.45, 1.06)
        albedo = _season(canvas, band, day)
        for channel in range(3):
            seen = albedo[..., channel] * (warm[channel] * direct + cool[channel] * open_sky) * gain[channel]
            seen = seen * (1 - veil) + veil * np.float32(0.75)
            picture[band, :, channel] = table[np.clip(seen * 4095, 0, 4095).astype(np.int32)]
    return picture


def _slopes(height: Floats, gsd: float) -> tuple[Floats, Floats]:
    """Rise of the relief downwards and to the right, metres per metre; walls are taken for steep slopes."""
    down, across = np.zeros_like(height), np.zeros_like(height)
    double = np.float32(0.5 / gsd)
    down[1:-1] = np.clip((height[2:] - height[:-2]) * double, -1.6, 1.6)
    across[:, 1:-1] = np.clip((height[:, 2:] - height[:, :-2]) * double, -1.6, 1.6)
    return down, across


def _season(canvas: Canvas, band: slice, day: Day) -> Floats:
    """Albedo of some rows with the colours of the season and the damp of the ground."""
    albedo = canvas.albedo[band]
    patchy = np.clip(day.dry + 0.2 * canvas.fields[1][band] + 0.15 * canvas.fields[2][band], 0, 1)
    turned = canvas.plants[band] * patchy
    damp = 1 - canvas.soil[band] * np.clip(0.38 * day.wet * (1 + 0.35 * canvas.fields[1][band]), 0, 0.5)
    straw = 1 + turned[..., None] * np.array([0.58, 0.26, 0.2], dtype=np.float32)
    seasonal: Floats = albedo * straw * damp[..., None]
    return seasonal


def _response(day: Day) -> Picture:
    """Linear light, 0..4095, to display values, uint8 [4096]: the sRGB exponent and a soft shoulder."""
    light = np.arange(4096, dtype=np.float64) / 4095
    value = light ** (1 / 2.2)
    value = np.where(value > 0.8, 0.8 + (1 - np.exp(-(value - 0.8) / 0.2)) * 0.2 / (1 - math.exp(-1)), value)
    return np.asarray(np.clip(value**day.contrast * 255 + 0.5, 0, 255), dtype=np.uint8)


def _blurred(field: Floats, sigma: float) -> Floats:
    """A wide blur by way of a small copy."""
    h, w = field.shape
    factor = max(1, int(sigma))
    small = Image.fromarray(field).resize((max(2, w // factor), max(2, h // factor)), Image.Resampling.BOX)
    return np.asarray(small.resize((w, h), Image.Resampling.BICUBIC))


def grain(picture: Picture, gsd: float, day: Day, rng: np.random.Generator) -> Picture:
    """What optics and sensor add: a blur below one pixel, then noise."""
    side = np.float32(math.exp(-0.5 * (gsd / day.blur) ** 2))
    rows = len(picture)
    values = np.empty_like(picture)
    for first in range(0, rows, BAND):
        last = min(first + BAND, rows)
        # A blur below one pixel: three taps down, three across.
        source = picture[np.clip(np.arange(first - 1, last + 1), 0, rows - 1)].astype(np.float32)
        soft = source[1:-1] + side * (source[:-2] + source[2:])
        wide = np.pad(soft, ((0, 0), (1, 1), (0, 0)), mode="edge")
        soft = (soft + side * (wide[:, :-2] + wide[:, 2:])) / (1 + 2 * side) ** 2
        # Shot noise grows with the light; in display values it is stronger in the shadows.
        shot = rng.standard_normal(soft.shape, dtype=np.float32)
        soft += shot * (np.float32(1.35 * day.noise) - soft * np.float32(0.7 * day.noise / 255))
        values[first:last] = np.clip(soft + np.float32(0.5), 0, 255)
    return values


def develop(picture: Picture, gsd: float, day: Day, rng: np.random.Generator) -> Picture:
    """Optics, sensor noise and JPEG compression, in the order in which they happen."""
    packed = io.BytesIO()
    Image.fromarray(grain(picture, gsd, day, rng)).save(packed, "JPEG", quality=day.quality, subsampling=0)
    packed.seek(0)
    return np.asarray(Image.open(packed))
