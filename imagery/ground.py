"""Metres on the ground: affine coefficients, ground resolution and the truth of a map's scale, along the ellipsoid."""

import json
import math
from functools import cache
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import CRS, Geod, Transformer
from shapely.geometry.base import BaseGeometry

Affine = tuple[float, float, float, float, float, float]
"""(a, b, c, d, e, f) in rasterio's order: x = a * col + b * row + c, y = d * col + e * row + f."""
Points = NDArray[np.float64]

WGS84 = Geod(ellps="WGS84")
"""CGCS2000's ellipsoid differs from WGS84's by 0.1 mm at the poles: one is enough for lengths and areas."""

LONLAT = "EPSG:4326"

TRUE_SCALE = 0.003
"""How far map metres may be from ground metres: UTM is within 0.1 % inside its zone, Web Mercator 13 % off at 28°."""


def apply(affine: Affine, points: Points) -> Points:
    """`points` [..., 2] through the affine map."""
    a, b, c, d, e, f = affine
    x, y = points[..., 0], points[..., 1]
    return np.stack([a * x + b * y + c, d * x + e * y + f], axis=-1)


def invert(affine: Affine) -> Affine:
    """The inverse map. Raises ValueError where the map flattens the plane."""
    a, b, c, d, e, f = affine
    det = a * e - b * d
    if det == 0:
        raise ValueError(f"not a geotransform: {affine}")
    return e / det, -b / det, (b * f - c * e) / det, -d / det, a / det, (c * d - a * f) / det


@cache
def transformation(crs: str, to: str) -> Transformer:
    """From one CRS to another, x (east) before y (north) on both sides whatever the CRS's own order."""
    return Transformer.from_crs(crs, to, always_xy=True)


def as_geojson(geometry: BaseGeometry) -> dict[str, Any]:
    """A GeoJSON geometry of lists, as JSON and its schemas have them."""
    parsed: dict[str, Any] = json.loads(shapely.to_geojson(geometry))
    return parsed


def ground_gsd(crs: str, transform: Affine, width: int, height: int) -> float:
    """Metres on the ground per pixel in the middle of a raster: geometric mean of its two directions, geodesic.

    Measured over up to 100 pixels, for a distance of centimetres would drown in the rounding of degrees.
    """
    x, y, span = width / 2, height / 2, float(min(100, width, height))
    pixels = np.array([[x - span / 2, y], [x + span / 2, y], [x, y - span / 2], [x, y + span / 2]])
    points = apply(transform, pixels)
    lon, lat = transformation(crs, LONLAT).transform(points[:, 0], points[:, 1])
    _, _, across = WGS84.inv(lon[0], lat[0], lon[1], lat[1])
    _, _, along = WGS84.inv(lon[2], lat[2], lon[3], lat[3])
    return math.sqrt(across * along) / span


def true_scale(crs: str, middle: Points) -> bool:
    """Whether `crs` is projected in metres that are metres on the ground around `middle` (x, y), to `TRUE_SCALE`."""
    declared = CRS.from_user_input(crs)
    if not declared.is_projected or any(axis.unit_conversion_factor != 1 for axis in declared.axis_info[:2]):
        return False
    per_pixel = ground_gsd(crs, (1.0, 0.0, float(middle[0]) - 50, 0.0, -1.0, float(middle[1]) + 50), 100, 100)
    return abs(per_pixel - 1) <= TRUE_SCALE
