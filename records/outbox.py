"""Messages to the outside, written in the transaction that decided on them and delivered afterwards, at least once.

A crash between the two loses nothing: the message is a row. A crash between a delivery and its record repeats the
delivery, so every message carries a key by which its receiver knows it again, and its record is made once.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import JSON, Column, Connection, Engine, Index, Integer, RowMapping, String, Table, Text, select, update
from sqlalchemy import insert as sql_insert

from records.engine import transaction
from records.schema import Moment, metadata, now

FIRST_PAUSE = timedelta(seconds=10)
LONGEST_PAUSE = timedelta(hours=1)
"""A receiver that is down for days is asked once an hour; a message is never given up."""


@dataclass(frozen=True, slots=True)
class Message:
    """`key` is the idempotency key, unique for ever; `topic` says who delivers it; `body` is JSON-ready."""

    key: str
    topic: str
    body: dict[str, Any]
    created: datetime
    attempts: int
    error: str | None = None
    delivered: datetime | None = None


class DeliveryError(Exception):
    """The receiver did not take a message; it is tried again later. The text says why."""


@dataclass(frozen=True, slots=True)
class Drained:
    """Keys of what one call delivered, and of what failed with the reason."""

    delivered: tuple[str, ...]
    failed: tuple[tuple[str, str], ...]


outbox = Table(
    "outbox",
    metadata,
    Column("key", String(200), primary_key=True),
    Column("topic", String(64), nullable=False),
    Column("body", JSON, nullable=False),
    Column("created", Moment, nullable=False),
    Column("not_before", Moment, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("error", Text),
    Column("delivered", Moment),
    Index("ix_outbox_topic_delivered_created_key", "topic", "delivered", "created", "key"),
)

Deliver = Callable[[Message], dict[str, Any]]
"""Hands a message to its receiver, outside any transaction; what came back. Raises `DeliveryError` or OSError."""
Record = Callable[[Connection, Message, dict[str, Any]], None]
"""Writes down what came back, in the transaction that marks the message delivered."""


def post(conn: Connection, key: str, topic: str, body: dict[str, Any]) -> None:
    """Put a message in, within the caller's transaction. Raises IntegrityError where the key was used before."""
    moment = now(conn)
    conn.execute(
        sql_insert(outbox).values(key=key, topic=topic, body=body, created=moment, not_before=moment, attempts=0)
    )


def pending(conn: Connection, topic: str) -> list[Message]:
    """What is not delivered yet, oldest first."""
    waiting = select(outbox).where(outbox.c.topic == topic, outbox.c.delivered.is_(None))
    return [_message(row) for row in conn.execute(waiting.order_by(outbox.c.created, outbox.c.key)).mappings()]


def drain(engine: Engine, topic: str, deliver: Deliver, record: Record, *, impatient: bool = False) -> Drained:
    """Deliver what is due, oldest first; a failure postpones its own message only.

    `impatient` also tries what waits out a pause after a failure. Two processes that drain at once may both deliver a
    message; one of them records it.
    """
    with engine.connect() as conn:
        moment = now(conn)
        due = select(outbox).where(outbox.c.topic == topic, outbox.c.delivered.is_(None))
        if not impatient:
            due = due.where(outbox.c.not_before <= moment)
        messages = [_message(row) for row in conn.execute(due.order_by(outbox.c.created, outbox.c.key)).mappings()]
    delivered, failed = [], []
    for message in messages:
        try:
            answer = deliver(message)
        except (DeliveryError, OSError) as error:
            _postpone(engine, message, str(error))
            failed.append((message.key, str(error)))
            continue
        with transaction(engine) as conn:
            if _mark_delivered(conn, message):
                record(conn, message, answer)
                delivered.append(message.key)
    return Drained(tuple(delivered), tuple(failed))


def _mark_delivered(conn: Connection, message: Message) -> bool:
    """False where another process was first. On PostgreSQL the row stays locked until its record is committed."""
    first = (outbox.c.key == message.key) & outbox.c.delivered.is_(None)
    values = {"delivered": now(conn), "attempts": outbox.c.attempts + 1, "error": None}
    return conn.execute(update(outbox).where(first).values(values)).rowcount == 1


def _postpone(engine: Engine, message: Message, error: str) -> None:
    pause = min(FIRST_PAUSE * 2 ** min(message.attempts, 16), LONGEST_PAUSE)
    waiting = (outbox.c.key == message.key) & outbox.c.delivered.is_(None)
    with transaction(engine) as conn:
        values = {"attempts": outbox.c.attempts + 1, "error": error, "not_before": now(conn) + pause}
        conn.execute(update(outbox).where(waiting).values(values))


def _message(row: RowMapping) -> Message:
    return Message(**{name: value for name, value in row.items() if name != "not_before"})
