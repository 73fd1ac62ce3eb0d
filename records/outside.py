"""Work that another service does for us under an id of its own: which id, so that a restart asks for it again.

One row a piece of work, by a key that follows from its inputs; it goes once the result is ours.
"""

from dataclasses import dataclass

from sqlalchemy import Column, Connection, String, Table, delete, insert, select

from records.schema import Moment, metadata, now


@dataclass(frozen=True, slots=True)
class Outside:
    """`service`: where it is done, without secrets. `task`: its id there."""

    service: str
    task: str


outside_tasks = Table(
    "outside_tasks",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("service", String(500), nullable=False),
    Column("task", String(64), nullable=False),
    Column("begun", Moment, nullable=False),
)


def find(conn: Connection, key: str) -> Outside | None:
    row = conn.execute(select(outside_tasks).where(outside_tasks.c.key == key)).mappings().one_or_none()
    return None if row is None else Outside(row["service"], row["task"])


def begin(conn: Connection, key: str, work: Outside) -> None:
    """Note the id in the place of an earlier one. Called before the service hears of it."""
    forget(conn, key)
    conn.execute(insert(outside_tasks).values(key=key, service=work.service, task=work.task, begun=now(conn)))


def forget(conn: Connection, key: str) -> None:
    conn.execute(delete(outside_tasks).where(outside_tasks.c.key == key))
