"""From the parameters of a STAC request to a catalogue query, and to the part of an item that was asked for."""

import json
from collections.abc import Sequence
from datetime import datetime as Moment
from typing import Any

from stac import cql2, times
from stac.collection_search import CollectionQuery
from stac.geometry import Box, box_of
from stac.store import Item, Query, QueryError

CRS84 = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"
COLLECTIONS_PER_PAGE = 100
ALWAYS = frozenset(("type", "id", "collection"))
"""Members of an item that no `fields` leaves out."""
RECOMMENDED = frozenset(("type", "stac_version", "id", "geometry", "bbox", "links", "assets", "properties.datetime"))


def query_of(
    *,
    collections: Sequence[str] | None = None,
    ids: Sequence[str] | None = None,
    bbox: Sequence[float] | str | None = None,
    intersects: dict[str, Any] | str | None = None,
    datetime: str | None = None,
    limit: int | None = None,
    token: str | None = None,
    filter_expr: object = None,
    filter_lang: str | None = None,
    filter_crs: str | None = None,
    sortby: Sequence[Any] | None = None,
    q: Sequence[str] | None = None,
) -> Query:
    """Raises `QueryError` naming the parameter at fault."""
    start, end = _span(datetime)
    return Query(
        collections=tuple(collections or ()),
        ids=tuple(ids or ()),
        bbox=_box(bbox),
        intersects=_geometry_of(intersects),
        start=start,
        end=end,
        filter=filter_of(filter_expr, filter_lang, filter_crs),
        words=_words(q),
        sort=tuple(_sort_key(key) for key in sortby or ()),
        limit=limit or 10,
        token=token,
    )


def collection_query_of(
    *,
    bbox: str | None = None,
    datetime: str | None = None,
    limit: int | None = None,
    offset: int | None = None,
    filter_expr: object = None,
    filter_lang: str | None = None,
    filter_crs: str | None = None,
    sortby: Sequence[Any] | None = None,
    q: Sequence[str] | None = None,
) -> CollectionQuery:
    """Raises `QueryError` naming the parameter at fault."""
    start, end = _span(datetime)
    return CollectionQuery(
        bbox=_box(bbox),
        start=start,
        end=end,
        filter=filter_of(filter_expr, filter_lang, filter_crs),
        words=_words(q),
        sort=tuple(_sort_key(key) for key in sortby or ()),
        limit=limit or COLLECTIONS_PER_PAGE,
        skip=offset or 0,
    )


def _span(datetime: str | None) -> tuple[Moment | None, Moment | None]:
    if datetime is None:
        return None, None
    try:
        return times.parse_interval(datetime)
    except ValueError as error:
        raise QueryError("datetime", str(error)) from error


def _box(bbox: Sequence[float] | str | None) -> Box | None:
    if bbox is None:
        return None
    try:
        return box_of([float(part) for part in bbox.split(",")] if isinstance(bbox, str) else bbox)
    except ValueError as error:
        raise QueryError("bbox", str(error)) from error


def _words(q: Sequence[str] | None) -> tuple[str, ...]:
    return tuple(filter(None, (word.strip() for word in q or ())))


def _geometry_of(value: dict[str, Any] | str | None) -> dict[str, Any] | None:
    """A GET sends its GeoJSON as text."""
    if not isinstance(value, str):
        return value
    try:
        geometry = json.loads(value)
    except (ValueError, RecursionError) as error:
        raise QueryError("intersects", f"not JSON: {error}") from error
    if not isinstance(geometry, dict):
        raise QueryError("intersects", "not a GeoJSON geometry")
    return geometry


def filter_of(expression: object, language: str | None, crs: str | None = None) -> cql2.Filter | None:
    """CQL2 JSON from JSON or text. Without a language, text is CQL2 text and anything else CQL2 JSON."""
    if crs not in (None, CRS84):
        raise QueryError("filter-crs", f"only {CRS84} is known here")
    if expression is None:
        return None
    if isinstance(expression, str):
        if language != "cql2-json":
            return cql2.parse_text(expression)
        try:
            expression = json.loads(expression)
        except (ValueError, RecursionError) as error:
            raise QueryError("filter", f"not JSON: {error}") from error
    elif language == "cql2-text":
        raise QueryError("filter", "filter-lang is cql2-text, but the filter is no text")
    if not isinstance(expression, dict | bool):
        raise QueryError("filter", "CQL2 JSON is an object, true or false")
    return expression


def fields_of(fields: Any) -> tuple[frozenset[str], frozenset[str]]:
    """Included and excluded members, from `a,-b` of a GET or the object of a POST."""
    if fields is None:
        return frozenset(), frozenset()
    if isinstance(fields, list):
        names = [name.strip() for name in fields if name.strip()]
        excluded = frozenset(name[1:] for name in names if name.startswith("-"))
        return frozenset(name.removeprefix("+") for name in names if not name.startswith("-")), excluded
    include, exclude = frozenset(fields.include or ()), frozenset(fields.exclude or ())
    if exclude and not include and "include" in fields.model_fields_set:
        # Said to be empty, it stands for the members that the extension recommends, and not for all.
        include = RECOMMENDED - exclude
    return include, exclude


def select(item: Item, include: frozenset[str], exclude: frozenset[str]) -> Item:
    """The members asked for. `properties.gsd` names one property; what is included wins over what is left out, unless
    that is named more closely."""
    out = _only(item, include | ALWAYS) if include else item
    for name in exclude - ALWAYS - include:
        out = _without(out, name.split("."))
        for kept in include:
            if kept.startswith(f"{name}."):
                out = _merged(out, _only(item, frozenset((kept,))))
    return out


def _merged(part: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    both = {k: _merged(part[k], v) for k, v in other.items() if isinstance(v, dict) and isinstance(part.get(k), dict)}
    return {**part, **other, **both}


def _only(item: Item, names: frozenset[str]) -> Item:
    out: Item = {}
    for name in sorted(names):
        path, source, target = name.split("."), item, out
        for step in path[:-1]:
            if not isinstance(source.get(step), dict):
                break
            source, target = source[step], target.setdefault(step, {})
        else:
            if path[-1] in source:
                target[path[-1]] = source[path[-1]]
    return out


def _without(part: dict[str, Any], path: list[str]) -> dict[str, Any]:
    head, *rest = path
    if not rest:
        return {key: value for key, value in part.items() if key != head}
    return {**part, head: _without(part[head], rest)} if isinstance(part.get(head), dict) else part


def _sort_key(key: Any) -> tuple[str, bool]:
    """`-gsd` of a GET, or an object with field and direction of a POST."""
    if isinstance(key, str):
        text = key.strip()
        return text.lstrip("+-"), text.startswith("-")
    return key.field, key.direction.value == "desc"
