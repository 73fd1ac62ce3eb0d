"""Where a source's file is on this host: at its path, in this host's store, or fetched from the server that keeps it.

A source that other hosts read is named `store:<sha256>/<name>`. A host that shares the store's folder reads it in
place; any other fetches it once from the server (`FLYONCE_SERVER`, with `FLYONCE_API_KEY`), and reads what has that
hash or nothing.
"""

import fcntl
import hashlib
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path
from urllib.parse import quote, urlsplit

from imagery.errors import Refused
from imagery.remote import is_remote
from records.files import DirectoryStore
from records.settings import Settings

SCHEME = "store:"
TRIES = 4
_CHUNK = 1 << 20
_SHA256 = re.compile(r"[0-9a-f]{64}")


def address(sha256: str, name: str) -> str:
    """How a stored file is named to other hosts."""
    return f"{SCHEME}{sha256}/{quote(name)}"


def stored_name(path: str) -> str | None:
    """The SHA-256 of a file of the store, by its address (signed or not) or its path there; None for any other file."""
    if path.startswith(SCHEME):
        name = path.removeprefix(SCHEME).partition("/")[0]
    else:
        name = Path(urlsplit(path).path if is_remote(path) else path).name
    return name if _SHA256.fullmatch(name) else None


def locate(path: str) -> str:
    """A path of this host. Raises `Refused`: no-source where neither store nor server has it, source-cut-short where
    the server's answer breaks off again and again."""
    if not path.startswith(SCHEME):
        return path
    settings = Settings()
    sha256, _, name = path.removeprefix(SCHEME).partition("/")
    for folder in (settings.files_dir, settings.tiles_dir / "sources"):
        there = folder / sha256[:2] / sha256[2:4] / sha256
        if there.is_file():
            return str(there)
    if not settings.server:
        raise Refused(
            "no-source",
            f"This host's store ({settings.files_dir}) has no file {sha256}.",
            "Share the store's folder with it (FLYONCE_HOME), or let it fetch: FLYONCE_SERVER=http://host:8000.",
        )
    store = DirectoryStore(settings.tiles_dir / "sources")
    with _alone(store.root / f".{sha256}.lock"):  # one of this host's processes fetches, the others wait for it
        if not store.exists(sha256):
            _fetch(f"{settings.server.rstrip('/')}/assets/{sha256}/{name}", sha256, store)
    return str(store.path(sha256))


def _fetch(url: str, sha256: str, store: DirectoryStore) -> None:
    """Into the store, going on where an answer broke off."""
    part = store.root / f".{sha256}.part"
    for attempt in range(1, TRIES + 1):
        try:
            _more(url, part)
        except urllib.error.HTTPError as refused:
            raise Refused(
                "no-source", f"{url} answered {refused.code}.", "Check FLYONCE_API_KEY, and that it is in the store."
            ) from refused
        except (OSError, HTTPException) as broken:
            if attempt == TRIES:
                raise Refused(
                    "source-cut-short",
                    f"{url} broke off {TRIES} times: {broken}.",
                    "Look at the network; then run it again.",
                ) from broken
        else:
            break
    found = hashlib.sha256()
    with part.open("rb") as source:
        while chunk := source.read(_CHUNK):
            found.update(chunk)
    if found.hexdigest() != sha256:
        part.unlink()
        raise Refused("wrong-content", f"{url} is not what its name says.", "Look at the server's disk.")
    store.put(part)
    part.unlink()


def _more(url: str, part: Path) -> None:
    """Append what is missing of `url` to `part`. Raises OSError or HTTPException where the answer breaks off."""
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers=_headers(have))  # noqa: S310 - the operator's own server
    try:
        answer = urllib.request.urlopen(request, timeout=60)  # noqa: S310
    except urllib.error.HTTPError as refused:
        if refused.code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and have:
            return  # all of it is here
        raise
    with answer, part.open("ab") as target:
        if answer.status != HTTPStatus.PARTIAL_CONTENT:
            target.truncate(0)
        expected, got = int(answer.headers["content-length"]), 0
        while chunk := answer.read(_CHUNK):
            target.write(chunk)
            got += len(chunk)
        if got < expected:
            raise ConnectionError(f"{expected - got} bytes are missing")


def _headers(have: int) -> dict[str, str]:
    key = Settings().api_key
    headers = {"authorization": f"Bearer {key.get_secret_value()}"} if key else {}
    return headers | ({"range": f"bytes={have}-"} if have else {})


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    with path.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
