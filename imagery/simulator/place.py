"""Where the block lies: scene metres to EPSG:4547 (CGCS2000, 3-degree Gauss-Krüger, 114° E) and to degrees."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pyproj import Geod, Transformer
from shapely import transform
from shapely.geometry import Polygon
from shapely.geometry.polygon import orient

from imagery.simulator.days import LAT, LON
from imagery.simulator.values import stream

CRS = "EPSG:4547"
"""Its axes are northing, easting; everything here, as in GeoTIFFs, is easting, northing."""
CENTRAL_MERIDIAN = 114.0
GROUND = 27.0
"""Metres above the sea."""

_TO_DEGREES = Transformer.from_crs(CRS, "EPSG:4326", always_xy=True)
_TO_METRES = Transformer.from_crs("EPSG:4326", CRS, always_xy=True)
_WGS84 = Geod(ellps="WGS84")


@dataclass(frozen=True, slots=True)
class Place:
    """Easting and northing of the scene's origin, its top left corner."""

    easting: float
    northing: float

    def to_map(self, x: float, y: float) -> tuple[float, float]:
        """Easting and northing of a scene point (y down)."""
        return self.easting + x, self.northing - y

    def polygon(self, outline: Polygon) -> Polygon:
        """A scene polygon in longitude, latitude, exterior ring counter-clockwise."""

        def degrees(points: NDArray[np.float64]) -> NDArray[np.float64]:
            lon, lat = _TO_DEGREES.transform(self.easting + points[:, 0], self.northing - points[:, 1])
            return np.stack([np.round(lon, 9), np.round(lat, 9)], axis=1)

        return orient(transform(outline, degrees))


def place(seed: int) -> Place:
    """Somewhere in and around Xiaogan, to the decimetre."""
    rng = stream(seed, "place")
    easting, northing = _TO_METRES.transform(LON + rng.uniform(-0.03, 0.03), LAT + rng.uniform(-0.03, 0.03))
    return Place(round(float(easting), 1), round(float(northing), 1))


def to_degrees(easting: float, northing: float) -> tuple[float, float]:
    """Longitude and latitude of a map point."""
    lon, lat = _TO_DEGREES.transform(easting, northing)
    return float(lon), float(lat)


def convergence(lon: float, lat: float) -> float:
    """Degrees that grid north lies clockwise of true north: a bearing on the map is the true one less this."""
    return math.degrees(math.atan(math.tan(math.radians(lon - CENTRAL_MERIDIAN)) * math.sin(math.radians(lat))))


def area_m2(outline: Polygon) -> float:
    """Geodesic area of a polygon in longitude, latitude."""
    return abs(float(_WGS84.geometry_area_perimeter(outline)[0]))
