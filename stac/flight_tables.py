"""The rows of flights and of their files, and the values that they are read as."""

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    RowMapping,
    String,
    Table,
    Text,
)

from records.schema import Moment, metadata
from stac.flight_states import State
from stac.flight_values import Answer, Plan


@dataclass(frozen=True, slots=True)
class Flight:
    """A row. `closed_by` is None until a person closes the batch."""

    id: str
    plan: Plan
    state: State
    closed_by: str | None
    close_reason: str
    created: datetime
    created_by: str
    changed: datetime


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sent a file, by name and role: what an existing item is told to them as depends on it."""

    name: str
    role: str


@dataclass(frozen=True, slots=True)
class File:
    """One file of a flight. `state`: expected, received (waits for its answer), answered."""

    name: str
    size: int | None
    sha256: str | None
    state: str
    answer: Answer | None
    sender: Sender
    late: bool
    tries: int
    """How often reading it was begun and not ended."""
    log_offset: float | None = None
    """Of a video: seconds that its sender adds to the times of the log beside it."""


flights = Table(
    "flights",
    metadata,
    Column("id", String(200), primary_key=True),
    Column("name", Text, nullable=False),
    Column("department", String(200), nullable=False),
    Column("purpose", Text, nullable=False),
    Column("platform", Text, nullable=False),
    Column("pilot", Text, nullable=False),
    Column("operator_licence", Text, nullable=False),
    Column("airspace_approval", Text, nullable=False),
    Column("security", String(16), nullable=False),
    Column("retain_until", String(10)),
    Column("open_ended", Boolean, nullable=False),
    Column("state", String(16), nullable=False),
    Column("closed_by", String(200)),
    Column("close_reason", Text, nullable=False),
    Column("created", Moment, nullable=False),
    Column("created_by", String(200), nullable=False),
    Column("changed", Moment, nullable=False),
    Column("take_job", String(32)),
    Column("look_job", String(32)),
    Column("terrain", String(64)),
    CheckConstraint("state IN ('receiving', 'complete', 'processed')", name="state"),
    Index("ix_flights_created_id", "created", "id"),
)

flight_files = Table(
    "flight_files",
    metadata,
    Column("flight", String(200), ForeignKey("flights.id"), primary_key=True),
    Column("name", Text, primary_key=True),
    Column("size", BigInteger),
    Column("sha256", String(64)),
    Column("state", String(16), nullable=False),
    Column("outcome", String(16)),
    Column("answer", JSON(none_as_null=True)),
    Column("sender", String(200), nullable=False),
    Column("sender_role", String(16), nullable=False),
    Column("late", Boolean, nullable=False),
    Column("looked", Boolean, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("changed", Moment, nullable=False),
    Column("log_offset", Float),
    CheckConstraint("state IN ('expected', 'received', 'answered')", name="state"),
    Index("ix_flight_files_flight_state", "flight", "state"),
)


def flight_of(row: RowMapping) -> Flight:
    """The flight that a row of `flights` is."""
    details = ("name", "department", "purpose", "platform", "pilot", "operator_licence", "airspace_approval")
    plan = Plan(
        **{name: row[name] for name in details},
        security=row["security"],
        retain_until=date.fromisoformat(row["retain_until"]) if row["retain_until"] else None,
        open_ended=bool(row["open_ended"]),
        terrain=row["terrain"],
    )
    named = ("id", "closed_by", "close_reason", "created", "created_by", "changed")
    return Flight(plan=plan, state=State(row["state"]), **{name: row[name] for name in named})


def file_of(row: RowMapping) -> File:
    """The file that a row of `flight_files` is."""
    return File(
        name=row["name"],
        size=row["size"],
        sha256=row["sha256"],
        state=row["state"],
        answer=Answer.from_json(row["answer"]) if row["answer"] else None,
        sender=Sender(row["sender"], row["sender_role"]),
        late=bool(row["late"]),
        tries=row["tries"],
        log_offset=row["log_offset"],
    )
