"""CQL2 filters as SQL conditions with bound parameters, the same for both catalogues (`stac.dialect`).

Logic has three values, as in SQL: what an item does not say is neither true nor false, and NOT does not change that.
Understood are the classes in `CONFORMANCE`; anything else is refused with its name.
"""

import json
import re
from collections.abc import Callable
from typing import Any

import cql2

from stac import cql2_terms as terms
from stac.cql2_terms import Property, kind_of, wrong
from stac.dialect import Dialect
from stac.fragments import Sql, bind, group, sql
from stac.sql_functions import ARRAYS, SPATIAL
from stac.sqlite_dialect import SQLITE

Filter = dict[str, Any] | bool

CONFORMANCE = tuple(
    f"http://www.opengis.net/spec/cql2/1.0/conf/{name}"
    for name in (
        "cql2-text",
        "cql2-json",
        "basic-cql2",
        "advanced-comparison-operators",
        "case-insensitive-comparison",
        "accent-insensitive-comparison",
        "basic-spatial-functions",
        "basic-spatial-functions-plus",
        "spatial-functions",
        "temporal-functions",
        "array-functions",
        "property-property",
    )
)

DEEPEST = 60
MOST_NODES = 600
MOST_MEMBERS = 5000
_LONGEST_TEXT = 100_000
_COMPARISONS = {"=": "=", "<>": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
_FLIPPED = {"=": "=", "<>": "<>", "<": ">", "<=": ">=", ">": "<", ">=": "<="}

# Of two intervals a, b: first and last instants a0, a1, b0, b1.
_TEMPORAL = {
    "t_after": "{a0} > {b1}",
    "t_before": "{a1} < {b0}",
    "t_contains": "{a0} < {b0} AND {a1} > {b1}",
    "t_disjoint": "{a1} < {b0} OR {a0} > {b1}",
    "t_during": "{a0} > {b0} AND {a1} < {b1}",
    "t_equals": "{a0} = {b0} AND {a1} = {b1}",
    "t_finishedby": "{a0} < {b0} AND {a1} = {b1}",
    "t_finishes": "{a0} > {b0} AND {a1} = {b1}",
    "t_intersects": "{a0} <= {b1} AND {a1} >= {b0}",
    "t_meets": "{a1} = {b0}",
    "t_metby": "{a0} = {b1}",
    "t_overlappedby": "{a0} > {b0} AND {a0} < {b1} AND {a1} > {b1}",
    "t_overlaps": "{a0} < {b0} AND {a1} > {b0} AND {a1} < {b1}",
    "t_startedby": "{a0} = {b0} AND {a1} > {b1}",
    "t_starts": "{a0} = {b0} AND {a1} < {b1}",
}


def parse_text(text: str) -> Filter:
    """CQL2 text as CQL2 JSON. Raises `QueryError`."""
    if len(text) > _LONGEST_TEXT:
        raise wrong(f"a filter holds at most {_LONGEST_TEXT} characters")
    _refuse_deep(text)
    try:
        parsed: Filter = cql2.parse_text(text).to_json()
    except cql2.ParseError as error:
        raise wrong(f"not CQL2 text: {' '.join(str(error).split())[:300]}") from error
    return parsed


def compile_filter(expression: object, dialect: Dialect = SQLITE) -> Sql:
    """The condition for CQL2 JSON. Raises `QueryError` on `filter` for what is wrong or not understood."""
    _measure(expression)
    return _predicate(dialect, expression)


def conjuncts(expression: object) -> list[object]:
    """The expressions that must all hold, as far as that is plain: the filter itself, or what its ANDs join."""
    if isinstance(expression, dict) and str(expression.get("op")).lower() == "and":
        return [part for arg in expression.get("args", []) for part in conjuncts(arg)]
    return [expression]


def _predicate(d: Dialect, node: Any) -> Sql:
    if isinstance(node, bool):
        return Sql("TRUE" if node else "FALSE")
    if isinstance(node, dict) and isinstance(node.get("property"), str):
        return terms.value(d, node, "boolean")
    if not isinstance(node, dict) or not isinstance(node.get("op"), str) or not isinstance(node.get("args"), list):
        raise wrong(f"not a CQL2 expression: {json.dumps(node, default=str)[:80]}")
    op, args = node["op"], node["args"]
    lower = op.lower()
    if lower in ("and", "or"):
        if not args:
            raise wrong(f"{op} wants at least one argument")
        return group(f" {lower.upper()} ", [_predicate(d, arg) for arg in args])
    if lower == "between" and len(args) == 2 and isinstance(args[1], list):
        args = [args[0], *args[1]]  # as drafts of CQL2 wrote it, and clients still do
    for names, count, build in _OPERATORS:
        if lower in names:
            if len(args) != count:
                raise wrong(f"{op} wants {count} argument{'s' if count > 1 else ''}, not {len(args)}")
            return build(d, lower, args)
    raise wrong(f"unknown operator {op[:40]!r}")


def _not(d: Dialect, _op: str, args: list[Any]) -> Sql:
    return sql("(NOT {})", _predicate(d, args[0]))


def _compare(d: Dialect, op: str, args: list[Any]) -> Sql:
    left, right = args
    kinds = {kind_of(left), kind_of(right)}
    if "instant" in kinds:
        return _compare_instants(d, op, left, right)
    if kinds == {None}:
        return d.compare(op, Property(left["property"]).path, Property(right["property"]).path)
    ordered = op not in ("=", "<>")
    for wanted in ("number", "text", "boolean"):
        if wanted in kinds:
            mine, other = (terms.value(d, term, wanted, ordered=ordered) for term in (left, right))
            return sql(f"({{}} {op} {{}})", mine, other)
    raise wrong(f"{op} compares numbers, text, booleans and times; for geometries and arrays use s_… and a_…")


def _compare_instants(d: Dialect, op: str, left: Any, right: Any) -> Sql:
    """A date stands for its whole day: equal is within it, less is before it, less or equal not after it."""
    if not isinstance(left, dict) or "property" not in left:
        left, right, op = right, left, _FLIPPED[op]
    (a0, a1), (b0, b1) = terms.bounds(d, left, interval=False), terms.bounds(d, right, interval=False)
    within = sql("({} >= {} AND {} <= {})", a0, b0, a1, b1)
    return {
        "=": within,
        "<>": sql("(NOT {})", within),
        "<": sql("({} < {})", a1, b0),
        "<=": sql("({} <= {})", a1, b1),
        ">": sql("({} > {})", a0, b1),
        ">=": sql("({} >= {})", a0, b0),
    }[op]


def _between(d: Dialect, _op: str, args: list[Any]) -> Sql:
    return group(" AND ", [_compare(d, ">=", [args[0], args[1]]), _compare(d, "<=", [args[0], args[2]])])


def _in(d: Dialect, _op: str, args: list[Any]) -> Sql:
    needle, members = args
    if not isinstance(members, list) or not members:
        raise wrong("IN wants a list that is not empty")
    groups: list[Sql] = []
    for wanted in ("number", "text", "boolean", "instant"):
        own = [m for m in members if kind_of(m) == wanted]
        if own and (wanted == "instant" or kind_of(needle) == "instant"):
            groups.extend(_compare_instants(d, "=", needle, m) for m in own)
        elif own:
            values = group(", ", [terms.value(d, m, wanted) for m in own])
            groups.append(sql("({} IN {})", terms.value(d, needle, wanted, ordered=False), values))
    if sum(kind_of(m) in ("number", "text", "boolean", "instant") for m in members) != len(members):
        raise wrong("IN compares with numbers, text, booleans and times")
    return group(" OR ", groups)


def _like(d: Dialect, _op: str, args: list[Any]) -> Sql:
    return d.like(terms.value(d, args[0], "text"), terms.pattern(args[1]))


def _is_null(d: Dialect, _op: str, args: list[Any]) -> Sql:
    if not isinstance(args[0], dict) or not isinstance(args[0].get("property"), str):
        raise wrong("IS NULL wants a property")
    prop = Property(args[0]["property"])
    if prop.kind == "text":
        return Sql("FALSE")
    if prop.kind == "geometry":
        return sql(f"{d.function('s_missing')}(geometry)")
    return d.absent(prop.path)


def _spatial(d: Dialect, op: str, args: list[Any]) -> Sql:
    item, other = args
    if kind_of(item) != "geometry" and kind_of(other) != "geometry":
        raise wrong(f"{op} wants geometries")
    if not isinstance(item, dict) or "property" not in item:
        item, other = other, item
        op = {"s_contains": "s_within", "s_within": "s_contains"}.get(op, op)
    if not isinstance(item, dict) or item.get("property") is None or Property(item["property"]).kind != "geometry":
        raise wrong(f"{op} wants the property `geometry` on one side")
    return sql(f"{d.function(op)}(geometry, {{}})", bind(terms.geometry(other)))


def _temporal(d: Dialect, op: str, args: list[Any]) -> Sql:
    (a0, a1), (b0, b1) = terms.bounds(d, args[0], interval=True), terms.bounds(d, args[1], interval=True)
    named = {"a0": a0, "a1": a1, "b0": b0, "b1": b1}
    order = re.findall(r"\{(\w\d)\}", _TEMPORAL[op])
    return sql("(" + re.sub(r"\{\w\d\}", "{}", _TEMPORAL[op]) + ")", *(named[name] for name in order))


def _array(d: Dialect, op: str, args: list[Any]) -> Sql:
    return sql(f"{d.function(op)}({{}}, {{}})", _array_operand(d, args[0]), _array_operand(d, args[1]))


def _array_operand(d: Dialect, term: Any) -> Sql:
    if isinstance(term, list):
        return bind(json.dumps(term))
    return terms.value(d, term, "array")


_OPERATORS: tuple[tuple[frozenset[str], int, Callable[[Dialect, str, list[Any]], Sql]], ...] = (
    (frozenset(("not",)), 1, _not),
    (frozenset(_COMPARISONS), 2, _compare),
    (frozenset(("between",)), 3, _between),
    (frozenset(("in",)), 2, _in),
    (frozenset(("like",)), 2, _like),
    (frozenset(("isnull",)), 1, _is_null),
    (frozenset(SPATIAL), 2, _spatial),
    (frozenset(_TEMPORAL), 2, _temporal),
    (frozenset(ARRAYS), 2, _array),
)


def _measure(expression: object) -> None:
    """Refuse what is nested or long beyond reason before recursing into it."""
    nodes, members, level = 0, 0, [expression]
    for _ in range(DEEPEST):
        below: list[object] = []
        for node in level:
            if isinstance(node, dict) and "op" in node:
                nodes += 1
                args = node.get("args")
                below.extend(args if isinstance(args, list) else ())
            elif isinstance(node, list):
                members += len(node)
                below.extend(node)
        if nodes > MOST_NODES or members > MOST_MEMBERS:
            raise wrong(f"a filter holds at most {MOST_NODES} operators and {MOST_MEMBERS} list members")
        if not below:
            return
        level = below
    raise wrong(f"a filter is nested at most {DEEPEST} deep")


def _refuse_deep(text: str) -> None:
    """The parser recurses on brackets, NOT and signs without a limit of its own, and would end the process."""
    bare = re.sub(r"'(?:[^']|'')*'", "''", text)
    depth = deepest = 0
    for c in bare:
        depth += (c == "(") - (c == ")")
        deepest = max(deepest, depth)
    prefixes = len(re.findall(r"\bnot\b", bare, re.IGNORECASE)) + len(re.findall(r"[-+*/^]\s*[-+]", bare))
    if deepest > DEEPEST or prefixes > 4 * DEEPEST:
        raise wrong(f"a filter is nested at most {DEEPEST} deep")
