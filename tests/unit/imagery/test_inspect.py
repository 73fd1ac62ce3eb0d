"""Any one file: read, or refused with its own reason, never anything between."""

import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imagery.errors import Refused
from imagery.inspect import inspect
from imagery.sources import open_source
from imagery.values import Capture


def refusal(path: Path, read: Callable[[Path], object] = inspect) -> Refused:
    with pytest.raises(Refused) as caught:
        read(path)
    assert path.name in caught.value.message
    assert caught.value.remedy
    return caught.value


def read_or_refused(path: Path) -> Capture | Refused:
    try:
        return inspect(path)
    except Refused as refused:
        return refused


def test_content_decides_not_the_name(make_photo: Callable[..., Path], tmp_path: Path) -> None:
    disguised = make_photo("orthophoto.jpg").rename(tmp_path / "orthophoto.tif")
    assert inspect(disguised).kind == "photo"


def test_each_thing_that_is_no_picture_has_its_reason(tmp_path: Path) -> None:
    text, nothing, loop, pipe = (tmp_path / name for name in ("text.JPG", "nothing.JPG", "loop.JPG", "pipe.JPG"))
    text.write_text("not a picture")
    nothing.touch()
    loop.symlink_to(loop)
    os.mkfifo(pipe)
    folder = tmp_path / "folder.JPG"
    folder.mkdir()
    dangling = tmp_path / "dangling.JPG"
    dangling.symlink_to(tmp_path / "gone")
    found = {path.name: refusal(path).reason for path in (text, nothing, loop, pipe, folder, dangling)}
    assert found == {
        "text.JPG": "not-an-image",
        "nothing.JPG": "empty",
        "loop.JPG": "link-loop",
        "pipe.JPG": "not-a-file",
        "folder.JPG": "directory",
        "dangling.JPG": "not-found",
    }
    assert refusal(tmp_path / "no" / "such.tif").reason == "not-found"


def test_a_vrt_is_not_followed(tmp_path: Path, make_photo: Callable[..., Path]) -> None:
    """GDAL would open it and read whatever file, or address, it names."""
    vrt = tmp_path / "steal.tif"
    vrt.write_text(
        '<VRTDataset rasterXSize="4" rasterYSize="3"><VRTRasterBand dataType="Byte" band="1"><SimpleSource>'
        f"<SourceFilename>{make_photo()}</SourceFilename></SimpleSource></VRTRasterBand></VRTDataset>"
    )
    assert refusal(vrt).reason == "not-an-image"
    assert refusal(vrt, open_source).reason == "not-an-image"


def png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000)))


def tiff(width: int, height: int) -> bytes:
    """A tiled, deflated RGB GeoTIFF of which nothing but the header is there."""
    tags = [
        (256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, 8), (262, 3, 1, 1), (277, 3, 1, 1),
        (322, 3, 1, 4096), (323, 3, 1, 4096), (324, 4, 1, 8), (325, 4, 1, 0),
    ]  # fmt: skip
    entries = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4)


@pytest.mark.parametrize("read", [inspect, open_source])
def test_headers_that_claim_gigabytes_are_refused_at_once(tmp_path: Path, read: Callable[[Path], object]) -> None:
    huge_png, huge_tiff = tmp_path / "bomb.png", tmp_path / "bomb.tif"
    huge_png.write_bytes(png(300_000, 300_000))
    huge_tiff.write_bytes(tiff(400_000, 400_000))
    assert refusal(huge_png, read).reason == "too-many-pixels"
    assert refusal(huge_tiff, read).reason == "too-many-pixels"


@pytest.mark.parametrize("signature", [b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"II*\0", b"MM\0*", b"II+\0"])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rest=st.binary(max_size=400))
def test_noise_behind_a_signature_is_refused_in_words(tmp_path: Path, signature: bytes, rest: bytes) -> None:
    path = tmp_path / "noise.bin"
    path.write_bytes(signature + rest)
    refusal(path)
    refusal(path, open_source)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32 - 1), flips=st.integers(1, 40))
def test_flipped_bytes_are_read_or_refused(make_photo: Callable[..., Path], seed: int, flips: int) -> None:
    path = make_photo(
        exif={"DateTimeOriginal": "2026:06:15 10:20:57", "FocalLengthIn35mmFilm": 24, "Make": "DJI"},
        gps={"GPSAltitude": 120.5, "GPSDateStamp": "2026:06:15", "GPSTimeStamp": (2.0, 20.0, 57.0)},
        xmp={
            "drone-dji:RelativeAltitude": "+50",
            "drone-dji:GimbalYawDegree": "10",
            "drone-dji:GimbalPitchDegree": "-90",
            "drone-dji:GimbalRollDegree": "0",
        },
        size=(80, 60),
    )
    content = np.frombuffer(path.read_bytes(), np.uint8).copy()
    rng = np.random.default_rng(seed)
    # Most of them where the tags are.
    content[rng.integers(2, min(len(content), 1500), flips)] = rng.integers(0, 256, flips)
    path.write_bytes(content.tobytes())
    told = read_or_refused(path)
    assert path.name in told.message if isinstance(told, Refused) else told.footprint.error_m > 0


def test_every_real_file_is_read_or_refused(data: Path) -> None:
    reasons: dict[str, int] = {}
    read = 0
    for path in sorted(path for path in data.rglob("*") if path.is_file()):
        try:
            inspect(path)
        except Refused as refused:
            reasons[refused.reason] = reasons.get(refused.reason, 0) + 1
        else:
            read += 1
    assert read >= 18 + 19 + 3 + 6 + 1
    # Without any place: the 64 tiles (JPEG by content, without georeference), the 21 of the pairs, two tables of codes
    # and a subtitle file that never had a fix.
    assert reasons.pop("no-position") == 64 + 21 + 2 + 1
    assert reasons.pop("not-an-image") > 0
    assert reasons == {"empty": 1, "no-telemetry": 1, "ambiguous-order": 1}
