"""Features as Mapbox Vector Tiles 2.1: clipped to the tile, simplified to what a screen can show. Pure."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import mapbox_vector_tile
import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

EXTENT = 4096
"""Units of a tile's side."""
BUFFER = 64
"""Units around the tile that are kept, so that outlines do not end at its edge."""
TOLERANCE = 8.0
"""Units by which a line may move: half a pixel of a tile of 256."""
MOST_ZOOM = 24
MEDIA_TYPE = "application/vnd.mapbox-vector-tile"
_LIMIT = 85.051_128_779_806_6  # the latitude at which Web Mercator is square


@dataclass(frozen=True, slots=True)
class Feature:
    """`geometry` in degrees, longitude first."""

    geometry: BaseGeometry
    properties: Mapping[str, str | int | float | bool]


def box_of(z: int, x: int, y: int, buffer: int = 0) -> tuple[float, float, float, float]:
    """West, south, east, north in degrees of a tile, with `buffer` units around it."""
    side, pad = 2.0**z, buffer / EXTENT

    def lat(row: float) -> float:
        return math.degrees(math.atan(math.sinh(math.pi * (1 - 2 * row / side))))

    west, east = (x - pad) / side * 360 - 180, (x + 1 + pad) / side * 360 - 180
    return max(west, -180.0), lat(min(y + 1 + pad, side)), min(east, 180.0), lat(max(y - pad, 0))


def encode(layer: str, features: Iterable[Feature], z: int, x: int, y: int) -> bytes:
    """A tile with one layer. What is smaller than a pixel becomes its middle point, so that it is still seen."""
    drawn = [
        {"geometry": geometry, "properties": dict(feature.properties)}
        for feature in features
        if (geometry := fitted(feature.geometry, z, x, y)) is not None
    ]
    if not drawn:
        return b""
    options = {"extents": EXTENT, "y_coord_down": True, "max_geometry_validate_tries": 3}
    tile: bytes = mapbox_vector_tile.encode([{"name": layer, "features": drawn}], default_options=options)
    return tile


def fitted(geometry: BaseGeometry, z: int, x: int, y: int) -> BaseGeometry | None:
    """The geometry in units of the tile, from its upper left corner; None where nothing of it is there."""

    def units(points: NDArray[np.float64]) -> NDArray[np.float64]:
        lat = np.radians(np.clip(points[:, 1], -_LIMIT, _LIMIT))
        column = (points[:, 0] + 180) / 360 * 2.0**z - x
        row = (1 - np.arcsinh(np.tan(lat)) / np.pi) / 2 * 2.0**z - y
        return np.stack([column, row], axis=-1) * EXTENT

    placed = shapely.transform(shapely.force_2d(geometry), units)
    edge = EXTENT + BUFFER
    if not placed.is_valid:
        placed = shapely.make_valid(placed)
    clipped = shapely.clip_by_rect(placed, -BUFFER, -BUFFER, edge, edge)
    if clipped.is_empty:
        return None
    if clipped.length and max(placed.bounds[2] - placed.bounds[0], placed.bounds[3] - placed.bounds[1]) < EXTENT / 256:
        return placed.centroid
    simple = clipped.simplify(TOLERANCE)
    return clipped if simple.is_empty else simple
