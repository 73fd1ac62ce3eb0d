"""What a worker answers for one tile, small enough to travel and to be kept: packed planes and regions.

Written as bytes it is a line of JSON, then planes and polygons. It says nothing of an extent, a chunk or a machine.
"""

import json
import struct
import zlib
from dataclasses import dataclass
from typing import Self

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry import Polygon
from shapely.geometry.base import BaseGeometry

from imagery.polygons import Region, polygonise
from imagery.tiles import Window

FORMAT = 2
"""Of `to_bytes`: part of the key of what is kept."""


@dataclass(frozen=True, slots=True)
class Plane:
    """A packed uint8 [H, W]: most are of few runs of equal cells, many of one."""

    height: int
    width: int
    packed: bytes
    """One byte where all cells are alike, else zlib's of the runs in their order: uint32 lengths, then uint8 values."""
    counts: tuple[tuple[int, int], ...]
    """Value and how many cells have it, by value."""

    @classmethod
    def pack(cls, values: NDArray[np.uint8]) -> Self:
        height, width = values.shape
        flat = np.ascontiguousarray(values).ravel()
        ends = np.append(np.flatnonzero(flat[1:] != flat[:-1]), flat.size - 1)
        if len(ends) == 1:
            first = int(flat[0])
            return cls(height, width, bytes([first]), ((first, flat.size),))
        lengths, of = np.diff(ends, prepend=-1), flat[ends]
        present = np.bincount(of, weights=lengths)
        counts = tuple((int(value), int(present[value])) for value in np.flatnonzero(present))
        return cls(height, width, zlib.compress(lengths.astype("<u4").tobytes() + of.tobytes(), 1), counts)

    def array(self) -> NDArray[np.uint8]:
        """uint8 [H, W], not to be written to."""
        shape = (self.height, self.width)
        if len(self.counts) == 1:
            return np.broadcast_to(np.uint8(self.packed[0]), shape)
        runs = zlib.decompress(self.packed)
        count = len(runs) // 5
        of = np.frombuffer(runs, dtype=np.uint8, offset=4 * count)
        return np.repeat(of, np.frombuffer(runs, dtype="<u4", count=count)).reshape(shape)

    def count_in(self, part: tuple[slice, slice]) -> NDArray[np.int64]:
        """int64 [256]: cells of each value within a part of the plane."""
        rows, cols = (axis.indices(size) for axis, size in zip(part, (self.height, self.width), strict=True))
        height, width = len(range(*rows)), len(range(*cols))
        found = np.zeros(256, dtype=np.int64)
        if (height, width) == (self.height, self.width):
            for value, count in self.counts:
                found[value] = count
        elif len(self.counts) == 1:
            found[self.packed[0]] = height * width
        else:
            found += np.bincount(self.array()[part].ravel(), minlength=256)
        return found


@dataclass(frozen=True, slots=True)
class TileFound:
    """One tile's answer: nothing that depends on an extent."""

    mask: Plane
    """Of the core: 0 clean, 1..N, 255 not analysed or not comparable."""
    why: Plane
    """Why a cell was not compared, as the analysis numbers its reasons; 0 else."""
    regions: tuple[Region, ...]
    seconds: float = 0.0
    """What reading, scoring and outlining took when it was computed."""
    kept: bool = False
    """Whether it was read from the cache rather than computed."""


def tile_found(
    core: Window, mask: NDArray[np.uint8], scores: NDArray[np.uint8], why: NDArray[np.uint8], seconds: float = 0.0
) -> TileFound:
    """The answer for one core, from its arrays [core, core]; `scores` holds the score of the class the mask names."""
    return TileFound(Plane.pack(mask), Plane.pack(why), tuple(polygonise(mask, core, scores)), seconds)


def to_bytes(found: TileFound, core: Window | None = None) -> bytes:
    """The answer as bytes; with `core`, its polygons are told from the core's corner, so that equal ground is equal
    bytes wherever it lies."""
    polygons = [_moved(region.polygon, core, -1) for region in found.regions]
    outlines = shapely.to_wkb(np.array(polygons, dtype=object)).tolist() if polygons else []
    planes = (found.mask, found.why)
    head = {
        "seconds": round(found.seconds, 6),
        "planes": [[plane.height, plane.width, len(plane.packed), plane.counts] for plane in planes],
        "regions": [
            [region.value, region.cells, region.score_sum, len(outline)]
            for region, outline in zip(found.regions, outlines, strict=True)
        ],
    }
    text = json.dumps(head, separators=(",", ":")).encode()
    return b"".join((struct.pack("<I", len(text)), text, *(plane.packed for plane in planes), *outlines))


def from_bytes(data: bytes, core: Window | None = None) -> TileFound:
    """The answer again, for the core it is asked for."""
    (length,) = struct.unpack_from("<I", data)
    at = 4 + length
    head = json.loads(data[4:at])
    planes = []
    for height, width, size, counts in head["planes"]:
        planes.append(Plane(height, width, data[at : at + size], tuple((value, count) for value, count in counts)))
        at += size
    regions = []
    for value, cells, score_sum, size in head["regions"]:
        regions.append(Region(value, _moved(shapely.from_wkb(data[at : at + size]), core, 1), cells, score_sum))
        at += size
    mask, why = planes
    return TileFound(mask, why, tuple(regions), head["seconds"], kept=True)


def _moved(polygon: BaseGeometry, core: Window | None, sign: int) -> Polygon:
    corner = np.array([0, 0] if core is None else [sign * core.col, sign * core.row])
    moved = shapely.transform(polygon, lambda xy: xy + corner)
    if not isinstance(moved, Polygon):
        raise TypeError(f"an outline is a polygon, not {moved!r}")
    return moved
