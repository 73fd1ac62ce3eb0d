from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sharing.policy import (
    ANONYMOUS,
    KEY_HOLDER,
    LOCAL_OPERATOR,
    Action,
    Principal,
    Right,
    Role,
    SecurityClass,
    decide,
    security_of,
)

ITEMS = st.none() | st.fixed_dictionaries(
    {}, optional={"properties": st.dictionaries(st.sampled_from(["flyonce:security", "gsd"]), st.text(max_size=9))}
)
NAMES = st.text(min_size=1, max_size=20)


@given(NAMES, st.sampled_from(Action), ITEMS)
def test_whoever_is_not_known_sees_nothing_and_is_told_why(name: str, action: Action, item: Any) -> None:
    decision = decide(Principal(name, Role.ANONYMOUS), action, item)
    assert decision.right is Right.DENY
    assert not decision.allowed
    assert "API key" in decision.why


@given(NAMES, st.sampled_from([Role.OPERATOR, Role.KEY]), st.sampled_from(Action), ITEMS)
def test_operator_and_key_holder_may_do_all(name: str, role: Role, action: Action, item: Any) -> None:
    decision = decide(Principal(name, role), action, item)
    assert decision.allowed
    assert (decision.right is Right.PIXELS) == (action is not Action.SEARCH)
    assert name in decision.why


@pytest.mark.parametrize("principal", [LOCAL_OPERATOR, KEY_HOLDER, ANONYMOUS])
@pytest.mark.parametrize("security", SecurityClass)
def test_the_security_class_goes_with_every_decision(principal: Principal, security: SecurityClass) -> None:
    item = {"properties": {"flyonce:security": security.value}}
    assert decide(principal, Action.READ, item).security is security


def test_an_unknown_class_counts_as_the_strictest_and_none_as_internal() -> None:
    assert security_of({"properties": {"flyonce:security": "绝密"}}) is SecurityClass.SENSITIVE
    assert security_of({"properties": {"flyonce:security": ["public"]}}) is SecurityClass.SENSITIVE
    assert security_of({"properties": {}}) is SecurityClass.INTERNAL
