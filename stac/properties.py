"""What a property name means: the columns that the catalogues keep apart, or a path into an item's properties."""

import re
from collections.abc import Mapping
from typing import Literal

from stac.store import QueryError

Kind = Literal["number", "text", "boolean", "instant", "geometry", "array"]

Steps = tuple[str, ...]
"""A path into an item's properties, one object member after the other."""

_UNSAFE = re.compile(r'["\\\x00-\x1f\x7f]')
COLUMNS = frozenset(("id", "collection", "datetime"))
"""Never missing in an item. `datetime` is the item's datetime, or its start where the datetime is null."""

CHOSEN: Mapping[str, Literal["number", "text"]] = {
    "gsd": "number",
    "title": "text",
    "platform": "text",
    "flyonce:department": "text",
    "flyonce:security": "text",
    "flyonce:flight": "text",
    "flyonce:model": "text",
    "flyonce:footprint_method": "text",
    "flyonce:footprint_error_m": "number",
    "flyonce:retain_until": "text",
    "flyonce:captures": "number",
    "flyonce:analysed_m2": "number",
    "flyonce:height_above_ground": "number",
    "view:off_nadir": "number",
}
"""Properties with an index of their own in both catalogues, by the type they are indexed under. A filter that few
items meet is quick where it names one of them; any other property is looked up item by item."""


def steps(name: str, field: str) -> Steps:
    """The path of a property: dots step into objects and a leading `properties.` says nothing.

    Raises `QueryError` on `field` for a name that no property can have.
    """
    path = tuple(plain(name).split("."))
    if len(name) > 200 or len(path) > 8 or any(not step or _UNSAFE.search(step) for step in path):
        raise QueryError(field, f"not a property name: {name[:60]!r}")
    return path


def plain(name: str) -> str:
    """The name without its optional `properties.`."""
    return name.removeprefix("properties.")


def column_of(name: str) -> str:
    """The SQL name under which the embedded catalogue keeps a chosen property."""
    return "p_" + re.sub(r"[^a-z0-9]+", "_", name.removeprefix("flyonce:"))
