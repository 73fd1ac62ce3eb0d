"""The operands of CQL2 expressions as SQL: literals, properties, and functions of text, each under the type it is
compared as. A property of another type than the one it is compared with gives NULL: neither true nor false."""

import json
import math
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import shapely

from stac import times
from stac.dialect import ANY, ONE, Dialect, Token
from stac.fragments import Sql, bind, sql
from stac.geometry import box_geometry, box_of, geometry_of
from stac.properties import Kind, Steps, plain, steps
from stac.sql_functions import accenti, casei
from stac.store import QueryError

_TEXT_COLUMNS = {"id", "collection"}


def wrong(message: str) -> QueryError:
    return QueryError("filter", message)


@dataclass(frozen=True, slots=True)
class Property:
    """A name that stands for what the item says."""

    name: str

    @property
    def path(self) -> Steps:
        return steps(self.name, "filter")

    @property
    def kind(self) -> Kind | None:
        """The only type it can have, where that is fixed."""
        name = plain(self.name)
        if name == "geometry":
            return "geometry"
        return "instant" if name == "datetime" else "text" if name in _TEXT_COLUMNS else None


_BY_TYPE: dict[type, Kind] = {bool: "boolean", int: "number", float: "number", str: "text", list: "array"}
_BY_MEMBER: dict[str, Kind] = {
    "timestamp": "instant",
    "date": "instant",
    "interval": "instant",
    "bbox": "geometry",
    "coordinates": "geometry",
    "geometries": "geometry",
}


def kind_of(term: Any) -> Kind | None:
    """The type of an operand in CQL2 JSON; None for a property that may hold anything. Raises `QueryError`."""
    if found := _BY_TYPE.get(type(term)):
        return found
    if isinstance(term, dict):
        if isinstance(term.get("property"), str):
            return Property(term["property"]).kind
        if found := next((_BY_MEMBER[member] for member in term if member in _BY_MEMBER), None):
            return found
        if term.get("op") in ("casei", "accenti"):
            return "text"
        if "op" in term:
            raise wrong(f"no operand is made by {str(term['op'])[:40]!r}; known here: casei, accenti")
    raise wrong(f"not an operand: {json.dumps(term, default=str)[:80]}")


def value(d: Dialect, term: Any, wanted: Kind, *, ordered: bool = True) -> Sql:
    """A number, text or boolean operand as SQL. `ordered` where it is more than asked whether it equals something."""
    if kind_of(term) not in (None, wanted):
        raise wrong(f"a {kind_of(term)} where a {wanted} is compared: {json.dumps(term)[:80]}")
    if isinstance(term, dict):
        if "property" in term:
            return _property(d, Property(term["property"]), wanted, ordered=ordered)
        return sql(f"{d.function(term['op'])}({{}})", value(d, _only(term), "text"))
    if isinstance(term, int | float) and not math.isfinite(term):
        raise wrong("a number that is not finite")
    if isinstance(term, int) and not -(2**63) <= term < 2**63:
        try:
            return d.literal(float(term))
        except OverflowError as error:
            raise wrong("a number beyond all that can be compared") from error
    literal: Sql = d.literal(term)
    return literal


def pattern(term: Any) -> list[Token]:
    """A LIKE pattern in tokens: % and _ are wild, a backslash takes their power."""
    fold = []
    while isinstance(term, dict) and term.get("op") in ("casei", "accenti"):
        fold.append(casei if term["op"] == "casei" else accenti)
        term = _only(term)
    if not isinstance(term, str):
        raise wrong("LIKE wants its pattern as text")
    if len(term) > 256:
        raise wrong("a LIKE pattern holds at most 256 characters")
    for function in reversed(fold):
        term = function(term)
    out: list[Token] = []
    escaped = False
    for c in term:
        if c == "\\" and not escaped:
            escaped = True
            continue
        out.append(ANY if c == "%" and not escaped else ONE if c == "_" and not escaped else c)
        escaped = False
    return [*out, "\\"] if escaped else out


def bounds(d: Dialect, term: Any, *, interval: bool) -> tuple[Sql, Sql]:
    """First and last microsecond of a temporal operand. A date is its whole day in UTC.

    `interval` tells whether the property `datetime` means all the time an item covers (`t_…` operators) or the one
    instant that it is filed under (comparisons).
    """
    if isinstance(term, str):
        return _instant(term)
    if isinstance(term, dict):
        if isinstance(term.get("property"), str):
            prop = Property(term["property"])
            if prop.kind == "instant":
                return (Sql("start_us"), Sql("end_us")) if interval else (Sql("datetime_us"), Sql("datetime_us"))
            instant = sql(f"{d.function('instant')}({{}})", _property(d, prop, "text", ordered=True))
            return instant, instant
        if isinstance(term.get("timestamp"), str):
            return _instant(term["timestamp"])
        if isinstance(term.get("date"), str):
            return _day(term["date"])
        ends = term.get("interval")
        if isinstance(ends, list) and len(ends) == 2:
            first = bind(-times.FOREVER) if ends[0] == ".." else bounds(d, _end(ends[0]), interval=interval)[0]
            last = bind(times.FOREVER) if ends[1] == ".." else bounds(d, _end(ends[1]), interval=interval)[1]
            return first, last
    raise wrong(f"not a time, a date or an interval: {json.dumps(term, default=str)[:80]}")


def geometry(term: Any) -> bytes:
    """A geometry literal as WKB: GeoJSON or a bbox."""
    try:
        if isinstance(term, dict) and isinstance(term.get("bbox"), list):
            return bytes(shapely.to_wkb(box_geometry(box_of(term["bbox"]))))
        return bytes(shapely.to_wkb(geometry_of(term)))
    except ValueError as error:
        raise wrong(str(error)) from error


def _property(d: Dialect, prop: Property, wanted: Kind, *, ordered: bool) -> Sql:
    if prop.kind == "text" and wanted == "text":
        return d.column(plain(prop.name), ordered=ordered)
    if prop.kind is not None:
        raise wrong(f"{prop.name} is not a {wanted}")
    return d.typed(prop.path, wanted)


def _only(term: dict[str, Any]) -> Any:
    args = term.get("args")
    if not isinstance(args, list) or len(args) != 1:
        raise wrong(f"{term['op']} wants one argument")
    return args[0]


def _end(end: Any) -> Any:
    """An interval's end: plain text is a time, or a date where it is as short as one."""
    return {"date": end} if isinstance(end, str) and len(end) == len("2026-05-01") else end


def _instant(text: str) -> tuple[Sql, Sql]:
    try:
        instant = bind(times.micros(times.parse(text)))
    except ValueError as error:
        raise wrong(str(error)) from error
    return instant, instant


def _day(text: str) -> tuple[Sql, Sql]:
    try:
        if len(text) != len("2026-05-01"):
            raise ValueError(text)
        start = times.micros(times.parse(f"{date.fromisoformat(text).isoformat()}T00:00:00Z"))
    except ValueError as error:
        raise wrong(f"not a date (2026-05-01): {text[:40]!r}") from error
    return bind(start), bind(start + timedelta(days=1) // timedelta(microseconds=1) - 1)
