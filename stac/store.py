"""The catalogue, as the rest of flyonce sees it: items and collections are plain STAC dictionaries."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from stac.aggregations import Aggregation
    from stac.rows import ItemRow

Item = dict[str, Any]
Collection = dict[str, Any]


class QueryError(ValueError):
    """A search that cannot be run as asked. `field` names the part at fault: bbox, datetime, filter, sortby, token …"""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field
        self.message = message

    def __reduce__(self) -> tuple[type["QueryError"], tuple[str, str]]:
        return type(self), (self.field, self.message)


class ItemError(ValueError):
    """An item that the catalogue will not keep; the message names it and says why, `field` the part at fault."""

    def __init__(self, message: str, field: str = "body") -> None:
        super().__init__(message)
        self.field = field

    def __reduce__(self) -> tuple[type["ItemError"], tuple[str, str]]:
        return type(self), (str(self), self.field)


class CollectionError(ItemError):
    """A collection that the catalogue will not keep, or not give up."""


@dataclass(frozen=True, slots=True)
class Query:
    """A search. Times are aware; `bbox` is west, south, east, north in degrees (west > east crosses the antimeridian);
    `intersects` is a GeoJSON geometry; `filter` is CQL2 JSON; `sort` holds (property, descending) pairs and falls back
    to the newest first. `words` are texts of which one must occur in an item's title, description, keywords or id,
    whatever their case and accents. `token` is `Page.next` or `Page.prev` of the same search."""

    collections: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    bbox: tuple[float, float, float, float] | None = None
    intersects: dict[str, Any] | None = None
    start: datetime | None = None
    end: datetime | None = None
    filter: dict[str, Any] | bool | None = None
    words: tuple[str, ...] = ()
    sort: tuple[tuple[str, bool], ...] = ()
    limit: int = 10
    token: str | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a search, with the keyset tokens of its neighbours. `matched` is known only where it was free."""

    items: tuple[Item, ...]
    next: str | None
    matched: int | None = None
    prev: str | None = None


class CatalogStore(Protocol):
    """Where items live. Both catalogues (SQLite, pgstac) implement it."""

    def put_collection(self, collection: Collection) -> None:
        """Insert or replace. Raises `CollectionError`."""
        ...

    def delete_collection(self, collection: str) -> None:
        """Raises `CollectionError` while it holds items."""
        ...

    def get_collection(self, collection: str) -> Collection | None: ...

    def collections(self) -> Sequence[Collection]:
        """All of them by id, with the extent of the items they hold."""
        ...

    def put_items(self, items: Iterable[Item]) -> None:
        """Insert or replace, all or none, in one transaction. Raises `ItemError`."""
        ...

    def load(self, rows: "Iterable[ItemRow]") -> int:
        """As `put_items`, for more than fit into memory; how many there were. Raises `ItemError`."""
        ...

    def change_item(self, collection: str, item: str, change: Callable[[Item | None], Item | None]) -> Item | None:
        """Put what `change` makes of the item (None: not there; answered with None: remove it), with no other writer
        between. What `change` raises leaves the catalogue as it was. Raises `ItemError`."""
        ...

    def get_item(self, collection: str, item: str) -> Item | None: ...

    def items(self) -> Iterable[Item]:
        """All of them, by collection and id, as of one moment."""
        ...

    def counts(self) -> dict[str, int]:
        """How many items each collection holds."""
        ...

    def items_of_file(self, sha256: str) -> Sequence[Item]:
        """The items that have an asset with this content."""
        ...

    def search(self, query: Query) -> Page:
        """Raises `QueryError`."""
        ...

    def aggregate(self, query: Query, names: Sequence[str]) -> "list[Aggregation]":
        """`stac.aggregations` over all that the query finds, whatever its limit. Raises `QueryError`."""
        ...

    def faults(self) -> list[str]:
        """What the database finds wrong with itself, in words; empty where nothing is."""
        ...
