"""Keyset paging: the order of a search as a list of keys, and tokens that name a place in that order.

A token holds the key values of one item; the next page is everything after it. So a page costs the same however deep
it lies, and items that come or go meanwhile shift nothing.
"""

import base64
import binascii
import json
import math
from dataclasses import dataclass
from hashlib import sha256

from stac.dialect import Dialect, Key
from stac.fragments import Sql, bind, group, sql
from stac.properties import COLUMNS, plain, steps
from stac.store import QueryError

NEWEST_FIRST = (("datetime", True),)
_LONGEST_TOKEN = 8192
Value = int | float | str | None


@dataclass(frozen=True, slots=True)
class Place:
    """Right before or right after the item with these key values."""

    values: tuple[Value, ...]
    backwards: bool


def keys(sort: tuple[tuple[str, bool], ...], dialect: Dialect) -> list[Key]:
    """The keys of a sort, made total by collection and id. Items without a property come last either way."""
    if len(sort) > 8:
        raise QueryError("sortby", f"at most 8 properties can be sorted by, not {len(sort)}")
    levels: list[Key] = []
    for name, descending in (*(sort or NEWEST_FIRST), ("collection", False), ("id", False)):
        path = () if plain(name) in COLUMNS else steps(name, "sortby")
        levels.extend(dialect.keys(plain(name), path, descending=descending))
    return levels


def order_by(levels: list[Key], *, backwards: bool) -> str:
    return ", ".join(f"k{i} {'DESC' if level.descending != backwards else 'ASC'}" for i, level in enumerate(levels))


def beyond(levels: list[Key], place: Place) -> Sql:
    """The condition that an item lies beyond `place`, in the direction it is read."""
    condition = Sql("FALSE")
    for level, value in reversed(list(zip(levels, place.values, strict=True))):
        if value is None:  # only under a key that says the property is missing, so all such items are equal here
            condition = sql("({} IS NULL AND {})", level.sql, condition)
            continue
        sign = "<" if level.descending != place.backwards else ">"
        condition = sql(
            f"({{}} {sign} {{}} OR ({{}} = {{}} AND {{}}))", level.sql, bind(value), level.sql, bind(value), condition
        )
    first, value = levels[0], place.values[0]
    sign = "<=" if first.descending != place.backwards else ">="
    # Said once more without OR, so that an index on the first key starts at the right place.
    return group(" AND ", [sql(f"{{}} {sign} {{}}", first.sql, bind(value)), condition])


def token(sort: tuple[tuple[str, bool], ...], place: Place) -> str:
    body = [_fingerprint(sort), int(place.backwards), *place.values]
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def place(sort: tuple[tuple[str, bool], ...], levels: list[Key], text: str) -> Place:
    """Read a token. Raises `QueryError` for anything that this search cannot have made."""
    wrong = QueryError(
        "token", "not a paging token of this search; follow the links of its pages, or start without one"
    )
    if len(text) > _LONGEST_TOKEN:
        raise wrong
    try:
        body = json.loads(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, RecursionError) as error:
        raise wrong from error
    if not isinstance(body, list) or len(body) != len(levels) + 2:
        raise wrong
    fingerprint, backwards, *values = body
    if fingerprint != _fingerprint(sort) or backwards not in (0, 1) or not all(map(_plausible, values)):
        raise wrong
    if not all(_fits(level, value) for level, value in zip(levels, values, strict=True)):
        raise wrong
    return Place(tuple(values), bool(backwards))


def _fits(level: Key, value: object) -> bool:
    return level.nullable if value is None else isinstance(value, level.takes)


def _plausible(value: object) -> bool:
    if isinstance(value, bool):
        return False
    if isinstance(value, int):
        return -(2**63) <= value < 2**63
    return value is None or isinstance(value, str) or (isinstance(value, float) and math.isfinite(value))


def _fingerprint(sort: tuple[tuple[str, bool], ...]) -> str:
    return sha256(json.dumps(sort or NEWEST_FIRST).encode()).hexdigest()[:8]
