"""Files kept once, under the SHA-256 of their bytes."""

import hashlib
import os
import stat
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from records.writeback import Writeback

_CHUNK = 1 << 20
_DIGITS = frozenset("0123456789abcdef")


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file in the store. `sha256` in 64 lower-case hexadecimal digits, `size` in bytes; `new` if it was not there."""

    sha256: str
    size: int
    new: bool = True


class StoreError(OSError):
    """The store itself cannot be reached, read or written; the file that was sent is not at fault."""


class FileStore(Protocol):
    """Where originals, quarantined files and results lie. What `put` returned survives a crash.

    What is no SHA-256 (a path, say) raises ValueError everywhere; `size`, `read` and `path` raise FileNotFoundError for
    what the store does not hold. Trouble with the store itself raises `StoreError`, or another OSError about a file
    under `root`.
    """

    root: Path
    """The folder on this machine that the store writes to."""

    def put(self, path: Path) -> StoredFile:
        """Copy a file in. The bytes kept are the bytes hashed, whatever happens to `path` meanwhile.

        Raises OSError with its errno (not there, no permission, disk full); nothing is kept then.
        """
        ...

    def put_bytes(self, data: bytes) -> StoredFile: ...

    def exists(self, sha256: str) -> bool: ...

    def size(self, sha256: str) -> int:
        """In bytes."""
        ...

    def names(self) -> Iterator[str]:
        """SHA-256 of every object, in order."""
        ...

    def read(self, sha256: str, start: int, stop: int) -> Iterator[bytes]:
        """The bytes from `start` up to `stop`, in pieces that fit into memory."""
        ...

    def open(self, sha256: str) -> BinaryIO:
        """The bytes of `path`, for reading."""
        ...

    def path(self, sha256: str) -> Path:
        """A file on this machine with these bytes, for what reads it whole; never to be written to."""
        ...

    def url(self, sha256: str) -> str:
        """Where programs without credentials of ours read parts of it: `file://…`, or a signed `https://…` that holds
        for a day at least and is a secret, for it opens the file. Made without looking whether the file is there."""
        ...

    def check(self) -> None:
        """Raises `StoreError` where the store cannot be used."""
        ...

    def sweep(self, older_than: float) -> int:
        """Remove what killed processes left, and what can be had again, untouched since the POSIX time `older_than`;
        how many files."""
        ...


class DirectoryStore:
    """A directory: objects under `ab/cd/abcd…`, files on their way in under `incoming`.

    An object appears by an atomic rename after its bytes are on the disk, so that a reader never meets half of one. A
    process killed before that leaves a file in `incoming` only, which `sweep` removes.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._incoming = root / "incoming"
        self._incoming.mkdir(parents=True, exist_ok=True)
        self._safe: set[Path] = set()
        """Folders whose own entries, up to the root, this process knows to be on the disk."""

    def put(self, path: Path) -> StoredFile:
        if not stat.S_ISREG(path.stat().st_mode):
            raise OSError(f"not a file: {path}")
        with path.open("rb") as source:
            return self.keep(iter(lambda: source.read(_CHUNK), b""))

    def put_bytes(self, data: bytes) -> StoredFile:
        return self.keep([data])

    def exists(self, sha256: str) -> bool:
        return self.place(sha256).is_file()

    def size(self, sha256: str) -> int:
        return self.place(sha256).stat().st_size

    def names(self) -> Iterator[str]:
        folders = self.root.glob("[0-9a-f][0-9a-f]/[0-9a-f][0-9a-f]")
        return (path.name for folder in sorted(folders) for path in sorted(folder.iterdir()) if len(path.name) == 64)

    def read(self, sha256: str, start: int, stop: int) -> Iterator[bytes]:
        return _pieces(self.path(sha256), start, stop)

    def open(self, sha256: str) -> BinaryIO:
        return self.place(sha256).open("rb")

    def path(self, sha256: str) -> Path:
        place = self.place(sha256)
        place.stat()
        return place

    def url(self, sha256: str) -> str:
        return self.place(sha256).absolute().as_uri()

    def check(self) -> None:
        if not os.access(self._incoming, os.W_OK):
            raise StoreError(f"cannot write to {self._incoming}")

    def sweep(self, older_than: float) -> int:
        return _remove(self._incoming.iterdir(), older_than)

    def place(self, sha256: str) -> Path:
        """Where the object lies, or would lie. Raises ValueError for what is no SHA-256."""
        return self.root / key_of(sha256)

    def forget(self, older_than: float) -> int:
        """Remove objects themselves, untouched since `older_than`: for a folder of copies."""
        return _remove(self.root.glob("??/??/*"), older_than)

    def keep(self, chunks: Iterable[bytes]) -> StoredFile:
        """Take in bytes as they come, hashing them as they are written."""
        digest, size = hashlib.sha256(), 0
        with self._arriving() as (path, target):
            writeback = Writeback(target.fileno())
            for chunk in chunks:
                digest.update(chunk)
                target.write(chunk)
                size += len(chunk)
                writeback.reached(size)
            sha256 = digest.hexdigest()
            kept = self.place(sha256)
            if kept.is_file():
                self._sync(kept.parent)  # whoever put it may not have come so far
                return StoredFile(sha256, size, new=False)
            target.flush()
            os.fchmod(target.fileno(), 0o444)  # an original is never written to again
            os.fsync(target.fileno())
            kept.parent.mkdir(parents=True, exist_ok=True)
            path.replace(kept)
            self._sync(kept.parent)
        return StoredFile(sha256, size)

    def adopt(self, path: Path, sha256: str) -> None:
        """Make a synced, read-only file with this hash an object, by a second link to it. Raises OSError where the
        system makes no links there."""
        kept = self.place(sha256)
        kept.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            os.link(path, kept)
        self._sync(kept.parent)

    def _sync(self, folder: Path) -> None:
        """Bring an object's folder to the disk and, once in a process's life, the way to it: another process may have
        made it and not come so far."""
        sync_folder(folder)
        if folder not in self._safe:
            sync_folder(folder.parent)
            sync_folder(self.root)
            self._safe.add(folder)

    @contextmanager
    def _arriving(self) -> Iterator[tuple[Path, BinaryIO]]:
        path = self._incoming / uuid.uuid4().hex
        try:
            with path.open("xb") as target:
                yield path, target
        finally:
            path.unlink(missing_ok=True)


def key_of(sha256: str) -> str:
    """`ab/cd/abcd…`, where every store keeps the object. Raises ValueError for what is no SHA-256, such as a path."""
    if len(sha256) != 64 or not _DIGITS.issuperset(sha256):
        raise ValueError(f"not a SHA-256 in lower-case hexadecimal: {sha256[:80]!r}")
    return f"{sha256[:2]}/{sha256[2:4]}/{sha256}"


def _pieces(path: Path, start: int, stop: int) -> Iterator[bytes]:
    with path.open("rb") as source:
        source.seek(start)
        while start < stop and (piece := source.read(min(_CHUNK, stop - start))):
            start += len(piece)
            yield piece


def _remove(paths: Iterable[Path], older_than: float) -> int:
    removed = 0
    for path in paths:
        with suppress(FileNotFoundError):  # another process sweeps as well
            if path.stat().st_mtime < older_than:
                path.unlink()
                removed += 1
    return removed


def sync_folder(folder: Path) -> None:
    """Bring a folder's entries to the disk."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_atomically(path: Path, data: bytes | Iterable[bytes]) -> None:
    """Let `data`, whole or in pieces, appear at `path` whole or not at all, whatever is killed; on the disk when this
    returns.

    For one writer at a time: a killed writer's leftover, `.<name>.part`, is overwritten by the next.
    """
    part = path.with_name(f".{path.name}.part")
    with part.open("wb") as target:
        target.writelines((data,) if isinstance(data, bytes) else data)
        target.flush()
        os.fsync(target.fileno())
    part.replace(path)
    sync_folder(path.parent)
