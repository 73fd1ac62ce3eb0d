"""A flight's files from this machine to a server: hashed, announced, sent where they are needed, waited for.

What the server has already is not sent; what was cut off goes on where it stopped. Everything that decides this is
asked of the server, so that the same command can simply be given again.
"""

import hashlib
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from typing import Any

from flyonce.server import AskedWrongError, Server
from flyonce.tus import Sending, UnsentError, upload
from imagery.errors import Refused
from stac.flight_values import Announced, Plan, distinct
from workers.intake import VIDEO_SUFFIXES, Candidate, Ignored, Linked

PARALLEL = 3
"""Files under way at once: one may wait for its answer while another fills the line."""
ANNOUNCE = 1000
"""Files named in one request."""
ASK_SECONDS = 1.0
QUIET_SECONDS = 180.0
"""How long nothing may happen at the server before its answers are left for later."""

Progress = Callable[[str, int, int], None]
"""Called with what is done now, and how much of how much."""


@dataclass(frozen=True, slots=True)
class Sent:
    """One file of this run, under the name that the flight knows it by."""

    path: Path
    announced: Announced


def send(
    server: Server,
    found: Sequence[Candidate | Linked | Ignored],
    plan: Plan,
    progress: Progress,
    *,
    late: str = "",
    offset: float | None = None,
    terrain: Path | None = None,
    patience: float = 600.0,
) -> dict[str, Any]:
    """Send files as one flight; the report of this run, of the same shape as a local one.

    `offset`: seconds that the server adds to the times of the logs beside videos. `terrain`: an elevation model that it
    lays footprints on; sent as the first file of the flight.

    Raises `AskedWrongError` where the server cannot be reached or refuses, `Refused` (nothing-there) without files.
    """
    mine = [one for one in found if isinstance(one, Candidate | Linked)]
    if not mine:
        raise Refused("nothing-there", "There is no photo or orthophoto to send.", "Check the path.")
    if terrain is not None:
        mine = [Candidate(terrain, terrain.name), *(one for one in mine if one.path.absolute() != terrain.absolute())]
    files = list(_hashed(mine, offset, progress))
    ground = files[:1] if terrain is not None else []
    for file in ground:
        if file.announced.refused is not None:
            raise AskedWrongError(f"--terrain: {file.announced.refused[1]}")
        plan = replace(plan, terrain=file.announced.sha256)
    flight, needed = _announce(server, plan, files, late)
    wanted = [file for file in files if file.announced.name in needed and file.announced.refused is None]
    # Alone before the rest, which is laid on it.
    if unsent := _send_all(server, flight, [file for file in wanted if file in ground], progress, patience):
        raise AskedWrongError(f"--terrain: {unsent[0]}")
    unsent = _send_all(server, flight, [file for file in wanted if file not in ground], progress, patience)
    report = _answers(server, flight, {file.announced.name for file in files}, progress)
    ignored = [{"file": str(one.path)} for one in found if isinstance(one, Ignored)]
    paths = {file.announced.name: str(file.path) for file in files}
    sent = {file.announced.name for file in wanted}
    run = as_run(report, paths, ignored, known=set(paths) - sent)
    return run | {"unsent": unsent}


def as_run(
    report: dict[str, Any], paths: dict[str, str], ignored: list[dict[str, str]], *, known: Collection[str] = ()
) -> dict[str, Any]:
    """Of a flight's report, what this run's files came to, under the names that they have here. What was `known` before
    is a duplicate of itself, as it is when files are taken in at home."""
    answers: dict[str, list[dict[str, Any]]] = {"accepted": [], "duplicate": [], "quarantined": [], "waiting": []}
    for file in report["files"]:
        if file["file"] in paths:
            here = {**file, "file": paths[file["file"]]}
            state = "waiting" if here["state"] == "missing" else here["state"]
            again = state == "accepted" and file["file"] in known
            answers["duplicate" if again else state].append({key: here[key] for key in here if key != "state"})
    counts = {word: len(files) for word, files in answers.items()}
    head = {name: report[name] for name in ("flight", "department", "state", "notes", "words")}
    return {**head, **answers, "ignored": ignored, "counts": {**counts, "ignored": len(ignored)}}


def _hashed(files: Sequence[Candidate | Linked], offset: float | None, progress: Progress) -> Iterable[Sent]:
    names = distinct(one.name for one in files)
    with ThreadPoolExecutor(2) as pool:
        results = pool.map(_hash, files, names)
        for done, (one, announced) in enumerate(zip(files, results, strict=True), 1):
            progress("校验 hashing", done, len(files))
            moved = offset if one.path.suffix.lower() in VIDEO_SUFFIXES else None
            yield Sent(one.path, replace(announced, log_offset=moved))


def _hash(file: Candidate | Linked, name: str) -> Announced:
    """What is told of a file before it is sent; a reason where it cannot be."""
    if isinstance(file, Linked):
        refused = file.refused
    else:
        try:
            with file.path.open("rb") as source:
                digest = hashlib.file_digest(source, "sha256").hexdigest()
                return Announced(name, source.tell(), digest)
        except OSError as error:
            said = f"{file.path}: {error.strerror or error}."
            refused = Refused("unreadable", said, "Check the path and its rights.")
    return Announced(name, refused=(refused.reason, refused.message[:1000], refused.remedy))


def _announce(server: Server, plan: Plan, files: Sequence[Sent], late: str) -> tuple[str, set[str]]:
    """Create or take up the flight and name its files; its id, and which of them the server wants."""
    said: dict[str, Any] = {**plan.to_json(), "late": late, "files": []}
    needed: set[str] = set()
    flight = ""
    for start in range(0, max(1, len(files)), ANNOUNCE):
        said["files"] = [_told(file.announced) for file in files[start : start + ANNOUNCE]]
        answer = server.ask("POST", "/api/flights", json=said)
        flight, needed = answer["flight"], needed | set(answer["needed"])
    return flight, needed


def _told(file: Announced) -> dict[str, Any]:
    refused = None
    if file.refused is not None:
        refused = dict(zip(("reason", "message", "remedy"), file.refused, strict=True))
    said = {"name": file.name, "size": file.size, "sha256": file.sha256, "refused": refused}
    return said if file.log_offset is None else said | {"log_offset": file.log_offset}


def _send_all(server: Server, flight: str, files: Sequence[Sent], progress: Progress, patience: float) -> list[str]:
    """Send these; why some could not be sent. Raises `AskedWrongError` where the server is at fault, once the files
    under way have come to their end."""
    if not files:
        return []
    begun = {
        (one["file"], one["sha256"]): str(one["href"]) for one in server.ask("GET", f"/api/flights/{flight}")["uploads"]
    }
    total = sum(file.announced.size or 0 for file in files)
    held: dict[str, int] = {}
    lock = Lock()

    def one(file: Sent) -> None:
        name, size, sha256 = file.announced.name, file.announced.size or 0, file.announced.sha256 or ""

        def moved(count: int) -> None:
            with lock:
                held[name] = count
                progress(f"上传 sending {name}", sum(held.values()), total)

        sending = Sending(file.path, flight, name, size, sha256)
        upload(server, sending, moved, href=begun.get((name, sha256)), patience=patience)

    with ThreadPoolExecutor(PARALLEL) as pool:
        running = [pool.submit(one, file) for file in files]
        unsent = []
        try:
            for future in running:
                try:
                    future.result()
                except UnsentError as error:
                    unsent.append(str(error))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return unsent


def _answers(server: Server, flight: str, names: set[str], progress: Progress) -> dict[str, Any]:
    """The flight's report once all these files are answered, or once nothing has happened for a while."""
    before, since = -1, time.monotonic()
    while True:
        report = server.ask("GET", f"/api/flights/{flight}")
        waiting = sum(file["file"] in names and file["state"] == "waiting" for file in report["files"])
        progress("服务器处理 being catalogued", len(names) - waiting, len(names))
        if not waiting:
            return report
        if waiting != before:
            before, since = waiting, time.monotonic()
        elif time.monotonic() - since > QUIET_SECONDS:
            return report
        time.sleep(ASK_SECONDS)
