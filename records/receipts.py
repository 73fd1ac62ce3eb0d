"""What became of every file that was sent: one row each, accepted or not, so that nothing is refused in silence."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

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
    bindparam,
    select,
)
from sqlalchemy import insert as sql_insert

from records.schema import Moment, metadata, now


class Outcome(StrEnum):
    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    QUARANTINED = "quarantined"
    """Kept in the file store, in no catalogue."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """`reason` is a stable word for programs, `message` the sentence for a person; both empty where all went well.

    `item` is `collection/id` of what the file became, or of what it duplicates; None for a file that is kept for
    another's sake, as `message` says then.
    """

    flight: str
    name: str
    sha256: str
    size: int
    outcome: Outcome
    reason: str = ""
    message: str = ""
    item: str | None = None
    received: datetime | None = None
    """Set by the books."""

    def __post_init__(self) -> None:
        if self.outcome is Outcome.QUARANTINED and not (self.reason and self.message):
            raise ValueError(f"{self.name} is quarantined without a reason that a person can act on")
        kept_for_another = self.outcome is Outcome.ACCEPTED and self.message
        if self.outcome is not Outcome.QUARANTINED and self.item is None and not kept_for_another:
            raise ValueError(f"{self.name} is {self.outcome}, but as which item is not said")


receipts = Table(
    "receipts",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("flight", String(200), nullable=False),
    Column("name", Text, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("reason", String(64), nullable=False),
    Column("message", Text, nullable=False),
    Column("item", Text),
    Column("received", Moment, nullable=False),
    CheckConstraint("outcome IN ('accepted', 'duplicate', 'quarantined')", name="outcome"),
    Index("ix_receipts_flight_id", "flight", "id"),
    Index("ix_receipts_sha256", "sha256"),
)


_LAST_VERDICT = (
    select(receipts.c.outcome, receipts.c.item)
    .where(receipts.c.sha256 == bindparam("content"), receipts.c.outcome != Outcome.DUPLICATE)
    .order_by(receipts.c.id.desc())
    .limit(1)
)
"""Made once: it is asked for every file that comes."""


def add(conn: Connection, sent: Sequence[Receipt]) -> None:
    """Write receipts, in their order, within the caller's transaction."""
    columns = ("flight", "name", "sha256", "size", "outcome", "reason", "message", "item")
    moment = now(conn)
    rows = [{column: getattr(one, column) for column in columns} | {"received": moment} for one in sent]
    if rows:
        conn.execute(sql_insert(receipts), rows)


def of_flight(conn: Connection, flight: str) -> Sequence[Receipt]:
    """Everything ever sent for a flight, in the order it came."""
    rows = conn.execute(select(receipts).where(receipts.c.flight == flight).order_by(receipts.c.id))
    return [_receipt(row) for row in rows.mappings()]


def of_file(conn: Connection, sha256: str) -> Sequence[Receipt]:
    """Every time that this content was sent, in the order it came."""
    rows = conn.execute(select(receipts).where(receipts.c.sha256 == sha256).order_by(receipts.c.id))
    return [_receipt(row) for row in rows.mappings()]


def item_of_file(conn: Connection, sha256: str) -> str | None:
    """The item that this content became; None where it became none, or was found unreadable since."""
    row = conn.execute(_LAST_VERDICT, {"content": sha256}).one_or_none()
    return row.item if row is not None and row.outcome == Outcome.ACCEPTED else None


def _receipt(row: RowMapping) -> Receipt:
    values = {name: value for name, value in row.items() if name != "id"}
    return Receipt(**values | {"outcome": Outcome(values["outcome"])})
