"""What every table of the books shares: one metadata, names for constraints, and one way to keep a moment."""

from datetime import UTC, datetime

from sqlalchemy import Connection, Dialect, MetaData, String, func, select
from sqlalchemy.types import TypeDecorator

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_FORMAT = "%Y-%m-%dT%H:%M:%S.%fZ"


def moment_text(moment: datetime) -> str:
    """RFC 3339 in UTC with microseconds, 27 characters wide, so that text order is time order."""
    if moment.tzinfo is None:
        raise ValueError(f"a moment needs its time zone: {moment.isoformat()}")
    return moment.astimezone(UTC).strftime(_FORMAT).rjust(27, "0")


def moment_of(text: str) -> datetime:
    """The aware moment (UTC) that `moment_text` wrote."""
    return datetime.strptime(text, _FORMAT).replace(tzinfo=UTC)


class Moment(TypeDecorator[datetime]):
    """An aware datetime, kept as text that sorts by time. SQLite has no type for it, and one form serves both."""

    impl = String(27)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        return None if value is None else moment_text(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        return None if value is None else moment_of(value)


def now(conn: Connection) -> datetime:
    """The time by the database's clock: on PostgreSQL workers of several machines must agree when a lease ends."""
    if conn.dialect.name == "postgresql":
        moment: datetime = conn.execute(select(func.clock_timestamp())).scalar_one()
        return moment.astimezone(UTC)
    return datetime.now(UTC)
