"""Several rasters as one: where the first has no pixel, the next one is looked at.

A pure function of (sources in their order, grid, window), as `imagery.reader` is for one. Sources may differ in CRS,
GSD, bands and depth: each is brought to the grid by itself.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from imagery.errors import Refused
from imagery.reader import Pixels, Reader
from imagery.reader import reader as read_one
from imagery.sources import Source
from imagery.tiles import PIXELS, GroundGrid, Window


class Readable(Protocol):
    """An open raster."""

    @property
    def source(self) -> "Source | Mosaic": ...

    def read(self, grid: GroundGrid, window: Window) -> Pixels: ...


@dataclass(frozen=True, slots=True)
class Mosaic:
    """`sources` on one grid; earlier ones cover later ones. Raises `Refused` (mixed-coordinates) where one has no
    georeference, and ValueError for none at all."""

    sources: tuple[Source, ...]

    def __post_init__(self) -> None:
        if not self.sources:
            raise ValueError("a mosaic of nothing")
        for source in self.sources:
            if source.crs == PIXELS:
                raise Refused(
                    "mixed-coordinates",
                    f"{source.path} has no georeference: it has no place in a mosaic.",
                    "Give it one, or leave it out.",
                )

    @property
    def path(self) -> str:
        """For messages."""
        return ", ".join(source.path for source in self.sources)

    @property
    def crs(self) -> str:
        return self.sources[0].crs

    @property
    def gsd(self) -> float | None:
        """Of the finest source, metres per pixel."""
        return min((source.gsd for source in self.sources if source.gsd), default=None)

    @property
    def width(self) -> int:
        """Of the first source, in its own pixels."""
        return self.sources[0].width

    @property
    def height(self) -> int:
        return self.sources[0].height

    def grid(self, gsd: float) -> GroundGrid:
        """The first source's, so that adding another moves no window."""
        return self.sources[0].grid(gsd)

    def extent(self, grid: GroundGrid) -> Window:
        """The smallest window that holds all sources."""
        return around([source.extent(grid) for source in self.sources])


Raster = Source | Mosaic


@contextmanager
def reader(source: Raster) -> Iterator[Readable]:
    """Keep the files open for many windows. For one thread at a time."""
    if not isinstance(source, Mosaic):
        with read_one(source) as opened:
            yield opened
        return
    with ExitStack() as stack:
        yield _MosaicReader(source, stack)


class _MosaicReader:
    def __init__(self, mosaic: Mosaic, stack: ExitStack) -> None:
        self.source, self._stack = mosaic, stack
        self._opened: dict[int, Reader] = {}

    def read(self, grid: GroundGrid, window: Window) -> Pixels:
        shape = (window.height, window.width)
        data, valid = np.zeros((3, *shape), dtype=np.uint8), np.zeros(shape, dtype=bool)
        for index, source in enumerate(self.source.sources):
            if source.extent(grid).grow(1).intersect(window).empty:
                continue
            if index not in self._opened:
                self._opened[index] = self._stack.enter_context(read_one(source))
            part = self._opened[index].read(grid, window)
            new = part.valid & ~valid
            np.copyto(data, part.data, where=new)
            valid |= part.valid
            if valid.all():
                break
        return Pixels(data, valid)


def around(windows: Sequence[Window]) -> Window:
    """The smallest window that holds all of these."""
    row, col = min(w.row for w in windows), min(w.col for w in windows)
    bottom, right = max(w.row + w.height for w in windows), max(w.col + w.width for w in windows)
    return Window(row, col, bottom - row, right - col)
