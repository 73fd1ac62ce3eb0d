"""A job is a row: put in with whatever asked for it, leased by one worker at a time, kept alive by heartbeats.

A worker that dies stops its heartbeats; when its lease ends another worker takes the job. Whoever lost a lease can no
longer write to the job, so its result is recorded once. Work that is repeated after a crash must itself be idempotent.
"""

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    JSON,
    CheckConstraint,
    Column,
    Connection,
    Engine,
    Float,
    Index,
    Integer,
    RowMapping,
    String,
    Table,
    Text,
    or_,
    select,
    update,
)
from sqlalchemy import insert as sql_insert

from records.engine import transaction
from records.schema import Moment, metadata, now

MOST_ATTEMPTS = 5
"""A job that took so many workers with it, or failed so often, is given up and says so."""
FIRST_PAUSE = timedelta(seconds=5)
"""Before the second attempt; doubled for each one after."""


class State(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


ENDED = frozenset((State.DONE, State.FAILED, State.CANCELLED))


@dataclass(frozen=True, slots=True)
class Job:
    """A row as it was when read. `progress` runs from 0 to 1; `attempts` counts leases, the present one included."""

    id: str
    kind: str
    payload: dict[str, Any]
    state: State
    created: datetime
    attempts: int
    worker: str | None
    lease: str | None
    """Secret of the present lease: `heartbeat`, `finish` and `fail` of an earlier one change nothing."""
    lease_until: datetime | None
    progress: float | None
    pace: dict[str, Any] | None
    """What the worker says of its speed: JSON-ready, `workers.pace.Pace`."""
    result: dict[str, Any] | None
    error: str | None
    finished: datetime | None


jobs = Table(
    "jobs",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("kind", String(64), nullable=False),
    Column("payload", JSON, nullable=False),
    Column("state", String(16), nullable=False),
    Column("created", Moment, nullable=False),
    Column("not_before", Moment, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("worker", String(200)),
    Column("lease", String(32)),
    Column("lease_until", Moment),
    Column("progress", Float),
    Column("result", JSON(none_as_null=True)),
    Column("error", Text),
    Column("finished", Moment),
    Column("pace", JSON(none_as_null=True)),
    CheckConstraint("state IN ('queued', 'running', 'done', 'failed', 'cancelled')", name="state"),
    Index("ix_jobs_state_created_id", "state", "created", "id"),
)


def enqueue(conn: Connection, kind: str, payload: dict[str, Any]) -> str:
    """Put a job in, within the caller's transaction; its id. `payload` is JSON-ready."""
    moment = now(conn)
    job = uuid.uuid4().hex
    conn.execute(
        sql_insert(jobs).values(
            id=job, kind=kind, payload=payload, state=State.QUEUED, created=moment, not_before=moment, attempts=0
        )
    )
    return job


def is_waiting(conn: Connection, job: str) -> bool:
    """Whether a job is still in the queue. It stays there until the caller's transaction ends, so that what this
    transaction adds is seen by whoever takes it."""
    waiting = select(jobs.c.id).where(jobs.c.id == job, jobs.c.state == State.QUEUED)
    return conn.execute(waiting.with_for_update()).scalar_one_or_none() is not None


def lease(
    engine: Engine, worker: str, seconds: float, kinds: Collection[str] | None = None, only: str | None = None
) -> Job | None:
    """Take the oldest job that is due, of these kinds, for `seconds`; None where there is none. `only`: this one.

    A job whose lease ended is due again, until it has had `MOST_ATTEMPTS`; then it fails.
    """
    with transaction(engine) as conn:
        moment = now(conn)
        lost = (jobs.c.state == State.RUNNING) & (jobs.c.lease_until < moment)
        conn.execute(
            update(jobs)
            .where(lost, jobs.c.attempts >= MOST_ATTEMPTS)
            .values(
                state=State.FAILED,
                error=f"its worker was lost {MOST_ATTEMPTS} times; see the workers' logs for why (often memory)",
                finished=moment,
                lease=None,
                lease_until=None,
            )
        )
        due = or_((jobs.c.state == State.QUEUED) & (jobs.c.not_before <= moment), lost)
        wanted = due if kinds is None else due & jobs.c.kind.in_(kinds)
        if only is not None:
            wanted &= jobs.c.id == only
        # SQLite takes no FOR UPDATE and needs none: this transaction is its only writer.
        oldest = select(jobs.c.id).where(wanted).order_by(jobs.c.created, jobs.c.id).limit(1)
        job = conn.execute(oldest.with_for_update(skip_locked=True)).scalar_one_or_none()
        if job is None:
            return None
        conn.execute(
            update(jobs)
            .where(jobs.c.id == job)
            .values(
                state=State.RUNNING,
                attempts=jobs.c.attempts + 1,
                worker=worker,
                lease=uuid.uuid4().hex,
                lease_until=moment + timedelta(seconds=seconds),
                progress=None,
                pace=None,
            )
        )
        return _job(conn.execute(select(jobs).where(jobs.c.id == job)).mappings().one())


def heartbeat(
    engine: Engine, job: Job, progress: float | None = None, seconds: float = 60, pace: dict[str, Any] | None = None
) -> bool:
    """Keep the lease for `seconds` from now and say how far the work is (0 to 1) and how fast; False where the lease
    was lost or the job cancelled.

    After False the worker drops the job: another one has it, or nobody wants it any more.
    """
    with transaction(engine) as conn:
        values: dict[str, Any] = {"lease_until": now(conn) + timedelta(seconds=seconds)}
        if progress is not None:
            values["progress"] = progress
        if pace is not None:
            values["pace"] = pace
        return _still_ours(conn, job, values)


def finish(engine: Engine, job: Job, result: dict[str, Any]) -> bool:
    """Record the result; False, and nothing recorded, where the lease was lost."""
    with transaction(engine) as conn:
        return finish_in(conn, job, result)


def finish_in(conn: Connection, job: Job, result: dict[str, Any]) -> bool:
    """`finish` within the caller's transaction, so that what the job wrote and that it is done become true together.

    On False the caller rolls back.
    """
    values = {"state": State.DONE, "result": result, "progress": 1.0, "error": None, "finished": now(conn)}
    return _still_ours(conn, job, values | {"lease": None, "lease_until": None})


def fail(engine: Engine, job: Job, error: str, retry: bool) -> bool:
    """Record why an attempt failed; with `retry` the job is due again after a pause, `MOST_ATTEMPTS` times in all.

    False, and nothing recorded, where the lease was lost.
    """
    with transaction(engine) as conn:
        moment = now(conn)
        values: dict[str, Any] = {"error": error, "lease": None, "lease_until": None}
        if retry and job.attempts < MOST_ATTEMPTS:
            pause = FIRST_PAUSE * 2 ** (job.attempts - 1)
            return _still_ours(conn, job, values | {"state": State.QUEUED, "not_before": moment + pause})
        return _still_ours(conn, job, values | {"state": State.FAILED, "finished": moment})


def cancel(engine: Engine, job: str) -> Job | None:
    """Take a job back that has not ended; the job as it then is, None where there is none of that id.

    A worker that has it finds its lease lost at the next heartbeat, and can write nothing more.
    """
    with transaction(engine) as conn:
        open_ = (jobs.c.id == job) & jobs.c.state.in_((State.QUEUED, State.RUNNING))
        gone: dict[str, Any] = {"state": State.CANCELLED, "finished": now(conn), "lease": None, "lease_until": None}
        conn.execute(update(jobs).where(open_).values(gone))
    return get(engine, job)


def get(engine: Engine, job: str) -> Job | None:
    with engine.connect() as conn:
        row = conn.execute(select(jobs).where(jobs.c.id == job)).mappings().one_or_none()
    return None if row is None else _job(row)


def recent(engine: Engine, limit: int = 50) -> Sequence[Job]:
    """The newest jobs first."""
    with engine.connect() as conn:
        rows = (
            conn.execute(select(jobs).order_by(jobs.c.created.desc(), jobs.c.id.desc()).limit(limit)).mappings().all()
        )
    return [_job(row) for row in rows]


def _still_ours(conn: Connection, job: Job, values: dict[str, Any]) -> bool:
    ours = (jobs.c.id == job.id) & (jobs.c.lease == job.lease) & (jobs.c.state == State.RUNNING)
    return conn.execute(update(jobs).where(ours).values(values)).rowcount == 1


def _job(row: RowMapping) -> Job:
    values = {name: value for name, value in row.items() if name != "not_before"}
    return Job(**values | {"state": State(values["state"])})
