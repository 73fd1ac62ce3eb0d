"""The embedded catalogue: items as JSON in SQLite, found by an R*Tree, float64 boxes, instants and CQL2 conditions.

The R*Tree keeps its boxes in float32, rounded outwards: it proposes, the float64 columns and the geometry decide. Row n
of an item has box 2 n, and 2 n + 1 as well where it crosses the antimeridian. The migration `0003_catalog` makes the
tables.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import shapely
from sqlalchemy import Connection, Engine

from records.engine import transaction
from stac import keyset, sql_functions, times
from stac.cql2 import compile_filter
from stac.fragments import Sql, bind, group, join, sql
from stac.geometry import Box, box_geometry, box_of, geometry_of, halves
from stac.rows import ItemRow, item_from, row_of
from stac.store import Collection, Item, ItemError, Page, Query, QueryError

MOST_PER_PAGE = 10_000
SELECTIVE = 2_000
"""Up to so many boxes met, the search starts from the R*Tree; beyond, it walks the order's index and looks at each."""

_UPSERT = """
INSERT INTO catalog_items
  (collection, id, datetime_us, start_us, end_us, west, south, east, north, geometry, properties, body)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id, collection) DO UPDATE SET datetime_us = excluded.datetime_us, start_us = excluded.start_us,
  end_us = excluded.end_us, west = excluded.west, south = excluded.south, east = excluded.east, north = excluded.north,
  geometry = excluded.geometry, properties = excluded.properties, body = excluded.body
RETURNING row
"""
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
        if collection.get("type") != "Collection" or not isinstance(collection.get("id"), str) or not collection["id"]:
            raise ItemError("a collection needs type `Collection` and an id")
        body = _dump(collection, f"collection {collection['id']}")
        with transaction(self._engine) as conn:
            conn.exec_driver_sql(
                "INSERT INTO catalog_collections (id, body) VALUES (?, ?) "
                "ON CONFLICT (id) DO UPDATE SET body = excluded.body",
                (collection["id"], body),
            )

    def get_collection(self, collection: str) -> Collection | None:
        return next(iter(self._collections("WHERE id = ?", (collection,))), None)

    def collections(self) -> Sequence[Collection]:
        return self._collections("ORDER BY id", ())

    def put_items(self, items: Iterable[Item]) -> None:
        rows = [row_of(item) for item in items]
        with transaction(self._engine) as conn:
            known = {name for (name,) in conn.exec_driver_sql("SELECT id FROM catalog_collections")}
            for row in rows:
                if row.collection not in known:
                    raise ItemError(f"item {row.id}: there is no collection {row.collection!r}")
                _put(conn, row)

    def change_item(self, collection: str, item: str, change: Callable[[Item | None], Item | None]) -> Item | None:
        with transaction(self._engine) as conn:
            after = change(_get(conn, collection, item))
            if after is None:
                found = "SELECT row FROM catalog_items WHERE collection = ? AND id = ?"
                for row in conn.exec_driver_sql(found, (collection, item)).scalars().all():
                    conn.exec_driver_sql("DELETE FROM catalog_boxes WHERE id IN (?, ?)", (2 * row, 2 * row + 1))
                    conn.exec_driver_sql("DELETE FROM catalog_items WHERE row = ?", (row,))
            else:
                changed = row_of(after)
                if (changed.collection, changed.id) != (collection, item):
                    raise ItemError(f"item {changed.id!r}: neither its id nor its collection can change")
                _put(conn, changed)
        return after

    def get_item(self, collection: str, item: str) -> Item | None:
        with self._engine.connect() as conn:
            return _get(conn, collection, item)

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
            return _read(conn, [row for (row,) in rows])

    def search(self, query: Query) -> Page:
        if not 1 <= query.limit <= MOST_PER_PAGE:
            raise QueryError("limit", f"a page holds 1 to {MOST_PER_PAGE} items, not {query.limit}")
        levels = keyset.keys(query.sort)
        place = keyset.place(query.sort, levels, query.token) if query.token is not None else None
        with self._engine.connect() as conn:
            _install(conn)
            found = _find(conn, query, levels, place)
            more, found = len(found) > query.limit, found[: query.limit]
            if place and place.backwards:
                found.reverse()
            items = _read(conn, [row for row, *_ in found])
        return _page(query, place, [tuple(keys) for _, *keys in found], items, more)

    def _collections(self, rest: str, params: tuple[str, ...]) -> list[Collection]:
        with self._engine.connect() as conn:
            rows = conn.exec_driver_sql(
                f"SELECT body, west, south, east, north, start_us, end_us FROM catalog_collections {rest}",  # noqa: S608
                params,
            )
            return [_with_extent(*row) for row in rows]


def _with_extent(
    body: str, west: float | None, south: float, east: float, north: float, start: int | None, end: int
) -> Collection:
    collection: Collection = json.loads(body)
    if west is not None:
        collection["extent"]["spatial"] = {"bbox": [[west, south, east, north]]}
    if start is not None:
        interval = [times.rfc3339(times.moment(start)), times.rfc3339(times.moment(end))]
        collection["extent"]["temporal"] = {"interval": [interval]}
    return collection


def _get(conn: Connection, collection: str, item: str) -> Item | None:
    one = "SELECT body, properties FROM catalog_items WHERE collection = ? AND id = ?"
    found = conn.exec_driver_sql(one, (collection, item)).first()
    return None if found is None else item_from(*found)


def _put(conn: Connection, row: ItemRow) -> None:
    key = conn.exec_driver_sql(_UPSERT, row.columns()).scalar_one()
    conn.exec_driver_sql("DELETE FROM catalog_boxes WHERE id IN (?, ?)", (2 * key, 2 * key + 1))
    if row.box is not None:
        for half, (west, south, east, north) in enumerate(halves(row.box)):
            conn.exec_driver_sql(
                "INSERT INTO catalog_boxes VALUES (?, ?, ?, ?, ?)", (2 * key + half, west, east, south, north)
            )
            conn.exec_driver_sql(_WIDEN, (west, south, east, north, row.collection))
    conn.exec_driver_sql("DELETE FROM catalog_files WHERE row = ?", (key,))
    for sha256 in row.files:
        conn.exec_driver_sql("INSERT INTO catalog_files VALUES (?, ?)", (sha256, key))
    conn.exec_driver_sql(_LENGTHEN, (row.start_us, row.end_us, row.collection))


def _install(conn: Connection) -> None:
    """Give the pooled connection its functions, once in its life."""
    if "catalog" not in conn.info:
        raw: Any = conn.connection.driver_connection
        sql_functions.install(raw)
        conn.info["catalog"] = True


def _find(
    conn: Connection, query: Query, levels: list[keyset.Key], place: keyset.Place | None
) -> list[tuple[Any, ...]]:
    """Rows and key values of a page and, if there is one, of the item that follows it."""
    area = _area(query)
    conditions = [Sql("1")] if area is None else [_meets(*area)]
    conditions += _plain_conditions(conn, query)
    if query.filter is not None:
        conditions.append(compile_filter(query.filter))
    if place is not None:
        conditions.append(keyset.beyond(levels, place))
    start = Sql("catalog_items")
    if area is not None and (near := _near(conn, area[0])) is not None:
        start = sql("{} AS near CROSS JOIN catalog_items ON catalog_items.row = near.row", near)
    columns = join(", ", [sql(f"{{}} AS k{i}", level.sql) for i, level in enumerate(levels)])
    order = keyset.order_by(levels, backwards=place is not None and place.backwards)
    statement = sql(
        f"SELECT catalog_items.row, {{}} FROM {{}} WHERE {{}} ORDER BY {order} LIMIT {{}}",  # noqa: S608
        columns,
        start,
        group(" AND ", conditions),
        bind(query.limit + 1),
    )
    return [tuple(row) for row in conn.exec_driver_sql(statement.text, statement.params)]


def _area(query: Query) -> tuple[Box, bytes] | None:
    """The box and the WKB of what is searched for in space."""
    if query.bbox is not None and query.intersects is not None:
        raise QueryError("bbox", "a search takes a bbox or a geometry (`intersects`), not both")
    try:
        if query.bbox is not None:
            box = box_of(query.bbox)
            return box, bytes(shapely.to_wkb(box_geometry(box)))
        if query.intersects is not None:
            geometry = geometry_of(query.intersects)
            return geometry.bounds, bytes(shapely.to_wkb(geometry))
    except ValueError as error:
        raise QueryError("bbox" if query.bbox is not None else "intersects", str(error)) from error
    return None


def _meets(box: Box, wkb: bytes) -> Sql:
    """First the boxes, which costs nothing, then the geometries."""
    boxes = group(" OR ", [Sql(_BOX_MEETS, (n, s, e, w, e, w)) for w, s, e, n in halves(box)])
    return sql("({} AND s_intersects(geometry, {}))", boxes, bind(wkb))


def _near(conn: Connection, box: Box) -> Sql | None:
    """The rows whose float32 boxes meet the box, or None where they are many."""
    meets = "west <= ? AND east >= ? AND south <= ? AND north >= ?"
    parts = [Sql(f"SELECT id FROM catalog_boxes WHERE {meets}", (e, w, n, s)) for w, s, e, n in halves(box)]  # noqa: S608
    union = sql(" UNION ALL ".join(["{}"] * len(parts)), *parts)
    counting = sql("SELECT count(*) FROM (SELECT 1 FROM ({}) LIMIT {})", union, bind(SELECTIVE + 1))
    if conn.exec_driver_sql(counting.text, counting.params).scalar_one() > SELECTIVE:
        return None
    return sql("(SELECT DISTINCT id / 2 AS row FROM ({}))", union)


def _plain_conditions(conn: Connection, query: Query) -> list[Sql]:
    conditions = []
    if query.collections:
        conditions.append(sql("collection IN {}", group(", ", [bind(name) for name in query.collections])))
    if query.ids:
        conditions.append(sql("catalog_items.id IN {}", group(", ", [bind(name) for name in query.ids])))
    if query.start is not None or query.end is not None:
        start = -times.FOREVER if query.start is None else times.micros(query.start)
        end = times.FOREVER if query.end is None else times.micros(query.end)
        # An item's datetime lies within its span, so the longest span bounds where the index must be looked at.
        span = conn.exec_driver_sql("SELECT max(end_us - start_us) FROM catalog_items").scalar_one() or 0
        conditions.append(Sql("(start_us <= ? AND end_us >= ?)", (end, start)))
        conditions.append(Sql("(datetime_us >= ? AND datetime_us <= ?)", (start - span, end + span)))
    return conditions


def _read(conn: Connection, rows: list[int]) -> list[Item]:
    """The items of these rows, in their order."""
    if not rows:
        return []
    found = conn.exec_driver_sql(
        "SELECT row, body, properties FROM catalog_items WHERE row IN (SELECT value FROM json_each(?))",
        (json.dumps(rows),),
    )
    items = {row: item_from(body, properties) for row, body, properties in found}
    return [items[row] for row in rows if row in items]


def _page(query: Query, place: keyset.Place | None, keys: list[tuple[Any, ...]], items: list[Item], more: bool) -> Page:
    backwards = place is not None and place.backwards
    after = more if not backwards else True
    before = place is not None if not backwards else more
    if not items:
        return Page((), None, 0 if place is None else None, None)
    return Page(
        items=tuple(items),
        next=keyset.token(query.sort, keyset.Place(keys[-1], backwards=False)) if after else None,
        matched=len(items) if place is None and not more else None,
        prev=keyset.token(query.sort, keyset.Place(keys[0], backwards=True)) if before else None,
    )


def _dump(value: dict[str, Any], name: str) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError) as error:
        raise ItemError(f"{name} is not JSON: {error}") from error
