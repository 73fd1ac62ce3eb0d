"""HEIC as telephones and cameras write it: one HEVC picture in a box of ISO/IEC 23008-12, made here from ffmpeg's."""

import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from imagery.errors import Refused
from imagery.inspect import inspect
from imagery.video import ffmpeg

WIDTH, HEIGHT = 128, 96


def box(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I", 8 + len(body)) + kind + body


def full(kind: bytes, version: int, *parts: bytes, flags: int = 0) -> bytes:
    return box(kind, struct.pack(">I", version << 24 | flags), *parts)


def hevc(folder: Path, picture: np.ndarray, skip_lacking: Callable[[str], None]) -> tuple[bytes, bytes]:
    """The decoder's configuration (`hvcC`) and the picture's own units, out of an MP4 of one frame."""
    command = [ffmpeg(), "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{WIDTH}x{HEIGHT}",
               "-i", "pipe:0", "-c:v", "libx265", "-x265-params", "log-level=error:pools=1:frame-threads=1",
               "-pix_fmt", "yuv420p", "-tag:v", "hvc1", "-y", str(folder / "one.mp4")]  # fmt: skip
    done = subprocess.run(command, input=picture.tobytes(), capture_output=True, check=False)
    if done.returncode:
        skip_lacking("this ffmpeg writes no HEVC")
    film = (folder / "one.mp4").read_bytes()
    at = film.index(b"hvcC") - 4
    configuration = film[at : at + struct.unpack(">I", film[at : at + 4])[0]]
    at = film.index(b"mdat") - 4
    return configuration, film[at + 8 : at + struct.unpack(">I", film[at : at + 4])[0]]


def exif() -> bytes:
    said = Image.Exif()
    said[0x010F], said[0x0110] = "Flyonce", "Test"
    said[0x8825] = {1: "N", 2: (30.0, 57.0, 0.0), 3: "E", 4: (113.0, 55.0, 0.0)}
    return b"\0\0\0\0" + said.tobytes().removeprefix(b"Exif\0\0")


def heic(folder: Path, picture: np.ndarray, skip_lacking: Callable[[str], None]) -> bytes:
    configuration, units = hevc(folder, picture, skip_lacking)
    tags = exif()
    size = full(b"ispe", 0, struct.pack(">II", WIDTH, HEIGHT))
    entries = [full(b"infe", 2, struct.pack(">HH4s", 1, 0, b"hvc1"), b"\0"),
               full(b"infe", 2, struct.pack(">HH4s", 2, 0, b"Exif"), b"\0")]  # fmt: skip

    def meta(start: int) -> bytes:
        places = ((1, start, len(units)), (2, start + len(units), len(tags)))
        return full(
            b"meta", 0,
            full(b"hdlr", 0, struct.pack(">I4s12x", 0, b"pict"), b"\0"),
            full(b"pitm", 0, struct.pack(">H", 1)),
            full(b"iloc", 0, struct.pack(">HH", 0x4400, 2),
                 *(struct.pack(">HHHII", item, 0, 1, at, length) for item, at, length in places)),
            full(b"iinf", 0, struct.pack(">H", 2), *entries),
            full(b"iref", 0, box(b"cdsc", struct.pack(">HHH", 2, 1, 1))),
            box(b"iprp", box(b"ipco", configuration, size),
                full(b"ipma", 0, struct.pack(">IHBBB", 1, 1, 2, 0x81, 2))),
        )  # fmt: skip

    head = box(b"ftyp", b"heic", struct.pack(">I", 0), b"mif1heic")
    return head + meta(len(head) + len(meta(0)) + 8) + box(b"mdat", units, tags)


@pytest.fixture
def made(tmp_path: Path, skip_lacking: Callable[[str], None]) -> Path:
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    picture = np.stack([x * 2, y * 2, (x + y)], axis=-1).astype(np.uint8)
    path = tmp_path / "IMG_0001.HEIC"
    path.write_bytes(heic(tmp_path, picture, skip_lacking))
    return path


def test_a_heic_photo_is_read_with_its_place(made: Path) -> None:
    capture = inspect(made)
    assert (capture.kind, capture.media_type) == ("photo", "image/heic")
    assert (capture.width, capture.height) == (WIDTH, HEIGHT)
    assert capture.position is not None
    assert capture.position.lon == pytest.approx(113 + 55 / 60)
    assert capture.position.lat == pytest.approx(30 + 57 / 60)
    assert (capture.make, capture.model) == ("Flyonce", "Test")


def test_a_heic_that_breaks_off_is_refused(made: Path) -> None:
    whole = made.read_bytes()
    for length in (len(whole) // 3, len(whole) - 200):
        made.write_bytes(whole[:length])
        with pytest.raises(Refused) as refused:
            inspect(made)
        assert refused.value.reason in ("truncated", "damaged")
        assert made.name in refused.value.message
