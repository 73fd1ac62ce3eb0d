"""Which captures show a place, from which second on and from which side: over photos, frames, videos and orthophotos.

The catalogue's own index proposes items whose geometry holds the place; a video's index (its `moments` asset) then
tells the seconds. An aircraft that flew past without a footprint to trust shows nothing.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import shapely
import shapely.geometry

from imagery.ground import WGS84
from stac import times
from stac.collections import FRAMES, ORTHOPHOTOS, PHOTOS, VIDEOS
from stac.perspective import camera_of
from stac.store import Item

COLLECTIONS = (PHOTOS, FRAMES, VIDEOS, ORTHOPHOTOS)
GAP = 2.5
"""Seconds between two moments that show the place, up to which it was in view all the time."""
SIDES = ("N", "NE", "E", "SE", "S", "SW", "W", "NW")

Moments = Callable[[str], dict[str, Any] | None]
"""Reads a `moments` asset by its href; None where it cannot be had."""


@dataclass(frozen=True, slots=True)
class View:
    """One capture that shows the place; a video once for every time that it comes into view."""

    collection: str
    item: str
    flight: str | None
    title: str
    taken: str
    """RFC 3339; when the place came into view."""
    begins: float | None = None
    """Seconds into the video, and when it left the view."""
    ends: float | None = None
    bearing: float | None = None
    """Degrees from north, from the place to the camera: the side that it is seen from."""
    side: str | None = None
    off_nadir: float | None = None
    """Degrees off straight down, of the line of sight to the place."""
    distance: float | None = None
    """Metres from the camera to the place."""
    error_m: float | None = None


def views(items: Iterable[Item], lon: float, lat: float, moments: Moments) -> list[View]:
    """The views of a place among items, the newest first."""
    found = [view for item in items for view in _views(item, lon, lat, moments)]
    return sorted(found, key=lambda view: view.taken, reverse=True)


def _views(item: Item, lon: float, lat: float, moments: Moments) -> Iterator[View]:
    place, said = shapely.Point(lon, lat), item["properties"]
    if said.get("flyonce:footprint_method") == "position" or item["geometry"] is None:
        return
    if not shapely.geometry.shape(item["geometry"]).covers(place):
        return
    if item["collection"] == VIDEOS:
        href = item["assets"].get("moments", {}).get("href")
        index = moments(href) if href else None
        if index is not None:
            yield from _of_video(item, index, lon, lat)
        return
    frame = _view(item, said["datetime"], seconds=said.get("flyonce:seconds"))
    camera = camera_of(item)
    if camera is None:
        yield frame
        return
    _, position = camera
    yield _from(frame, position.lon, position.lat, said["flyonce:height_above_ground"], lon, lat)


def _of_video(item: Item, index: dict[str, Any], lon: float, lat: float) -> Iterator[View]:
    """A view for every stretch of seconds whose footprints hold the place."""
    features = index["features"]
    areas = [shapely.geometry.shape(feature["geometry"]) for feature in features]
    holds: Any = shapely.covers(areas, shapely.Point(lon, lat)) if areas else []
    shown = [feature["properties"] for feature, inside in zip(features, holds, strict=True) if inside]
    stretch: list[dict[str, Any]] = []
    for one in [*shown, None]:
        if stretch and (one is None or one["seconds"] - stretch[-1]["seconds"] > GAP):
            yield _stretch(item, stretch, lon, lat)
            stretch = []
        if one is not None:
            stretch.append(one)


def _stretch(item: Item, stretch: list[dict[str, Any]], lon: float, lat: float) -> View:
    begins, ends = stretch[0]["seconds"], stretch[-1]["seconds"]
    start = times.parse(item["properties"]["start_datetime"]) + timedelta(seconds=begins)
    view = _view(item, times.rfc3339(start), seconds=begins, ends=ends)
    middle = stretch[len(stretch) // 2]
    seen = _from(view, middle["lon"], middle["lat"], middle["above_ground"], lon, lat)
    return replace(seen, error_m=max(one["error_m"] for one in stretch))


def _view(item: Item, taken: str, *, seconds: float | None = None, ends: float | None = None) -> View:
    said = item["properties"]
    return View(
        item["collection"],
        item["id"],
        said.get("flyonce:flight"),
        said.get("title", item["id"]),
        taken,
        seconds,
        ends if ends is not None else seconds,
        error_m=said.get("flyonce:footprint_error_m"),
    )


def _from(view: View, lon: float, lat: float, above: float | None, at_lon: float, at_lat: float) -> View:
    """The view with the side that a camera at (`lon`, `lat`) sees the place from."""
    bearing, _, across = WGS84.inv(at_lon, at_lat, lon, lat)
    bearing = float(bearing) % 360
    height = above or 0.0
    return replace(
        view,
        bearing=round(bearing, 1),
        side=SIDES[round(bearing / 45) % 8],
        off_nadir=round(math.degrees(math.atan2(float(across), height)), 1) if height > 0 else None,
        distance=round(math.hypot(float(across), height), 1),
    )
