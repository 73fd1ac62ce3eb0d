"""Counts and ranges over what a search finds (STAC's aggregation extension), in the same SQL for both catalogues."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from stac import times
from stac.dialect import Dialect
from stac.fragments import Sql, group, sql
from stac.store import QueryError

MOST_BUCKETS = 500
MONTH, DAY = len("2026-05"), len("2026-05-01")
_REST = "0000-01-01T00:00:00Z"


@dataclass(frozen=True, slots=True)
class Bucket:
    key: str
    frequency: int


@dataclass(frozen=True, slots=True)
class Aggregation:
    """`value` of a single figure, or `buckets`; of these only the most frequent, `overflow` counts the rest's items."""

    name: str
    data_type: Literal["integer", "datetime", "string", "frequency_distribution"]
    value: int | str | None = None
    buckets: tuple[Bucket, ...] | None = None
    overflow: int = 0


Key = Callable[[Dialect], Sql]


def _property(name: str) -> Key:
    return lambda dialect: dialect.typed((name,), "text")


FIGURES: dict[str, tuple[str, Literal["integer", "datetime"]]] = {
    "total_count": ("count(*)", "integer"),
    "datetime_min": ("min(datetime_us)", "datetime"),
    "datetime_max": ("max(datetime_us)", "datetime"),
}
FREQUENCIES: dict[str, tuple[Key, str]] = {
    "collection_frequency": (lambda dialect: dialect.column("collection", ordered=False), "string"),
    "datetime_frequency": (lambda dialect: dialect.period(MONTH), "datetime"),
    "datetime_day_frequency": (lambda dialect: dialect.period(DAY), "datetime"),
    "platform_frequency": (_property("platform"), "string"),
    "flyonce:department_frequency": (_property("flyonce:department"), "string"),
    "flyonce:flight_frequency": (_property("flyonce:flight"), "string"),
}
NAMES = (*FIGURES, *FREQUENCIES)


def statements(dialect: Dialect, source: Sql, conditions: Sequence[Sql], names: Sequence[str]) -> list[Sql]:
    """One statement an aggregation. Raises `QueryError` on `aggregations` for one that there is not."""
    for name in names:
        if name not in NAMES:
            raise QueryError("aggregations", f"there is no {name[:60]!r}; there are {', '.join(NAMES)}")
    where = group(" AND ", list(conditions) or [Sql("TRUE")])
    return [_statement(dialect, source, where, name) for name in names]


def answers(names: Sequence[str], found: Sequence[Sequence[Any]]) -> list[Aggregation]:
    """From the rows of `statements`."""
    return [_answer(name, rows) for name, rows in zip(names, found, strict=True)]


def _statement(dialect: Dialect, source: Sql, where: Sql, name: str) -> Sql:
    if name in FIGURES:
        return sql(f"SELECT {FIGURES[name][0]} FROM {{}} WHERE {{}}", source, where)  # noqa: S608 - of the table above
    key = FREQUENCIES[name][0](dialect)
    return sql(
        "SELECT bucket, count(*) AS frequency FROM (SELECT {} AS bucket FROM {} WHERE {}) AS found "
        "WHERE bucket IS NOT NULL GROUP BY bucket ORDER BY frequency DESC, bucket",
        key,
        source,
        where,
    )


def _answer(name: str, rows: Sequence[Any]) -> Aggregation:
    if name in FIGURES:
        (value,) = rows[0]
        kind = FIGURES[name][1]
        return Aggregation(name, kind, _moment(value) if kind == "datetime" else value)
    counted = [Bucket(key, frequency) for key, frequency in rows]
    rest = sum(bucket.frequency for bucket in counted[MOST_BUCKETS:])
    shown = counted[:MOST_BUCKETS]
    if FREQUENCIES[name][1] == "datetime":
        shown = sorted((replace(one, key=one.key + _REST[len(one.key) :]) for one in shown), key=lambda one: one.key)
    return Aggregation(name, "frequency_distribution", buckets=tuple(shown), overflow=rest)


def _moment(value: int | None) -> str | None:
    return None if value is None else times.rfc3339(times.moment(value))
