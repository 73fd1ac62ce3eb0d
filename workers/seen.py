"""The coverage of a flight out of the catalogue: its photos, orthophotos and the seconds of its videos."""

import json
from typing import Any

from shapely.geometry import shape
from shapely.geometry.base import BaseGeometry

from imagery.coverage import CELL, Coverage, Sight, cover
from imagery.errors import Refused
from stac.collections import FLIGHTS, ORTHOPHOTOS, PHOTOS, VIDEOS
from stac.store import Item, Query
from workers.home import Home

PAGE = 1000


def flight_coverage(
    home: Home, flight: str, area: BaseGeometry | None = None, cell: float = CELL
) -> tuple[Coverage, int, int]:
    """What a flight saw, how many of its captures saw something, and how many captures it has.

    `area`: EPSG:4326. Raises `Refused`: no-such-flight, nothing-seen.
    """
    if home.catalog.get_item(FLIGHTS, flight) is None:
        raise Refused("no-such-flight", f"The catalogue has no flight {flight}.", "`flyonce flights` lists them.")
    captures = _captures(home, flight)
    sights = [sight for item in captures for sight in _sights(home, item)]
    trusted = sum(item["properties"]["flyonce:footprint_method"] != "position" for item in captures)
    return cover(sights, area, cell), trusted, len(captures)


def _captures(home: Home, flight: str) -> list[Item]:
    ours = {"op": "=", "args": [{"property": "flyonce:flight"}, flight]}
    query: Query | None = Query((PHOTOS, ORTHOPHOTOS, VIDEOS), filter=ours, limit=PAGE)
    found: list[Item] = []
    while query is not None:
        page = home.catalog.search(query)
        found += page.items
        query = None if page.next is None else Query(query.collections, filter=ours, limit=PAGE, token=page.next)
    return found


def _sights(home: Home, item: Item) -> list[Sight]:
    said = item["properties"]
    if said["flyonce:footprint_method"] == "position" or said.get("flyonce:quality") == "preview":
        return []
    if item["collection"] == VIDEOS:
        # A second of video is no capture: the whole film counts once.
        index = _moments(home, item)
        if index is None:
            return []
        errors = [feature["properties"]["error_m"] for feature in index["features"]]
        return [Sight(shape(item["geometry"]), max(errors, default=0.0), None)]
    return [Sight(shape(item["geometry"]), said["flyonce:footprint_error_m"], said.get("gsd"))]


def _moments(home: Home, item: Item) -> dict[str, Any] | None:
    href = item["assets"].get("moments", {}).get("href")
    path = home.asset_path(href) if href else None
    found: dict[str, Any] | None = json.loads(path.read_text("utf-8")) if path is not None and path.is_file() else None
    return found
