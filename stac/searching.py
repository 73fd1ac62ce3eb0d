"""What both catalogues do with a query beside their own SQL: the conditions it comes to, and its pages."""

from collections.abc import Sequence

import shapely

from stac import keyset, times
from stac.cql2 import compile_filter
from stac.dialect import Dialect, Key
from stac.fragments import Sql, bind, group, sql
from stac.geometry import Box, box_geometry, box_of, geometry_of
from stac.sql_functions import accenti, casei
from stac.store import Item, Page, Query, QueryError

MOST_PER_PAGE = 10_000
MOST_WORDS = 20


def check(query: Query) -> None:
    """Raises `QueryError` for what no catalogue can be asked."""
    if not 1 <= query.limit <= MOST_PER_PAGE:
        raise QueryError("limit", f"a page holds 1 to {MOST_PER_PAGE} items, not {query.limit}")
    if len(query.words) > MOST_WORDS or any(len(word) > 200 for word in query.words):
        raise QueryError("q", f"at most {MOST_WORDS} texts of at most 200 characters")
    for field, texts in (("collections", query.collections), ("ids", query.ids), ("q", query.words)):
        for text in texts:
            if not sayable(text):
                raise QueryError(field, f"not a text that anything here could have: {ascii(text)[:60]}")


def sayable(text: str) -> bool:
    """Whether a database can be asked for this text: no NUL, no half of a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\x00" not in text


def area(query: Query) -> tuple[Box, bytes] | None:
    """The box and the WKB of what is searched for in space. Raises `QueryError`."""
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


def named(dialect: Dialect, query: Query) -> list[Sql]:
    """Conditions for collections and ids."""
    asked = (("collection", query.collections), ("id", query.ids))
    return [
        sql("{} IN {}", dialect.column(name, ordered=False), group(", ", [dialect.literal(one) for one in texts]))
        for name, texts in asked
        if texts
    ]


def instants(query: Query) -> tuple[int, int]:
    """First and last microsecond asked for."""
    start = -times.FOREVER if query.start is None else times.micros(query.start)
    return start, times.FOREVER if query.end is None else times.micros(query.end)


def filtered(dialect: Dialect, query: Query) -> list[Sql]:
    return [] if query.filter is None else [compile_filter(query.filter, dialect)]


def folded(text: str) -> str:
    """Without case and accents, as words are kept and looked for."""
    return str(casei(accenti(text)))


def words_of(item: Item) -> str:
    """What free text is looked for in."""
    said = item["properties"]
    keywords = said.get("keywords")
    parts = [item["id"], said.get("title"), said.get("description"), *(keywords if isinstance(keywords, list) else [])]
    return folded("\n".join(part for part in parts if isinstance(part, str)))


def page_sql(source: Sql, conditions: Sequence[Sql], levels: list[Key], query: Query, columns: str) -> Sql:
    """The rows of a page and, if there is one, the row after it: `columns`, then the values of the keys."""
    place = keyset.place(query.sort, levels, query.token) if query.token is not None else None
    every = [*conditions, *([keyset.beyond(levels, place)] if place is not None else [])]
    keys = [sql(f"{{}} AS k{i}", level.sql) for i, level in enumerate(levels)]
    order = keyset.order_by(levels, backwards=place is not None and place.backwards)
    return sql(
        f"SELECT {columns}, {', '.join(['{}'] * len(keys))} FROM {{}} WHERE {{}} ORDER BY {order} LIMIT {{}}",  # noqa: S608
        *keys,
        source,
        group(" AND ", every or [Sql("TRUE")]),
        bind(query.limit + 1),
    )


def page_of(query: Query, dialect: Dialect, found: list[tuple[Item, tuple[keyset.Value, ...]]]) -> Page:
    """The page from its rows in the order of the statement, with the tokens of its neighbours."""
    levels = keyset.keys(query.sort, dialect)
    place = keyset.place(query.sort, levels, query.token) if query.token is not None else None
    more, found = len(found) > query.limit, found[: query.limit]
    backwards = place is not None and place.backwards
    if backwards:
        found = found[::-1]
    if not found:
        return Page((), None, 0 if place is None else None, None)
    after = more if not backwards else True
    before = place is not None if not backwards else more
    return Page(
        items=tuple(item for item, _ in found),
        next=keyset.token(query.sort, keyset.Place(found[-1][1], backwards=False)) if after else None,
        matched=len(found) if place is None and not more else None,
        prev=keyset.token(query.sort, keyset.Place(found[0][1], backwards=True)) if before else None,
    )
