"""Where an embedded search starts.

SQLite keeps no statistics here, so each part of a query that an index can answer is counted first, up to `SELECTIVE`
rows. The search starts from the part that leaves fewest; where all leave many, it walks the order's own index, and what
it looks for is met soon.
"""

from collections.abc import Iterator
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection

from stac import cql2_terms, searching
from stac.cql2 import compile_filter, conjuncts
from stac.fragments import Sql, bind, join, sql
from stac.geometry import Box, halves
from stac.properties import CHOSEN, plain
from stac.sqlite_dialect import PROBING
from stac.store import Query

SELECTIVE = 2_000
_WHERE = "SELECT row FROM catalog_items WHERE {}"
_TRIGRAM = 3
_INDEXABLE = frozenset(("=", "<", "<=", ">", ">=", "between", "in"))


def start(conn: Connection, query: Query, box: Box | None) -> Sql | None:
    """A statement for the rows (`row`) to look at, or None where every part of the query leaves many."""
    quick = [compile_filter(one, PROBING) for one in conjuncts(query.filter) if _has_an_index(one)]
    parts = [*_parts(query, box), *(sql(_WHERE, condition) for condition in quick)]
    few = [(count, rows) for rows in parts if (count := _count(conn, rows)) <= SELECTIVE]
    if not few and len(quick) > 1:
        # Conditions of which each leaves many may together leave few: one index is followed, the others looked up.
        together = sql(_WHERE, join(" AND ", quick))
        few = [(count, together)] if (count := _count(conn, together)) <= SELECTIVE else []
    return sql("SELECT DISTINCT row FROM ({})", min(few, key=itemgetter(0))[1]) if few else None


def _count(conn: Connection, rows: Sql) -> int:
    """How many, up to one more than `SELECTIVE`."""
    counting = sql("SELECT count(*) FROM (SELECT 1 FROM ({}) LIMIT {})", rows, bind(SELECTIVE + 1))
    count: int = conn.exec_driver_sql(counting.text, counting.params).scalar_one()
    return count


def with_words(words: tuple[str, ...]) -> Sql:
    """The rows in which one of these texts occurs."""
    return sql(" UNION ALL ".join(["{}"] * len(words)), *(_containing(searching.folded(word)) for word in words))


def _parts(query: Query, box: Box | None) -> Iterator[Sql]:
    if box is not None:
        meets = "west <= ? AND east >= ? AND south <= ? AND north >= ?"
        yield sql(
            " UNION ALL ".join(["{}"] * len(halves(box))),
            *(
                Sql(f"SELECT id / 2 AS row FROM catalog_boxes WHERE {meets}", (e, w, n, s))  # noqa: S608
                for w, s, e, n in halves(box)
            ),
        )
    # One collection alone has an index in the order of time already.
    for condition in searching.named(PROBING, query) if query.ids or len(query.collections) > 1 else ():
        yield sql(_WHERE, condition)
    if query.words:
        yield with_words(query.words)


def _has_an_index(node: Any) -> bool:
    """Whether an expression compares a chosen property with literals of its type."""
    if not isinstance(node, dict) or str(node.get("op")).lower() not in _INDEXABLE:
        return False
    args = node.get("args")
    flat = [one for arg in args for one in (arg if isinstance(arg, list) else [arg])] if isinstance(args, list) else []
    names = [plain(one["property"]) for one in flat if isinstance(one, dict) and isinstance(one.get("property"), str)]
    if len(names) != 1 or names[0] not in CHOSEN:
        return False
    literals = [one for one in flat if not isinstance(one, dict)]
    return len(literals) == len(flat) - 1 and all(cql2_terms.kind_of(one) == CHOSEN[names[0]] for one in literals)


def _containing(folded: str) -> Sql:
    if len(folded) >= _TRIGRAM:
        phrase = '"' + folded.replace('"', '""') + '"'
        return Sql("SELECT rowid AS row FROM catalog_words WHERE catalog_words MATCH ?", (phrase,))
    return Sql("SELECT rowid AS row FROM catalog_words WHERE instr(words, ?) > 0", (folded,))
