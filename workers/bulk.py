"""Many items into the catalogue at once, from a file of one JSON object a line; all or none."""

import gc
import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from imagery.errors import Refused
from stac.ndjson import checked, item_of
from stac.rows import ItemRow, row_of
from stac.store import ItemError
from workers.home import Home

MOST_FAULTS = 20

CHUNK_BYTES = 1 << 20
AHEAD = 8
"""Chunks that a process may be ahead of the writer."""


@dataclass(frozen=True, slots=True)
class Fault:
    line: int
    field: str
    message: str

    def __str__(self) -> str:
        return f"line {self.line}, {self.field}: {self.message}"


def load(home: Home, path: Path, workers: int | None = None) -> int:
    """Insert or replace the items of a file; how many. They are read and checked in `workers` processes beside this one
    (default: one a core but this), which writes.

    Raises `Refused` (`bad-items`) naming line and field of the first `MOST_FAULTS` faults, with nothing loaded, and
    OSError where the file cannot be read.
    """
    beside = max(1, (os.cpu_count() or 2) - 1) if workers is None else workers
    try:
        return home.catalog.load(_rows(path, beside))
    except ItemError as error:
        # Items go in by the thousand; which lines are at fault is looked for once something is.
        found = list(faults(home, path))
        told = "\n".join(f"  {fault}" for fault in found) or f"  {error}"
        raise Refused(
            "bad-items",
            f"{path} holds what the catalogue does not keep:\n{told}",
            "Nothing was loaded. Correct these lines and load again 未导入任何条目，请修正后重试。",
        ) from error


def _rows(path: Path, beside: int) -> Iterator[ItemRow]:
    with path.open("rb") as source:
        chunks = iter(lambda: source.readlines(CHUNK_BYTES), [])
        if beside == 0 or os.fstat(source.fileno()).st_size <= CHUNK_BYTES:
            for chunk in chunks:
                yield from checked(chunk)
            return
        with ProcessPoolExecutor(beside, get_context("spawn"), initializer=gc.disable) as pool:  # they make no cycles
            started = pool.submit(int)
            waiting: deque[Future[list[ItemRow]]] = deque()  # in the order of the file
            for chunk in chunks:
                waiting.append(pool.submit(checked, chunk) if started.done() else _checked_here(chunk))
                if waiting[0].done() or len(waiting) > AHEAD * beside:
                    yield from waiting.popleft().result()
            while waiting:
                yield from waiting.popleft().result()


def _checked_here(lines: list[bytes]) -> Future[list[ItemRow]]:
    done: Future[list[ItemRow]] = Future()
    done.set_result(checked(lines))
    return done


def faults(home: Home, path: Path) -> Iterator[Fault]:
    """The first `MOST_FAULTS` of a file."""
    known = {collection["id"] for collection in home.catalog.collections()}
    count = 0
    for number, line in _lines(path):
        try:
            row = row_of(item_of(line))
            if row.collection not in known:
                raise ItemError(f"item {row.id!r}: there is no collection {row.collection!r}", "collection")
        except ItemError as error:
            yield Fault(number, error.field, str(error))
            count += 1
            if count == MOST_FAULTS:
                return


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    with path.open("rb") as source:
        for number, line in enumerate(source, start=1):
            if line.strip():
                yield number, line
