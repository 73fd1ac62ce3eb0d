"""The city's catalogue: items in pgstac's tables on PostgreSQL with PostGIS, searched as the embedded one is.

pgstac keeps, partitions and hands out the items; the search itself is our statement over its tables, because its own
`search()` answers some of what we declare otherwise than the embedded catalogue (docs/adr/0008).
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import psycopg
from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DataError, DBAPIError, InternalError, NotSupportedError

from stac import aggregations, keyset, searching, times
from stac.aggregations import Aggregation
from stac.fragments import Sql, bind, join, sql
from stac.geometry import halves
from stac.jsons import dump, loads
from stac.pgstac_dialect import PGSTAC
from stac.pgstac_schema import SEARCH_PATH, indexes
from stac.rows import ItemRow, batches, check_collection, row_of, with_extent
from stac.store import Collection, CollectionError, Item, ItemError, Page, Query, QueryError

BATCH = 5_000
_ITEM_ASSETS = "flyonce:item_assets"
_NO_GROUND = {"type": "GeometryCollection", "geometries": []}
"""What an item without geometry has in pgstac, which asks one of every item."""

_ITEMS = """(
  SELECT id, collection, geometry, content, content -> 'properties' AS properties,
    private, datetime AS first, end_datetime AS last, flyonce.moment(content, private) AS datetime_us,
    flyonce.micros(datetime) AS start_us, flyonce.micros(end_datetime) AS end_us,
    flyonce.whole(items) AS whole
  FROM pgstac.items
) AS catalog_items"""

_INCOMING = """
CREATE TEMP TABLE incoming (
  id text, collection text, ground text, datetime timestamptz, end_datetime timestamptz, content jsonb, private jsonb
) ON COMMIT DROP
"""
_PARTITIONS = """
SELECT check_partition(collection, first, last) FROM (
  SELECT i.collection, tstzrange(min(i.datetime), max(i.datetime), '[]') AS first,
    tstzrange(min(i.end_datetime), max(i.end_datetime), '[]') AS last
  FROM incoming i JOIN collections c ON c.id = i.collection
  GROUP BY i.collection, date_trunc(c.partition_trunc, i.datetime) ORDER BY i.collection, min(i.datetime)
) AS spans
"""
_REPLACED = "DELETE FROM items USING incoming i WHERE items.collection = i.collection AND items.id = i.id"
_ARRIVED = """
INSERT INTO items (id, geometry, collection, datetime, end_datetime, content, private)
SELECT id, coalesce(ST_GeomFromWKB(decode(ground, 'hex'), 4326), ST_GeomFromText('GEOMETRYCOLLECTION EMPTY', 4326)),
  collection, datetime, end_datetime, content, private FROM incoming
"""
_COVER = """
INSERT INTO flyonce.covered VALUES (%s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (collection) DO UPDATE SET
  west = least(covered.west, excluded.west), south = least(covered.south, excluded.south),
  east = greatest(covered.east, excluded.east), north = greatest(covered.north, excluded.north),
  start_us = least(covered.start_us, excluded.start_us), end_us = greatest(covered.end_us, excluded.end_us)
"""


def open_pgstac(url: str) -> Engine:
    """An engine for the catalogue at a SQLAlchemy URL. Its schema is made by `stac.pgstac_schema.migrate`."""
    return create_engine(
        make_url(url).set(drivername="postgresql+psycopg"),
        pool_pre_ping=True,
        pool_size=10,
        max_overflow=40,
        connect_args={
            # Compiling a statement, or starting processes for it, takes longer than most searches.
            "options": f"-c search_path={SEARCH_PATH} -c jit=off -c timezone=UTC -c max_parallel_workers_per_gather=0",
            # A plan made for no value in particular would not see which index a value asks for.
            "prepare_threshold": None,
        },
    )


class PgstacCatalog:
    """`stac.store.CatalogStore` on an engine of `open_pgstac`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def put_collection(self, collection: Collection) -> None:
        body = check_collection(collection)
        with self._engine.begin() as conn:
            conn.exec_driver_sql("SELECT pgstac.upsert_collection(%s::jsonb)", (_hidden(body),))

    def delete_collection(self, collection: str) -> None:
        with self._engine.begin() as conn:
            if conn.exec_driver_sql("SELECT 1 FROM items WHERE collection = %s LIMIT 1", (collection,)).first():
                raise CollectionError(f"{collection} holds items: remove them first")
            conn.exec_driver_sql("DELETE FROM collections WHERE id = %s", (collection,))

    def get_collection(self, collection: str) -> Collection | None:
        return (
            next(iter(self._collections("WHERE c.id = %s", (collection,))), None)
            if searching.sayable(collection)
            else None
        )

    def collections(self) -> Sequence[Collection]:
        return self._collections('ORDER BY c.id COLLATE "C"', ())

    def put_items(self, items: Iterable[Item]) -> None:
        rows = [row_of(item) for item in items]
        with self._engine.begin() as conn:
            _put(conn, rows)

    def load(self, rows: Iterable[ItemRow]) -> int:
        count = 0
        with self._engine.begin() as conn, ThreadPoolExecutor(1) as beside:
            # What nothing is in yet nobody searches: its indexes are made once, at the end, which halves the writing.
            first = conn.exec_driver_sql("SELECT 1 FROM items LIMIT 1").first() is None
            if first:
                conn.exec_driver_sql(f"DROP INDEX {', '.join(indexes())}")
            # The next rows are made while the database takes these.
            coming = batches(rows, BATCH)
            batch = next(coming, [])
            while batch:
                after: Future[list[ItemRow]] = beside.submit(next, coming, [])
                _put(conn, batch)
                count += len(batch)
                batch = after.result()
            if first:
                conn.exec_driver_sql("SET LOCAL maintenance_work_mem = '256MB'")
                for statement in indexes().values():
                    conn.exec_driver_sql(statement)
        with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
            conn.exec_driver_sql("ANALYZE pgstac.items")
        return count

    def change_item(self, collection: str, item: str, change: Callable[[Item | None], Item | None]) -> Item | None:
        with self._engine.begin() as conn:
            # pgstac replaces an item by removing and inserting it, so it is the name that is locked, not the row.
            conn.exec_driver_sql("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"{collection}/{item}",))
            after = change(_get(conn, collection, item))
            if after is None:
                conn.exec_driver_sql("DELETE FROM items WHERE collection = %s AND id = %s", (collection, item))
            else:
                row = row_of(after)
                if (row.collection, row.id) != (collection, item):
                    raise ItemError(f"item {row.id!r}: neither its id nor its collection can change")
                _put(conn, [row])
        return after

    def get_item(self, collection: str, item: str) -> Item | None:
        if not (searching.sayable(collection) and searching.sayable(item)):
            return None
        with self._engine.connect() as conn:
            return _get(conn, collection, item)

    def items(self) -> Iterator[Item]:
        with self._engine.connect().execution_options(isolation_level="REPEATABLE READ") as conn:
            found = conn.execution_options(yield_per=1_000).exec_driver_sql(
                'SELECT flyonce.whole(items) FROM items ORDER BY collection COLLATE "C", id COLLATE "C"'
            )
            for (whole,) in found:
                yield _item(whole)

    def counts(self) -> dict[str, int]:
        with self._engine.connect() as conn:
            found = conn.exec_driver_sql(
                "SELECT c.id, (SELECT count(*) FROM items i WHERE i.collection = c.id) "
                'FROM collections c ORDER BY c.id COLLATE "C"'
            )
            return {row[0]: row[1] for row in found}

    def items_of_file(self, sha256: str) -> Sequence[Item]:
        with self._engine.connect() as conn:
            found = conn.exec_driver_sql(
                "SELECT flyonce.whole(items) FROM items "
                "WHERE flyonce.files_of(content, private) @> to_jsonb(ARRAY[%s]::text[]) "
                'ORDER BY collection COLLATE "C", id COLLATE "C"',
                (sha256,),
            )
            return [_item(whole) for (whole,) in found]

    def search(self, query: Query) -> Page:
        searching.check(query)
        levels = keyset.keys(query.sort, PGSTAC)
        statement = searching.page_sql(Sql(_ITEMS), _conditions(query), levels, query, "whole")
        with self._engine.connect() as conn, _refusals():
            found = [(_item(whole), tuple(keys)) for whole, *keys in _run(conn, statement)]
        return searching.page_of(query, PGSTAC, found)

    def aggregate(self, query: Query, names: Sequence[str]) -> list[Aggregation]:
        searching.check(query)
        asked = aggregations.statements(PGSTAC, Sql(_ITEMS), _conditions(query), names)
        with self._engine.connect() as conn, _refusals():
            return aggregations.answers(names, [_run(conn, one) for one in asked])

    def faults(self) -> list[str]:
        """PostgreSQL checks its own pages; what is looked for is an item that no index by time would give."""
        with self._engine.connect() as conn:
            found = conn.exec_driver_sql(
                "SELECT collection, id FROM items WHERE flyonce.moment(content, private) IS NULL ORDER BY 1, 2"
            )
            return [f"{collection}/{name}: no instant" for collection, name in found]

    def _collections(self, rest: str, params: tuple[str, ...]) -> list[Collection]:
        with self._engine.connect() as conn:
            rows = conn.exec_driver_sql(
                "SELECT c.content::text, west, south, east, north, start_us, end_us "  # noqa: S608
                f"FROM collections c LEFT JOIN flyonce.covered ON covered.collection = c.id {rest}",
                params,
            )
            return [with_extent(_shown(body), box, (start, end)) for body, *box, start, end in rows]


def _conditions(query: Query) -> list[Sql]:
    conditions = searching.named(PGSTAC, query)
    if query.end is not None:
        conditions.append(sql("first <= {}", bind(query.end)))
    if query.start is not None:
        conditions.append(sql("last >= {}", bind(query.start)))
    if (area := searching.area(query)) is not None:
        asked = sql("ST_GeomFromWKB({}, 4326)", bind(area[1]))
        conditions.append(sql("geometry && {} AND flyonce.meets(geometry, {})", asked, asked))
    if query.words:
        like = "flyonce.words_of(id, content, private) LIKE {}"
        folded = (word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") for word in query.words)
        found = [sql(like, sql("flyonce.folded(CAST({} AS text))", bind(f"%{word}%"))) for word in folded]
        conditions.append(sql("({})", join(" OR ", found)))
    return conditions + searching.filtered(PGSTAC, query)


def _run(conn: Connection, statement: Sql) -> list[Any]:
    return list(conn.exec_driver_sql(statement.text.replace("%", "%%").replace("?", "%s"), statement.params))


@contextmanager
def _refusals() -> Iterator[None]:
    """A value that PostgreSQL cannot evaluate is the fault of who asked for it."""
    try:
        yield
    except (DataError, InternalError, NotSupportedError) as error:
        raise QueryError("filter", f"cannot be evaluated: {_first_line(error)}") from error
    except (UnicodeEncodeError, OverflowError) as error:
        raise QueryError("filter", "a value that nothing here could have") from error


def _first_line(error: DBAPIError) -> str:
    return str(error.orig).splitlines()[0][:200]


def _hidden(body: str) -> str:
    """pgstac adds what a collection says of its items' assets to every item that it hands out, and takes it from every
    item that comes in; ours are kept whole, so it must not see it."""
    collection = json.loads(body)
    if "item_assets" in collection:
        collection[_ITEM_ASSETS] = collection.pop("item_assets")
    return json.dumps(collection, ensure_ascii=False)


def _shown(body: str) -> Collection:
    collection: Collection = json.loads(body)
    if _ITEM_ASSETS in collection:
        collection["item_assets"] = collection.pop(_ITEM_ASSETS)
    return collection


def _item(whole: str) -> Item:
    item: Item = json.loads(whole)
    if item["geometry"] == _NO_GROUND:
        item["geometry"] = None
    return item


def _get(conn: Connection, collection: str, item: str) -> Item | None:
    found = conn.exec_driver_sql(
        "SELECT flyonce.whole(items) FROM items WHERE collection = %s AND id = %s", (collection, item)
    ).first()
    return None if found is None else _item(found[0])


def _put(conn: Connection, rows: Sequence[ItemRow]) -> None:
    """Insert or replace. Of two rows with one name the later stays. Raises `ItemError`.

    pgstac's own way in, its staging tables, takes an item apart with recursive SQL functions, which is fifty times as
    slow as the rest; its partitions are made by its own function all the same.
    """
    if not rows:
        return
    known = {name for (name,) in conn.exec_driver_sql("SELECT id FROM collections")}
    for row in rows:
        if row.collection not in known:
            raise ItemError(f"item {row.id}: there is no collection {row.collection!r}", "collection")
    last = {(row.collection, row.id): row for row in rows}
    raw: psycopg.Connection[Any] = conn.connection.driver_connection  # type: ignore[assignment]
    with raw.cursor() as cursor:
        cursor.execute(_INCOMING)
        with cursor.copy("COPY incoming FROM STDIN") as copy:
            for row in last.values():
                copy.write_row(_incoming(row))
        cursor.execute(_PARTITIONS)
        cursor.execute(_REPLACED)
        cursor.execute(_ARRIVED)
        cursor.execute("DROP TABLE incoming")
        for collection in {row.collection for row in rows}:
            own = [row for row in last.values() if row.collection == collection]
            cursor.execute(_COVER, (collection, *_covered(own)))


def _incoming(row: ItemRow) -> tuple[Any, ...]:
    body = loads(row.body)
    content = {key: value for key, value in body.items() if key not in ("id", "geometry", "collection", "type")}
    text = dump(content)
    whole = f'{text[:-1]}{"," if content else ""}"properties":{row.properties}}}'
    private = {"moment": row.datetime_us, "words": row.words, "files": sorted(row.files)}
    ground = row.heights or row.geometry
    return (
        row.id,
        row.collection,
        None if ground is None else ground.hex(),
        times.rfc3339(times.moment(row.start_us)),
        times.rfc3339(times.moment(row.end_us)),
        whole,
        dump(private),
    )


def _covered(rows: Sequence[ItemRow]) -> tuple[float | None, ...]:
    boxes = [half for row in rows if row.box is not None for half in halves(row.box)]
    span = (min(row.start_us for row in rows), max(row.end_us for row in rows))
    if not boxes:
        return (None, None, None, None, *span)
    west, south, east, north = zip(*boxes, strict=True)
    return (min(west), min(south), max(east), max(north), *span)
