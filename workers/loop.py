"""What `flyonce worker` does: lease a job, keep the lease alive, run it, write its result; file what was approved.

May be killed at any moment. A job whose worker died is leased by another, and every job can be repeated: ingest knows
its files again, runs know their id, sightings and tickets theirs.
"""

import logging
import os
import socket
import threading
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import distributed
from sqlalchemy import Connection

from imagery.errors import Refused
from records import jobs
from records.engine import transaction
from stac.store import Item
from tickets import store
from tickets.codes import Codes, load_codes
from tickets.filing import file_approved
from tickets.gateways.file import FileGateway
from tickets.values import Sighting
from workers.captures import get_item, reference
from workers.cluster import connect
from workers.devices import gpus_here
from workers.frames import captures_in
from workers.home import Home
from workers.ingest import ingest
from workers.jobs import KINDS, ChangeJob, DetectJob, IngestJob, Job, LookJob, TakeJob, from_row
from workers.labels import labels_of
from workers.looking import look
from workers.pace import Pace, Pacer
from workers.propose import proposals
from workers.publish import run_comparison, run_detection
from workers.results import Effort
from workers.taking import take

LEASE_SECONDS = 60.0
BEAT_SECONDS = 2.0
"""So often progress is told, and so soon a job that was cancelled stops."""
IDLE_SECONDS = 1.0
SWEEP_SECONDS, LEFT_SECONDS = 3600.0, 86_400.0
"""How often the store is swept of what killed processes left, and how long that must have lain there."""

log = logging.getLogger(__name__)


class LeaseLostError(Exception):
    """Another worker has the job now, or it was cancelled; this one drops it."""


class Engine:
    """A Dask client that is started when first needed and kept for the jobs that follow."""

    def __init__(self, scheduler: str, workers: int) -> None:
        self._scheduler, self._workers = scheduler, workers
        self._stack = ExitStack()
        self._client: distributed.Client | None = None
        self._on_cores = False

    def client(self, *, on_cores: bool = False) -> distributed.Client:
        """`on_cores`: for work that does not use GPUs. On a machine that has some, going from the one to the other
        starts another cluster."""
        on_cores = on_cores and not self._scheduler and bool(gpus_here())
        if self._client is None or self._client.status != "running" or on_cores != self._on_cores:
            self.close()
            self._on_cores = on_cores
            self._client = self._stack.enter_context(
                connect(workers=self._workers, scheduler=self._scheduler, on_cores=on_cores)
            )
        return self._client

    def close(self) -> None:
        self._stack.close()
        self._client = None


def work(
    home: Home, *, scheduler: str = "", workers: int = 0, once: bool = False, stop: threading.Event | None = None
) -> int:
    """Work through the queue until `stop` is set, or with `once` until it is empty; how many jobs were done."""
    codes = load_codes(home.settings.codes)
    gateway = FileGateway(home.settings.outbox_dir, home.files)
    stop = stop or threading.Event()
    me = f"{socket.gethostname()}:{os.getpid()}"
    engine = Engine(scheduler or home.settings.scheduler, workers or home.settings.workers)
    done, swept = 0, -SWEEP_SECONDS
    try:
        while not stop.is_set():
            if time.monotonic() - swept > SWEEP_SECONDS:
                swept = time.monotonic()
                home.files.sweep(time.time() - LEFT_SECONDS)
            job = jobs.lease(home.engine, me, LEASE_SECONDS, kinds=KINDS)
            if job is not None:
                done += perform(home, engine, codes, job)
            file_approved(home.engine, codes, gateway)
            if job is None and once:
                break
            if job is None:
                stop.wait(IDLE_SECONDS)
    finally:
        engine.close()
    return done


def perform(home: Home, engine: Engine, codes: Codes, row: jobs.Job) -> bool:
    """Run one leased job to its end, and say in its row how it ended; whether it was done.

    A refused input fails at once with its reason; anything else is tried again, as often as `records.jobs` allows.
    """
    try:
        with Heartbeat(home, row) as heart:
            items, result, seen = _run(home, engine, codes, from_row(row.kind, row.payload), heart)
        with transaction(home.engine) as conn:
            if items:
                result |= {"items": [reference(item) for item in items], "events": store.record(conn, seen)}
            if len(items) == 1:
                result |= {"item": reference(items[0])}
            _finish(conn, row, result)
    except LeaseLostError:
        log.warning("job %s (%s): it was cancelled, or its lease lost to another worker", row.id, row.kind)
    except (Refused, ValueError) as refused:
        log.warning("job %s (%s) refused: %s", row.id, row.kind, refused)
        jobs.fail(home.engine, row, str(refused), retry=False)
    except Exception as error:
        log.exception("job %s (%s) failed", row.id, row.kind)
        engine.close()  # it may be the cluster that failed
        jobs.fail(home.engine, row, f"{type(error).__name__}: {error}", retry=True)
    else:
        return True
    return False


class Heartbeat:
    """Keeps a lease alive from a thread of its own while the job runs; `progress` passes on how far it is."""

    def __init__(self, home: Home, row: jobs.Job) -> None:
        self._home, self._row = home, row
        self._pacer = Pacer()
        self._pace: Pace | None = None
        self._ended, self._lost = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._beat, name=f"heartbeat-{row.id}", daemon=True)

    def __enter__(self) -> "Heartbeat":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def progress(self, what: str, done: int, total: int) -> None:
        """Take note; raises `LeaseLostError` in the working thread when the job is no longer ours."""
        self._pace = self._pacer(what, done, total)
        if self._lost.is_set():
            raise LeaseLostError(self._row.id)

    def _beat(self) -> None:
        while not self._ended.wait(BEAT_SECONDS):
            pace = self._pace
            far = pace.done / pace.total if pace and pace.total else None
            told = pace.to_dict() if pace else None
            if not jobs.heartbeat(self._home.engine, self._row, far, LEASE_SECONDS, told):
                self._lost.set()
                return


def _run(
    home: Home, engine: Engine, codes: Codes, job: Job, heart: Heartbeat
) -> tuple[list[Item], dict[str, Any], list[Sighting]]:
    """The run's items (one for each frame of a video), the result beside them and what is proposed."""
    match job:
        case IngestJob():
            paths = [Path(path) for path in job.paths]
            report = ingest(home, paths, job.flight, job.department, progress=heart.progress)
            return [], report.to_dict(), []
        case TakeJob():
            return [], take(home, job.flight, heart.progress), []
        case LookJob():
            return [], look(home, job.flight, heart.progress), []
        case ChangeJob():
            client = engine.client(on_cores=True)
            effort = Effort()
            item = run_comparison(home, client, job, labels_of(codes), progress=heart.progress, effort=effort)
            return [item], {"effort": effort.to_dict()}, []
        case DetectJob():
            change = get_item(home, job.change) if job.change else None
            items, seen, notes, effort = [], list[Sighting](), list[str](), Effort()
            labels = labels_of(codes)
            for name in captures_in(home, job.source):
                one = replace(job, source=name)
                client = engine.client()
                items.append(run_detection(home, client, one, labels, progress=heart.progress, effort=effort))
                if job.propose:
                    more, why = proposals(home, items[-1], change)
                    seen += more
                    notes += why
            return items, {"effort": effort.to_dict()} | ({"notes": notes} if notes else {}), seen


def _finish(conn: Connection, row: jobs.Job, result: dict[str, Any]) -> None:
    if not jobs.finish_in(conn, row, result):
        raise LeaseLostError(row.id)  # and nothing of it is written: the transaction is rolled back
