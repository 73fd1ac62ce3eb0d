"""Where an aircraft was while it filmed: fixes in the time of the video, whatever format they were written in."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from imagery.values import Attitude

TelemetryKind = Literal["srt", "klv", "gpx", "csv"]


@dataclass(frozen=True, slots=True)
class Fix:
    """One moment. Degrees on WGS84, metres; `seconds` from the start of the video, or of the log that has none."""

    seconds: float
    lon: float
    lat: float
    height: float | None = None
    """As declared, above the sea or the ellipsoid."""
    above_ground: float | None = None
    """Above take-off, or above the ground where the telemetry knows it."""
    taken: datetime | None = None
    """Aware where the telemetry names its zone or tells UTC."""
    attitude: Attitude | None = None
    """Of the camera."""
    equivalent: float | None = None
    """Focal length in millimetres on 35 mm film."""
    fov: float | None = None
    """Horizontal field of view in degrees."""

    def __post_init__(self) -> None:
        if not (-180 <= self.lon <= 180 and -90 <= self.lat <= 90):
            raise ValueError(f"not a place on Earth: longitude {self.lon}, latitude {self.lat}")


@dataclass(frozen=True, slots=True)
class Track:
    """Fixes in the order of their seconds; at least one."""

    kind: TelemetryKind
    fixes: tuple[Fix, ...]
    zone: Literal["utc", "solar", "none"] = "none"
    """How the zone of `taken` was decided: `utc` stated, `solar` by longitude, `none` no time at all."""
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.fixes:
            raise ValueError("a track has at least one fix")

    @property
    def duration(self) -> float:
        return self.fixes[-1].seconds - self.fixes[0].seconds

    @property
    def start(self) -> datetime | None:
        return next((fix.taken for fix in self.fixes if fix.taken is not None), None)

    def geometry(self, tolerance: float = 0.0) -> dict[str, Any]:
        """GeoJSON in EPSG:4326: a LineString, or the Point of an aircraft that stood still. `tolerance`: degrees by
        which it may be simplified."""
        import shapely

        from imagery.ground import as_geojson

        places = without_repeats([(fix.lon, fix.lat) for fix in self.fixes])
        if len(places) == 1:
            return as_geojson(shapely.Point(places[0]))
        line = shapely.LineString(places)
        return as_geojson(line.simplify(tolerance) if tolerance else line)

    def listed(self) -> list[list[Any]]:
        """[[lon, lat, height, time], …]: the declared height, else the one above take-off; the time as ISO 8601, or in
        seconds from the start where there is no clock."""
        return [
            [
                fix.lon,
                fix.lat,
                fix.height if fix.height is not None else fix.above_ground,
                fix.taken.isoformat() if fix.taken else fix.seconds,
            ]
            for fix in self.fixes
        ]


def without_repeats(places: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    return [place for i, place in enumerate(places) if i == 0 or place != places[i - 1]]
