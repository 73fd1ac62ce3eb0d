"""What a look tells of photos beyond their being whole: how good each is, and what only the whole flight tells.

Sharpness and exposure are a photo's own. That two photos show one view, and how a camera stood whose file does not say
so, follows from the photos taken before and after: it is judged anew whenever a flight has been looked at.
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from imagery.errors import Refused
from imagery.ground import WGS84
from imagery.quality import assess, grey_of, same_bits
from imagery.tracked import with_tracked_attitudes
from imagery.values import Capture
from records.engine import transaction
from stac import flight_queries, flights
from stac.collections import PHOTOS
from stac.flight_tables import File, Flight
from stac.items import reposed
from stac.store import Item
from workers.ground import inspected, terrain_of
from workers.home import Home

LEAST_SIDE = 64
NEAR_M = 3.0
"""Metres between two photos of one view: a camera that was triggered twice has hardly moved."""
BEFORE = 3
"""Photos before one, among which its double is looked for."""


@dataclass(frozen=True, slots=True)
class Photo:
    """A photo of the flight, as file and as item."""

    file: File
    item: Item


def quality_of(path: Path) -> dict[str, Any]:
    """Item properties of a photo's pixels. Raises `Refused` where they cannot be read."""
    grey = grey_of(path)
    if min(grey.shape) < LEAST_SIDE:
        return {}
    found = assess(grey)
    return {
        **({} if math.isnan(found.sharpness) else {"flyonce:sharpness": round(found.sharpness, 4)}),
        "flyonce:blurred": found.blurred,
        "flyonce:underexposed": found.underexposed,
        "flyonce:overexposed": found.overexposed,
        "flyonce:view": f"{found.view:064x}",
    }


def judge(home: Home, flight: Flight, looked: Collection[str]) -> None:
    """Judge the photos of a flight of which those named `looked` are new."""
    photos = _photos(home, flight.id)
    new = [one for one in photos if one.file.name in looked]
    if not new:
        return
    _mark_doubles(home, photos)
    if any("flyonce:attitude" not in one.item["properties"] for one in new):
        _pose(home, flight, photos)


def _photos(home: Home, flight_id: str) -> list[Photo]:
    """In the order they were taken."""
    with home.engine.connect() as conn:
        files = flight_queries.files_of(conn, flight_id)
    found = []
    for file in files:
        collection, _, name = ((file.answer and file.answer.item) or "").partition("/")
        item = home.catalog.get_item(collection, name) if collection == PHOTOS else None
        if item is not None and file.answer is not None and file.answer.outcome == "accepted":
            found.append(Photo(file, item))
    return sorted(found, key=lambda one: (one.item["properties"]["datetime"], one.file.name))


def _mark_doubles(home: Home, photos: Sequence[Photo]) -> None:
    for at, one in enumerate(photos):
        earlier = [other for other in photos[max(0, at - BEFORE) : at] if _same_view(one.item, other.item)]
        double = f"{PHOTOS}/{earlier[0].item['id']}" if earlier else None
        if double != one.item["properties"].get("flyonce:same_view_as"):
            home.catalog.change_item(PHOTOS, one.item["id"], partial(_doubled, double))


def _same_view(one: Item, other: Item) -> bool:
    said, before = one["properties"], other["properties"]
    if "flyonce:view" not in said or "flyonce:view" not in before or one["id"] == other["id"]:
        return False
    if not same_bits(int(said["flyonce:view"], 16), int(before["flyonce:view"], 16)):
        return False
    here, there = said.get("pers:perspective_center"), before.get("pers:perspective_center")
    if here is None or there is None:
        return False
    return float(WGS84.inv(*here[:2], *there[:2])[2]) <= NEAR_M


def _doubled(double: str | None, item: Item | None) -> Item | None:
    if item is None:
        return None
    said = {key: value for key, value in item["properties"].items() if key != "flyonce:same_view_as"}
    return {**item, "properties": said | ({} if double is None else {"flyonce:same_view_as": double})}


def _pose(home: Home, flight: Flight, photos: Sequence[Photo]) -> None:
    """Give photos that lack an attitude alone the one of the flight's track, and the footprint that follows."""
    read: list[tuple[Photo, Capture]] = []
    for one in photos:
        try:
            path = home.files.path(one.file.sha256 or "")
            read.append((one, inspected(home, flight, path, decode=False, sent=Path(one.file.name))))
        except Refused:
            continue  # told by whoever looked at it
    tracked = with_tracked_attitudes([capture for _, capture in read], terrain_of(home, flight))
    posed = [
        (photo, after)
        for (photo, before), after in zip(read, tracked, strict=True)
        if after is not before and photo.item["properties"]["flyonce:footprint_method"] == "position"
    ]
    for photo, capture in posed:
        home.catalog.change_item(PHOTOS, photo.item["id"], partial(_reposed, capture))
    with transaction(home.engine) as conn:
        for photo, capture in posed:
            flights.amend(conn, flight.id, photo.file.name, footprint=capture.footprint.method, notes=capture.notes)


def _reposed(capture: Capture, item: Item | None) -> Item | None:
    return None if item is None else reposed(item, capture)


def quality_notes(captures: Sequence[Item]) -> list[str]:
    """How many photos of a flight are of doubtful use, for its report."""
    words = {
        "flyonce:blurred": "张模糊 blurred",
        "flyonce:underexposed": "张欠曝 underexposed",
        "flyonce:overexposed": "张过曝 overexposed",
        "flyonce:same_view_as": "张重复拍摄 taken twice",
    }
    counts = {word: sum(bool(one["properties"].get(key)) for one in captures) for key, word in words.items()}
    return [f"{count} {word}" for word, count in counts.items() if count]
