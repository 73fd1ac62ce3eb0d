"""What happened, in an order that nobody can change unnoticed: append-only rows, each chained to the one before.

A row's hash is SHA-256 over the canonical JSON of its fields and the hash of the row before it, so that a changed,
removed, inserted or moved row breaks the chain. `history_head` holds the number and the hash of the last row; triggers
keep both tables from being changed other than by appending, and `verify` finds what was done around the triggers.

Limit: whoever can write to the database past its triggers can also rewrite the whole tail and the head with it. Only a
head that was kept elsewhere tells then: every filed ticket carries one, and `verify` takes one.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Connection,
    Index,
    Integer,
    RowMapping,
    String,
    Table,
    Text,
    func,
    select,
    text,
    update,
)
from sqlalchemy import insert as sql_insert

from records.schema import Moment, metadata, moment_text, now

FIRST = "0" * 64
"""What stands in for the hash before the first row."""
_LOCK = 0x68697374  # "hist"


@dataclass(frozen=True, slots=True)
class Entry:
    """One row. `stream` names the thing it happened to (`event/…`, `flight/…`), `actor` the principal who did it."""

    seq: int
    stream: str
    kind: str
    actor: str
    at: datetime
    body: dict[str, Any]
    previous: str
    hash: str


@dataclass(frozen=True, slots=True)
class Head:
    """The last row of the chain at some moment. Kept elsewhere, it proves all rows up to it."""

    seq: int
    hash: str


history = Table(
    "history",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("stream", String(200), nullable=False),
    Column("kind", String(64), nullable=False),
    Column("actor", String(200), nullable=False),
    Column("at", Moment, nullable=False),
    Column("body", Text, nullable=False),
    Column("previous", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
    Index("ix_history_stream_seq", "stream", "seq"),
)

history_head = Table(
    "history_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, nullable=False),
    Column("hash", String(64), nullable=False),
    CheckConstraint("id = 1", name="one_row"),
)


def canonical(value: Any) -> str:
    """The one JSON text of a value: keys sorted, no spaces, characters as they are. Raises ValueError for NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def chained(previous: str, seq: int, stream: str, kind: str, actor: str, at: str, body: str) -> str:
    """A row's hash, in hexadecimal. `at` and `body` as they stand in the table."""
    fields = {"seq": seq, "stream": stream, "kind": kind, "actor": actor, "at": at, "body": body}
    return hashlib.sha256((previous + canonical(fields)).encode()).hexdigest()


def head(conn: Connection) -> Head:
    seq, digest = conn.execute(select(history_head.c.seq, history_head.c.hash)).one()
    return Head(seq, digest)


def hold(conn: Connection) -> None:
    """Make this the one transaction that may append, until it ends.

    One that appends after locking rows, while another locks those rows after appending, would wait for ever: whoever
    does both holds first. On SQLite every writing transaction is the only one anyway.
    """
    if conn.dialect.name == "postgresql":
        conn.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})


def append(conn: Connection, stream: str, kind: str, body: dict[str, Any], actor: str) -> Entry:
    """Add a row within the caller's transaction: it stands if what it tells of stands.

    One transaction appends at a time; others wait for its commit (see `hold`).
    """
    if not actor:
        raise ValueError(f"who did {kind!r} to {stream}? The history names an actor for everything")
    hold(conn)
    last = head(conn)
    seq, at, content = last.seq + 1, now(conn), canonical(body)
    digest = chained(last.hash, seq, stream, kind, actor, moment_text(at), content)
    row = {"seq": seq, "stream": stream, "kind": kind, "actor": actor, "at": at, "body": content}
    conn.execute(sql_insert(history).values(row | {"previous": last.hash, "hash": digest}))
    conn.execute(update(history_head).values(seq=seq, hash=digest))
    return Entry(seq, stream, kind, actor, at, json.loads(content), last.hash, digest)


def entries(conn: Connection, stream: str) -> list[Entry]:
    """Everything that happened to one thing, oldest first."""
    rows = conn.execute(select(history).where(history.c.stream == stream).order_by(history.c.seq))
    return [_entry(row) for row in rows.mappings()]


def verify(conn: Connection, *kept: Head) -> list[str]:
    """Walk the whole chain; what is wrong with it, in plain words, empty where nothing is.

    `kept` are heads from outside the database, such as those in filed tickets: each must be a row of the chain.
    """
    # An honest append may commit while this reads: the head read first must be in the chain, the one read last not
    # behind it.
    first = head(conn)
    found = list(_problems(conn, [*kept, first]))
    written = conn.execute(select(func.max(history.c.seq))).scalar_one() or 0
    if written > head(conn).seq:
        found.append(f"rows after {head(conn).seq} were added past the head")
    return found


def _problems(conn: Connection, kept: Sequence[Head]) -> Iterator[str]:
    outside: dict[int, set[str]] = {}
    for anchor in kept:
        outside.setdefault(anchor.seq, set()).add(anchor.hash)
    if outside.pop(0, {FIRST}) != {FIRST}:
        yield "the head before the first row is not the one that every chain starts from"
    previous, expected = FIRST, 1
    stored = select(history).order_by(history.c.seq).execution_options(yield_per=1000)
    for row in conn.execute(stored):
        if row.seq != expected:
            yield f"{_rows(expected, row.seq - 1)} missing"
        if row.previous != previous:
            yield f"row {row.seq} does not follow the row before it"
        if row.hash != chained(row.previous, row.seq, row.stream, row.kind, row.actor, moment_text(row.at), row.body):
            yield f"row {row.seq} ({row.kind} of {row.stream}) was changed after it was written"
        if outside.pop(row.seq, {row.hash}) != {row.hash}:
            yield f"row {row.seq} is not the one that a head names"
        previous, expected = row.hash, row.seq + 1
    if outside:
        yield f"{_rows(expected, max(outside))} missing: a head names them"


def _rows(first: int, last: int) -> str:
    return f"row {first}" if first == last else f"rows {first} to {last}"


def _entry(row: RowMapping) -> Entry:
    return Entry(**{**row, "body": json.loads(row["body"])})
