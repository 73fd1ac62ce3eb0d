"""CQL2 over the embedded catalogue gives what a plain evaluation of the same expression over the same items gives."""

import json
import operator
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import shapely
import shapely.geometry
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stac import cql2, sql_functions
from stac.sqlite import SqliteCatalog
from stac.store import Item, Query

START = datetime(2026, 5, 1, tzinfo=UTC)
NAMES = ("gsd", "eo:cloud", "title", "flag", "tags", "when", "missing", "it's")


# The plain evaluation: Python over dictionaries, None for what is neither true nor false.


def truth(node: Any, item: Item) -> bool | None:  # noqa: C901 - one branch an operator, flat on purpose
    if isinstance(node, bool):
        return node
    op, args = node["op"].lower(), node["args"]
    if op == "and":
        found = [truth(arg, item) for arg in args]
        return False if False in found else None if None in found else True
    if op == "or":
        found = [truth(arg, item) for arg in args]
        return True if True in found else None if None in found else False
    if op == "not":
        found_one = truth(args[0], item)
        return None if found_one is None else not found_one
    if op == "isnull":
        return value(args[0], item) is None
    if op == "between":
        return truth({"op": "and", "args": [{"op": ">=", "args": args[:2]}, {"op": "<=", "args": args[::2]}]}, item)
    if op == "in":
        return truth({"op": "or", "args": [{"op": "=", "args": [args[0], member]} for member in args[1]]}, item)
    if op == "like":
        text = value(args[0], item)
        return None if not isinstance(text, str) else bool(re.fullmatch(regex(args[1]), text, re.DOTALL))
    if op.startswith("s_"):
        if item["geometry"] is None:
            return None
        return bool(SPATIAL[op](shapely.geometry.shape(item["geometry"]), shapely.geometry.shape(args[1])))
    if op.startswith("t_"):
        return allen(op, span(args[0], item), span(args[1], item))
    if op.startswith("a_"):
        mine = value(args[0], item)
        return None if not isinstance(mine, list) else bool(ARRAYS[op](set(mine), set(args[1])))
    return compare(op, args[0], args[1], item)


SPATIAL = {"s_intersects": shapely.intersects, "s_within": shapely.within, "s_disjoint": shapely.disjoint}
ARRAYS = {
    "a_equals": operator.eq,
    "a_contains": operator.ge,
    "a_containedby": operator.le,
    "a_overlaps": lambda a, b: bool(a & b),
}
ORDER = {
    "=": operator.eq,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def value(term: Any, item: Item) -> Any:
    if isinstance(term, dict) and "property" in term:
        name = term["property"].removeprefix("properties.")
        return item[name] if name in ("id", "collection", "geometry") else item["properties"].get(name)
    if isinstance(term, dict) and term.get("op") == "casei":
        inner = value(term["args"][0], item)
        return inner.casefold() if isinstance(inner, str) else None
    return term


def kind(found: Any) -> str | None:
    return {bool: "b", int: "n", float: "n", str: "t"}.get(type(found))


def compare(op: str, left: Any, right: Any, item: Item) -> bool | None:
    if isinstance(right, dict) and ("timestamp" in right or "date" in right):
        return compare_instants(op, left, right, item)
    a, b = value(left, item), value(right, item)
    return None if kind(a) is None or kind(a) != kind(b) else bool(ORDER[op](a, b))


def compare_instants(op: str, left: Any, right: Any, item: Item) -> bool | None:
    try:
        mine = datetime.fromisoformat(str(value(left, item)))
    except ValueError:
        return None
    first, last = span(right, item)
    return {
        "=": first <= mine <= last,
        "<>": not first <= mine <= last,
        "<": mine < first,
        "<=": mine <= last,
        ">": mine > last,
        ">=": mine >= first,
    }[op]


def span(term: Any, item: Item) -> tuple[datetime, datetime]:
    if "property" in term:
        said = item["properties"]
        middle = datetime.fromisoformat(said["datetime"])
        return (
            min(middle, datetime.fromisoformat(said.get("start_datetime", said["datetime"]))),
            max(middle, datetime.fromisoformat(said.get("end_datetime", said["datetime"]))),
        )
    if "interval" in term:
        first, last = term["interval"]
        return (
            datetime.min.replace(tzinfo=UTC) if first == ".." else datetime.fromisoformat(first),
            datetime.max.replace(tzinfo=UTC) if last == ".." else datetime.fromisoformat(last),
        )
    if "date" in term:
        day = datetime.fromisoformat(term["date"]).replace(tzinfo=UTC)
        return day, day + timedelta(days=1) - timedelta(microseconds=1)
    return (datetime.fromisoformat(term["timestamp"]),) * 2


def allen(op: str, a: tuple[datetime, datetime], b: tuple[datetime, datetime]) -> bool:
    (a0, a1), (b0, b1) = a, b
    return {
        "t_after": a0 > b1,
        "t_before": a1 < b0,
        "t_contains": a0 < b0 and b1 < a1,
        "t_disjoint": a1 < b0 or b1 < a0,
        "t_during": b0 < a0 and a1 < b1,
        "t_equals": a == b,
        "t_finishedby": a0 < b0 and a1 == b1,
        "t_finishes": b0 < a0 and a1 == b1,
        "t_intersects": not (a1 < b0 or b1 < a0),
        "t_meets": a1 == b0,
        "t_metby": b1 == a0,
        "t_overlappedby": b0 < a0 < b1 < a1,
        "t_overlaps": a0 < b0 < a1 < b1,
        "t_startedby": a0 == b0 and b1 < a1,
        "t_starts": a0 == b0 and a1 < b1,
    }[op]


def regex(pattern: str) -> str:
    out, rest = "", iter(pattern)
    for c in rest:
        out += {"%": ".*", "_": "."}.get(c) or re.escape(next(rest, "\\") if c == "\\" else c)
    return out


# Random items and random expressions over the few names and values that they share, so that something is found.

numbers = st.sampled_from([-1, 0, 1, 2, 0.5, 2.0, 1e300])
texts = st.sampled_from(
    ["", "a", "A", "ab", "éa", "a%b", "a_b", "[a]", "a*", "渣土", "x'; DROP TABLE catalog_items; --"]
)
scalars = st.one_of(numbers, texts, st.booleans())
days = st.integers(0, 4).map(lambda day: (START + timedelta(hours=12 * day)).isoformat())
arrays = st.lists(st.sampled_from(["a", "b", "c"]), max_size=3)
corner = st.integers(0, 4).map(float)


@st.composite
def geometries(draw: st.DrawFn) -> dict[str, Any]:
    x, y, w, h = draw(corner), draw(corner), draw(st.sampled_from([1.0, 2.0])), draw(st.sampled_from([1.0, 2.0]))
    shape = draw(st.sampled_from(["point", "box", "triangle"]))
    if shape == "point":
        return {"type": "Point", "coordinates": [x, y]}
    ring = [[x, y], [x + w, y], [x + w, y + h], [x, y + h], [x, y]]
    return {"type": "Polygon", "coordinates": [ring if shape == "box" else [*ring[:3], ring[0]]]}


@st.composite
def items(draw: st.DrawFn) -> list[Item]:
    found = []
    for number in range(draw(st.integers(1, 8))):
        first, middle, last = sorted(draw(st.tuples(days, days, days)))
        properties: dict[str, Any] = {"datetime": middle}
        if draw(st.booleans()):
            properties |= {"start_datetime": first, "end_datetime": last}
        properties |= draw(
            st.fixed_dictionaries(
                {},
                optional={
                    "gsd": st.one_of(numbers, st.none()),
                    "eo:cloud": scalars,
                    "title": texts,
                    "flag": st.booleans(),
                    "tags": arrays,
                    "when": st.one_of(days, texts),
                    "it's": scalars,
                },
            )
        )
        geometry = draw(st.one_of(st.none(), geometries()))
        found.append(
            {
                "type": "Feature",
                "stac_version": "1.1.0",
                "id": f"i{number}",
                "collection": "photos",
                "geometry": geometry,
                "properties": properties,
                "links": [],
                "assets": {},
            }
        )
    return found


names = st.sampled_from([*NAMES, "properties.gsd", "id"]).map(lambda name: {"property": name})
timestamps = days.map(lambda text: {"timestamp": text.replace("+00:00", "Z")})
dates = st.integers(0, 3).map(lambda day: {"date": (START + timedelta(days=day)).date().isoformat()})
ends = st.one_of(days.map(lambda text: text.replace("+00:00", "Z")), st.just(".."))
intervals = (
    st.tuples(ends, ends)
    .filter(lambda pair: ".." in pair or pair[0] <= pair[1])
    .map(lambda pair: {"interval": list(pair)})
)
comparisons = st.sampled_from(sorted(ORDER))


def node(op: Any, *args: Any) -> st.SearchStrategy[dict[str, Any]]:
    return st.tuples(op, *args).map(lambda parts: {"op": parts[0], "args": list(parts[1:])})


folded = texts.map(lambda text: {"op": "casei", "args": [text]})
leaves = st.one_of(
    st.booleans(),
    node(comparisons, names.filter(lambda n: n["property"] != "id"), scalars),
    node(comparisons, st.just({"property": "id"}), texts),
    node(
        comparisons,
        st.sampled_from([{"property": n} for n in NAMES]),
        st.sampled_from([{"property": n} for n in NAMES]),
    ),
    node(comparisons, st.just({"op": "casei", "args": [{"property": "title"}]}), folded),
    node(comparisons, st.sampled_from([{"property": "datetime"}, {"property": "when"}]), st.one_of(timestamps, dates)),
    node(st.just("between"), st.just({"property": "gsd"}), numbers, numbers),
    node(st.just("in"), st.sampled_from([{"property": n} for n in NAMES]), st.lists(scalars, min_size=1, max_size=4)),
    node(
        st.just("like"),
        st.just({"property": "title"}),
        st.sampled_from(["a%", "_", "%b", "a\\%b", "[a]", "a*", "%", ""]),
    ),
    node(st.just("isNull"), st.sampled_from([{"property": n} for n in (*NAMES, "geometry", "datetime", "id")])),
    node(st.sampled_from(sorted(SPATIAL)), st.just({"property": "geometry"}), geometries()),
    node(
        st.sampled_from(sorted(cql2._TEMPORAL)),
        st.just({"property": "datetime"}),
        st.one_of(timestamps, dates, intervals),
    ),
    node(
        st.sampled_from(["a_equals", "a_contains", "a_containedBy", "a_overlaps"]),
        st.just({"property": "tags"}),
        arrays,
    ),
)
expressions = st.recursive(
    leaves,
    lambda inner: st.one_of(
        node(st.just("not"), inner),
        st.lists(inner, min_size=1, max_size=3).map(lambda args: {"op": "and", "args": args}),
        st.lists(inner, min_size=1, max_size=3).map(lambda args: {"op": "or", "args": args}),
    ),
    max_leaves=6,
)


@pytest.fixture
def ask(catalog: SqliteCatalog) -> Callable[[list[Item], Any], list[str]]:
    def run(found: list[Item], expression: Any) -> list[str]:
        with catalog._engine.begin() as conn:
            conn.exec_driver_sql(f"DELETE FROM {'catalog_items' if conn.dialect.name == 'sqlite' else 'pgstac.items'}")
        catalog.put_items(found)
        return sorted(item["id"] for item in catalog.search(Query(filter=expression, limit=100)).items)

    return run


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(found=items(), expression=expressions)
def test_sql_finds_what_a_plain_evaluation_finds(
    ask: Callable[[list[Item], Any], list[str]], found: list[Item], expression: Any
) -> None:
    assert ask(found, expression) == [item["id"] for item in found if truth(expression, item) is True]


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(found=items(), expression=expressions)
def test_not_finds_nothing_that_is_unknown(
    ask: Callable[[list[Item], Any], list[str]], found: list[Item], expression: Any
) -> None:
    refused = {"op": "not", "args": [expression]}
    assert ask(found, refused) == [item["id"] for item in found if truth(expression, item) is False]


def bare(name: str, **properties: Any) -> Item:
    """An item with these properties and nothing else to ask for."""
    return {
        "type": "Feature",
        "id": name,
        "collection": "photos",
        "geometry": None,
        "properties": {"datetime": START.isoformat(), **properties},
        "links": [],
        "assets": {},
    }


def test_every_relation_of_every_two_intervals(catalog: SqliteCatalog) -> None:
    moments = [(START + timedelta(hours=hour)).isoformat().replace("+00:00", "Z") for hour in range(4)]
    pairs = [(first, last) for first in moments for last in moments if first <= last]
    found = [
        bare(f"{number:02}", datetime=first, start_datetime=first, end_datetime=last)
        for number, (first, last) in enumerate(pairs)
    ]
    catalog.put_items(found)
    for op in cql2._TEMPORAL:
        for pair in [*pairs, ("..", moments[2]), (moments[1], "..")]:
            expression = {"op": op, "args": [{"property": "datetime"}, {"interval": list(pair)}]}
            got = sorted(item["id"] for item in catalog.search(Query(filter=expression, limit=100)).items)
            assert got == [item["id"] for item in found if truth(expression, item)], (op, pair)


def test_every_comparison_of_every_two_values(catalog: SqliteCatalog) -> None:
    values = [None, -1, 0, 0.5, 1, 1.0, True, False, "", "1", "a", "A", "é", "渣土", [1], {"a": 1}]
    found = [bare(f"{i:02}-{j:02}", a=left, b=right) for i, left in enumerate(values) for j, right in enumerate(values)]
    catalog.put_items(found)
    a, b = {"property": "a"}, {"property": "b"}
    literals = [value for value in values if isinstance(value, int | float | str)]
    for op in ORDER:
        pairs = [[a, b], *([a, literal] for literal in literals), *([literal, a] for literal in literals)]
        for pair in pairs:
            expression = {"op": op, "args": pair}
            got = sorted(item["id"] for item in catalog.search(Query(filter=expression, limit=1000)).items)
            assert got == [item["id"] for item in found if truth(expression, item)], (op, pair)


def test_a_box_across_the_antimeridian(ask: Callable[[list[Item], Any], list[str]]) -> None:
    found = [
        {
            "type": "Feature",
            "id": name,
            "collection": "photos",
            "geometry": {"type": "Point", "coordinates": [lon, 0.0]},
            "properties": {"datetime": "2026-05-01T00:00:00Z"},
            "links": [],
            "assets": {},
        }
        for name, lon in (("east", 179.5), ("west", -179.5), ("far", 0.0))
    ]
    box = {"op": "s_intersects", "args": [{"property": "geometry"}, {"bbox": [179, -1, -179, 1]}]}
    assert ask(found, box) == ["east", "west"]


def test_members_of_arrays_compare_as_json() -> None:
    assert sql_functions.members([1, "1", True]) == sql_functions.members([True, 1.0, "1"])
    assert len(sql_functions.members([1, "1", True])) == 3
    assert json.loads(next(iter(sql_functions.members([{"b": 1, "a": 2}])))) == {"a": 2, "b": 1}
