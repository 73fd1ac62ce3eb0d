"""How well a loop over simulated flights did: its events against the simulator's truth."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from shapely.geometry import shape
from shapely.geometry.base import BaseGeometry

HEAP_MIN_AREA = 4.0
"""Square metres; smaller heaps are neither asked for nor held against anyone."""
OVERLAP = 0.2
"""A heap is found when events cover this share of it; an event is true when this share of it lies on true change."""


@dataclass(frozen=True, slots=True)
class Score:
    """Ids of truth features found and missed, and of events that nothing true lies under."""

    found: tuple[str, ...]
    missed: tuple[str, ...]
    false: tuple[str, ...]

    @property
    def recall(self) -> float:
        asked = len(self.found) + len(self.missed)
        return len(self.found) / asked if asked else 1.0


def score(events: Sequence[dict[str, Any]], truth: Sequence[dict[str, Any]]) -> Score:
    """`events` and `truth` are GeoJSON features in EPSG:4326, small enough that shares of area may be taken in degrees.

    Asked for: truth features of class `spoil_heap` that appeared, of at least `HEAP_MIN_AREA`. An event on any appeared
    heap, material or debris is true, whatever its class: a person looks at it before it is filed.
    """
    appeared = [
        feature
        for feature in truth
        if feature["properties"]["change"] == "appeared"
        and feature["properties"]["class"] in {"spoil_heap", "construction_material", "debris"}
    ]
    shapes = {str(event["id"]): shape(event["geometry"]) for event in events}
    wanted = [
        feature
        for feature in appeared
        if feature["properties"]["class"] == "spoil_heap" and feature["properties"]["area_m2"] >= HEAP_MIN_AREA
    ]
    found, missed = list[str](), list[str]()
    for feature in wanted:
        heap = shape(feature["geometry"])
        covered = sum(_share(heap, event) for event in shapes.values())
        (found if covered >= OVERLAP else missed).append(str(feature["id"]))
    true_ground = [shape(feature["geometry"]) for feature in appeared]
    false = [name for name, event in shapes.items() if sum(_share(event, ground) for ground in true_ground) < OVERLAP]
    return Score(tuple(found), tuple(missed), tuple(false))


def _share(whole: BaseGeometry, other: BaseGeometry) -> float:
    return float(whole.intersection(other).area / whole.area)
