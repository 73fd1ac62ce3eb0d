"""What the catalogue's SQL needs and SQLite has not: geometry predicates, instants, folded text, array comparisons.

Every function is deterministic and answers NULL to NULL.
"""

import json
import sqlite3
import unicodedata
from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any

import shapely
from shapely.geometry.base import BaseGeometry

from stac import times

SPATIAL: dict[str, Callable[..., Any]] = {
    "s_contains": shapely.contains,
    "s_crosses": shapely.crosses,
    "s_disjoint": shapely.disjoint,
    "s_equals": shapely.equals,
    "s_intersects": shapely.intersects,
    "s_overlaps": shapely.overlaps,
    "s_touches": shapely.touches,
    "s_within": shapely.within,
}
"""CQL2's spatial operators. (SQL functions of the same names take two WKB geometries.)"""

_CONVERSE = {"s_contains": "s_within", "s_within": "s_contains"}


def install(connection: sqlite3.Connection) -> None:
    """Make the functions known to one connection."""
    for name in SPATIAL:
        connection.create_function(name, 2, _spatial(name), deterministic=True)
    connection.create_function("s_missing", 1, lambda geometry: geometry is None, deterministic=True)
    connection.create_function("instant", 1, _instant, deterministic=True)
    connection.create_function("casei", 1, casei, deterministic=True)
    connection.create_function("accenti", 1, accenti, deterministic=True)
    for name, compare in ARRAYS.items():
        connection.create_function(name, 2, _arrays(compare), deterministic=True)


def casei(text: str | None) -> str | None:
    return None if text is None else text.casefold()


def accenti(text: str | None) -> str | None:
    """Without combining marks, so that `é` equals `e`."""
    if text is None or text.isascii():
        return text
    return "".join(c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c))


@lru_cache(maxsize=64)
def _prepared(wkb: bytes) -> BaseGeometry:
    """The searched geometry is the same for every row: it is read and indexed once."""
    geometry = shapely.from_wkb(wkb)
    shapely.prepare(geometry)
    return geometry


@cache
def _spatial(name: str) -> Callable[[bytes | None, bytes | None], bool | None]:
    # Only the first argument of shapely's predicates profits from being prepared, so the searched one goes there.
    predicate = SPATIAL[_CONVERSE.get(name, name)]

    def compare(item: bytes | None, searched: bytes | None) -> bool | None:
        if item is None or searched is None:
            return None
        return bool(predicate(_prepared(searched), shapely.from_wkb(item)))

    return compare


def _instant(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        return times.micros(times.parse(text))
    except ValueError:
        return None  # a property that is not a time compares with no time


ARRAYS: dict[str, Callable[[set[str], set[str]], bool]] = {
    "a_equals": lambda a, b: a == b,
    "a_contains": lambda a, b: a >= b,
    "a_containedby": lambda a, b: a <= b,
    "a_overlaps": lambda a, b: not a.isdisjoint(b),
}
"""CQL2's array operators, in lower case, over the sets of the arrays' members (each as JSON)."""


def members(array: list[object]) -> set[str]:
    """Members in a form that can be compared; 1 and 1.0 are the same number."""
    return {
        json.dumps(float(m) if isinstance(m, int) and not isinstance(m, bool) else m, sort_keys=True) for m in array
    }


def _arrays(compare: Callable[[set[str], set[str]], bool]) -> Callable[[str | None, str | None], bool | None]:
    def answer(mine: str | None, asked: str | None) -> bool | None:
        return None if mine is None or asked is None else compare(members(json.loads(mine)), members(json.loads(asked)))

    return answer
