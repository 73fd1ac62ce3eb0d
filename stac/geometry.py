"""Geometries and boxes of searches and items, checked, as shapely values. Degrees, longitude first (RFC 7946)."""

import math
from collections.abc import Sequence
from contextlib import suppress
from itertools import chain
from typing import Any

import numpy as np
import shapely
import shapely.geometry
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

Box = tuple[float, float, float, float]
"""West, south, east, north; west > east crosses the antimeridian."""

MOST_VERTICES = 20_000
_FAULTS = (shapely.errors.ShapelyError, ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError)
_TYPES = {"Point", "MultiPoint", "LineString", "MultiLineString", "Polygon", "MultiPolygon", "GeometryCollection"}


def box_of(values: Sequence[float]) -> Box:
    """Four numbers, or six with heights, which are left out. Raises ValueError."""
    if len(values) not in (4, 6):
        raise ValueError(f"a bbox has 4 or 6 numbers, not {len(values)}")
    if not all(isinstance(v, int | float) and not isinstance(v, bool) and math.isfinite(v) for v in values):
        raise ValueError(f"a bbox holds finite numbers only: {list(values)}")
    (
        west,
        south,
        *_,
    ) = values
    east, north = (values[2], values[3]) if len(values) == 4 else (values[3], values[4])
    if not (-180 <= west <= 180 and -180 <= east <= 180 and -90 <= south <= 90 and -90 <= north <= 90):
        raise ValueError(f"outside longitude -180..180, latitude -90..90: {list(values)}")
    if south > north:
        raise ValueError(f"the south edge {south} lies north of the north edge {north}")
    return (float(west), float(south), float(east), float(north))


def halves(box: Box) -> list[Box]:
    """The box, cut in two where it crosses the antimeridian."""
    west, south, east, north = box
    return [box] if west <= east else [(west, south, 180.0, north), (-180.0, south, east, north)]


def box_geometry(box: Box) -> BaseGeometry:
    """The box's area; a point or a line where it has none."""
    parts = [_rectangle(half) for half in halves(box)]
    return parts[0] if len(parts) == 1 else shapely.union_all(parts)


def geometry_of(value: Any) -> BaseGeometry:
    """A GeoJSON geometry. Raises ValueError where it is none, not valid, too large, or not on Earth."""
    geometry: BaseGeometry = geometries_of([value])[0]
    return geometry


def geometries_of(values: Sequence[Any]) -> NDArray[np.object_]:
    """As `geometry_of` of each: looked at together, they cost a third. Raises ValueError for one of those at fault."""
    made = _shapes(values)
    if shapely.is_empty(made).any():
        raise ValueError(f"an empty {made[shapely.is_empty(made)][0].geom_type}")
    if (shapely.get_num_coordinates(made) > MOST_VERTICES).any():
        raise ValueError(f"more than {MOST_VERTICES} vertices")
    bounds = shapely.bounds(made)
    on_earth = ((bounds >= (-180, -90, -180, -90)) & (bounds <= (180, 90, 180, 90))).all(axis=1)  # NaN is nowhere
    if not on_earth.all():
        raise ValueError(f"outside longitude -180..180, latitude -90..90: {tuple(bounds[~on_earth][0].tolist())}")
    valid = shapely.is_valid(made)
    if not valid.all():
        wrong = made[~valid][0]
        raise ValueError(f"not a valid {wrong.geom_type}: {shapely.is_valid_reason(wrong)}")
    flat: NDArray[np.object_] = shapely.force_2d(made)
    return flat


def _shapes(values: Sequence[Any]) -> NDArray[np.object_]:
    made = np.full(len(values), None, dtype=object)
    plain = [at for at, value in enumerate(values) if _is_plain(value)]
    if plain:
        with suppress(*_FAULTS):  # the next lines say whose it is
            made[plain] = _polygons([values[at]["coordinates"][0] for at in plain])
    for at, value in enumerate(values):
        if made[at] is None:
            made[at] = _made(value)
    return made


def _is_plain(value: Any) -> bool:
    """Whether it looks like the most usual geometry: a polygon of one ring without heights."""
    try:
        return (
            value["type"] == "Polygon"
            and len(value["coordinates"]) == 1
            and {*map(len, value["coordinates"][0])} == {2}
        )
    except (TypeError, KeyError, IndexError):
        return False


def _polygons(rings: Sequence[Any]) -> NDArray[np.object_]:
    """Of one ring each, of positions of two numbers: for a fifth of what shapely takes one by one."""
    positions = [position for ring in rings for position in ring]
    if not {*map(type, chain.from_iterable(positions))} <= {int, float}:
        raise TypeError("positions hold numbers only")
    ends = np.repeat(np.arange(len(rings)), [len(ring) for ring in rings])
    return np.asarray(shapely.polygons(shapely.linearrings(positions, indices=ends)))


def _made(value: Any) -> BaseGeometry:
    if not isinstance(value, dict) or str(value.get("type")) not in _TYPES:
        raise ValueError(f"not a GeoJSON geometry: {str(value)[:80]}")
    try:
        made = shapely.geometry.shape(value)
        parts = value["geometries"] if value["type"] == "GeometryCollection" else [value]
        if not _all_numbers([part.get("coordinates", []) for part in parts]):
            raise TypeError("positions hold numbers only")
    except _FAULTS as error:
        raise ValueError(f"not a GeoJSON {value['type']}: {error}") from error
    return made


def _all_numbers(part: Any) -> bool:
    if isinstance(part, list | tuple):
        return all(map(_all_numbers, part))
    return isinstance(part, int | float) and not isinstance(part, bool)


def _rectangle(box: Box) -> BaseGeometry:
    west, south, east, north = box
    if west == east and south == north:
        return shapely.Point(west, south)
    if west == east or south == north:
        return shapely.LineString([(west, south), (east, north)])
    return shapely.box(*box)
