"""What tickets are about: sightings by a model, and the events (real things on the ground) that they are joined to."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from tickets.states import State

Geometry = dict[str, Any]
"""GeoJSON, EPSG:4326, longitude first: Polygon or MultiPolygon, or a Point where no outline could be trusted."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a person needs to judge a sighting, and what a stranger needs to check it.

    `before` and `after` are asset hrefs (`/assets/<sha256>/<name>`) of crops; `inputs` are SHA-256 of the captures
    that the model saw; `model` is `name@version`.
    """

    before: str | None = None
    after: str | None = None
    inputs: tuple[str, ...] = ()
    model: str = ""

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"inputs": list(self.inputs)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Evidence":
        return cls(**{**value, "inputs": tuple(value["inputs"])})


@dataclass(frozen=True, slots=True)
class Sighting:
    """One thing as one run saw it. Never changed after it is recorded."""

    id: str
    """The same whenever the same run is repeated, such as `<run>/<number>`: recorded twice it counts once."""
    class_: str
    geometry: Geometry
    score: float
    """0 to 1."""
    area_m2: float
    error_m: float
    """Horizontal error of the geometry, one sigma."""
    seen: datetime
    """When the capture was taken. Aware."""
    run: str
    """`collection/id` of the run."""
    flight: str
    evidence: Evidence = Evidence()

    def __post_init__(self) -> None:
        if not self.id or not self.class_:
            raise ValueError("a sighting needs an id and a class")
        if not 0 <= self.score <= 1:
            raise ValueError(f"score of {self.id} is not within 0 and 1: {self.score}")
        if not (self.area_m2 >= 0 and self.error_m >= 0):
            raise ValueError(f"area and error of {self.id} cannot be negative: {self.area_m2} m², {self.error_m} m")
        if self.seen.tzinfo is None:
            raise ValueError(f"the time of {self.id} needs its zone: {self.seen.isoformat()}")


@dataclass(frozen=True, slots=True)
class Event:
    """One real thing, such as one heap, with the sighting that shows it best. What was approved is not changed by
    sightings that come later; they only move `first_seen` and `last_seen`."""

    id: str
    class_: str
    state: State
    score: float
    area_m2: float
    error_m: float
    geometry: Geometry
    lon: float
    lat: float
    """Degrees; a point within the geometry."""
    first_seen: datetime
    last_seen: datetime
    flight: str
    evidence: Evidence
    ticket: str | None
    """Number of its ticket, given at approval and valid from then on."""
    approved_by: str | None
    merged_into: str | None
    changed: datetime
    """When its state last changed."""


@dataclass(frozen=True, slots=True)
class Watch:
    """Look at this ground with captures taken after `since`, and say whether the event is still there."""

    event: str
    area: Geometry
    since: datetime
