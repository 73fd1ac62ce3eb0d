"""The life of an event and its ticket, as one table. Pure: values in, values out; `tickets.store` performs.

    candidate → approved | rejected → filed → dispatched → accepted | returned → handling → reported → rechecked
    → closed | reopened → dispatched …

A machine proposes, a person approves. The side that handles a ticket never ends it: no rule of that side leads to an
end, and whoever acted for it on a ticket cannot end that ticket under another hat.
"""

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    CANDIDATE = "candidate"
    APPROVED = "approved"
    REJECTED = "rejected"
    FILED = "filed"
    DISPATCHED = "dispatched"
    ACCEPTED = "accepted"
    RETURNED = "returned"
    HANDLING = "handling"
    REPORTED = "reported"
    RECHECKED = "rechecked"
    REOPENED = "reopened"
    CLOSED = "closed"
    MERGED = "merged"
    WITHDRAWN = "withdrawn"


class Action(StrEnum):
    APPROVE = "approve"
    REJECT = "reject"
    FILE = "file"
    DISPATCH = "dispatch"
    ACCEPT = "accept"
    RETURN = "return"
    BEGIN = "begin"
    ASK_EXTENSION = "ask-extension"
    EXTEND = "extend"
    REPORT = "report"
    RECHECK = "recheck"
    CLOSE = "close"
    REOPEN = "reopen"
    MERGE = "merge"
    WITHDRAW = "withdraw"


class Side(StrEnum):
    """For whom somebody acts."""

    REVIEW = "review"
    """Judges what a machine proposed."""
    DESK = "desk"
    """Supervises: dispatches, decides on extensions, closes."""
    HANDLER = "handler"
    """The unit that clears the matter away."""
    SYSTEM = "system"
    """flyonce itself: says that a gateway took a ticket, or what a later capture shows."""


class Instruction(StrEnum):
    """What is to be done because of a transition."""

    FILE = "file"
    """Give the ticket a number and hand it to the gateway."""
    WATCH = "watch"
    """Have the next capture of the place looked at."""
    UNWATCH = "unwatch"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts, by the name that the history keeps, and for which side."""

    name: str
    side: Side


class ForbiddenError(Exception):
    """An action that the life of a ticket does not allow here, or not to this actor. The text says which and why."""


@dataclass(frozen=True, slots=True)
class Rule:
    to: State
    side: Side
    reason: bool = False
    """Whether it must be said why."""
    instructions: tuple[Instruction, ...] = ()


ENDS = frozenset({State.REJECTED, State.CLOSED, State.MERGED, State.WITHDRAWN})
"""Nothing happens after these."""

_AT_THE_DESK = (
    State.FILED,
    State.DISPATCHED,
    State.ACCEPTED,
    State.RETURNED,
    State.HANDLING,
    State.REPORTED,
    State.RECHECKED,
    State.REOPENED,
)
_DONE = (Instruction.UNWATCH,)

RULES: dict[tuple[State, Action], Rule] = {
    (State.CANDIDATE, Action.APPROVE): Rule(State.APPROVED, Side.REVIEW, instructions=(Instruction.FILE,)),
    (State.CANDIDATE, Action.REJECT): Rule(State.REJECTED, Side.REVIEW, reason=True),
    (State.CANDIDATE, Action.MERGE): Rule(State.MERGED, Side.REVIEW),
    (State.APPROVED, Action.FILE): Rule(State.FILED, Side.SYSTEM),
    (State.FILED, Action.DISPATCH): Rule(State.DISPATCHED, Side.DESK),
    (State.DISPATCHED, Action.ACCEPT): Rule(State.ACCEPTED, Side.HANDLER),
    (State.DISPATCHED, Action.RETURN): Rule(State.RETURNED, Side.HANDLER, reason=True),
    (State.RETURNED, Action.DISPATCH): Rule(State.DISPATCHED, Side.DESK),
    (State.ACCEPTED, Action.BEGIN): Rule(State.HANDLING, Side.HANDLER),
    (State.HANDLING, Action.ASK_EXTENSION): Rule(State.HANDLING, Side.HANDLER, reason=True),
    (State.HANDLING, Action.EXTEND): Rule(State.HANDLING, Side.DESK, reason=True),
    (State.HANDLING, Action.REPORT): Rule(State.REPORTED, Side.HANDLER, instructions=(Instruction.WATCH,)),
    (State.REPORTED, Action.RECHECK): Rule(State.RECHECKED, Side.SYSTEM, reason=True, instructions=_DONE),
    # Without a later capture the supervising side may still close, by a decision that says why.
    (State.REPORTED, Action.CLOSE): Rule(State.CLOSED, Side.DESK, reason=True, instructions=_DONE),
    (State.RECHECKED, Action.CLOSE): Rule(State.CLOSED, Side.DESK),
    (State.RECHECKED, Action.REOPEN): Rule(State.REOPENED, Side.DESK, reason=True),
    (State.REOPENED, Action.DISPATCH): Rule(State.DISPATCHED, Side.DESK),
} | {
    (state, action): Rule(to, Side.DESK, reason=True, instructions=_DONE if state is State.REPORTED else ())
    for state in _AT_THE_DESK
    for action, to in ((Action.WITHDRAW, State.WITHDRAWN), (Action.MERGE, State.MERGED))
}


def transition(
    state: State, action: Action, by: Actor, *, reason: str = "", handlers: Collection[str] = ()
) -> tuple[State, tuple[Instruction, ...]]:
    """Where an action leads and what is to be done then. Raises `ForbiddenError`.

    `handlers` are the names that have acted for the handling side on this ticket.
    """
    rule = RULES.get((state, action))
    if rule is None:
        possible = ", ".join(what for at, what in RULES if at is state)
        raise ForbiddenError(
            f"{action} is not possible while {state}; possible is {possible or 'nothing: that is an end'}"
        )
    if by.side is not rule.side:
        raise ForbiddenError(f"{action} while {state} is for the side {rule.side}, not {by.side}")
    if not by.name.strip():
        raise ForbiddenError(f"{action} needs the name of who does it")
    if rule.reason and not reason.strip():
        raise ForbiddenError(f"{action} while {state} needs a reason")
    if rule.to in ENDS and by.name in handlers:
        raise ForbiddenError(f"{by.name} has handled this ticket and so cannot {action} it: somebody else must")
    return rule.to, rule.instructions
