"""From a run to candidates for review: what a model found, where it stands on the ground, and the pictures to judge by.

A machine proposes; nothing here approves or files. With a change run beside the detections, only what stands on changed
ground is proposed: a heap that lay there on both dates is old news.
"""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from urllib.parse import unquote

import shapely
from shapely.geometry import Polygon, mapping, shape
from shapely.geometry.base import BaseGeometry

from imagery.errors import Refused
from imagery.mosaic import reader
from stac.assets import Stored
from stac.collections import MODELS
from stac.runs import with_crops
from stac.store import Item
from tickets.values import Evidence, Sighting
from workers.captures import Captured, open_captured, reference
from workers.crops import crop, from_lonlat, polygon_of
from workers.home import Home
from workers.placing import Placed, place
from workers.publish import crop_key, keep

CHANGED_SHARE = 0.2
"""Of a detection's area that must have changed for it to be new. Heaps rarely change over all of their outline: their
lit side may look like the ground before."""

_ITEM_HREF = "/stac/collections/"


def sightings(home: Home, detections: Item, change: Item | None = None) -> list[Sighting]:
    """What a run in `detections` found, as sightings with stable ids; only what stands on changed ground where `change`
    is given, the run in `changes` whose later date is the detections' capture.

    Findings in a photo or a video frame are put on the ground by its pose, each with the error that it has there.
    Raises `Refused`: no-pose (then there are pixels only), change-of-other-captures.
    """
    (source,) = captures_of(detections)
    captured = open_captured(home, source)
    found = findings_of(home, detections)
    outlines = {index: polygon_of(shape(feature["geometry"])) for index, feature in enumerate(found)}
    error = float(captured.item["properties"]["flyonce:footprint_error_m"])
    placed = {
        index: Placed(outline, found[index]["properties"]["area_m2"], error) for index, outline in outlines.items()
    }
    if captured.input.pixels:
        placed, _ = place(captured.item, outlines)
    if change is None:
        return _sightings(detections, (captured,), found, placed, {})
    earlier, later = captures_of(change)
    if later != source:
        raise Refused(
            "change-of-other-captures",
            f"{reference(change)} compares with {later}, the detections are of {source}.",
            "Detect in the later capture of the change run.",
        )
    changed = [shape(feature["geometry"]) for feature in findings_of(home, change)]
    wanted = on_changed_ground({index: one.outline for index, one in placed.items()}, changed)
    before = open_captured(home, earlier)
    crops = _pictures(home, before, wanted)
    home.catalog.put_items([with_crops(detections, crops.values())])  # files are handed out as assets of items
    hrefs = {index: picture.href for index, (_, picture) in crops.items()}
    return _sightings(detections, (before, captured), found, {index: placed[index] for index in wanted}, hrefs)


def proposals(home: Home, detections: Item, change: Item | None = None) -> tuple[list[Sighting], tuple[str, ...]]:
    """`sightings`, and notes: a photo without a pose has findings but no place for them, which is said, not raised; nor
    is one whose place is too uncertain dropped in silence."""
    try:
        seen = sightings(home, detections, change)
        lost = _unplaced(home, detections, seen) if change is None else 0
        return seen, (f"{lost} findings lie too near the horizon to be placed on the ground",) * bool(lost)
    except Refused as refused:
        if refused.reason != "no-pose":
            raise
        return [], (str(refused),)


def _unplaced(home: Home, detections: Item, seen: Sequence[Sighting]) -> int:
    return len(findings_of(home, detections)) - len(seen)


def captures_of(run: Item) -> list[str]:
    """`collection/id` of the captures that a run was made from, in the order of their dates."""
    hrefs = [str(link["href"]) for link in run["links"] if link["rel"] == "derived_from"]
    parts = [href.removeprefix(_ITEM_HREF).split("/items/") for href in hrefs if href.startswith(_ITEM_HREF)]
    return [f"{collection}/{unquote(item)}" for collection, item in parts if collection != MODELS]


def on_changed_ground(outlines: dict[int, Polygon], changed: Sequence[BaseGeometry]) -> dict[int, Polygon]:
    """Those of `outlines` that changed over at least `CHANGED_SHARE` of their area; all in the same coordinates."""
    ground = shapely.union_all(list(changed))
    return {
        index: outline
        for index, outline in outlines.items()
        if shapely.intersection(outline, ground).area >= CHANGED_SHARE * outline.area
    }


def _sightings(
    run: Item,
    captured: Sequence[Captured],
    found: Sequence[dict[str, Any]],
    wanted: dict[int, Placed],
    before: dict[int, str],
) -> list[Sighting]:
    properties = captured[-1].item["properties"]
    seen = []
    for index, one in wanted.items():
        said = found[index]["properties"]
        after = run["assets"].get(crop_key("after", index + 1))
        evidence = Evidence(
            before=before.get(index),
            after=after["href"] if after else None,
            inputs=tuple(each.sha256 for each in captured),
            model=run["properties"]["flyonce:model"],
        )
        seen.append(
            Sighting(
                id=f"{run['id']}/{index + 1}",
                class_=said["class"],
                geometry=dict(mapping(one.outline)),
                score=said["score"],
                area_m2=one.area_m2,
                error_m=one.error_m,
                seen=datetime.fromisoformat(properties["datetime"]),
                run=reference(run),
                flight=properties["flyonce:flight"],
                evidence=evidence,
            )
        )
    return seen


def findings_of(home: Home, run: Item) -> list[dict[str, Any]]:
    """The GeoJSON features of a run, in the order that its sightings are numbered by."""
    path = home.asset_path(run["assets"]["features"]["href"])
    features: list[dict[str, Any]] = json.loads(path.read_text("utf-8"))["features"]
    return features


def _pictures(home: Home, before: Captured, wanted: dict[int, Polygon]) -> dict[int, tuple[str, Stored]]:
    """What the earlier date shows at each place: asset key and file. The key names the earlier capture, since the same
    findings may be held against another one."""
    source = before.input.source
    if before.input.pixels:
        return {}
    grid = source.grid(before.input.gsd or 1.0)
    pictures = {}
    with reader(source) as opened:
        for index, outline in wanted.items():
            picture = crop(opened, grid.crs, from_lonlat(outline, grid.crs), 1.0)
            key = crop_key(f"before-{before.sha256[:8]}", index + 1)
            pictures[index] = key, keep(home, f"{key}.jpg", picture, "image/jpeg")
    return pictures
