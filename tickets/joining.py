"""Which sightings show the same real thing. Pure.

A sighting belongs to an event of its class that it overlaps, or that lies nearer than their position errors explain.
Two sightings of one run are two things, for a run has merged its own polygons already: so each run is matched to the
events one to one, overlaps first, the nearest pair first.
"""

import math
from collections.abc import Iterable, Sequence

import numpy as np
import shapely
import shapely.geometry
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from tickets.states import State
from tickets.values import Event, Geometry, Sighting

_A, _E2 = 6_378_137.0, 0.006_694_379_990_14  # WGS84: semi-major axis in metres, first eccentricity squared
GROWN = 2.0
"""A thing that was rejected is proposed anew once it has this many times its area."""


def claims(event: Event, sighting: Sighting) -> bool:
    """Whether the event, given its state, would take a sighting of its class and place.

    A rejection holds for later flights as well, unless the thing has grown. What was closed or withdrawn claims
    captures from before that; the same thing seen later is a new event. What was merged leaves it to its target.
    """
    match event.state:
        case State.MERGED:
            return False
        case State.REJECTED:
            return sighting.area_m2 < GROWN * event.area_m2
        case State.CLOSED | State.WITHDRAWN:
            return sighting.seen <= event.changed
        case _:
            return True


def reach(sighting: Sighting, error_m: float) -> float:
    """Metres that two positions of one thing may lie apart: the root sum of squares of both errors, one sigma each."""
    return math.hypot(sighting.error_m, error_m)


def match(sightings: Sequence[Sighting], events: Iterable[Event]) -> dict[str, str]:
    """Sighting id → event id, for sightings of one run; those without an event are left out.

    Does not depend on the order of either.
    """
    pairs = [
        (-overlap, distance, event.id, sighting.id)
        for event in events
        for sighting in sightings
        if event.class_ == sighting.class_ and claims(event, sighting)
        for overlap, distance in [_closeness(sighting.geometry, event.geometry)]
        if overlap > 0 or distance <= reach(sighting, event.error_m)
    ]
    matched: dict[str, str] = {}
    taken: set[str] = set()
    for _, _, event_id, sighting_id in sorted(pairs):
        if event_id not in taken and sighting_id not in matched:
            matched[sighting_id] = event_id
            taken.add(event_id)
    return matched


def _closeness(a: Geometry, b: Geometry) -> tuple[float, float]:
    """Shared area over the smaller of both (0 for points), and distance in metres."""
    first = shapely.geometry.shape(a)
    origin = first.representative_point()
    one, other = (_local(shape, origin.x, origin.y) for shape in (first, shapely.geometry.shape(b)))
    smaller = min(one.area, other.area)
    overlap = one.intersection(other).area / smaller if smaller > 0 else 0.0
    return overlap, one.distance(other)


def _local(geometry: BaseGeometry, lon: float, lat: float) -> BaseGeometry:
    """In metres east and north of a point nearby, by the ellipsoid's radii there: right to 1e-4 within a kilometre."""
    root = 1 - _E2 * math.sin(math.radians(lat)) ** 2
    east = math.radians(1) * _A / math.sqrt(root) * math.cos(math.radians(lat))
    north = math.radians(1) * _A * (1 - _E2) / root**1.5

    def metres(degrees: NDArray[np.float64]) -> NDArray[np.float64]:  # [N, 2]: longitude, latitude → east, north
        shifted = degrees - (lon, lat)
        shifted[:, 0] = (shifted[:, 0] + 180) % 360 - 180  # across the antimeridian
        return shifted * (east, north)

    return shapely.transform(shapely.make_valid(geometry), metres)
