"""Resampling in whole numbers: the same sums whatever the order, offset or size of the arrays.

Positions and widths are in 1/64 of a source pixel (`UNIT`); pixel i covers [64 i, 64 (i + 1)). Data are uint8
[C, H, W]; validity is bool [H, W], or None where all is valid. Imports numpy alone.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

UNIT = 64
"""With cells at most 4 pixels wide weights add up to 256 an axis: sums fit in 16 bits after one, in 32 after both."""

WIDEST = 4
"""Pixels that a cell may be wide for `axis_taps`; wider ones are reduced by `mean_blocks` first."""

_STRIP = 64
"""Rows of cells at a time: their sums stay in a processor's cache, which halves the time of a window."""

Data = NDArray[np.uint8]
Valid = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Taps:
    """Which pixels of one axis each of N cells is the weighted sum of.

    `first` and `stop` bound the pixels that are needed; `pixel` int64 [T, N] counts from `first`; `weight` uint16
    [T, N] adds up to `total` for each cell.
    """

    first: int
    stop: int
    pixel: NDArray[np.int64]
    weight: NDArray[np.uint16]
    total: int

    def some(self, cells: slice) -> "Taps":
        """Those of some of the cells, from the same pixels."""
        return replace(self, pixel=self.pixel[:, cells], weight=self.weight[:, cells])


def axis_taps(centres: NDArray[np.int64], width: float) -> Taps:
    """Taps of cells with these centres (1/64 pixel), each `width` pixels wide and at least one: overlap of the cell
    with each pixel, which for one pixel's width is linear interpolation."""
    half = round(max(width, 1.0) * UNIT / 2)
    if 2 * half > WIDEST * UNIT:
        raise ValueError(f"a cell of {width} pixels is wider than {WIDEST}")
    low, high = centres - half, centres + half
    start = low // UNIT
    reach = np.arange((2 * half - 1) // UNIT + 2)[:, None]
    pixel = start + reach
    weight = np.minimum(high, (pixel + 1) * UNIT) - np.maximum(low, pixel * UNIT)
    first, stop = int(start.min()), int((high - 1).max() // UNIT) + 1
    return Taps(
        first=first,
        stop=stop,
        pixel=np.minimum(pixel, stop - 1) - first,
        weight=np.maximum(weight, 0).astype(np.uint16),
        total=2 * half,
    )


def separable(data: Data, valid: Valid | None, rows: Taps, cols: Taps) -> tuple[Data, Valid]:
    """Weighted means of `data`, whose first pixel is (rows.first, cols.first). A cell with less than half of its weight
    on valid pixels is void, and 0."""
    shape = (len(data), rows.pixel.shape[1], cols.pixel.shape[1])
    if valid is not None:
        data = data * valid
    return _in_strips(shape, lambda strip: _summed(data, valid, rows.some(strip), cols))


def bilinear(data: Data, valid: Valid | None, u: NDArray[np.int64], v: NDArray[np.int64]) -> tuple[Data, Valid]:
    """Linear interpolation of `data` at cells' centres (u, v) [H, W] in 1/64 pixel from its corner. What lies outside
    of `data` is void."""
    return _in_strips((len(data), *u.shape), lambda strip: _interpolated(data, valid, u[strip], v[strip]))


def mean_blocks(data: Data, valid: Valid | None, down: int, across: int) -> tuple[Data, Valid | None]:
    """Means of blocks `down` pixels high and `across` wide, of which data [C, H, W] holds whole ones; a block less than
    half valid is void."""
    if valid is None:
        return _rounded(_block_sums(data, down, across), np.uint32(down * across)), None
    weight = _block_sums(valid[None].view(np.uint8), down, across)[0]
    return _normalised(_block_sums(data * valid, down, across), weight, down * across)


def _in_strips(shape: tuple[int, ...], made: Callable[[slice], tuple[Data, Valid]]) -> tuple[Data, Valid]:
    """Cells [C, H, W] of this shape from those of some rows, each a function of nothing but its place."""
    means, shown = np.empty(shape, dtype=np.uint8), np.empty(shape[1:], dtype=bool)
    for start in range(0, shape[1], _STRIP):
        strip = slice(start, start + _STRIP)
        means[:, strip], shown[strip] = made(strip)
    return means, shown


def _summed(data: Data, valid: Valid | None, rows: Taps, cols: Taps) -> tuple[Data, Valid]:
    sums, total = _weigh(data, rows, cols), rows.total * cols.total
    if valid is None:
        return _rounded(sums, np.uint32(total)), np.ones(sums.shape[1:], dtype=bool)
    return _normalised(sums, _weigh(valid[None].view(np.uint8), rows, cols)[0], total)


def _interpolated(data: Data, valid: Valid | None, u: NDArray[np.int64], v: NDArray[np.int64]) -> tuple[Data, Valid]:
    height, width = data.shape[1:]
    left, above = u - UNIT // 2, v - UNIT // 2
    x, y = left // UNIT, above // UNIT
    fx, fy = (left - x * UNIT).astype(np.uint32), (above - y * UNIT).astype(np.uint32)
    gx, gy = np.uint32(UNIT) - fx, np.uint32(UNIT) - fy
    inside = (x >= 0) & (x < width - 1) & (y >= 0) & (y < height - 1)
    everywhere = valid is None and bool(inside.all())
    at = y * width + x if everywhere else np.where(inside, y * width + x, 0)
    flat = data.reshape(len(data), -1)
    sums = np.zeros((len(data), *u.shape), dtype=np.uint32)
    weights = np.zeros(u.shape, dtype=np.uint32)
    for step, weight in ((0, gx * gy), (1, fx * gy), (width, gx * fy), (width + 1, fx * fy)):
        near = at + step
        if not everywhere:
            weight *= inside
            if valid is not None:
                weight *= valid.reshape(-1).take(near, mode="clip")
            weights += weight
        for band in range(len(data)):
            sums[band] += flat[band].take(near, mode="clip") * weight
    if everywhere:
        return _rounded(sums, np.uint32(UNIT * UNIT)), inside
    return _normalised(sums, weights, UNIT * UNIT)


def _weigh(data: Data, rows: Taps, cols: Taps) -> NDArray[np.uint32]:
    """Weighted sums uint32 [C, h, w]: down the columns in 16 bits, then along the rows in 32."""
    return _sum_taps(_sum_taps(data, rows, 1, np.uint16), cols, 2, np.uint32)


def _sum_taps(data: NDArray[Any], taps: Taps, axis: int, dtype: type[np.unsignedinteger[Any]]) -> NDArray[Any]:
    """Weighted sums along one axis of [C, H, W]. At the pixels' own scale taps are neighbours of one weight each: views
    and scalars, where others are gathered cell by cell."""
    sums: NDArray[Any] | None = None
    for pixel, weight in zip(taps.pixel, taps.weight, strict=True):
        if not weight.any():
            continue
        if (np.diff(pixel) == 1).all():
            part = data[(slice(None),) * axis + (slice(int(pixel[0]), int(pixel[-1]) + 1),)]
        else:
            part = data.take(pixel, axis=axis)
        each = dtype(weight[0]) if (weight == weight[0]).all() else _lined_up(weight.astype(dtype), axis)
        term = np.multiply(part, each, dtype=dtype)
        sums = term if sums is None else np.add(sums, term, out=sums)
    if sums is None:
        raise ValueError("taps without weight")
    return sums


def _lined_up(weight: NDArray[Any], axis: int) -> NDArray[Any]:
    return weight[:, None] if axis == 1 else weight


def _block_sums(data: Data, down: int, across: int) -> NDArray[np.uint32]:
    tall = np.zeros((len(data), data.shape[1] // down, data.shape[2]), dtype=np.uint32)
    for i in range(down):
        tall += data[:, i::down]
    sums = np.zeros((*tall.shape[:2], data.shape[2] // across), dtype=np.uint32)
    for j in range(across):
        sums += tall[:, :, j::across]
    return sums


def _rounded(sums: NDArray[np.uint32], weight: Any) -> Data:
    """sums / weight to the nearest whole number, halves up."""
    if np.ndim(weight) == 0 and int(weight).bit_count() == 1:
        halves_up = np.add(sums, weight // np.uint32(2))
        np.right_shift(halves_up, np.uint32(int(weight).bit_length() - 1), out=halves_up)
        return np.asarray(halves_up.astype(np.uint8))
    return np.asarray(((sums + weight // np.uint32(2)) // weight).astype(np.uint8))


def _normalised(sums: NDArray[np.uint32], weight: NDArray[np.uint32], total: int) -> tuple[Data, Valid]:
    """sums / weight where at least half of `total` weighs."""
    valid = weight * np.uint32(2) >= total
    means = _rounded(sums, np.uint32(total)) * valid
    cut = valid & (weight != total)
    if cut.any():  # few cells, at the edge of a void: a division for each
        means[:, cut] = _rounded(sums[:, cut], weight[cut])
    return means, valid
