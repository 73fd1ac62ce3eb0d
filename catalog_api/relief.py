"""Hillshade of an elevation model, by Horn's method on the ground's own metres.

B. K. P. Horn, "Hill shading and the reflectance map", Proceedings of the IEEE 69 (1981): slopes from the eight
neighbours, then the light that a matt surface reflects.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.crs import CRS
from rio_tiler.models import ImageData

BUFFER = 2
"""Pixels around a tile that its edge needs."""
AZIMUTH, ALTITUDE = 315.0, 45.0
"""Of the light, in degrees from north and above the horizon."""

_RADIUS = 6_378_137.0
_DEGREE = math.radians(1) * _RADIUS


def hillshade(heights: NDArray[Any], cell_x: float, cell_y: float) -> NDArray[np.uint8]:
    """uint8 [H-2, W-2] from heights [H, W] in metres, north up; `cell_x`, `cell_y`: metres on the ground per pixel."""
    z = heights.astype(np.float64)
    east, west = z[:, 2:], z[:, :-2]
    north, south = z[:-2], z[2:]
    rise_x = ((east - west)[:-2] + 2 * (east - west)[1:-1] + (east - west)[2:]) / (8 * cell_x)
    rise_y = ((north - south)[:, :-2] + 2 * (north - south)[:, 1:-1] + (north - south)[:, 2:]) / (8 * cell_y)
    azimuth, altitude = math.radians(AZIMUTH), math.radians(ALTITUDE)
    towards = math.sin(azimuth) * rise_x + math.cos(azimuth) * rise_y
    light = (math.sin(altitude) - math.cos(altitude) * towards) / np.sqrt(1 + rise_x**2 + rise_y**2)
    return np.asarray(np.clip(np.rint(255 * light), 0, 255).astype(np.uint8))


def shaded(image: ImageData, ring: int) -> ImageData:
    """The picture without `ring` pixels on each side (0: the outermost pixel repeats its neighbour's light)."""
    if image.bounds is None:
        raise ValueError("a picture without bounds has no metres")
    west, south, east, north = image.bounds
    width, height = (east - west) / image.width, (north - south) / image.height
    cell_x, cell_y = _metres(image.crs, (width, height), (south + north) / 2)
    heights, mask = image.array.data[0], np.ma.getmaskarray(image.array)[:1]
    if ring == 0:
        light = hillshade(np.pad(heights, 1, mode="edge"), cell_x, cell_y)
    else:
        light = hillshade(heights, cell_x, cell_y)[ring - 1 : 1 - ring or None, ring - 1 : 1 - ring or None]
        mask = mask[:, ring:-ring, ring:-ring]
    bounds = (west + ring * width, south + ring * height, east - ring * width, north - ring * height)
    return ImageData(np.ma.MaskedArray(light[None], mask=mask), assets=image.assets, crs=image.crs, bounds=bounds)


def _metres(crs: CRS | None, cell: tuple[float, float], middle: float) -> tuple[float, float]:
    """Metres on the ground per pixel of `cell` map units, where the picture's middle lies at `middle` north: Mercator
    stretches by the latitude, degrees are shorter towards the poles."""
    if crs is not None and crs.is_geographic:
        return cell[0] * _DEGREE * math.cos(math.radians(middle)), cell[1] * _DEGREE
    if crs is not None and crs.to_epsg() == 3857:
        shrink = 1 / math.cosh(middle / _RADIUS)
        return cell[0] * shrink, cell[1] * shrink
    return cell
