"""One file to a server by tus 1.0, over a line that may break at any moment.

The server's offset is the only truth: after every break it is asked for, and sending goes on from there. Nothing is
kept on this machine, so that another run, or another laptop with the same card, goes on as well.
"""

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx

from flyonce.server import AskedWrongError, Server

PIECE = 16 * 2**20
"""Bytes of one request: small enough for proxies, large enough that its answer costs nothing."""
_CHUNK = 256 * 1024
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0
MOST_RESTARTS = 3
_TUS = {"Tus-Resumable": "1.0.0"}
_TRY_AGAIN = frozenset({423, 429, 460, 500, 502, 503, 504, 507})
_START_AGAIN = frozenset({404, 410})

Moved = Callable[[int], None]
"""Called with the bytes that the server holds of the file."""


@dataclass(frozen=True, slots=True)
class Sending:
    """A file and how the server is to know it. `sha256` in lower-case hexadecimal, as it was when it was announced."""

    path: Path
    flight: str
    name: str
    size: int
    sha256: str


class UnsentError(AskedWrongError):
    """This file could not be sent; others may be."""


class _AgainError(Exception):
    """The attempt failed in a way that a later one may not; `why` is for a person."""

    def __init__(self, why: str, *, anew: bool = False, restart: bool = False) -> None:
        super().__init__(why)
        self.anew = anew
        self.restart = restart


def upload(server: Server, file: Sending, moved: Moved, *, href: str | None = None, patience: float = 600.0) -> None:
    """Send a file until the server has acknowledged it whole.

    `href`: an upload of it that was begun before. Raises `UnsentError` where the file itself is at fault, and
    `AskedWrongError` where the server does not take it, or where nothing has moved for `patience` seconds.
    """
    tries = _Tries(file, patience)
    whole = False
    while not whole:
        try:
            if href is None:
                href, offset = _create(server, file)
            else:
                offset = _offset(server, href)
            while offset < file.size:
                tries.at(offset)
                moved(offset)
                offset = _append(server, file, href, offset)
            whole = True
        except _AgainError as error:
            if error.anew:
                href, whole = _held(server, file)
            tries.again(error)
    moved(file.size)


class _Tries:
    """How long a sender goes on trying: for ever while bytes move, for `patience` seconds while they do not."""

    def __init__(self, file: Sending, patience: float) -> None:
        self._file, self._patience = file, patience
        self._moved, self._pause, self._held, self._restarts = time.monotonic(), FIRST_PAUSE, -1, 0

    def at(self, offset: int) -> None:
        if offset > self._held:
            self._held, self._moved, self._pause = offset, time.monotonic(), FIRST_PAUSE

    def again(self, error: _AgainError) -> None:
        """Wait before the next try, or raise that there is none."""
        if error.restart:
            self._restarts, self._held = self._restarts + 1, -1
            if self._restarts >= MOST_RESTARTS:
                raise UnsentError(f"{self._file.path}: {error} Has it been changed? Send it again.") from error
        if time.monotonic() - self._moved > self._patience:
            raise AskedWrongError(f"{self._file.path}: {error}. Send again: it goes on where it stopped.") from error
        time.sleep(self._pause * random.uniform(0.7, 1.3))  # noqa: S311 - only spreads senders out
        self._pause = min(2 * self._pause, LONGEST_PAUSE)


def _create(server: Server, file: Sending) -> tuple[str, int]:
    """Open the upload, with the whole file in the same request where it is small; its address and offset."""
    said = {"flight": file.flight, "filename": file.name, "sha256": file.sha256}
    headers = {**_TUS, "Upload-Length": str(file.size), "Upload-Metadata": server.metadata(said)}
    body = None
    if 0 < file.size <= PIECE:
        headers |= {"Content-Type": "application/offset+octet-stream", "Content-Length": str(file.size)}
        body = _bytes(file, 0, file.size)
    answer = _ask(server, "POST", "/uploads", headers, body, lost=True)
    return answer.headers["location"], int(answer.headers.get("upload-offset", "0"))


def _held(server: Server, file: Sending) -> tuple[str | None, bool]:
    """What the server holds of a file where its answer was lost on the way: the upload, and whether it is whole."""
    try:
        flight = server.ask("GET", f"/api/flights/{file.flight}")
    except AskedWrongError:
        return None, False
    whole = any(
        (one["file"], one["sha256"]) == (file.name, file.sha256) and one["state"] != "missing"
        for one in flight["files"]
    )
    under_way = (one for one in flight["uploads"] if (one["file"], one["sha256"]) == (file.name, file.sha256))
    return next((str(one["href"]) for one in under_way), None), whole


def _offset(server: Server, href: str) -> int:
    return int(_ask(server, "HEAD", href, _TUS).headers["upload-offset"])


def _append(server: Server, file: Sending, href: str, offset: int) -> int:
    length = min(PIECE, file.size - offset)
    headers = {**_TUS, "Upload-Offset": str(offset), "Content-Type": "application/offset+octet-stream"}
    headers["Content-Length"] = str(length)
    answer = _ask(server, "PATCH", href, headers, _bytes(file, offset, length))
    return int(answer.headers["upload-offset"])


def _bytes(file: Sending, offset: int, length: int) -> Iterator[bytes]:
    """Raises `UnsentError` where the file is shorter than it was, or cannot be read any more."""
    try:
        with file.path.open("rb") as source:
            source.seek(offset)
            while length:
                piece = source.read(min(_CHUNK, length))
                if not piece:
                    raise AskedWrongError(
                        f"{file.path}: became shorter while it was sent. Send it again when it is whole."
                    )
                length -= len(piece)
                yield piece
    except OSError as error:
        raise AskedWrongError(
            f"{file.path}: cannot be read any more: {error.strerror}. Is the card still in?"
        ) from error


def _ask(
    server: Server,
    method: str,
    href: str,
    headers: dict[str, str],
    body: Iterator[bytes] | None = None,
    *,
    lost: bool = False,
) -> httpx.Response:
    """Raises `_AgainError` and `AskedWrongError`. `lost`: without an answer nobody knows the upload's address."""
    try:
        answer = server.http.request(method, href, headers=headers, content=body)
    except httpx.TransportError as error:
        raise _AgainError(f"the line broke ({type(error).__name__})", anew=lost) from error
    if answer.status_code in _START_AGAIN and method != "POST":
        raise _AgainError("the server has dropped this upload", anew=True)
    if answer.status_code in _TRY_AGAIN or (answer.status_code == 409 and method == "PATCH"):
        raise _AgainError(server.told(answer), anew=lost, restart=answer.status_code == 460)
    if answer.is_error:
        raise AskedWrongError(server.told(answer))
    return answer
