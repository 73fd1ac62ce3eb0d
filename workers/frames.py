"""What of a video is analysed: its key frames, each a capture of its own with its second and its place on the ground.

Frames are cut out of the video by ffmpeg when it is looked at (`workers.films`); here they are found again, and what
was found in them, as in posed photos, is put on the ground by their pose, over flat ground.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import shapely
from shapely.geometry import mapping, shape

from imagery.errors import Refused
from stac.collections import FRAMES, VIDEOS
from stac.items import item_link
from stac.store import Item, Query
from workers.captures import get_item, reference
from workers.crops import polygon_of
from workers.home import Home
from workers.placing import Placed, place, tells_pose
from workers.vectors import Feature

PAGE = 200
DIGITS = 7


def captures_in(home: Home, name: str) -> list[str]:
    """`collection/id` of what is analysed for this one: the key frames of a video in their order, else itself.

    Raises `Refused`: no-such-item, no-frames.
    """
    if name.partition("/")[0] != VIDEOS:
        return [name]
    frames = frames_of(home, get_item(home, name))
    if not frames:
        raise Refused(
            "no-frames",
            f"{name} has no key frames: nobody has looked at it yet, or it is telemetry without a video.",
            "Wait until its flight was looked at (`flyonce flights show`).",
        )
    return [reference(frame) for frame in frames]


def frames_of(home: Home, video: Item) -> list[Item]:
    """The frames of a video's item, from its first second to its last."""
    query = Query((FRAMES,), filter={"op": "like", "args": [{"property": "id"}, f"{video['id']}-%"]}, limit=PAGE)
    found: list[Item] = []
    while True:
        page = home.catalog.search(query)
        found += (item for item in page.items if _is_of(item, video))
        if page.next is None:
            return sorted(found, key=lambda item: (float(item["properties"]["flyonce:seconds"]), item["id"]))
        query = replace(query, token=page.next)


def moment(item: Item) -> dict[str, Any]:
    """When a frame was shown: `seconds` of its video, and the time. Empty for other captures."""
    if item["collection"] != FRAMES:
        return {}
    said = item["properties"]
    return {"seconds": said["flyonce:seconds"], "taken": said["datetime"]}


def with_places(found: Sequence[Feature], item: Item) -> list[Feature]:
    """Findings in pixels, each with `ground`, its outline in EPSG:4326 (None where it has no place), and `error_m`, by
    how far that may be off."""
    outlines = {number: polygon_of(shape(feature["geometry"])) for number, feature in enumerate(found)}
    placed = place(item, outlines)[0] if tells_pose(item) else {}
    return [
        {**feature, "properties": {**feature["properties"], **_ground(placed.get(number))}}
        for number, feature in enumerate(found)
    ]


def _ground(placed: Placed | None) -> dict[str, Any]:
    if placed is None:
        return {"ground": None}
    outline = shapely.transform(placed.outline, lambda xy: xy.round(DIGITS))
    return {"ground": mapping(outline), "error_m": placed.error_m}


def _is_of(item: Item, video: Item) -> bool:
    href = item_link("derived_from", VIDEOS, video["id"], "")["href"]
    return any(link["rel"] == "derived_from" and link["href"] == href for link in item["links"])
