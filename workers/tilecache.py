"""Tile results kept on disk under a key of all that they depend on, bounded, shared by every job and process.

An entry is one file that appears by an atomic rename and carries a checksum: a reader meets it whole or not at all,
whatever was killed or lost its power, and takes what does not check for not there. Reading an entry marks it as used;
when the folder outgrows its limit the least recently used go. Nothing here is the only copy of anything.
"""

import contextlib
import errno
import fcntl
import hashlib
import json
import logging
import os
import threading
import time
import uuid
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from records.settings import Settings

_MAGIC = b"flyonce tile 1\n"
_SUM = 32
DEFAULT_LIMIT = 20 << 30
"""Bytes."""
_ROOM = 0.9
"""Of the limit, which a sweep comes down to."""
_UNFINISHED_SECONDS = 3600.0

log = logging.getLogger(__name__)


def key_of(*parts: object) -> str:
    """64 hexadecimal digits for JSON-ready parts; equal parts, equal key."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class CacheAt:
    """Where a cache lies and how large it may grow; travels to the workers, each of which opens it on its own host."""

    folder: str
    """Empty: where the host's own settings say."""
    limit: int = DEFAULT_LIMIT

    def elsewhere(self) -> "CacheAt":
        """The same on hosts that do not know this one's folders."""
        return replace(self, folder="")


class TileCache:
    """Safe for any number of processes and threads."""

    def __init__(self, at: CacheAt) -> None:
        self.folder, self.limit = Path(at.folder or Settings().tiles_dir), at.limit
        self._guard = threading.Lock()
        self._until_sweep = 0.0
        self._full = False

    def get(self, key: str) -> bytes | None:
        """What was put under this key, None where there is nothing or it is not whole."""
        path = self._path(key)
        try:
            data = path.read_bytes()
        except OSError:
            return None
        head = len(_MAGIC) + _SUM
        if data[: len(_MAGIC)] != _MAGIC or hashlib.sha256(data[head:]).digest() != data[len(_MAGIC) : head]:
            log.warning("the cached tile %s is damaged: it is computed again", path)
            path.unlink(missing_ok=True)
            return None
        with contextlib.suppress(OSError):
            os.utime(path)
        return data[head:]

    def put(self, key: str, value: bytes) -> bool:
        """Keep `value`; False where the disk has no room for it, which costs the next run its time and this one
        nothing."""
        data = b"".join((_MAGIC, hashlib.sha256(value).digest(), value))
        for attempt in range(2):
            try:
                self._write(self._path(key), data)
            except OSError as error:
                if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES):
                    raise
                if attempt == 0 and self.sweep(aim=self.size() // 2):
                    continue
                if not self._full:
                    log.warning("tiles are not kept in %s: %s", self.folder, error)
                self._full = True
                return False
            self._account(len(data))
            return True
        return False

    def size(self) -> int:
        """Bytes of all entries."""
        return sum(size for _, size, _ in self._entries())

    def sweep(self, aim: int | None = None) -> int:
        """Remove the least recently used until `aim` bytes (default: nine tenths of the limit) are left, and what
        killed writers left behind; how many went. One sweeper at a time: another's call returns at once."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / ".sweeping").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                return 0
            entries = sorted(self._entries())
            left, gone = sum(size for _, size, _ in entries), 0
            aim = int(self.limit * _ROOM) if aim is None else aim
            for _, size, path in entries:
                if left <= aim:
                    break
                path.unlink(missing_ok=True)
                left, gone = left - size, gone + 1
            for part in self.folder.glob("??/.*.part"):
                with contextlib.suppress(OSError):
                    if time.time() - part.stat().st_mtime > _UNFINISHED_SECONDS:
                        part.unlink()
            return gone

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / key[2:]

    def _entries(self) -> list[tuple[float, int, Path]]:
        """When last used, size, path of every entry."""
        found = []
        for path in self.folder.glob("??/*"):
            if path.name.startswith("."):
                continue
            with contextlib.suppress(OSError):  # another process swept it meanwhile
                told = path.stat()
                found.append((told.st_mtime, told.st_size, path))
        return found

    def _write(self, path: Path, data: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{uuid.uuid4().hex}.part")
        try:
            part.write_bytes(data)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)

    def _account(self, written: int) -> None:
        """Look at the whole folder now and then: after every sixteenth of the limit, and at first."""
        with self._guard:
            self._until_sweep -= written
            if self._until_sweep > 0:
                return
            self._until_sweep = self.limit / 16
        if self.size() > self.limit:
            self.sweep()


def cache_of(settings: Settings) -> CacheAt | None:
    """The cache that settings name; None where they keep no tiles."""
    return CacheAt(str(settings.tiles_dir), settings.cache_bytes) if settings.cache_bytes else None


@lru_cache(maxsize=8)
def open_cache(at: CacheAt) -> TileCache:
    """One for each folder in a process."""
    return TileCache(at)
