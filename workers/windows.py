"""Windows of one source, or of several on top of each other, as workers get at them: open files kept for the next
task, contents named by digest, and a source that changes under the run told from one that does not.
"""

import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from imagery.errors import Refused
from imagery.mosaic import Mosaic, Raster, Readable, reader
from imagery.reader import Pixels
from imagery.remote import forget, is_remote
from imagery.sources import Source
from imagery.tiles import GroundGrid, Window
from workers.located import locate, stored_name
from workers.tilecache import key_of

IDLE_READERS = 16
"""Open sources that wait for their next task, in one process."""

TRIES = 3
PAUSE_SECONDS = 0.5
"""Before the second try of a read over the network; doubled for each one after."""

_READER = 1
"""Of `imagery.reader`: raised when it would give other pixels for the same file."""


@dataclass(frozen=True, slots=True)
class Origin:
    """A source that tasks read from. It travels to the workers; equal origins hold equal pixels."""

    source: Raster
    stamps: tuple[tuple[int, int, int] | None, ...]
    """Of each of its files: size, time of change in ns and inode when the run began; None for one whose name is the
    hash of its content."""

    def check(self) -> None:
        """Raises `Refused` (source-changed) where a file is not the one that the run began with."""
        for file, stamp in zip(files(self.source), self.stamps, strict=True):
            if stamp is not None and _stamp(file) != stamp:
                raise Refused(
                    "source-changed",
                    f"{file} was written to while it was analysed.",
                    "Run again when it is complete.",
                )

    @property
    def identity(self) -> str:
        """Names the pixels that any window of this source has."""
        return key_of("source", _READER, [repr(replace(one, path="")) for one in parts(self.source)], self._contents())

    def _contents(self) -> list[object]:
        named = [stored_name(file) for file in files(self.source)]
        return [name or [file, stamp] for name, file, stamp in zip(named, files(self.source), self.stamps, strict=True)]


def origin_of(source: Raster) -> Origin:
    """The source as it is now. Raises `Refused` (unreadable) where a file is gone."""
    return Origin(source, tuple(None if stored_name(file) else _stamp(file) for file in files(source)))


def parts(source: Raster) -> Sequence[Source]:
    return source.sources if isinstance(source, Mosaic) else (source,)


def files(source: Raster) -> list[str]:
    return [part.path for part in parts(source)]


@dataclass(frozen=True, slots=True)
class Sheet:
    """An origin on the grid that it is read on."""

    origin: Origin
    grid: GroundGrid

    def place(self, window: Window) -> list[object]:
        """What with the origin's identity names the window's pixels."""
        return [self.grid.crs, self.grid.cell, window.row, window.col, window.height, window.width]


def link_key(sheets: Sequence[Sheet], window: Window) -> str:
    """Key of a window's digest, known without reading it."""
    return key_of("window", [[sheet.origin.identity, sheet.place(window)] for sheet in sheets])


def read_all(sheets: Sequence[Sheet], window: Window) -> list[Pixels]:
    """The window on every sheet. Raises `Refused`: source-changed, unreadable, and as `locate` does."""
    read = []
    for sheet in sheets:
        read.append(_read(sheet, window))
        sheet.origin.check()
    return read


def _read(sheet: Sheet, window: Window) -> Pixels:
    """The window on one sheet; what comes over the network is asked for again where an answer breaks off."""
    far = [file for file in files(sheet.origin.source) if is_remote(file)]
    pauses = [PAUSE_SECONDS * 2**again for again in range(TRIES - 1)] if far else []
    while True:
        try:
            with _READERS.borrow(sheet.origin) as opened:
                return opened.read(sheet.grid, window)
        except Refused as refused:
            if refused.reason != "unreadable":
                raise
            for file in far:
                forget(file)
            if not pauses:
                raise
        time.sleep(pauses.pop(0))


def digest(pixels: Sequence[Pixels]) -> str:
    """SHA-256 of what a model would see: 64 hexadecimal digits."""
    total = hashlib.sha256()
    for each in pixels:
        total.update(np.ascontiguousarray(each.data).data)
        total.update(b"1" if each.valid.all() else np.packbits(each.valid).tobytes())
    return total.hexdigest()


class _Readers:
    """Readers are for one thread at a time: a task borrows one and gives it back with its file still open."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._guard = threading.Lock()
        self._idle: OrderedDict[int, tuple[Origin, Readable, ExitStack]] = OrderedDict()
        self._count = 0

    @contextmanager
    def borrow(self, origin: Origin) -> "Iterator[Readable]":
        opened, stack = self._take(origin)
        try:
            yield opened
        except BaseException:
            stack.close()  # after a failed read GDAL's handle is not to be trusted
            raise
        self._put_back(origin, opened, stack)

    def _take(self, origin: Origin) -> "tuple[Readable, ExitStack]":
        with self._guard:
            for number, (owner, opened, stack) in reversed(self._idle.items()):
                if owner == origin:
                    del self._idle[number]
                    return opened, stack
        origin.check()
        stack = ExitStack()
        return stack.enter_context(reader(_here(origin.source))), stack

    def _put_back(self, origin: Origin, opened: "Readable", stack: ExitStack) -> None:
        with self._guard:
            self._count += 1
            self._idle[self._count] = origin, opened, stack
            spare = [self._idle.popitem(last=False)[1][2] for _ in range(len(self._idle) - self._most)]
        for old in spare:
            old.close()


def _here(source: Raster) -> Raster:
    """The source with every file where this host has it."""
    if isinstance(source, Mosaic):
        return Mosaic(tuple(replace(part, path=locate(part.path)) for part in source.sources))
    return replace(source, path=locate(source.path))


def _stamp(file: str) -> tuple[int, int, int]:
    try:
        told = Path(file).stat()
    except OSError as error:
        raise Refused(
            "unreadable", f"{file}: {error.strerror or error}.", "Check that it is there for every worker."
        ) from error
    return told.st_size, told.st_mtime_ns, told.st_ino


_READERS = _Readers(IDLE_READERS)
