"""Files on this machine into store, catalogue and books, as one flight.

Several threads copy, hash and read; one writes their answers in batches. Each file goes through the same steps, every
one of which may be the last before a crash: its bytes are stored under their SHA-256; they are read; an item whose id
follows from the hash is put into the catalogue; a receipt is written. A run after a crash repeats what has no receipt
and finds the same hash, the same id and the same item, so that nothing is lost and nothing is there twice.

Files that come by upload take the same way from `workers.taking` on.
"""

import errno
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from threading import BoundedSemaphore
from typing import Any

from imagery.errors import Refused
from records import jobs
from records.engine import transaction
from records.files import StoreError
from sharing.policy import LOCAL_OPERATOR, Principal
from stac import flight_queries, flights
from stac.flight_tables import Flight, Sender
from stac.flight_values import Announced, Answer, Plan, distinct
from workers.flights import notes_of, put_flight
from workers.home import Home
from workers.intake import Candidate, Ignored, Linked, walk
from workers.jobs import LookJob
from workers.looking import look
from workers.taking import THREADS, Progress, Reading, Received, quarantined, read, take, write

_READING = BoundedSemaphore(THREADS)
"""Reading takes processor time and memory, and programs beside us for a video: few at once."""
STORE_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE, errno.ENFILE})
BATCH = 32
UNDER_WAY = 16
"""Files being stored at once: they wait for the disk most of the time, and those that wait together share its syncs."""
BATCH_SECONDS = 0.5
"""A batch is written when it is so large or so old."""
LOOK_SECONDS = 600.0
"""How long the look at the pixels is leased for between two signs of life."""


@dataclass(frozen=True, slots=True)
class Accepted:
    file: str
    item: str
    """`collection/id`."""
    footprint: str
    """How its place is known: georeference, pose or position."""
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Duplicate:
    file: str
    item: str


@dataclass(frozen=True, slots=True)
class Quarantined:
    file: str
    reason: str
    message: str
    remedy: str
    sha256: str | None
    """Under which it is kept; None where there was nothing that could be kept."""


@dataclass(frozen=True, slots=True)
class Report:
    """The answer for every file that this run sent. `state`: the flight's, afterwards."""

    flight: str
    """Id of the item in `flights`."""
    department: str
    accepted: tuple[Accepted, ...]
    duplicate: tuple[Duplicate, ...]
    quarantined: tuple[Quarantined, ...]
    ignored: tuple[str, ...]
    state: str = ""
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, with the counts."""
        answers = {
            "accepted": [asdict(one) for one in self.accepted],
            "duplicate": [asdict(one) for one in self.duplicate],
            "quarantined": [asdict(one) for one in self.quarantined],
            "ignored": [{"file": one} for one in self.ignored],
        }
        counts = {word: len(files) for word, files in answers.items()}
        said = {"flight": self.flight, "department": self.department, "state": self.state, "notes": list(self.notes)}
        return {**said, **answers, "counts": counts}


@dataclass(frozen=True, slots=True)
class Came:
    """One file after its trip: what is written of it. `sha256` is None where nothing could be kept."""

    path: Path
    received: Received
    reading: Reading

    @property
    def sha256(self) -> str | None:
        return self.received.sha256 or None


def ingest(
    home: Home,
    paths: Sequence[Path],
    flight: str,
    department: str,
    *,
    plan: Plan | None = None,
    late: str = "",
    offset: float | None = None,
    by: Principal = LOCAL_OPERATOR,
    progress: Progress | None = None,
) -> Report:
    """Take in files and folders as one flight of a department, and look at their pixels.

    `plan` says more about the flight (its name and department are the ones given here), `late` why files are added to
    one that was closed, `offset` the seconds that are added to the times of the logs beside videos. Raises `Refused`
    where nothing at all could be received: nothing-there (no file under these paths), and what
    `stac.flights.open_flight` and `announce` raise.
    """
    said = Plan(flight, department) if plan is None else replace(plan, name=flight, department=department)
    return ingest_found(home, list(walk(paths)), said, late=late, offset=offset, by=by, progress=progress)


def ingest_found(
    home: Home,
    found: Sequence[Candidate | Linked | Ignored],
    plan: Plan,
    *,
    late: str = "",
    offset: float | None = None,
    by: Principal = LOCAL_OPERATOR,
    progress: Progress | None = None,
) -> Report:
    """`ingest` of files that were looked up before."""
    notify = progress or (lambda *_: None)
    flight, answered = catalogue(home, found, plan, late=late, offset=offset, by=by, progress=notify)
    _look_now(home, flight, by.name, notify)
    with home.engine.connect() as conn:
        ended = flight_queries.get(conn, flight)
        told = {file.name: file.answer for file in flight_queries.files_of(conn, flight)}
    # A look that finds damage has the last word on what this run accepted.
    last = [(one, _after_look(answer, told.get(one.received.name))) for one, answer in answered]
    return _report(home, ended, last, [one for one in found if isinstance(one, Ignored)])


def catalogue(
    home: Home,
    found: Sequence[Candidate | Linked | Ignored],
    plan: Plan,
    *,
    late: str = "",
    offset: float | None = None,
    by: Principal = LOCAL_OPERATOR,
    progress: Progress = lambda *_: None,
) -> tuple[str, list[tuple[Came, Answer]]]:
    """Files until they are acknowledged and catalogued: the flight's id, and the answer for each. The look at their
    pixels is left as a job."""
    sent = [one for one in found if isinstance(one, Candidate | Linked)]
    if not any(isinstance(one, Linked) or one.path.exists() for one in sent):
        listed = ", ".join(str(one.path) for one in sent) or "these paths"
        raise Refused("nothing-there", f"There is no photo or orthophoto under {listed}.", "Check the path.")
    names = distinct(one.name for one in sent)
    sender = Sender(by.name, by.role)
    with transaction(home.engine) as conn:
        opened = flights.open_flight(conn, plan, sender)
        announced = [Announced(name, _size(one.path), log_offset=offset) for one, name in zip(sent, names, strict=True)]
        opened = flights.announce(conn, opened.id, announced, sender, late=late)
    came, answers = _take_all(home, opened, sent, names, sender, offset, progress)
    with home.engine.connect() as conn:
        opened = flight_queries.get(conn, opened.id)
        waiting = flight_queries.tally(conn, opened.id).pending
    if waiting:  # a video that was refused before, whose telemetry has come now
        take(home, opened.id, progress)
    else:
        put_flight(home, opened)
    return opened.id, list(zip(came, answers, strict=True))


def _take_all(
    home: Home,
    flight: Flight,
    sent: Sequence[Candidate | Linked],
    names: Sequence[str],
    sender: Sender,
    offset: float | None,
    progress: Progress,
) -> tuple[list[Came], list[Answer]]:
    """Every file from its place on this machine to its receipt."""
    came: list[Came] = []
    answers: list[Answer] = []
    batch: list[Came] = []
    since = time.monotonic()
    with ThreadPoolExecutor(UNDER_WAY) as pool:
        for one in _ahead(pool, home, flight, sent, names, sender, offset):
            batch.append(one)
            if len(batch) >= BATCH or time.monotonic() - since > BATCH_SECONDS:
                answers += write(home, flight, [(done.received, done.reading) for done in batch])
                came += batch
                batch, since = [], time.monotonic()
                progress(str(one.path), len(came), len(sent))
    if batch:
        answers += write(home, flight, [(done.received, done.reading) for done in batch])
        came += batch
    progress(flight.plan.name, len(sent), len(sent))
    return came, answers


def _ahead(
    pool: ThreadPoolExecutor,
    home: Home,
    flight: Flight,
    sent: Sequence[Candidate | Linked],
    names: Sequence[str],
    sender: Sender,
    offset: float | None,
) -> Iterator[Came]:
    """Files in their order, some of them already on their way while the caller writes."""
    running: deque[Future[Came]] = deque()
    try:
        for one, name in zip(sent, names, strict=True):
            running.append(pool.submit(_bring, home, flight, one, name, sender, offset))
            if len(running) > UNDER_WAY + THREADS:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()
    finally:
        for future in running:
            future.cancel()


def _bring(
    home: Home, flight: Flight, sent: Candidate | Linked, name: str, sender: Sender, offset: float | None
) -> Came:
    """Store and read one file. Raises OSError where the store is at fault, not the file."""
    refused: Refused
    if isinstance(sent, Linked):
        refused = sent.refused
    else:
        try:
            kept = home.files.put(sent.path)
        except OSError as error:
            if _is_about_the_store(home, error):
                raise
            refused = Refused(
                "unreadable", f"{sent.path}: {error.strerror or error}.", "Check the path and its rights."
            )
        else:
            received = Received(name, kept.sha256, kept.size, sender, str(sent.path), offset)
            with _READING:
                return Came(sent.path, received, read(home, flight, received))
    nothing = Received(name, "", 0, sender, str(sent.path))
    return Came(sent.path, nothing, Reading(None, quarantined(refused, name, str(sent.path))))


def _look_now(home: Home, flight_id: str, by: str, progress: Progress) -> None:
    """Do the waiting look here, rather than leave it for a worker that may not run."""
    with home.engine.connect() as conn:
        waiting = flight_queries.job_of(conn, flight_id, "look_job")
    row = None if waiting is None else jobs.lease(home.engine, by, LOOK_SECONDS, only=waiting)
    if row is None:
        return  # nothing new, or a worker is at it

    def beat(what: str, done: int, total: int) -> None:
        jobs.heartbeat(home.engine, row, done / total if total else None, LOOK_SECONDS)
        progress(what, done, total)

    job = LookJob.from_payload(row.payload)
    jobs.finish(home.engine, row, look(home, job.flight, beat))


def _after_look(answer: Answer, last: Answer | None) -> Answer:
    damaged = answer.outcome == "accepted" and last is not None and last.outcome == "quarantined"
    return last if damaged and last is not None else answer


def _report(home: Home, flight: Flight, answered: list[tuple[Came, Answer]], ignored: list[Ignored]) -> Report:
    def files(outcome: str) -> Iterator[tuple[str, Answer, Came]]:
        return ((str(one.path), answer, one) for one, answer in answered if answer.outcome == outcome)

    return Report(
        flight.id,
        flight.plan.department,
        tuple(Accepted(name, told.item or "", told.footprint, told.notes) for name, told, _ in files("accepted")),
        tuple(Duplicate(name, told.item or "") for name, told, _ in files("duplicate")),
        tuple(
            Quarantined(name, told.reason, told.message, told.remedy, one.sha256)
            for name, told, one in files("quarantined")
        ),
        tuple(str(one.path) for one in ignored),
        flight.state,
        tuple(notes_of(home, flight.id)),
    )


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


def _is_about_the_store(home: Home, error: OSError) -> bool:
    """Whether the disk is full or the store cannot be written to, which is not the fault of the file sent."""
    place = error.filename2 or error.filename
    in_store = isinstance(place, str) and Path(place).is_relative_to(home.files.root)
    return in_store or isinstance(error, StoreError) or error.errno in STORE_ERRORS
