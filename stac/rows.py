"""An item as the row that the embedded catalogue keeps, and back."""

import json
import re
from dataclasses import dataclass
from typing import Any

import shapely

from stac import times
from stac.assets import stored_sha256
from stac.fragments import Value
from stac.geometry import Box, box_of, geometry_of
from stac.store import Item, ItemError

MOST_NAME = 200
_UNSAFE = re.compile(r"[/\\\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class ItemRow:
    """Times in microseconds since 1970; `box` in degrees, `geometry` as WKB. `properties` and `body` are JSON; the body
    is the item without its properties."""

    collection: str
    id: str
    datetime_us: int
    start_us: int
    end_us: int
    box: Box | None
    geometry: bytes | None
    properties: str
    body: str
    files: frozenset[str]
    """SHA-256 of its assets in the store."""

    def columns(self) -> tuple[Value, ...]:
        head = (self.collection, self.id, self.datetime_us, self.start_us, self.end_us)
        return (*head, *(self.box or (None,) * 4), self.geometry, self.properties, self.body)


def row_of(item: Item) -> ItemRow:
    """Raises `ItemError` naming the item and what is wrong with it."""
    name, collection, properties = item.get("id"), item.get("collection"), item.get("properties")
    if item.get("type") != "Feature" or not isinstance(properties, dict) or not isinstance(item.get("assets"), dict):
        raise ItemError(f"item {name!r}: not a GeoJSON Feature with properties and assets")
    if not isinstance(name, str) or not name or not isinstance(collection, str):
        raise ItemError(f"item {name!r}: needs an id and a collection")
    if len(name) > MOST_NAME or _UNSAFE.search(name):
        raise ItemError(f"item {name!r}: an id has no slash or control character and at most {MOST_NAME} characters")
    try:
        start, middle, end = _instants(properties)
        geometry = None if item.get("geometry") is None else geometry_of(item["geometry"])
        box: Box | None = None
        if geometry is not None:
            declared = box_of(item["bbox"]) if "bbox" in item else geometry.bounds
            # Only a declared box can say that an item crosses the antimeridian; otherwise the geometry knows better.
            box = declared if declared[0] > declared[2] else geometry.bounds
        return ItemRow(
            collection=collection,
            id=name,
            datetime_us=middle,
            start_us=min(start, middle),
            end_us=max(end, middle),
            box=box,
            geometry=None if geometry is None else bytes(shapely.to_wkb(geometry)),
            properties=_dump(properties),
            body=_dump({key: value for key, value in item.items() if key != "properties"}),
            files=frozenset(filter(None, (stored_sha256(asset.get("href", "")) for asset in item["assets"].values()))),
        )
    except (TypeError, ValueError, AttributeError) as error:
        raise ItemError(f"item {name!r}: {error}") from error


def item_from(body: str, properties: str) -> Item:
    item: Item = json.loads(body)
    item["properties"] = json.loads(properties)
    return item


def _instants(properties: dict[str, Any]) -> tuple[int, int, int]:
    """Start, datetime and end; a null datetime is answered with the start."""
    named = {key: properties.get(key) for key in ("start_datetime", "datetime", "end_datetime")}
    if named["datetime"] is None and (named["start_datetime"] is None or named["end_datetime"] is None):
        raise ValueError("without a datetime it needs start_datetime and end_datetime")
    known = {key: times.micros(times.parse(value)) for key, value in named.items() if value is not None}
    middle = known.get("datetime", known.get("start_datetime", 0))
    return known.get("start_datetime", middle), middle, known.get("end_datetime", middle)


def _dump(value: dict[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
