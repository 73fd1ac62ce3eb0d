"""Files that lie in the store into the catalogue: read by several threads, written and answered in batches.

A batch may be the last before a crash at any point. Its items are put first, under ids that follow from the files'
hashes; then one transaction writes all answers, receipts and the job that will look at the pixels. A run after a crash
finds what has no answer and makes the same items again, so that nothing is lost and nothing is there twice.
"""

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import PurePosixPath
from typing import Any

from sqlalchemy import Connection

from imagery import endings, sidecars
from imagery.errors import Refused
from imagery.values import Capture
from records import receipts
from records.engine import transaction
from sharing.policy import Action, Principal, Role, decide
from stac import flight_queries, flights
from stac.assets import Stored
from stac.captures import capture_item
from stac.collections import VIDEOS
from stac.flight_tables import File, Flight, Sender
from stac.flight_values import Answer
from stac.items import Custody, with_owner
from stac.store import Item
from workers.beside import beside
from workers.flights import custody_of, item_named, put_flight
from workers.ground import inspected
from workers.home import Home
from workers.jobs import LookJob, TakeJob
from workers.receiving import wake

ID_DIGITS = 20
"""Of the SHA-256, in an item's id: 80 bits."""
BATCH = 32
MOST_TRIES = 2
"""A file that took its reader down so often is not read again."""
THREADS = min(4, 2 * (os.cpu_count() or 1))
ACTOR = "worker"
FOR_WANT_OF_TELEMETRY = frozenset({"no-telemetry", "telemetry-of-another-video", "offset-unknown"})
"""Reasons that another log beside the video may do away with."""
FOR_WANT_OF_A_PLACE = frozenset({"no-position", "no-crs", "damaged-sidecar"})
"""Reasons that a world file or a `.prj` beside the picture may do away with."""
_KEPT = frozenset({"created", "flyonce:owners", "flyonce:department", "flyonce:security", "flyonce:retain_until"})
"""Of an item that is made anew."""
BELONGS = "属于同名影像 belongs to the picture of its name"
Progress = Callable[[str, int, int], None]
"""Called with the file at hand, the files done and the files in all."""


@dataclass(frozen=True, slots=True)
class Received:
    """A file in the store. `shown` is what its sender calls it, for messages."""

    name: str
    sha256: str
    size: int
    sender: Sender
    shown: str = ""
    log_offset: float | None = None
    """Of a video: seconds that are added to the times of the log beside it."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What one file came to, before anything is written: an item to be put, or None, and the answer."""

    item: Item | None
    answer: Answer
    owner: Custody | None = None
    """Where the answer's item is another's, and `owner` becomes its second one."""
    anew: bool = False
    """Whether the item takes the place of one that is there, and keeps its owners as they are by then."""


def read(home: Home, flight: Flight, sent: Received) -> Reading:
    """Read a file's tags, not its pixels. Writes nothing; any thread may call it."""
    there = _there(home, sent)
    if there is not None and not _moves(there, flight, sent):
        return _known(there, flight, sent)
    path = home.files.path(sent.sha256)
    try:
        if not sent.size:
            raise Refused("empty", f"{path}: is empty (0 bytes).", "Copy it from the card again.")
        if PurePosixPath(sent.name).suffix.lower() in endings.PLACES:
            sidecars.check(path, sent.name)
            return Reading(None, Answer("accepted", message=f"{PurePosixPath(sent.name).name}: {BELONGS}."))
        with beside(home, flight, sent.name, sent.shown) as place:
            capture = inspected(home, flight, path, decode=False, sent=place, offset=sent.log_offset)
    except Refused as refused:
        return Reading(None, quarantined(refused, str(path), sent.shown or sent.name))
    item = _item(flight, sent, capture)
    reference = f"{item['collection']}/{item['id']}"
    answer = Answer("accepted", reference, footprint=capture.footprint.method, notes=capture.notes)
    return Reading(item, answer, anew=there is not None)


def quarantined(refused: Refused, path: str, shown: str) -> Answer:
    """The answer for a refused file, with the sender's name for it in the place of the store's."""
    return Answer("quarantined", None, refused.reason, refused.message.replace(path, shown), refused.remedy)


def write(home: Home, flight: Flight, batch: Sequence[tuple[Received, Reading]]) -> list[Answer]:
    """Put the batch's items and answer its files; the answers, in the batch's order."""
    first: dict[str, str | None] = {}
    answers = []
    batch = [(sent, _join(home, flight, sent, reading)) for sent, reading in batch]
    for sent, reading in batch:
        found = reading.answer
        if found.outcome == "accepted":
            if sent.sha256 in first:  # the same content twice in one batch
                found = Answer("duplicate", first[sent.sha256])
            else:
                first[sent.sha256] = found.item
        answers.append(found)
    items = {reading.item["id"]: reading.item for _, reading in batch if reading.item is not None}
    anew = {reading.item["id"] for _, reading in batch if reading.item is not None and reading.anew}
    if fresh := [item for name, item in items.items() if name not in anew]:
        home.catalog.put_items(fresh)
    for name in sorted(anew):
        home.catalog.change_item(items[name]["collection"], name, partial(_in_place_of, items[name]))
    with transaction(home.engine) as conn:
        told = [(sent.name, sent.sha256, sent.size, found) for (sent, _), found in zip(batch, answers, strict=True)]
        flights.answer(conn, flight.id, told, ACTOR)
        if items or any(reading.owner is not None for _, reading in batch):
            wake(conn, LookJob(flight.id))
        if again := _waited_for(conn, flight.id, [sent.name for sent, _ in batch]):
            flights.read_again(conn, flight.id, again, ACTOR)
            wake(conn, TakeJob(flight.id))
    return answers


def _waited_for(conn: Connection, flight_id: str, came: Iterable[str]) -> list[str]:
    """Files that were refused for want of what has come now under their name but for the ending: videos without
    telemetry, pictures without a place."""
    brought = [(_stem(name), PurePosixPath(name).suffix.lower()) for name in came]
    told = {(stem, reason) for stem, ending in brought for reason in _does_away_with(ending)}
    if not told:
        return []
    return [
        file.name
        for file in flight_queries.files_of(conn, flight_id)
        if file.answer is not None
        and (_stem(file.name), file.answer.reason) in told
        and not _does_away_with(PurePosixPath(file.name).suffix.lower())
    ]


def _does_away_with(ending: str) -> frozenset[str]:
    """Reasons that a file with this ending may do away with for its neighbour."""
    if ending in endings.PLACES:
        return FOR_WANT_OF_A_PLACE
    return FOR_WANT_OF_TELEMETRY if ending in endings.TELEMETRY else frozenset()


def _stem(name: str) -> str:
    return PurePosixPath(name).with_suffix("").as_posix()


def take(home: Home, flight_id: str, progress: Progress) -> dict[str, Any]:
    """Answer everything that a flight has received; how many files, for the job's result."""
    done = 0
    with ThreadPoolExecutor(THREADS) as pool:
        while batch := _next(home, flight_id):
            with home.engine.connect() as conn:
                flight = flight_queries.get(conn, flight_id)
                waiting = flight_queries.tally(conn, flight_id).pending
            progress(batch[0].name, done, done + waiting)
            received = [_received(one) for one in batch]
            spent = [one.tries > MOST_TRIES for one in batch]
            readings = pool.map(
                lambda pair: _gave_up(pair[0]) if pair[1] else read(home, flight, pair[0]),  # noqa: B023 - used at once
                zip(received, spent, strict=True),
            )
            write(home, flight, list(zip(received, readings, strict=True)))
            done += len(batch)
    with home.engine.connect() as conn:
        flight = flight_queries.get(conn, flight_id)
    put_flight(home, flight)
    return {"flight": flight_id, "answered": done, "state": flight.state}


def _received(file: File) -> Received:
    return Received(file.name, file.sha256 or "", file.size or 0, file.sender, log_offset=file.log_offset)


def _next(home: Home, flight_id: str) -> list[File]:
    """The next files to read, counted as begun: many together, or one alone that was begun before and not ended."""
    with transaction(home.engine) as conn:
        waiting = flight_queries.pending(conn, flight_id, BATCH)
        fresh = [file for file in waiting if not file.tries]
        batch = fresh or waiting[:1]
        flights.begin(conn, flight_id, [file.name for file in batch])
    return batch


def _gave_up(sent: Received) -> Reading:
    refused = Refused(
        "reader-died",
        f"{sent.name}: the reader ended each time that it read this file.",
        "Send the file to whoever runs flyonce; it is kept. 请联系管理员，文件已保留。",
    )
    return Reading(None, quarantined(refused, sent.name, sent.name))


def _there(home: Home, sent: Received) -> Item | None:
    """The item that this content became before."""
    with home.engine.connect() as conn:
        reference = receipts.item_of_file(conn, sent.sha256)
    return None if reference is None else item_named(home, reference)


def _moves(item: Item, flight: Flight, sent: Received) -> bool:
    """Whether it is a video of this flight with a log whose time is now said to be another: it is read anew."""
    said = item["properties"]
    timed = said.get("flyonce:log_offset")
    mine = item["collection"] == VIDEOS and said["flyonce:flight"] == flight.id
    return mine and timed is not None and sent.log_offset not in (None, timed["seconds"])


def _known(item: Item, flight: Flight, sent: Received) -> Reading:
    """The answer for content that became an item before: told to whoever may see the item, and joined in silence for
    everybody else, as a second owner of the one item."""
    reference = f"{item['collection']}/{item['id']}"
    principal = Principal(sent.sender.name, Role(sent.sender.role))
    if decide(principal, Action.READ, item).allowed:
        return Reading(None, Answer("duplicate", reference))
    method = str(item["properties"]["flyonce:footprint_method"])
    notes: Iterable[str] = item["properties"].get("flyonce:notes", ())
    answer = Answer("accepted", reference, footprint=method, notes=tuple(notes))
    return Reading(None, answer, custody_of(flight))


def _join(home: Home, flight: Flight, sent: Received, reading: Reading) -> Reading:
    """Make the flight's department an owner of the item that is there, with no other writer between; an item that has
    gone meanwhile is made anew."""
    if reading.owner is None:
        return reading
    collection, _, item = (reading.answer.item or "").partition("/")
    after = home.catalog.change_item(collection, item, partial(with_owner, reading.owner.properties(datetime.now(UTC))))
    return reading if after is not None else read(home, flight, sent)


def _in_place_of(item: Item, there: Item | None) -> Item:
    """The item made anew, with what the one that is there says of its owners."""
    if there is None:
        return item
    kept = {key: value for key, value in there["properties"].items() if key in _KEPT}
    return {**item, "properties": {**item["properties"], **kept}}


def _item(flight: Flight, sent: Received, capture: Capture) -> Item:
    """The capture's item with its original alone; thumbnail and COG come with the look at its pixels."""
    original = Stored(PurePosixPath(sent.name).name, sent.sha256, sent.size, capture.media_type)
    return capture_item(
        capture,
        sent.sha256[:ID_DIGITS],
        custody=custody_of(flight),
        flight=flight.id,
        created=datetime.now(UTC),
        original=original,
    )
