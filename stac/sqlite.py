"""The embedded catalogue: items in SQLite, found by an R*Tree, float64 boxes, instants and CQL2 conditions.

The R*Tree keeps its boxes in float32, rounded outwards: it proposes, the float64 columns and the geometry decide. Row n
of an item has box 2 n, and 2 n + 1 as well where it crosses the antimeridian. The migrations `0003_catalog` and
`0005_catalog_search` make the tables.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Engine

from records.engine import transaction
from stac import aggregations, keyset, searching, sql_functions
from stac.aggregations import Aggregation
from stac.fragments import Sql, bind, group, sql
from stac.geometry import Box, halves
from stac.properties import CHOSEN, column_of
from stac.rows import ItemRow, batches, check_collection, item_from, row_of, with_extent
from stac.sqlite_dialect import SQLITE
from stac.sqlite_plan import start, with_words
from stac.store import Collection, CollectionError, Item, ItemError, Page, Query

BATCH = 1_000
LOADING_KIB = 256 * 1024
"""Memory for pages of the database while much is loaded."""
MANY = 5_000
"""Items from which a load that outgrows what was there makes its indexes anew at its end."""

_COLUMNS = (
    *("collection", "id", "datetime_us", "start_us", "end_us", "west", "south", "east", "north", "geometry"),
    *map(column_of, CHOSEN),
)
_UPSERT = (
    f"INSERT INTO catalog_items ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))}) "  # noqa: S608
    f"ON CONFLICT (id, collection) DO UPDATE SET {', '.join(f'{c} = excluded.{c}' for c in _COLUMNS[2:])} RETURNING row"
)
_WIDEN = """
UPDATE catalog_collections SET
  west = min(coalesce(west, ?1), ?1), south = min(coalesce(south, ?2), ?2),
  east = max(coalesce(east, ?3), ?3), north = max(coalesce(north, ?4), ?4) WHERE id = ?5
"""
_LENGTHEN = """
UPDATE catalog_collections SET
  start_us = min(coalesce(start_us, ?1), ?1), end_us = max(coalesce(end_us, ?2), ?2) WHERE id = ?3
"""
_BOX_MEETS = """(
  south <= ? AND north >= ? AND CASE WHEN west <= east THEN west <= ? AND east >= ? ELSE west <= ? OR east >= ? END
)"""


class SqliteCatalog:
    """`stac.store.CatalogStore` on an engine whose database holds the catalogue's tables."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def put_collection(self, collection: Collection) -> None:
        body = check_collection(collection)
        with transaction(self._engine) as conn:
            conn.exec_driver_sql(
                "INSERT INTO catalog_collections (id, body) VALUES (?, ?) "
                "ON CONFLICT (id) DO UPDATE SET body = excluded.body",
                (collection["id"], body),
            )

    def delete_collection(self, collection: str) -> None:
        with transaction(self._engine) as conn:
            if conn.exec_driver_sql("SELECT 1 FROM catalog_items WHERE collection = ? LIMIT 1", (collection,)).first():
                raise CollectionError(f"{collection} holds items: remove them first")
            conn.exec_driver_sql("DELETE FROM catalog_collections WHERE id = ?", (collection,))

    def get_collection(self, collection: str) -> Collection | None:
        return next(iter(self._collections("WHERE id = ?", (collection,))), None)

    def collections(self) -> Sequence[Collection]:
        return self._collections("ORDER BY id", ())

    def put_items(self, items: Iterable[Item]) -> None:
        rows = [row_of(item) for item in items]
        with transaction(self._engine) as conn:
            _put(conn, rows)

    def load(self, rows: Iterable[ItemRow]) -> int:
        count = 0
        dropped: list[str] = []
        with transaction(self._engine) as conn:
            ((cache,),) = conn.exec_driver_sql("PRAGMA cache_size")
            conn.exec_driver_sql(f"PRAGMA cache_size = {-LOADING_KIB}")
            there = conn.exec_driver_sql("SELECT count(*) FROM catalog_items").scalar_one()
            try:
                for batch in batches(rows, BATCH):
                    # A score of indexes, most of them met in no order, cost more than the items; sorted once, little.
                    if not dropped and count >= max(MANY, there):
                        dropped = _drop_indexes(conn)
                    _put(conn, batch)
                    count += len(batch)
                for statement in dropped:
                    conn.exec_driver_sql(statement)
            finally:
                conn.exec_driver_sql(f"PRAGMA cache_size = {cache}")
        return count

    def change_item(self, collection: str, item: str, change: Callable[[Item | None], Item | None]) -> Item | None:
        with transaction(self._engine) as conn:
            after = change(_get(conn, collection, item))
            if after is None:
                conn.exec_driver_sql("DELETE FROM catalog_items WHERE collection = ? AND id = ?", (collection, item))
            else:
                row = row_of(after)
                if (row.collection, row.id) != (collection, item):
                    raise ItemError(f"item {row.id!r}: neither its id nor its collection can change")
                _put(conn, [row])
        return after

    def get_item(self, collection: str, item: str) -> Item | None:
        with self._engine.connect() as conn:
            return _get(conn, collection, item)

    def items(self) -> Iterable[Item]:
        with self._engine.connect() as conn:
            found = conn.execution_options(yield_per=BATCH).exec_driver_sql(
                "SELECT d.body, d.properties FROM catalog_items JOIN catalog_documents d USING (row) "
                "ORDER BY collection, id"
            )
            for body, properties in found:
                yield item_from(body, properties)

    def counts(self) -> dict[str, int]:
        with self._engine.connect() as conn:
            found = conn.exec_driver_sql(
                "SELECT c.id, (SELECT count(*) FROM catalog_items i WHERE i.collection = c.id) "
                "FROM catalog_collections c ORDER BY c.id"
            )
            return {row[0]: row[1] for row in found}

    def items_of_file(self, sha256: str) -> Sequence[Item]:
        with self._engine.connect() as conn:
            rows = conn.exec_driver_sql("SELECT row FROM catalog_files WHERE sha256 = ? ORDER BY row", (sha256,))
            return list(_read(conn, [row for (row,) in rows]).values())

    def search(self, query: Query) -> Page:
        searching.check(query)
        levels = keyset.keys(query.sort, SQLITE)
        with self._engine.connect() as conn:
            _install(conn)
            source, conditions = _found(conn, query)
            statement = searching.page_sql(source, conditions, levels, query, "catalog_items.row")
            found = [tuple(row) for row in conn.exec_driver_sql(statement.text, statement.params)]
            items = _read(conn, [row for row, *_ in found])
        return searching.page_of(query, SQLITE, [(items[row], tuple(keys)) for row, *keys in found])

    def aggregate(self, query: Query, names: Sequence[str]) -> list[Aggregation]:
        searching.check(query)
        with self._engine.connect() as conn:
            _install(conn)
            source, conditions = _found(conn, query)
            asked = aggregations.statements(SQLITE, source, conditions, names)
            return aggregations.answers(names, [list(conn.exec_driver_sql(one.text, one.params)) for one in asked])

    def faults(self) -> list[str]:
        with self._engine.connect() as conn:
            found = [row[0] for row in conn.exec_driver_sql("PRAGMA integrity_check")]
            found += [row[0] for row in conn.exec_driver_sql("SELECT rtreecheck('catalog_boxes')")]
            broken = [f"{row[0]} row {row[1]}: no {row[2]}" for row in conn.exec_driver_sql("PRAGMA foreign_key_check")]
            strays = conn.exec_driver_sql(
                """
                SELECT row, 'no document' FROM catalog_items WHERE row NOT IN (SELECT row FROM catalog_documents)
                UNION ALL
                SELECT row, 'no words' FROM catalog_items WHERE row NOT IN (SELECT rowid FROM catalog_words)
                UNION ALL
                SELECT row, 'no box' FROM catalog_items
                WHERE geometry IS NOT NULL AND 2 * row NOT IN (SELECT id FROM catalog_boxes)
                """
            )
            broken += [f"item in row {row}: {what}" for row, what in strays]
        return [one for one in found if one != "ok"] + broken

    def _collections(self, rest: str, params: tuple[str, ...]) -> list[Collection]:
        with self._engine.connect() as conn:
            rows = conn.exec_driver_sql(
                f"SELECT body, west, south, east, north, start_us, end_us FROM catalog_collections {rest}",  # noqa: S608
                params,
            )
            return [with_extent(json.loads(body), box, (start, end)) for body, *box, start, end in rows]


def _get(conn: Connection, collection: str, item: str) -> Item | None:
    found = conn.exec_driver_sql(
        "SELECT d.body, d.properties FROM catalog_items JOIN catalog_documents d USING (row) "
        "WHERE collection = ? AND id = ?",
        (collection, item),
    ).first()
    return None if found is None else item_from(*found)


def _put(conn: Connection, rows: Sequence[ItemRow]) -> None:
    """Insert or replace. Of two rows with one name the later stays. Raises `ItemError`."""
    known = {name for (name,) in conn.exec_driver_sql("SELECT id FROM catalog_collections")}
    for row in rows:
        if row.collection not in known:
            raise ItemError(f"item {row.id}: there is no collection {row.collection!r}")
    last = {(row.collection, row.id): row for row in rows}
    newest = conn.exec_driver_sql("SELECT max(row) FROM catalog_items").scalar_one() or 0
    # SQLAlchemy's share of a statement is larger than SQLite's: many small ones go to the driver itself.
    raw: Any = conn.connection.driver_connection
    keyed = [(raw.execute(_UPSERT, row.columns()).fetchone()[0], row) for row in last.values()]
    replaced = [(key,) for key, _ in keyed if key <= newest]
    raw.executemany(
        "DELETE FROM catalog_boxes WHERE id = ?", [(2 * key + half,) for (key,) in replaced for half in (0, 1)]
    )
    raw.executemany("DELETE FROM catalog_files WHERE row = ?", replaced)
    raw.executemany("DELETE FROM catalog_words WHERE rowid = ?", replaced)
    boxes = [(key, row, list(enumerate(halves(row.box)))) for key, row in keyed if row.box is not None]
    raw.executemany(
        "INSERT INTO catalog_boxes VALUES (?, ?, ?, ?, ?)",
        [(2 * key + half, w, e, s, n) for key, _, parts in boxes for half, (w, s, e, n) in parts],
    )
    raw.executemany(
        "INSERT OR REPLACE INTO catalog_documents VALUES (?, ?, ?)",
        [(key, row.properties, row.body) for key, row in keyed],
    )
    raw.executemany("INSERT INTO catalog_words (rowid, words) VALUES (?, ?)", [(key, row.words) for key, row in keyed])
    raw.executemany("INSERT INTO catalog_files VALUES (?, ?)", [(sha, key) for key, row in keyed for sha in row.files])
    for collection in {row.collection for row in last.values()}:
        own = [row for row in last.values() if row.collection == collection]
        span = (min(row.start_us for row in own), max(row.end_us for row in own))
        conn.exec_driver_sql(_LENGTHEN, (*span, collection))
        covered = [box for _, row, parts in boxes if row.collection == collection for _, box in parts]
        if covered:
            west, south, east, north = zip(*covered, strict=True)
            conn.exec_driver_sql(_WIDEN, (min(west), min(south), max(east), max(north), collection))


def _drop_indexes(conn: Connection) -> list[str]:
    """Of the items, but those that `_put` itself needs; the statements that make them again."""
    made = list(
        conn.exec_driver_sql(
            "SELECT name, sql FROM sqlite_master "
            "WHERE type = 'index' AND tbl_name = 'catalog_items' AND name <> 'catalog_items_by_id'"
        )
    )
    for name, _ in made:
        conn.exec_driver_sql(f"DROP INDEX {name}")
    return [statement for _, statement in made]


def _install(conn: Connection) -> None:
    """Give the pooled connection its functions, once in its life."""
    if "catalog" not in conn.info:
        raw: Any = conn.connection.driver_connection
        sql_functions.install(raw)
        conn.info["catalog"] = True


def _found(conn: Connection, query: Query) -> tuple[Sql, list[Sql]]:
    """Where the search starts, and what must hold of an item."""
    area = searching.area(query)
    # What costs least comes first; a geometry is only looked at where all else holds.
    conditions = searching.named(SQLITE, query) + _during(conn, query)
    if area is not None:
        conditions.append(_boxes_meet(area[0]))
    if query.words:
        conditions.append(sql("catalog_items.row IN ({})", with_words(query.words)))
    conditions += searching.filtered(SQLITE, query)
    if area is not None:
        conditions.append(_meets(*area, rectangle=query.bbox is not None))
    source = Sql("catalog_items")
    if (near := start(conn, query, None if area is None else area[0])) is not None:
        source = sql("({}) AS near CROSS JOIN catalog_items ON catalog_items.row = near.row", near)
    # Where nothing asks for the documents, SQLite leaves this join out.
    return sql("{} LEFT JOIN catalog_documents ON catalog_documents.row = catalog_items.row", source), conditions


def _boxes_meet(box: Box) -> Sql:
    return group(" OR ", [Sql(_BOX_MEETS, (n, s, e, w, e, w)) for w, s, e, n in halves(box)])


def _meets(box: Box, wkb: bytes, *, rectangle: bool) -> Sql:
    """Of items whose box meets the searched one. What lies within a rectangle needs no closer look."""
    meets = sql("s_intersects(geometry, {})", bind(wkb))
    west, south, east, north = box
    if not rectangle or west > east:
        return meets
    within = "west <= east AND west >= ? AND east <= ? AND south >= ? AND north <= ?"
    return sql("({} OR {})", Sql(f"({within})", (west, east, south, north)), meets)


def _during(conn: Connection, query: Query) -> list[Sql]:
    if query.start is None and query.end is None:
        return []
    first, last = searching.instants(query)
    # An item's datetime lies within its span, so the longest span bounds where the index must be looked at.
    span = conn.exec_driver_sql("SELECT max(end_us - start_us) FROM catalog_items").scalar_one() or 0
    return [
        Sql("(start_us <= ? AND end_us >= ?)", (last, first)),
        Sql("(datetime_us >= ? AND datetime_us <= ?)", (first - span, last + span)),
    ]


def _read(conn: Connection, rows: list[int]) -> dict[int, Item]:
    """The items of these rows, in their order."""
    if not rows:
        return {}
    found = conn.exec_driver_sql(
        "SELECT row, body, properties FROM catalog_documents WHERE row IN (SELECT value FROM json_each(?))",
        (json.dumps(rows),),
    )
    items = {row: item_from(body, properties) for row, body, properties in found}
    return {row: items[row] for row in rows}
