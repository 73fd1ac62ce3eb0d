"""Searching among collections. There are few of them, so each search fills a table in memory and asks it as the
catalogue of items is asked: the same CQL2, the same order."""

import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import shapely

from stac import searching, sql_functions, times
from stac.cql2 import compile_filter
from stac.dialect import Key
from stac.fragments import Sql, bind, group, join, sql
from stac.geometry import box_geometry, box_of
from stac.properties import COLUMNS, plain, steps
from stac.sqlite_dialect import SqliteDialect
from stac.store import Collection, Query, QueryError

BARE = SqliteDialect(columns=False)
_TABLE = """
CREATE TABLE catalog_items (
  id TEXT, collection TEXT, datetime_us INTEGER, start_us INTEGER, end_us INTEGER, geometry BLOB,
  properties TEXT, words TEXT
)
"""


@dataclass(frozen=True, slots=True)
class CollectionQuery:
    """As `stac.store.Query`; a property is a member of the collection's own JSON. `skip` counts collections."""

    bbox: tuple[float, float, float, float] | None = None
    start: datetime | None = None
    end: datetime | None = None
    filter: dict[str, Any] | bool | None = None
    words: tuple[str, ...] = ()
    sort: tuple[tuple[str, bool], ...] = ()
    limit: int = 100
    skip: int = 0


def search(collections: Sequence[Collection], query: CollectionQuery) -> tuple[list[Collection], int]:
    """The page asked for, by id where no sort is given, and how many there are in all. Raises `QueryError`."""
    searching.check(Query(limit=query.limit, words=query.words))
    by_id = {collection["id"]: collection for collection in collections}
    where, keys = _conditions(query), _keys(query)
    with closing(sqlite3.connect(":memory:")) as connection:
        sql_functions.install(connection)
        connection.execute(_TABLE)
        rows = [_row(collection) for collection in collections]
        connection.executemany("INSERT INTO catalog_items VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
        asked = sql(
            "SELECT id FROM catalog_items WHERE {} ORDER BY {}",
            group(" AND ", where),
            join(", ", [sql(f"{{}} {'DESC' if key.descending else 'ASC'}", key.sql) for key in keys]),
        )
        found = [by_id[name] for (name,) in connection.execute(asked.text, asked.params)]
    return found[query.skip : query.skip + query.limit], len(found)


def _row(collection: Collection) -> tuple[Any, ...]:
    extent = collection["extent"]
    boxes = [box_geometry(box_of(box)) for box in extent["spatial"].get("bbox", [])]
    spans = [
        (
            -times.FOREVER if first is None else times.micros(times.parse(first)),
            times.FOREVER if last is None else times.micros(times.parse(last)),
        )
        for first, last in extent["temporal"].get("interval", [])
    ]
    start, end = min((a for a, _ in spans), default=-times.FOREVER), max((b for _, b in spans), default=times.FOREVER)
    said = {key: value for key, value in collection.items() if key != "links"}
    words = searching.words_of({"id": collection["id"], "properties": collection})
    geometry = shapely.to_wkb(shapely.union_all(boxes)) if boxes else None
    name = collection["id"]
    return name, name, start, start, end, geometry, json.dumps(said, ensure_ascii=False), words


def _conditions(query: CollectionQuery) -> list[Sql]:
    conditions = [Sql("TRUE")]
    if query.bbox is not None:
        try:
            wkb = shapely.to_wkb(box_geometry(box_of(query.bbox)))
        except ValueError as error:
            raise QueryError("bbox", str(error)) from error
        conditions.append(sql("s_intersects(geometry, {})", bind(bytes(wkb))))
    first, last = searching.instants(Query(start=query.start, end=query.end))
    conditions.append(Sql("(start_us <= ? AND end_us >= ?)", (last, first)))
    if query.words:
        found = [sql("instr(words, {}) > 0", bind(searching.folded(word))) for word in query.words]
        conditions.append(group(" OR ", found))
    if query.filter is not None:
        conditions.append(compile_filter(query.filter, BARE))
    return conditions


def _keys(query: CollectionQuery) -> list[Key]:
    levels: list[Key] = []
    for name, descending in (*query.sort[:8], ("id", False)):
        path = () if plain(name) in COLUMNS else steps(name, "sortby")
        levels.extend(BARE.keys(plain(name), path, descending=descending))
    return levels
