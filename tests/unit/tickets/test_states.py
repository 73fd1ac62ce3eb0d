from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickets.states import ENDS, RULES, Action, Actor, ForbiddenError, Instruction, Side, State, transition

ACTORS = [Actor(name, side) for side in Side for name in ("wang", "li", "zhao")]
STEPS = st.tuples(st.sampled_from(Action), st.sampled_from(ACTORS), st.sampled_from(["", "  ", "because"]))
LIKELY = st.sampled_from([(action, rule.side) for (_, action), rule in RULES.items()]).flatmap(
    lambda step: st.tuples(
        st.just(step[0]), st.sampled_from(ACTORS).map(lambda who: Actor(who.name, step[1])), st.just("because")
    )
)


def lived(steps: list[tuple[Action, Actor, str]], start: State = State.CANDIDATE) -> list[tuple[State, Actor, State]]:
    """The transitions that were allowed, refused steps left out."""
    state, done, handlers = start, [], set()
    for action, by, reason in steps:
        try:
            after, _ = transition(state, action, by, reason=reason, handlers=handlers)
        except ForbiddenError:
            continue
        if by.side is Side.HANDLER:
            handlers.add(by.name)
        done.append((state, by, after))
        state = after
    return done


@given(st.lists(LIKELY | STEPS, max_size=60), st.sampled_from([State.CANDIDATE, State.FILED, State.HANDLING]))
def test_the_handling_side_never_ends_a_ticket(steps: list[tuple[Action, Actor, str]], start: State) -> None:
    handlers: set[str] = set()
    for _, by, after in lived(steps, start):
        if by.side is Side.HANDLER:
            handlers.add(by.name)
        if after in ENDS:
            assert by.side in (Side.DESK, Side.REVIEW)
            assert by.name not in handlers


@given(st.lists(LIKELY | STEPS, max_size=60))
def test_nothing_is_filed_that_no_person_approved(steps: list[tuple[Action, Actor, str]]) -> None:
    life = lived(steps)
    reached = [after for _, _, after in life]
    if State.FILED in reached:
        approval = reached.index(State.APPROVED)
        assert approval < reached.index(State.FILED)
        assert life[approval][1].side is Side.REVIEW


@given(st.sampled_from(sorted(ENDS)), STEPS)
def test_an_end_is_an_end(state: State, step: tuple[Action, Actor, str]) -> None:
    action, by, reason = step
    with pytest.raises(ForbiddenError, match="that is an end"):
        transition(state, action, by, reason=reason)


@given(st.sampled_from(State), STEPS)
def test_what_is_not_in_the_table_is_forbidden_and_what_is_follows_it(
    state: State, step: tuple[Action, Actor, str]
) -> None:
    action, by, reason = step
    rule = RULES.get((state, action))
    allowed = rule is not None and by.side is rule.side and (bool(reason.strip()) or not rule.reason)
    try:
        after, instructions = transition(state, action, by, reason=reason)
    except ForbiddenError:
        assert not allowed
    else:
        assert allowed
        assert rule is not None
        assert (after, instructions) == (rule.to, rule.instructions)


def reachable(start: State) -> set[State]:
    found, waiting = {start}, deque([start])
    while waiting:
        state = waiting.popleft()
        for (at, _), rule in RULES.items():
            if at is state and rule.to not in found:
                found.add(rule.to)
                waiting.append(rule.to)
    return found


def test_every_state_is_reached_and_from_each_an_end_can_be_reached() -> None:
    assert reachable(State.CANDIDATE) == set(State)
    assert all(reachable(state) & ENDS for state in State)
    assert all(at not in ENDS for at, _ in RULES)


def test_what_is_watched_is_let_go_before_any_end() -> None:
    """Along every path: WATCH at most once before UNWATCH, and no end while watched."""
    waiting, known = deque([(State.CANDIDATE, False)]), {(State.CANDIDATE, False)}
    while waiting:
        state, watched = waiting.popleft()
        for (at, action), rule in RULES.items():
            if at is not state:
                continue
            after = watched
            if Instruction.WATCH in rule.instructions:
                assert not watched
                after = True
            if Instruction.UNWATCH in rule.instructions:
                assert watched, (state, action)
                after = False
            assert not (rule.to in ENDS and after), (state, action)
            if (rule.to, after) not in known:
                known.add((rule.to, after))
                waiting.append((rule.to, after))


def walk(*steps: tuple[Action, Side]) -> list[State]:
    state, passed = State.CANDIDATE, []
    for action, side in steps:
        state, _ = transition(state, action, Actor(side.value, side), reason="because")
        passed.append(state)
    return passed


APPROVED = [(Action.APPROVE, Side.REVIEW), (Action.FILE, Side.SYSTEM)]
HANDLED = [(Action.ACCEPT, Side.HANDLER), (Action.BEGIN, Side.HANDLER), (Action.REPORT, Side.HANDLER)]
RECHECK = (Action.RECHECK, Side.SYSTEM)
SEND = (Action.DISPATCH, Side.DESK)


def test_the_whole_life() -> None:
    steps = [*APPROVED, SEND, (Action.RETURN, Side.HANDLER), SEND, *HANDLED, RECHECK, (Action.REOPEN, Side.DESK)]
    steps += [SEND, *HANDLED[:2], (Action.ASK_EXTENSION, Side.HANDLER), (Action.EXTEND, Side.DESK), HANDLED[2], RECHECK]
    assert walk(*steps, (Action.CLOSE, Side.DESK)) == [
        *(State.APPROVED, State.FILED, State.DISPATCHED, State.RETURNED, State.DISPATCHED),
        *(State.ACCEPTED, State.HANDLING, State.REPORTED, State.RECHECKED, State.REOPENED),
        *(State.DISPATCHED, State.ACCEPTED, State.HANDLING, State.HANDLING, State.HANDLING),
        *(State.REPORTED, State.RECHECKED, State.CLOSED),
    ]


def test_approval_files_and_a_report_is_watched() -> None:
    assert transition(State.CANDIDATE, Action.APPROVE, Actor("wang", Side.REVIEW))[1] == (Instruction.FILE,)
    assert transition(State.HANDLING, Action.REPORT, Actor("li", Side.HANDLER))[1] == (Instruction.WATCH,)


def test_who_handled_a_ticket_cannot_close_it_under_another_hat() -> None:
    desk = Actor("li", Side.DESK)
    assert transition(State.RECHECKED, Action.CLOSE, desk, handlers={"zhao"})[0] is State.CLOSED
    with pytest.raises(ForbiddenError, match="li has handled this ticket"):
        transition(State.RECHECKED, Action.CLOSE, desk, handlers={"li"})


@pytest.mark.parametrize(
    ("state", "action", "by", "reason", "words"),
    [
        (State.CANDIDATE, Action.CLOSE, Actor("wang", Side.DESK), "x", "possible is approve, reject, merge"),
        (State.CANDIDATE, Action.APPROVE, Actor("bot", Side.SYSTEM), "", "for the side review, not system"),
        (State.CANDIDATE, Action.APPROVE, Actor("  ", Side.REVIEW), "", "needs the name"),
        (State.CANDIDATE, Action.REJECT, Actor("wang", Side.REVIEW), " ", "needs a reason"),
        (State.REPORTED, Action.CLOSE, Actor("wang", Side.DESK), "", "needs a reason"),
    ],
)
def test_a_refusal_says_why(state: State, action: Action, by: Actor, reason: str, words: str) -> None:
    with pytest.raises(ForbiddenError, match=words):
        transition(state, action, by, reason=reason)
