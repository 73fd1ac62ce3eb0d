"""The item of any capture, by its kind."""

from dataclasses import asdict
from datetime import datetime, timedelta

from imagery.values import Capture
from stac import times
from stac.assets import Stored, asset
from stac.collections import ELEVATION, FLIGHTS, FRAMES, ORTHOPHOTOS, VIDEOS
from stac.items import Custody, item_link, item_of, orthophoto_item, photo_item
from stac.store import Item


def capture_item(
    capture: Capture, item_id: str, *, custody: Custody, flight: str, created: datetime, original: Stored
) -> Item:
    """The item with its original alone: thumbnail, COG and index come with the look at its pixels."""
    if capture.kind in ("video", "telemetry"):
        return video_item(capture, item_id, custody=custody, flight=flight, created=created, original=original)
    build = photo_item if capture.kind == "photo" else orthophoto_item
    item = build(capture, item_id, custody=custody, flight=flight, created=created, original=original)
    if capture.kind != "elevation":
        return item
    item["properties"]["flyonce:elevation"] = capture.elevation
    return elevation_of(item)


def elevation_of(item: Item) -> Item:
    """The item of heights: in a collection of its own, so that nothing takes them for a picture."""
    collection = {**item, "collection": ELEVATION}
    collection["links"] = [
        {**link, "href": link["href"].replace(ORTHOPHOTOS, ELEVATION), "title": ELEVATION}
        if link["rel"] == "collection"
        else link
        for link in item["links"]
    ]
    original = {**item["assets"]["original"], "title": "高程 Elevation", "roles": ["data", "elevation"]}
    collection["assets"] = {**item["assets"], "original": original}
    return collection


def video_item(
    capture: Capture, item_id: str, *, custody: Custody, flight: str, created: datetime, original: Stored
) -> Item:
    """An item of `videos`: the ground that its frames show where that can be trusted, else the track of the aircraft.

    Telemetry that came without its video is one too, so that a flight past a place is found: it has no picture.
    """
    track = capture.track
    start = capture.taken or created
    seconds = capture.seconds or 0.0
    end = start + timedelta(seconds=seconds)
    properties = {
        "title": original.name,
        "datetime": times.rfc3339(start),
        "start_datetime": times.rfc3339(start),
        "end_datetime": times.rfc3339(end),
        "created": times.rfc3339(created),
        **custody.properties(created),
        "flyonce:flight": flight,
        "flyonce:footprint_method": capture.footprint.method,
        "flyonce:footprint_error_m": round(capture.footprint.error_m, 3),
        "flyonce:taken_zone": capture.taken_zone,
        "flyonce:seconds": round(seconds, 3),
        "flyonce:captures": len(capture.seen),
    }
    if track is not None:
        properties["flyonce:telemetry"] = track.kind
        properties["flyonce:track"] = track.geometry(1e-6)
    if capture.offset is not None:
        properties["flyonce:log_offset"] = asdict(capture.offset)
    if capture.notes:
        properties["flyonce:notes"] = list(capture.notes)
    item = item_of(VIDEOS, item_id, geometry=capture.footprint.geometry, properties=properties)
    item["links"].append(item_link("derived_from", FLIGHTS, flight, flight))
    if capture.kind == "video":
        item["assets"]["original"] = asset(original, "原始视频 Original video", "data")
    else:
        item["assets"]["telemetry"] = asset(original, "飞行数据 Telemetry", "metadata")
    return item


def frame_item(video: Item, capture: Capture, item_id: str, *, seconds: float, picture: Stored) -> Item:
    """An item of `frames`: one picture out of a video, `seconds` after its start, with the pose it was taken in."""
    said = video["properties"]
    item = photo_item(
        capture,
        item_id,
        custody=Custody(said["flyonce:department"], said["flyonce:security"]),
        flight=said["flyonce:flight"],
        created=times.parse(said["created"]),
        original=picture,
    )
    item["collection"] = FRAMES
    item["links"] = [
        {"rel": "collection", "href": f"/stac/collections/{FRAMES}", "type": "application/json", "title": FRAMES},
        item_link("derived_from", VIDEOS, video["id"], said["title"]),
        *(link for link in item["links"] if link["rel"] != "collection"),
    ]
    item["properties"] |= {
        "title": f"{said['title']} @ {seconds:.1f} s",
        "flyonce:seconds": round(seconds, 3),
        "flyonce:retain_until": said["flyonce:retain_until"],
    }
    return item
