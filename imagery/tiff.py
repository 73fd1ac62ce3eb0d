"""The directories of a TIFF, read without decoding it: whether it is a photo or a raster of the ground, and whole."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

GEO_TAGS = frozenset({33550, 33922, 34264, 34735})
"""ModelPixelScale, ModelTiepoint, ModelTransformation, GeoKeyDirectory."""
EXIF, GPS, SUB_IFDS, DNG_VERSION, MAKE = 34665, 34853, 330, 50706, 271
WIDTH, HEIGHT, SUBFILE = 256, 257, 254
STRIPS, STRIP_BYTES, TILES, TILE_BYTES = 273, 279, 324, 325
SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
FORMATS = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
MOST_DIRECTORIES, MOST_TAGS, MOST_VALUES = 64, 4096, 1 << 20


@dataclass(frozen=True, slots=True)
class TiffShape:
    """What the directories say. `width` and `height` are those of the main picture."""

    width: int
    height: int
    geo: bool
    dng: bool
    photo: bool
    """Without a place on a map, with a camera's tags."""
    end: int
    """Bytes that the pixels of all its pictures reach to."""


def tiff_shape(path: str | Path) -> TiffShape | None:
    """The shape of a TIFF; None where its directories cannot be followed."""
    try:
        with Path(path).open("rb") as file:
            return _shape(list(_directories(file)))
    except (struct.error, OSError, ValueError, OverflowError):
        return None


def _shape(directories: list[dict[int, list[int]]]) -> TiffShape | None:
    if not directories:
        return None
    first = directories[0]
    mains = [one for one in directories if one.get(WIDTH) and one.get(HEIGHT)]
    if not mains:
        return None
    main = max(mains, key=lambda one: (one.get(SUBFILE, [0])[0] & 1 == 0, one[WIDTH][0] * one[HEIGHT][0]))
    geo, dng = bool(GEO_TAGS & first.keys()), DNG_VERSION in first
    camera = GPS in first or (EXIF in first and MAKE in first)
    ends = [0]
    for one in directories:
        for places, sizes in ((STRIPS, STRIP_BYTES), (TILES, TILE_BYTES)):
            ends += [at + size for at, size in zip(one.get(places, []), one.get(sizes, []), strict=False)]
    return TiffShape(main[WIDTH][0], main[HEIGHT][0], geo, dng, dng or (camera and not geo), max(ends))


def _directories(file: BinaryIO) -> Iterator[dict[int, list[int]]]:
    """Tags of whole numbers, by directory; those named by SubIFDs after the ones of the chain."""
    head = file.read(16)
    order = {b"II": "<", b"MM": ">"}.get(head[:2])
    if order is None:
        raise ValueError("not a TIFF")
    big = struct.unpack(order + "H", head[2:4])[0] == 43
    queue = [struct.unpack(order + ("Q" if big else "I"), head[8:16] if big else head[4:8])[0]]
    seen: set[int] = set()
    while queue and len(seen) < MOST_DIRECTORIES:
        at = queue.pop(0)
        if at == 0 or at in seen:
            continue
        seen.add(at)
        tags, following = _directory(file, at, order, big)
        queue = [*([following] if following else []), *queue, *tags.get(SUB_IFDS, [])]
        yield tags


def _directory(file: BinaryIO, at: int, order: str, big: bool) -> tuple[dict[int, list[int]], int]:
    file.seek(at)
    count = struct.unpack(order + ("Q" if big else "H"), file.read(8 if big else 2))[0]
    if count > MOST_TAGS:
        raise ValueError(f"{count} tags")
    size, inline = (20, 8) if big else (12, 4)
    block = file.read(count * size)
    following = struct.unpack(order + ("Q" if big else "I"), file.read(8 if big else 4))[0]
    tags: dict[int, list[int]] = {}
    for i in range(count):
        entry = block[i * size : (i + 1) * size]
        tag, kind = struct.unpack(order + "HH", entry[:4])
        number = struct.unpack(order + ("Q" if big else "I"), entry[4 : 4 + inline])[0]
        if kind not in FORMATS or number > MOST_VALUES:
            tags[tag] = []
            continue
        raw, length = entry[4 + inline :], number * SIZES[kind]
        if length > inline:
            file.seek(struct.unpack(order + ("Q" if big else "I"), raw)[0])
            raw = file.read(length)
        tags[tag] = list(struct.unpack(f"{order}{number}{FORMATS[kind]}", raw[:length]))
    return tags, following
