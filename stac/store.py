"""The catalogue, as the rest of flyonce sees it: items and collections are plain STAC dictionaries."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

Item = dict[str, Any]
Collection = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Query:
    """A search. Times are aware; `bbox` is west, south, east, north in degrees (west > east crosses the antimeridian);
    `intersects` is a GeoJSON geometry; `filter` is CQL2 JSON; `sort` holds (property, descending) pairs."""

    collections: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    bbox: tuple[float, float, float, float] | None = None
    intersects: dict[str, Any] | None = None
    start: datetime | None = None
    end: datetime | None = None
    filter: dict[str, Any] | None = None
    sort: tuple[tuple[str, bool], ...] = ()
    limit: int = 10
    token: str | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a search, with the keyset token of the next one."""

    items: tuple[Item, ...]
    next: str | None
    matched: int | None = None


class CatalogStore(Protocol):
    """Where items live. Both catalogues (SQLite, pgstac) implement it."""

    def put_collection(self, collection: Collection) -> None: ...

    def get_collection(self, collection: str) -> Collection | None: ...

    def collections(self) -> Sequence[Collection]: ...

    def put_items(self, items: Iterable[Item]) -> None:
        """Insert or replace, all or none, in one transaction."""
        ...

    def get_item(self, collection: str, item: str) -> Item | None: ...

    def search(self, query: Query) -> Page: ...
