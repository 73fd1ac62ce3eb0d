"""Any number of regions in canonical order, of which memory holds a bounded number: an external merge sort.

Sorted runs go to an unnamed file that vanishes with the object, however the process ends.
"""

import heapq
import pickle
import tempfile
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from imagery.polygons import Region

AT_ONCE = 50_000
"""Regions in memory before they go to disk: about 100 MB of small outlines."""
_BLOCK = 512


class Regions:
    """Add regions, then iterate as often as needed: from north to south and west to east."""

    def __init__(self, folder: Path | None = None, at_once: int = AT_ONCE) -> None:
        """`folder`: where runs go that memory does not hold."""
        self._folder, self._at_once = folder, at_once
        self._here: list[Region] = []
        self._runs: list[list[int]] = []
        """Of each run, where its blocks start in the file."""
        self._file: BinaryIO | None = None
        self._count = 0
        self._sorted = True

    def add(self, region: Region) -> None:
        self._here.append(region)
        self._count += 1
        self._sorted = False
        if len(self._here) >= self._at_once:
            self._spill()

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Region]:
        if not self._sorted:
            self._here.sort(key=order)
            self._sorted = True
        if not self._runs:
            return iter(self._here)
        return heapq.merge(*(self._read(run) for run in self._runs), self._here, key=order)

    def _spill(self) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115 - lives as long as this object
            weakref.finalize(self, self._file.close)
        self._here.sort(key=order)
        starts = []
        self._file.seek(0, 2)
        for first in range(0, len(self._here), _BLOCK):
            starts.append(self._file.tell())
            pickle.dump(self._here[first : first + _BLOCK], self._file, protocol=pickle.HIGHEST_PROTOCOL)
        self._runs.append(starts)
        self._here = []

    def _read(self, starts: list[int]) -> Iterator[Region]:
        if self._file is None:
            raise RuntimeError("a run without a file")
        for start in starts:
            self._file.seek(start)
            yield from pickle.load(self._file)  # noqa: S301 - written by this object, into a file without a name


def order(region: Region) -> tuple[float, float, int, bytes]:
    """What regions are sorted by."""
    west, north, _, _ = region.polygon.bounds
    return north, west, region.value, region.polygon.wkb
