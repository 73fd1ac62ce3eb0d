"""Windows of a source on a ground grid, as RGB: a pure function of (source, grid, window).

Any window equals the same cells cut out of any larger one, bit for bit, because

* where a cell lies in the source is computed from its absolute row and column alone, and rounded to 1/64 pixel;
* which overview is read depends on the scale between grid and source, which is taken once, in the source's middle;
* weights and sums are integers, so that no order of summing and no offset can change a rounding.

GDAL's warper promises none of this: its scale and its rounding follow the size and place of the window. Cells coarser
than the pixels are averaged over their area, finer ones interpolated linearly. A cell is valid where at least half of
its weight lies on valid pixels, and shows their mean.
"""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.errors import RasterioIOError
from rasterio.windows import Window as RasterWindow

from imagery.mapping import Mapping, map_grid
from imagery.resample import UNIT, axis_taps, bilinear, mean_blocks, separable
from imagery.sources import Source, opened, unreadable, void
from imagery.tiles import GroundGrid, Window

MOST_PIXELS = 8_000_000
"""Source pixels held at a time; a window that needs more is read in halves, which a pure function allows."""


@dataclass(frozen=True, slots=True, eq=False)
class Pixels:
    """`data`: uint8 [3, H, W], RGB, 0 where not valid. `valid`: bool [H, W], True where the source has pixels."""

    data: NDArray[np.uint8]
    valid: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class _Range:
    """Reduced pixels from `left` and `top` up to but without `right` and `bottom`; any of them may be outside."""

    left: int
    right: int
    top: int
    bottom: int


def read(source: Source, grid: GroundGrid, window: Window) -> Pixels:
    """One window, opening the file for it. Raises `Refused`: mixed-coordinates, unreadable."""
    with reader(source) as opened:
        return opened.read(grid, window)


@contextmanager
def reader(source: Source) -> Iterator["Reader"]:
    """Keep the file open for many windows."""
    with ExitStack() as files:
        yield Reader(source, files)


class Reader:
    """An open source, made by `reader`. For one thread at a time, whichever: GDAL's datasets do not mind a change."""

    def __init__(self, source: Source, files: ExitStack) -> None:
        self.source = source
        self._files = files
        self._levels: dict[int, Any] = {}
        self._mappings: dict[GroundGrid, Mapping] = {}

    def read(self, grid: GroundGrid, window: Window) -> Pixels:
        """`window` of `grid`. Raises `Refused`: mixed-coordinates, unreadable."""
        if grid not in self._mappings:
            self._mappings[grid] = map_grid(self.source, grid)
        mapping = self._mappings[grid]
        shape = (window.height, window.width)
        data, valid = np.zeros((3, *shape), dtype=np.uint8), np.zeros(shape, dtype=bool)
        for part in _parts(window, mapping.cost):
            rows, cols = part.slices_in(window)
            made = self._aligned(mapping, part) if mapping.aligned else self._warped(mapping, part)
            if made is not None:
                data[:, rows, cols], valid[rows, cols] = made
        return Pixels(data, valid)

    def _aligned(self, mapping: Mapping, part: Window) -> tuple[NDArray[np.uint8], NDArray[np.bool_]] | None:
        x, y = axis_taps(mapping.columns(part), mapping.span[0]), axis_taps(mapping.rows(part), mapping.span[1])
        pixels = self._pixels(mapping, _Range(x.first, x.stop, y.first, y.stop))
        return None if pixels is None else separable(*pixels, y, x)

    def _warped(self, mapping: Mapping, part: Window) -> tuple[NDArray[np.uint8], NDArray[np.bool_]] | None:
        u, v = mapping.centres(part)
        # However far outside a cell lies, it reads the same nothing as one that lies just outside.
        width, height = (-(-size // block) for size, block in zip(mapping.size, mapping.blocks, strict=True))
        left, right = max(int(u.min()) // UNIT - 1, -2), min(int(u.max()) // UNIT + 2, width + 2)
        top, bottom = max(int(v.min()) // UNIT - 1, -2), min(int(v.max()) // UNIT + 2, height + 2)
        if left >= right or top >= bottom:
            return None
        pixels = self._pixels(mapping, _Range(left, right, top, bottom))
        return None if pixels is None else bilinear(*pixels, u - left * UNIT, v - top * UNIT)

    def _pixels(self, mapping: Mapping, wanted: _Range) -> tuple[NDArray[np.uint8], NDArray[np.bool_] | None] | None:
        """Reduced pixels uint8 [3, H, W] and their validity (None: all valid); None where all lie outside."""
        across, down = mapping.blocks
        full = _Range(wanted.left * across, wanted.right * across, wanted.top * down, wanted.bottom * down)
        width, height = mapping.size
        inside = _Range(max(full.left, 0), min(full.right, width), max(full.top, 0), min(full.bottom, height))
        if inside.left >= inside.right or inside.top >= inside.bottom:
            return None
        data, valid = self._load(mapping.level, inside)
        if inside != full:
            margins = (
                (inside.top - full.top, full.bottom - inside.bottom),
                (inside.left - full.left, full.right - inside.right),
            )
            valid = np.pad(np.ones(data.shape[1:], dtype=bool) if valid is None else valid, margins)
            data = np.pad(data, ((0, 0), *margins))
        return mean_blocks(data, valid, down, across) if across * down > 1 else (data, valid)

    def _load(self, level: int, inside: _Range) -> tuple[NDArray[np.uint8], NDArray[np.bool_] | None]:
        """8-bit pixels of one level of the file, and their validity where the file has voids."""
        source, window = self.source, RasterWindow(*_offset_and_size(inside))
        grey = len(set(source.rgb)) == 1
        bands = list(source.rgb[:1] if grey else source.rgb)
        try:
            ds = self._open(level)
            raw = ds.read(bands, window=window)
            masked = source.mask in ("alpha", "internal")
            valid = ds.read_masks(bands[0], window=window) > 0 if masked else None
        except RasterioIOError as error:
            raise unreadable(source.path, error) from error
        if source.mask == "nodata" or raw.dtype.kind == "f":
            bad = void(raw, source.nodata[: len(bands)])
            valid = ~bad if valid is None else valid & ~bad
        if valid is not None and valid.all():
            valid = None
        if source.stretch is not None:
            raw = stretched(raw, *source.stretch)
        return (np.broadcast_to(raw, (3, *raw.shape[1:])) if grey else raw), valid

    def _open(self, level: int) -> Any:
        if level not in self._levels:
            options = {} if level < 0 else {"overview_level": level}
            self._levels[level] = _opened(self.source.path, **options)
            self._files.callback(self._levels[level].close)
        return self._levels[level]


def _opened(path: str, **options: Any) -> Any:
    """A dataset that belongs to no thread: entered as a context, rasterio's would close only where it was opened."""
    with _OPENING:  # changing the filter of warnings is not made for threads
        return opened(path, **options)


_OPENING = threading.Lock()


def _parts(window: Window, cost: float) -> Iterator[Window]:
    """The window, or pieces of it that need no more than `MOST_PIXELS` each."""
    cells = window.height * window.width
    if cells == 0:
        return
    if cells * cost <= MOST_PIXELS or cells == 1:
        yield window
    elif window.height >= window.width:
        half = window.height // 2
        yield from _parts(Window(window.row, window.col, half, window.width), cost)
        yield from _parts(Window(window.row + half, window.col, window.height - half, window.width), cost)
    else:
        half = window.width // 2
        yield from _parts(Window(window.row, window.col, window.height, half), cost)
        yield from _parts(Window(window.row, window.col + half, window.height, window.width - half), cost)


def _offset_and_size(r: _Range) -> tuple[int, int, int, int]:
    return r.left, r.top, r.right - r.left, r.bottom - r.top


def stretched(raw: NDArray[Any], low: float, high: float) -> NDArray[np.uint8]:
    """Deep pixels in 8 bits: `low` to 0, `high` to 255."""
    scaled = (np.nan_to_num(raw.astype(np.float64)) - low) * (255 / (high - low))
    return np.asarray(np.clip(np.rint(scaled), 0, 255).astype(np.uint8))
