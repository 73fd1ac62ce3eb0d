"""The fast reading of JSON is compared with the standard library's."""

import json
import math
import re
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stac.jsons import dump, loads

LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(st.characters(codec=None))
)
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=12)


def same(one: Any, other: Any) -> bool:
    """Equal, of one type, and NaN equal to itself."""
    return repr(one) == repr(other)


@given(VALUES, st.sampled_from([None, 1, "\t"]), st.booleans())
@example({"a": 2**64}, None, True)
@example(2**64, None, True)
@example([-(2**63) - 1], 1, True)
@example({"a": math.inf, "b": "\ud800"}, None, True)
def test_every_value_is_read_as_the_standard_library_reads_it(value: Any, indent: Any, ascii_only: bool) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    assert same(loads(text), json.loads(text))
    if ascii_only:
        assert same(loads(text.encode()), json.loads(text))


@pytest.mark.parametrize("text", ["", "{", "[1", '{"a": 01}', "nul", '"\x00"', b"\xff", '{"a": 1} x'])
def test_what_is_no_json_is_refused(text: str | bytes) -> None:
    with pytest.raises(ValueError) as told:  # noqa: PT011
        json.loads(text)
    with pytest.raises(type(told.value), match=re.escape(str(told.value))):
        loads(text)


def test_what_is_nested_without_end_is_refused() -> None:
    with pytest.raises((ValueError, RecursionError)):
        loads("[" * 100_000)


@given(st.dictionaries(st.text(), VALUES, max_size=4))
def test_what_is_written_is_read_back(value: dict[str, Any]) -> None:
    try:
        text = dump(value)
    except ValueError:
        assert "NaN" in json.dumps(value) or "Infinity" in json.dumps(value)
    else:
        assert same(loads(text), value)
