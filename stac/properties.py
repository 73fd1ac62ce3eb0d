"""What a property name means: the columns that the catalogue keeps apart, or a path into an item's properties."""

import re

from stac.fragments import Sql
from stac.store import QueryError

_UNSAFE = re.compile(r'["\\\x00-\x1f\x7f]')
COLUMNS = {"id": "id", "collection": "collection", "datetime": "datetime_us"}
"""Never missing in an item. `datetime_us` is the item's datetime, or its start where the datetime is null."""


def json_path(name: str, field: str) -> str:
    """SQLite's JSON path of a property; dots step into objects and a leading `properties.` says nothing.

    Raises `QueryError` on `field` for a name that no property can have.
    """
    steps = name.removeprefix("properties.").split(".")
    if len(name) > 200 or len(steps) > 8 or any(not step or _UNSAFE.search(step) for step in steps):
        raise QueryError(field, f"not a property name: {name[:60]!r}")
    return "$" + "".join(f'."{step}"' for step in steps)


def plain(name: str) -> str:
    """The name without its optional `properties.`."""
    return name.removeprefix("properties.")


def extract(path: str) -> Sql:
    return Sql("json_extract(properties, ?)", (path,))


def kind(path: str) -> Sql:
    """SQLite's word for the type of the value: integer, real, text, true, false, array, object, null; or NULL."""
    return Sql("json_type(properties, ?)", (path,))
