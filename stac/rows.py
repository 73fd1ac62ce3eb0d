"""An item as the row that the embedded catalogue keeps, and back."""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

import shapely
import shapely.geometry

from stac import times
from stac.assets import stored_sha256
from stac.fragments import Value
from stac.geometry import Box, box_of, geometries_of
from stac.jsons import dump, loads
from stac.properties import CHOSEN
from stac.searching import words_of
from stac.store import Collection, CollectionError, Item, ItemError

MOST_NAME = 200
MOST_BYTES = 8 << 20
"""Of an item as JSON: what is larger belongs into an asset."""
_UNSAFE = re.compile(r"[/\\\x00-\x1f\x7f]")
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
_ENDLESS = re.compile(r"\d{300}")


class ItemRow(NamedTuple):
    """Times in microseconds since 1970; `box` in degrees, `geometry` as WKB. `properties` and `body` are JSON; the body
    is the item without its properties."""

    collection: str
    id: str
    datetime_us: int
    start_us: int
    end_us: int
    box: Box | None
    geometry: bytes | None
    heights: bytes | None
    """The geometry as WKB with heights, where it has any."""
    chosen: tuple[float | str | None, ...]
    """Values of the properties that have a column, in the order of `CHOSEN`."""
    properties: str
    body: str
    words: str
    files: frozenset[str]
    """SHA-256 of its assets in the store."""

    def columns(self) -> tuple[Value, ...]:
        head = (self.collection, self.id, self.datetime_us, self.start_us, self.end_us)
        return (*head, *(self.box or (None,) * 4), self.geometry, *self.chosen)


class Ground(NamedTuple):
    """A geometry, looked at: its bounds in degrees, WKB, and WKB with heights where it has any."""

    bounds: Box
    wkb: bytes
    heights: bytes | None


def rows_of(items: Sequence[Item]) -> list[ItemRow]:
    """As `row_of` of each: their geometries are looked at together, which costs less."""
    geometries = [item.get("geometry") for item in items]
    try:
        there = iter(_grounds([one for one in geometries if one is not None]))
    except (TypeError, ValueError, AttributeError):
        return [row_of(item) for item in items]  # says whose is at fault
    return [row_of(item, None if one is None else next(there)) for item, one in zip(items, geometries, strict=True)]


def batches(rows: Iterable[ItemRow], size: int) -> Iterator[list[ItemRow]]:
    rest = iter(rows)
    while batch := list(islice(rest, size)):
        yield batch


def row_of(item: Item, ground: Ground | None = None) -> ItemRow:
    """Raises `ItemError` naming the item and what is wrong with it. `ground` is of its geometry, where it is known."""
    name, collection, properties = item.get("id"), item.get("collection"), item.get("properties")
    for field, kind in (("properties", dict), ("assets", dict)):
        if item.get("type") != "Feature" or not isinstance(item.get(field), kind):
            raise ItemError(f"item {name!r}: not a GeoJSON Feature with properties and assets", field)
    if not isinstance(name, str) or not name or not isinstance(collection, str) or not isinstance(properties, dict):
        raise ItemError(f"item {name!r}: needs an id and a collection", "collection" if name else "id")
    if len(name) > MOST_NAME or _UNSAFE.search(name):
        raise ItemError(
            f"item {name!r}: an id has no slash or control character and at most {MOST_NAME} characters", "id"
        )
    field = "properties.datetime"
    try:
        start, middle, end = _instants(properties)
        field = "geometry"
        if ground is None and item.get("geometry") is not None:
            (ground,) = _grounds([item["geometry"]])
        field, box = "bbox", None
        if ground is not None:
            declared = box_of(item["bbox"]) if "bbox" in item else ground.bounds
            # Only a declared box can say that an item crosses the antimeridian; otherwise the geometry knows better.
            box = declared if declared[0] > declared[2] else ground.bounds
        field = "assets"
        files = frozenset(filter(None, (stored_sha256(asset.get("href", "")) for asset in item["assets"].values())))
        field = "body"
        written = dump(properties), dump({key: value for key, value in item.items() if key != "properties"})
        _check_text("".join(written))
        return ItemRow(
            collection=collection,
            id=name,
            datetime_us=middle,
            start_us=min(start, middle),
            end_us=max(end, middle),
            box=box,
            geometry=None if ground is None else ground.wkb,
            heights=None if ground is None else ground.heights,
            chosen=tuple([_chosen(properties.get(key), kind) for key, kind in CHOSEN.items()]),
            properties=written[0],
            body=written[1],
            words=words_of(item),
            files=files,
        )
    except (TypeError, ValueError, AttributeError) as error:
        raise ItemError(f"item {name!r}: {error}", field) from error


def _check_text(text: str) -> None:
    """What one of the catalogues could not keep is kept by none."""
    if len(text.encode()) > MOST_BYTES:  # also fails on half a surrogate pair
        raise ValueError(f"an item holds at most {MOST_BYTES >> 20} MiB of JSON; put large data into an asset")
    if "\\u0000" in text and _NUL.search(text):
        raise ValueError("a text with a NUL character")
    # Every run of so many digits fills one of these pieces; the pattern alone would try each digit of the text.
    if any(text[at : at + 150].isdigit() for at in range(0, len(text), 150)) and _ENDLESS.search(text):
        raise ValueError("a number beyond what can be compared")


def _grounds(geometries: Sequence[Any]) -> list[Ground]:
    """Raises ValueError."""
    found = geometries_of(geometries)
    bounds = [(west, south, east, north) for west, south, east, north in shapely.bounds(found).tolist()]
    heights = map(_with_heights, geometries)
    return [Ground(*one) for one in zip(bounds, shapely.to_wkb(found).tolist(), heights, strict=True)]


def _with_heights(geometry: dict[str, Any]) -> bytes | None:
    positions = geometry.get("coordinates", [])
    while positions and isinstance(positions[0], list | tuple):
        positions = positions[0]
    if len(positions) < 3 and geometry["type"] != "GeometryCollection":
        return None
    return bytes(shapely.to_wkb(shapely.geometry.shape(geometry), output_dimension=3))


def _chosen(value: Any, kind: str) -> float | str | None:
    if kind == "number":
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return float(value) if number and abs(value) >= 2**63 else value if number else None
    return value if isinstance(value, str) else None


def check_collection(collection: Collection) -> str:
    """The collection as JSON. Raises `CollectionError`."""
    name = collection.get("id")
    if collection.get("type") != "Collection" or not isinstance(name, str) or not name:
        raise CollectionError("a collection needs type `Collection` and an id")
    if len(name) > MOST_NAME or _UNSAFE.search(name):
        raise CollectionError(
            f"{name[:60]!r}: an id has no slash or control character and at most {MOST_NAME} characters"
        )
    extent = collection.get("extent")
    if not isinstance(extent, dict) or not all(isinstance(extent.get(part), dict) for part in ("spatial", "temporal")):
        raise CollectionError(f"collection {name}: needs an extent in space and time")
    try:
        written = dump(collection)
        _check_text(written)
    except (TypeError, ValueError) as error:
        raise CollectionError(f"collection {name}: {error}") from error
    return written


def with_extent(collection: Collection, box: Sequence[float | None], span: tuple[int | None, int | None]) -> Collection:
    """The collection with what its items cover instead of its own words: west, south, east, north; microseconds."""
    if box[0] is not None:
        collection["extent"]["spatial"] = {"bbox": [list(box)]}
    start_us, end_us = span
    if start_us is not None and end_us is not None:
        interval = [times.rfc3339(times.moment(start_us)), times.rfc3339(times.moment(end_us))]
        collection["extent"]["temporal"] = {"interval": [interval]}
    return collection


def item_from(body: str, properties: str) -> Item:
    item: Item = loads(body)
    item["properties"] = loads(properties)
    return item


def _instants(properties: dict[str, Any]) -> tuple[int, int, int]:
    """Start, datetime and end; a null datetime is answered with the start."""
    named = {key: properties.get(key) for key in ("start_datetime", "datetime", "end_datetime")}
    if named["datetime"] is None and (named["start_datetime"] is None or named["end_datetime"] is None):
        raise ValueError("without a datetime it needs start_datetime and end_datetime")
    known = {key: times.micros(times.parse(value)) for key, value in named.items() if value is not None}
    middle = known.get("datetime", known.get("start_datetime", 0))
    return known.get("start_datetime", middle), middle, known.get("end_datetime", middle)
