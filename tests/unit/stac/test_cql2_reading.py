"""CQL2 as it comes in: text read as JSON, nonsense refused on its field, values in the SQL as parameters alone."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stac import cql2
from stac.store import QueryError


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("eo:cloud <= 2", {"op": "<=", "args": [{"property": "eo:cloud"}, 2.0]}),
        ('"it\'s" IS NOT NULL', {"op": "not", "args": [{"op": "isNull", "args": [{"property": "it's"}]}]}),
        ("title LIKE 'a''%'", {"op": "like", "args": [{"property": "title"}, "a'%"]}),
        ("TRUE", True),
    ],
)
def test_text_is_read_as_json(text: str, parsed: object) -> None:
    assert cql2.parse_text(text) == parsed


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a b",
        "a = ",
        "; DROP TABLE catalog_items",
        "(" * 20_000 + "a=1" + ")" * 20_000,
        "not " * 5000 + "a=1",
        "a = " + "- " * 30_000 + "1",
        "a=1" * 50_000,
    ],
    ids=["empty", "words", "half", "sql", "brackets", "nots", "signs", "long"],
)
def test_bad_text_is_refused_and_the_process_lives(text: str) -> None:
    with pytest.raises(QueryError) as refused:
        cql2.compile_filter(cql2.parse_text(text))
    assert refused.value.field == "filter"


def deep(levels: int) -> Any:
    expression: Any = True
    for _ in range(levels):
        expression = {"op": "not", "args": [expression]}
    return expression


@pytest.mark.parametrize(
    "expression",
    [
        None,
        [],
        "text",
        {},
        {"op": "="},
        {"op": "=", "args": [1]},
        {"op": "and", "args": []},
        {"op": "foo", "args": []},
        {"op": "=", "args": [{"property": 'x"'}, 1]},
        {"op": "=", "args": [{"property": "a\\"}, 1]},
        {"op": "=", "args": [{"property": ""}, 1]},
        {"op": "=", "args": [{"property": "a..b"}, 1]},
        {"op": "=", "args": [1, "a"]},
        {"op": "=", "args": [{"property": "geometry"}, 1]},
        {"op": "=", "args": [{"property": "datetime"}, 1]},
        {"op": "=", "args": [{"property": "datetime"}, "yesterday"]},
        {"op": "=", "args": [{"property": "datetime"}, {"timestamp": "2026-13-01T00:00:00Z"}]},
        {"op": "=", "args": [{"property": "datetime"}, {"date": "2026-02-30"}]},
        {"op": "=", "args": [{"op": "foo", "args": [1]}, 2]},
        {"op": "=", "args": [{"property": "gsd"}, float("nan")]},
        {"op": "in", "args": [{"property": "gsd"}, []]},
        {"op": "in", "args": [{"property": "gsd"}, [[1]]]},
        {"op": "in", "args": [{"property": "gsd"}, 1]},
        {"op": "like", "args": [{"property": "title"}, 1]},
        {"op": "like", "args": [{"property": "title"}, "%" * 300]},
        {"op": "isNull", "args": [1]},
        {"op": "s_intersects", "args": [{"property": "geometry"}, {"type": "Polygon", "coordinates": [[[0, 0]]]}]},
        {"op": "s_intersects", "args": [{"property": "geometry"}, {"type": "Point", "coordinates": ["a", "b"]}]},
        {"op": "s_intersects", "args": [{"property": "geometry"}, {"type": "Point", "coordinates": [200, 0]}]},
        {"op": "s_intersects", "args": [{"property": "geometry"}, {"bbox": [1, 2, 3]}]},
        {"op": "s_intersects", "args": [{"property": "other"}, {"bbox": [1, 2, 3, 4]}]},
        {"op": "s_intersects", "args": [1, 2]},
        {"op": "t_after", "args": [{"property": "datetime"}, {"interval": ["2026-01-01T00:00:00Z"]}]},
        {"op": "t_after", "args": [1, 2]},
        {"op": "a_contains", "args": [{"property": "tags"}, 1]},
        {"op": "and", "args": [True] * 700 + [{"op": "isNull", "args": [{"property": "a"}]}] * 700},
        {"op": "in", "args": [{"property": "gsd"}, [1] * 6000]},
        deep(100),
        deep(100_000),
    ],
)
def test_bad_json_is_refused_on_filter(expression: object) -> None:
    with pytest.raises(QueryError) as refused:
        cql2.compile_filter(expression)
    assert refused.value.field == "filter"


@given(
    st.recursive(
        st.one_of(
            st.none(), st.booleans(), st.floats(), st.text(max_size=5), st.sampled_from(["=", "and", "s_intersects"])
        ),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3),
            st.dictionaries(
                st.sampled_from(["op", "args", "property", "type", "coordinates", "date"]), inner, max_size=3
            ),
        ),
        max_leaves=8,
    )
)
def test_whatever_json_comes_it_is_compiled_or_refused(expression: object) -> None:
    compiled = compiled_or_field(expression)
    assert compiled == "filter" or compiled.text.count("?") == len(compiled.params)


def compiled_or_field(expression: object) -> Any:
    try:
        return cql2.compile_filter(expression)
    except QueryError as refused:
        return refused.field


def test_no_value_is_ever_part_of_the_statement() -> None:
    secret = "x' OR 1=1 --"
    compiled = cql2.compile_filter({"op": "=", "args": [{"property": secret}, secret]})
    assert "OR 1=1" not in compiled.text
    assert secret in compiled.params


def test_between_is_also_read_as_drafts_wrote_it() -> None:
    name = {"property": "gsd"}
    draft = cql2.compile_filter({"op": "between", "args": [name, [0, 1]]})
    assert draft == cql2.compile_filter({"op": "between", "args": [name, 0, 1]})
