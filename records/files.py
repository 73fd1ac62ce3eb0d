"""Files kept once, under the SHA-256 of their bytes."""

import hashlib
import os
import stat
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

_CHUNK = 1 << 20
_DIGITS = frozenset("0123456789abcdef")


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file in the store. `sha256` in 64 lower-case hexadecimal digits, `size` in bytes; `new` if it was not there."""

    sha256: str
    size: int
    new: bool = True


class FileStore(Protocol):
    """Where originals, quarantined files and results lie. What `put` returned survives a crash."""

    def put(self, path: Path) -> StoredFile: ...

    def put_bytes(self, data: bytes) -> StoredFile: ...

    def path(self, sha256: str) -> Path: ...

    def exists(self, sha256: str) -> bool: ...

    def size(self, sha256: str) -> int: ...

    def names(self) -> Iterator[str]:
        """SHA-256 of every object, in order."""
        ...

    def open(self, sha256: str) -> BinaryIO: ...


class DirectoryStore:
    """A directory: objects under `ab/cd/abcd…`, files on their way in under `incoming`.

    An object appears by an atomic rename after its bytes are on the disk, so that a reader never meets half of one. A
    process killed before that leaves a file in `incoming` only, which `sweep` removes.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._incoming = root / "incoming"
        self._incoming.mkdir(parents=True, exist_ok=True)

    def put(self, path: Path) -> StoredFile:
        """Copy a file in, hashing it as it streams. The bytes kept are the bytes hashed, whatever happens to `path`.

        Raises OSError with its errno (not there, no permission, disk full); nothing is kept then.
        """
        if not stat.S_ISREG(path.stat().st_mode):
            raise OSError(f"not a file: {path}")
        with path.open("rb") as source:
            return self._keep(iter(lambda: source.read(_CHUNK), b""))

    def put_bytes(self, data: bytes) -> StoredFile:
        return self._keep(iter([data]))

    def path(self, sha256: str) -> Path:
        """Where the object lies, or would lie. Raises ValueError for what is no SHA-256, such as a path."""
        if len(sha256) != 64 or not _DIGITS.issuperset(sha256):
            raise ValueError(f"not a SHA-256 in lower-case hexadecimal: {sha256[:80]!r}")
        return self.root / sha256[:2] / sha256[2:4] / sha256

    def exists(self, sha256: str) -> bool:
        return self.path(sha256).is_file()

    def size(self, sha256: str) -> int:
        """In bytes. Raises FileNotFoundError where the store does not hold it."""
        return self.path(sha256).stat().st_size

    def names(self) -> Iterator[str]:
        """SHA-256 of every object, in order."""
        for path in sorted(self.root.glob("[0-9a-f][0-9a-f]/[0-9a-f][0-9a-f]/*")):
            if len(path.name) == 64:
                yield path.name

    def open(self, sha256: str) -> BinaryIO:
        """Raises FileNotFoundError where the store does not hold it."""
        return self.path(sha256).open("rb")

    def sweep(self, older_than: float) -> int:
        """Remove what killed processes left in `incoming` before the POSIX time `older_than`; how many."""
        left = [path for path in self._incoming.iterdir() if path.stat().st_mtime < older_than]
        for path in left:
            path.unlink(missing_ok=True)
        return len(left)

    def _keep(self, chunks: Iterator[bytes]) -> StoredFile:
        digest, size = hashlib.sha256(), 0
        with self._arriving() as (path, target):
            for chunk in chunks:
                digest.update(chunk)
                size += len(chunk)
                target.write(chunk)
            sha256 = digest.hexdigest()
            kept = self.path(sha256)
            if kept.is_file():
                sync_folder(kept.parent)  # whoever put it may not have come so far
                return StoredFile(sha256, size, new=False)
            target.flush()
            os.fchmod(target.fileno(), 0o444)  # an original is never written to again
            os.fsync(target.fileno())
            make_folders(kept.parent, self.root)
            path.replace(kept)
            sync_folder(kept.parent)
        return StoredFile(sha256, size)

    @contextmanager
    def _arriving(self) -> Iterator[tuple[Path, BinaryIO]]:
        path = self._incoming / uuid.uuid4().hex
        try:
            with path.open("xb") as target:
                yield path, target
        finally:
            path.unlink(missing_ok=True)


def make_folders(folder: Path, root: Path) -> None:
    """Make `folder` and its parents below `root`, each one's own entry synced to the disk."""
    if folder == root or folder.is_dir():
        return
    make_folders(folder.parent, root)
    folder.mkdir(exist_ok=True)
    sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Bring a folder's entries to the disk."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_atomically(path: Path, data: bytes) -> None:
    """Let `data` appear at `path` whole or not at all, whatever is killed; on the disk when this returns.

    For one writer at a time: a killed writer's leftover, `.<name>.part`, is overwritten by the next.
    """
    part = path.with_name(f".{path.name}.part")
    with part.open("wb") as target:
        target.write(data)
        target.flush()
        os.fsync(target.fileno())
    part.replace(path)
    sync_folder(path.parent)
