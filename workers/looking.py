"""A later look at what was catalogued by its tags: every pixel decoded once, a thumbnail, a COG, the quality.

Not part of the acknowledgement, since decoding costs more than ten times what reading tags does. A capture that turns
out to be damaged leaves the catalogue for the quarantine, with its reason in the flight's report.
"""

import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from imagery.cog import write_cog, write_thumbnail
from imagery.errors import Refused
from imagery.sources import open_source
from records.engine import transaction
from stac import flight_queries, flights
from stac.assets import COG, Stored, asset
from stac.collections import ELEVATION, ORTHOPHOTOS, PHOTOS
from stac.flight_tables import File, Flight
from stac.items import georeference_of
from stac.store import Item
from workers.beside import beside
from workers.films import video_assets
from workers.flights import put_flight
from workers.ground import inspected
from workers.home import Home
from workers.judging import judge, quality_of
from workers.taking import ACTOR, Progress, quarantined

THUMBNAIL_SIDE = 512
THREADS = 2
"""Each holds one decoded picture, or a few blocks of a raster."""
BATCH = 16


@dataclass(frozen=True, slots=True)
class Seen:
    """One capture after the look: its item, and what was made from it or why it cannot be used."""

    file: File
    item: Item | None
    made: dict[str, Any]
    said: dict[str, Any] = field(default_factory=dict)
    """Properties that its pixels tell."""
    refused: Refused | None = None


def look(home: Home, flight_id: str, progress: Progress) -> dict[str, Any]:
    """Look at every capture of a flight that nobody has looked at yet; how many, and how many were damaged."""
    with home.engine.connect() as conn:
        flight = flight_queries.get(conn, flight_id)
        waiting = flight_queries.to_look_at(conn, flight_id)
    damaged, done = 0, 0
    with ThreadPoolExecutor(THREADS) as pool:
        for batch in _batches(waiting):
            progress(batch[0].name, done, len(waiting))
            seen = list(pool.map(lambda file: _look_at(home, flight, file), batch))
            _write(home, flight, seen)
            damaged += sum(one.refused is not None for one in seen)
            done += len(batch)
    if waiting:
        progress(flight_id, done, len(waiting))
    if waiting:
        judge(home, flight, {file.name for file in waiting})
        with home.engine.connect() as conn:
            put_flight(home, flight_queries.get(conn, flight_id))
    return {"flight": flight_id, "looked": done, "damaged": damaged}


def _batches(files: list[File]) -> Iterator[list[File]]:
    for start in range(0, len(files), BATCH):
        yield files[start : start + BATCH]


def _look_at(home: Home, flight: Flight, file: File) -> Seen:
    reference = file.answer.item if file.answer is not None else None
    collection, _, name = (reference or "").partition("/")
    item = home.catalog.get_item(collection, name)
    if item is None or "thumbnail" in item["assets"]:
        return Seen(file, None, {})  # withdrawn, or seen as part of another flight
    path = home.files.path(file.sha256 or "")
    try:
        if item["collection"] in (ORTHOPHOTOS, ELEVATION):
            open_source(path)  # a JPEG or PNG that is not whole is refused here
            return Seen(file, item, _derived(home, item, path))
        with beside(home, flight, file.name) as place:
            capture = inspected(home, flight, path, sent=place, offset=_said(item))
        if capture.track is not None:
            return Seen(file, item, video_assets(home, item, path, capture))
        said = quality_of(path) if item["collection"] == PHOTOS and not capture.thermal else {}
        return Seen(file, item, _derived(home, item, path), said)
    except Refused as refused:
        return Seen(file, item, {}, refused=refused)


def _said(item: Item) -> float | None:
    """The offset of a video's log that a person gave when it was sent."""
    offset = item["properties"].get("flyonce:log_offset", {})
    return offset["seconds"] if offset.get("source") == "said" else None


def _derived(home: Home, item: Item, path: Path) -> dict[str, Any]:
    """The assets of its thumbnail and, for a raster, its COG, which lies where the item says: what placed it may be
    no file of this flight."""
    stem = PurePosixPath(item["properties"]["title"]).stem
    original, assets = item["assets"]["original"], {}
    with tempfile.TemporaryDirectory(prefix="look-", dir=home.settings.home) as folder:
        if item["collection"] in (ORTHOPHOTOS, ELEVATION):
            write_cog(path, made := Path(folder, "cog.tif"), georeference_of(item))
            fields = {key: original[key] for key in ("data_type", "bands") if key in original}
            cog = _store(home, made, f"{stem}.cog.tif", COG)
            assets["cog"] = asset(cog, "云优化影像 Cloud-optimized GeoTIFF", "data", "visual", **fields)
        write_thumbnail(path, small := Path(folder, "thumbnail.jpg"), THUMBNAIL_SIDE)
        thumbnail = _store(home, small, f"{stem}-thumbnail.jpg", "image/jpeg")
        assets["thumbnail"] = asset(thumbnail, "缩略图 Thumbnail", "thumbnail")
    return assets


def _after(seen: Seen, item: Item | None) -> Item | None:
    """The item with what was made of it; none where it turned out to be damaged."""
    if item is None or seen.refused is not None:
        return None
    return {**item, "assets": {**item["assets"], **seen.made}, "properties": {**item["properties"], **seen.said}}


def _store(home: Home, path: Path, name: str, media_type: str) -> Stored:
    kept = home.files.put(path)
    return Stored(name, kept.sha256, kept.size, media_type)


def _write(home: Home, flight: Flight, batch: list[Seen]) -> None:
    for one in batch:
        if one.item is not None:
            # Changed in place: another flight may become its second owner meanwhile.
            home.catalog.change_item(one.item["collection"], one.item["id"], partial(_after, one))
    with transaction(home.engine) as conn:
        answers = [
            (
                one.file.name,
                one.file.sha256 or "",
                one.file.size or 0,
                quarantined(one.refused, str(home.files.path(one.file.sha256 or "")), one.file.name),
            )
            for one in batch
            if one.refused is not None
        ]
        if answers:
            flights.answer(conn, flight.id, answers, ACTOR)
        for one in batch:
            flights.looked(conn, flight.id, one.file.name)
