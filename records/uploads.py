"""Uploads on their way in: a row each, and a file that grows in the store's temporary area.

The row's `offset` is what is safely on the disk: it moves only after an fsync, and after a crash whatever the file
holds beyond it is cut off. A finished upload's file becomes an object of the store in the transaction that says so.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Connection,
    Index,
    RowMapping,
    String,
    Table,
    Text,
    func,
    select,
    update,
)
from sqlalchemy import insert as sql_insert

from records.schema import Moment, metadata, now


class State(StrEnum):
    OPEN = "open"
    FINISHED = "finished"
    TERMINATED = "terminated"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Upload:
    """A row. Sizes in bytes. `metadata` is the header as it was sent; `concat` is empty, `partial`, or `final;…` with
    its parts; `declared` is the SHA-256 that the sender promised, `sha256` the one that was found."""

    id: str
    flight: str
    name: str
    length: int
    offset: int
    state: State
    metadata: str
    concat: str
    declared: str | None
    sha256: str | None
    sender: str
    sender_role: str
    created: datetime
    expires: datetime

    @property
    def partial(self) -> bool:
        return self.concat == "partial"


uploads = Table(
    "uploads",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("flight", String(200), nullable=False),
    Column("name", Text, nullable=False),
    Column("length", BigInteger, nullable=False),
    Column("offset", BigInteger, nullable=False),
    Column("state", String(16), nullable=False),
    Column("metadata", Text, nullable=False),
    Column("concat", Text, nullable=False),
    Column("declared", String(64)),
    Column("sha256", String(64)),
    Column("sender", String(200), nullable=False),
    Column("sender_role", String(16), nullable=False),
    Column("created", Moment, nullable=False),
    Column("expires", Moment, nullable=False),
    CheckConstraint("state IN ('open', 'finished', 'terminated', 'expired')", name="state"),
    Index("ix_uploads_flight_state", "flight", "state"),
    Index("ix_uploads_state_expires", "state", "expires"),
)


def add(
    conn: Connection,
    *,
    flight: str,
    name: str,
    length: int,
    metadata: str,
    concat: str,
    declared: str | None,
    sender: str,
    sender_role: str,
    keep: timedelta,
) -> Upload:
    """Open an upload that expires when `keep` has passed since its last byte."""
    moment = now(conn)
    upload = uuid.uuid4().hex
    conn.execute(
        sql_insert(uploads).values(
            id=upload,
            flight=flight,
            name=name,
            length=length,
            offset=0,
            state=State.OPEN,
            metadata=metadata,
            concat=concat,
            declared=declared,
            sender=sender,
            sender_role=sender_role,
            created=moment,
            expires=moment + keep,
        )
    )
    found = get(conn, upload)
    if found is None:
        raise RuntimeError("an upload vanished in the transaction that opened it")
    return found


def get(conn: Connection, upload: str) -> Upload | None:
    row = conn.execute(select(uploads).where(uploads.c.id == upload)).mappings().one_or_none()
    return None if row is None else _upload(row)


def open_of(conn: Connection, flight: str) -> list[Upload]:
    """What is on its way in for a flight, the oldest first."""
    asked = select(uploads).where(uploads.c.flight == flight, uploads.c.state == State.OPEN)
    return [_upload(row) for row in conn.execute(asked.order_by(uploads.c.created, uploads.c.id)).mappings()]


def count_open(conn: Connection) -> int:
    count: int = conn.execute(
        select(func.count()).select_from(uploads).where(uploads.c.state == State.OPEN)
    ).scalar_one()
    return count


def advance(conn: Connection, upload: str, offset: int, keep: timedelta) -> Upload | None:
    """So many bytes are safe now; None where the upload is not open any more."""
    values = {"offset": offset, "expires": now(conn) + keep}
    where = (uploads.c.id == upload) & (uploads.c.state == State.OPEN)
    if conn.execute(update(uploads).where(where).values(values)).rowcount != 1:
        return None
    return get(conn, upload)


def finish(conn: Connection, upload: str, sha256: str | None) -> bool:
    """All bytes are there; False where the upload is not open any more."""
    where = (uploads.c.id == upload) & (uploads.c.state == State.OPEN)
    values = {"state": State.FINISHED, "offset": uploads.c.length, "sha256": sha256}
    return conn.execute(update(uploads).where(where).values(values)).rowcount == 1


def terminate(conn: Connection, upload: str) -> bool:
    """The sender gives up; False where it is not open any more. A partial upload may be given up when finished too."""
    open_ = (uploads.c.state == State.OPEN) | ((uploads.c.state == State.FINISHED) & (uploads.c.concat == "partial"))
    return (
        conn.execute(update(uploads).where(uploads.c.id == upload, open_).values(state=State.TERMINATED)).rowcount == 1
    )


def expire(conn: Connection) -> Sequence[str]:
    """End what has waited for too long; the ids. Finished partial uploads that became no file expire too."""
    waiting = (uploads.c.state == State.OPEN) | ((uploads.c.state == State.FINISHED) & (uploads.c.concat == "partial"))
    where = waiting & (uploads.c.expires < now(conn))
    ended = update(uploads).where(where).values(state=State.EXPIRED).returning(uploads.c.id)
    return list(conn.execute(ended).scalars())


def _upload(row: RowMapping) -> Upload:
    return Upload(**{**row, "state": State(row["state"])})
