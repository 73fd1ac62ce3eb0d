"""What is made of a video after it was catalogued: its index from place to second, a thumbnail and its key frames."""

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from PIL import Image

from imagery.clips import Seen, key_frames
from imagery.films import GNSS_ERROR, write_moments
from imagery.track import Fix
from imagery.values import Capture, Footprint, Position
from imagery.video import frame
from stac.assets import Stored, asset
from stac.captures import frame_item
from stac.collections import FRAMES
from stac.searching import MOST_PER_PAGE
from stac.store import Item, Query
from workers.home import Home

MOST_FRAMES = 60
THUMBNAIL_SIDE = 512
QUALITY = 90
PAUSE = 10.0
"""Seconds between frames of a video that does not tell what ground it shows."""

Moment = TypeVar("Moment")


def video_assets(home: Home, item: Item, path: Path, capture: Capture) -> dict[str, Any]:
    """Assets of a video's item; its key frames are put into the catalogue. Raises `Refused` as `imagery.video` does."""
    if capture.kind != "video":
        return {}
    title = Path(item["properties"]["title"]).stem
    made: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="video-", dir=home.settings.home) as folder:
        if capture.seen:
            write_moments(capture, index := Path(folder, "moments.geojson"))
            stored = _store(home, index, f"{title}-moments.geojson", "application/geo+json")
            made["moments"] = asset(stored, "逐秒画面范围 What each second shows", "metadata")
        middle = (capture.seconds or 0.0) / 2
        picture = Image.fromarray(frame(path, middle, THUMBNAIL_SIDE))
        picture.save(small := Path(folder, "thumbnail.jpg"), "JPEG", quality=85)
        stored = _store(home, small, f"{title}-thumbnail.jpg", "image/jpeg")
        made["thumbnail"] = asset(stored, "缩略图 Thumbnail", "thumbnail")
        stills = [_still(home, item, path, capture, one, Path(folder)) for one in moments_of(capture)]
    home.catalog.put_items(stills)
    _withdraw(home, item, {still["id"] for still in stills})
    return made


def _withdraw(home: Home, video: Item, kept: set[str]) -> None:
    """Take frames out of the catalogue that were chosen when the video's log was laid at another time."""
    its_own = {"op": "like", "args": [{"property": "id"}, f"{video['id']}-%"]}
    for one in home.catalog.search(Query((FRAMES,), filter=its_own, limit=MOST_PER_PAGE)).items:
        if one["id"] not in kept:
            home.catalog.change_item(FRAMES, one["id"], lambda _: None)


def moments_of(capture: Capture) -> list[Seen | Fix]:
    """The moments that are kept as frames: the fewest that show all the ground, or, where nothing tells what ground a
    video shows, one every `PAUSE` seconds."""
    if capture.seen:
        return list(_spread(key_frames(capture.seen), MOST_FRAMES))
    chosen: list[Fix] = []
    for fix in capture.track.fixes if capture.track else ():
        if 0 <= fix.seconds <= (capture.seconds or 0.0) and (not chosen or fix.seconds >= chosen[-1].seconds + PAUSE):
            chosen.append(fix)
    return list(_spread(chosen, MOST_FRAMES))


def frame_capture(capture: Capture, one: Seen | Fix) -> Capture:
    """One moment of a video as a photo."""
    if isinstance(one, Fix):
        return _placed(capture, one)
    camera = one.posed.camera
    return replace(
        capture,
        kind="photo",
        media_type="image/jpeg",
        footprint=one.footprint,
        taken=one.fix.taken or capture.taken,
        gsd=camera.gsd(),
        position=one.position,
        attitude=camera.attitude,
        lens=camera.lens,
        sigma=one.posed.sigma,
        camera_height=camera.height,
        track=None,
        seen=(),
        notes=(),
    )


def _placed(capture: Capture, fix: Fix) -> Capture:
    """A moment of which only the place it was taken from is known."""
    position = Position(fix.lon, fix.lat, fix.height, fix.above_ground, GNSS_ERROR)
    point = {"type": "Point", "coordinates": [fix.lon, fix.lat]}
    return replace(
        capture,
        kind="photo",
        media_type="image/jpeg",
        footprint=Footprint(point, "position", GNSS_ERROR),
        taken=fix.taken or capture.taken,
        position=position,
        attitude=fix.attitude,
        track=None,
        notes=("nothing tells which ground it shows",),
    )


def _still(home: Home, item: Item, path: Path, capture: Capture, one: Seen | Fix, folder: Path) -> Item:
    name = f"{Path(item['properties']['title']).stem}-{one.seconds:08.1f}s.jpg"
    Image.fromarray(frame(path, one.seconds)).save(out := folder / name, "JPEG", quality=QUALITY)
    stored = _store(home, out, name, "image/jpeg")
    item_id = f"{item['id']}-{round(one.seconds * 10):06d}"
    return frame_item(item, frame_capture(capture, one), item_id, seconds=one.seconds, picture=stored)


def _spread(chosen: Sequence[Moment], most: int) -> Sequence[Moment]:
    """At most `most` of the frames, evenly."""
    if len(chosen) <= most:
        return chosen
    return [chosen[round(i * (len(chosen) - 1) / (most - 1))] for i in range(most)]


def _store(home: Home, path: Path, name: str, media_type: str) -> Stored:
    kept = home.files.put(path)
    return Stored(name, kept.sha256, kept.size, media_type)
