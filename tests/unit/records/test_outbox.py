from contextlib import suppress
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import IntegrityError

from records import outbox
from records.engine import transaction
from records.outbox import DeliveryError, Drained, Message


class Receiver:
    """Takes messages, or refuses those whose key is in `refuses`."""

    def __init__(self, *refuses: str) -> None:
        self.refuses = set(refuses)
        self.taken: list[str] = []
        self.recorded: list[tuple[str, dict[str, Any]]] = []

    def deliver(self, message: Message) -> dict[str, Any]:
        if message.key in self.refuses:
            raise DeliveryError(f"no room for {message.key}")
        self.taken.append(message.key)
        return {"number": len(self.taken)}

    def record(self, conn: Connection, message: Message, answer: dict[str, Any]) -> None:
        conn.execute(text("INSERT INTO ticket_numbers VALUES (:key, 1)"), {"key": message.key})
        self.recorded.append((message.key, answer))

    def drain(self, engine: Engine, **options: bool) -> Drained:
        return outbox.drain(engine, "gateway", self.deliver, self.record, **options)


def post(engine: Engine, *keys: str, topic: str = "gateway") -> None:
    for key in keys:
        with transaction(engine) as conn:
            outbox.post(conn, key, topic, {"ticket": key})


def recorded(engine: Engine) -> int:
    with engine.connect() as conn:
        count: int = conn.execute(text("SELECT count(*) FROM ticket_numbers")).scalar_one()
        return count


def test_messages_are_delivered_once_in_order(engine: Engine) -> None:
    post(engine, "b", "a", "c")
    post(engine, "elsewhere", topic="another")
    receiver = Receiver()
    assert receiver.drain(engine) == Drained(("b", "a", "c"), ())
    assert receiver.drain(engine) == Drained((), ())
    assert receiver.taken == ["b", "a", "c"]
    assert [answer for _, answer in receiver.recorded] == [{"number": 1}, {"number": 2}, {"number": 3}]
    with engine.connect() as conn:
        assert [message.key for message in outbox.pending(conn, "another")] == ["elsewhere"]


def test_a_decision_rolled_back_sends_nothing(engine: Engine) -> None:
    with suppress(KeyError), transaction(engine) as conn:
        outbox.post(conn, "a", "gateway", {})
        raise KeyError
    assert Receiver().drain(engine) == Drained((), ())


def test_a_key_is_used_once_for_ever(engine: Engine) -> None:
    post(engine, "a")
    Receiver().drain(engine)
    with pytest.raises(IntegrityError):
        post(engine, "a")


def test_a_refused_message_holds_up_no_other_and_is_tried_again_later(engine: Engine) -> None:
    post(engine, "a", "b")
    receiver = Receiver("a")
    assert receiver.drain(engine) == Drained(("b",), (("a", "no room for a"),))
    with engine.connect() as conn:
        waiting = outbox.pending(conn, "gateway")
    assert [(m.key, m.attempts, m.error) for m in waiting] == [("a", 1, "no room for a")]
    receiver.refuses.clear()
    assert receiver.drain(engine) == Drained((), ())  # it waits out its pause
    assert receiver.drain(engine, impatient=True) == Drained(("a",), ())


def test_a_crash_between_delivery_and_record_repeats_the_delivery_and_records_once(engine: Engine) -> None:
    post(engine, "a")
    receiver = Receiver()

    def crash(_conn: Connection, _message: Message, _answer: dict[str, Any]) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        outbox.drain(engine, "gateway", receiver.deliver, crash)
    assert recorded(engine) == 0
    assert receiver.drain(engine) == Drained(("a",), ())
    assert receiver.taken == ["a", "a"]
    assert recorded(engine) == 1


def test_of_two_that_drain_at_once_one_records(engine: Engine) -> None:
    post(engine, "a")
    second = Receiver()

    def deliver_late(message: Message) -> dict[str, Any]:
        second.drain(engine)  # another process comes in between
        return {"number": 0}

    first = Receiver()
    assert outbox.drain(engine, "gateway", deliver_late, first.record) == Drained((), ())
    assert (len(second.recorded), len(first.recorded), recorded(engine)) == (1, 0, 1)
