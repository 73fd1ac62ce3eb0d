"""Files that grow while they are uploaded, in the temporary area of the file store, hashed as they are written.

A partial file is locked by whoever writes to it, in this process or another; a lock ends with its process. When all
bytes are there it is sealed (made read-only, then synced): a sealed file is whole, whatever the books still say, and is
never cut or written to again. It becomes an object of the store by a link, so that a crash at any moment leaves the
partial file, the object or both, and finishing can be repeated.
"""

import errno
import fcntl
import hashlib
import os
import shutil
import stat
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from records.files import DirectoryStore, FileStore, sync_folder
from records.writeback import Writeback

FOLDER = "uploads"
_CHUNK = 1 << 20
_MOST_HASHES = 1000
_MOST_PIECES = 512
"""In one call; systems allow 1024."""
_NO_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK, errno.EXDEV, errno.ENOSYS})


class BusyError(Exception):
    """Somebody else is writing to this upload."""


class Hash(Protocol):
    """A running hash, as `hashlib` makes them."""

    def update(self, data: bytes, /) -> None: ...

    def hexdigest(self) -> str: ...

    def copy(self) -> "Hash": ...


class Growing:
    """One partial file, open and locked. Offsets and sizes in bytes."""

    def __init__(self, handle: int, hashed: tuple[int, Hash] | None) -> None:
        self._handle = handle
        self._hashed = hashed
        self._writeback = Writeback(handle)
        self.offset = 0

    @property
    def sealed(self) -> bool:
        return not os.fstat(self._handle).st_mode & stat.S_IWUSR

    def start(self, offset: int) -> None:
        """Go on from what is safe: bytes beyond it, which nobody acknowledged, are cut off.

        Raises OSError where the file has lost bytes that were acknowledged.
        """
        size = os.fstat(self._handle).st_size
        if size < offset:
            raise OSError(errno.EIO, f"a partial upload has {size} bytes, not the {offset} that were acknowledged")
        if self.sealed:
            self.offset = size
            return
        if size > offset:
            os.ftruncate(self._handle, offset)
        os.lseek(self._handle, offset, os.SEEK_SET)
        self.offset = offset
        self._writeback = Writeback(self._handle, offset)
        if offset == 0:
            self._hashed = (0, hashlib.sha256())
        elif self._hashed is not None and self._hashed[0] != offset:
            self._hashed = None  # hashed at the end, from the disk

    def write(self, *pieces: bytes) -> None:
        """Append, without joining the pieces first. Raises OSError (disk full); the file is then as it was before."""
        left, start = [memoryview(piece) for piece in pieces if piece], self.offset
        try:
            while left:
                count = os.writev(self._handle, left[:_MOST_PIECES])
                while left and count >= len(left[0]):
                    count -= len(left.pop(0))
                if count:
                    left[0] = left[0][count:]
        except OSError:
            os.ftruncate(self._handle, start)
            os.lseek(self._handle, start, os.SEEK_SET)
            raise
        self.offset += sum(map(len, pieces))
        self._writeback.reached(self.offset)
        if self._hashed is not None:
            for piece in pieces:
                self._hashed[1].update(piece)
            self._hashed = (self.offset, self._hashed[1])

    def sync(self) -> None:
        os.fdatasync(self._handle)

    def mark(self) -> Callable[[], None]:
        """A way back to here: the bytes written after are taken out again."""
        offset, kept = self.offset, None if self._hashed is None else (self._hashed[0], self._hashed[1].copy())

        def back() -> None:
            os.ftruncate(self._handle, offset)
            os.lseek(self._handle, offset, os.SEEK_SET)
            self.offset, self._hashed = offset, kept

        return back

    def sha256(self) -> str:
        """Of everything up to `offset`, in hexadecimal; read from the disk where it was not hashed on the way."""
        if self._hashed is None or self._hashed[0] != self.offset:
            digest = hashlib.sha256()
            for start in range(0, self.offset, _CHUNK):
                digest.update(os.pread(self._handle, min(_CHUNK, self.offset - start), start))
            self._hashed = (self.offset, digest)
        return self._hashed[1].hexdigest()

    def seal(self) -> None:
        """All bytes are there, and are the right ones: bring them to the disk for good."""
        os.fchmod(self._handle, 0o444)
        os.fsync(self._handle)

    @property
    def hashed(self) -> tuple[int, Hash] | None:
        return self._hashed


class Spool:
    """The partial files of one store."""

    def __init__(self, store: FileStore, root: Path) -> None:
        self._store = store
        self._folder = root / FOLDER
        self._folder.mkdir(parents=True, exist_ok=True)
        self._hashes: OrderedDict[str, tuple[int, Hash]] = OrderedDict()

    def create(self, upload: str) -> None:
        """An empty partial file. Raises OSError."""
        self._path(upload).touch(mode=0o600, exist_ok=False)
        sync_folder(self._folder)

    @contextmanager
    def grow(self, upload: str) -> Iterator[Growing]:
        """Hold the partial file. Raises `BusyError`, and FileNotFoundError where there is none (any more)."""
        path = self._path(upload)
        sealed = not path.stat().st_mode & stat.S_IWUSR
        handle = os.open(path, os.O_RDONLY if sealed else os.O_RDWR)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise BusyError(upload) from error
            growing = Growing(handle, self._hashes.pop(upload, None))
            try:
                yield growing
            finally:
                if growing.hashed is not None:
                    self._hashes[upload] = growing.hashed
                    if len(self._hashes) > _MOST_HASHES:
                        self._hashes.popitem(last=False)
        finally:
            os.close(handle)

    def is_sealed(self, upload: str) -> bool:
        """Whether all bytes are there; False where there is no partial file (any more)."""
        try:
            return not self._path(upload).stat().st_mode & stat.S_IWUSR
        except FileNotFoundError:
            return False

    def read(self, upload: str) -> Iterator[bytes]:
        """The bytes of a sealed partial file, a piece at a time."""
        with self._path(upload).open("rb") as file:
            yield from iter(lambda: file.read(_CHUNK), b"")

    def keep(self, upload: str, sha256: str) -> None:
        """Make a sealed file an object of the store; the partial file stays until `remove`."""
        path = self._path(upload)
        if isinstance(self._store, DirectoryStore):
            try:
                self._store.adopt(path, sha256)
            except OSError as error:
                if error.errno not in _NO_LINKS:
                    raise
            else:
                return
        self._store.put(path)

    def remove(self, upload: str) -> None:
        self._hashes.pop(upload, None)
        self._path(upload).unlink(missing_ok=True)

    def names(self, older_than: float) -> list[str]:
        """The uploads that have a partial file, untouched since the POSIX time `older_than`."""
        return [path.name for path in self._folder.iterdir() if path.stat().st_mtime < older_than]

    def free(self) -> int:
        """Bytes that the disk has left."""
        return shutil.disk_usage(self._folder).free

    def _path(self, upload: str) -> Path:
        if not upload.isalnum():
            raise ValueError(f"not the id of an upload: {upload[:40]!r}")
        return self._folder / upload
