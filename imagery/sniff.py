"""What a file is, by its first bytes: names and extensions are not believed."""

import errno
import re
import stat
from pathlib import Path
from typing import Literal

from imagery.errors import Refused

MediaType = Literal[
    "image/jpeg", "image/tiff", "image/png", "image/heic", "image/jp2", "video/mp4", "video/quicktime", "video/mp2t",
    "application/x-subrip", "application/gpx+xml", "text/csv", "application/x-misb-klv",
]  # fmt: skip
TELEMETRY = frozenset({"application/x-subrip", "application/gpx+xml", "text/csv", "application/x-misb-klv"})
VIDEO = frozenset({"video/mp4", "video/quicktime", "video/mp2t"})

SIGNATURES: tuple[tuple[bytes, MediaType], ...] = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
    (b"\x00\x00\x00\x0cjP  \r\n\x87\n", "image/jp2"),
    (b"\xff\x4f\xff\x51", "image/jp2"),  # a bare codestream
    (bytes.fromhex("060e2b34020b01010e01030101000000"), "application/x-misb-klv"),
    (b"II+\x00", "image/tiff"),  # BigTIFF
    (b"MM\x00+", "image/tiff"),
)


PACKET = 188
HEIC_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})
"""ISO/IEC 23008-12: of a file whose first box is `ftyp`."""


HEAD = 4096
CUE = re.compile(
    rb"^(?:\xef\xbb\xbf)?\s*\d{1,9}[ \t]*\r?\n[ \t]*(?:\d{1,3}:\d\d:\d\d[,.]\d{1,3}\s*-->|\d{4}[-.]\d{1,2}[-.]\d{1,2} )"
)
NAMED_TEXTS: dict[str, MediaType] = {".srt": "application/x-subrip", ".gpx": "application/gpx+xml", ".csv": "text/csv"}
"""Texts that tell nothing of their kind (an SRT that breaks off in its first line) are what their name says."""


def media_type(path: str | Path, name: str | None = None) -> MediaType:
    """What the file's content says it is. `name`: what it is called, where it is kept under another name.

    Raises `Refused`: not-found, directory, link-loop, not-a-file (a pipe or a device, which is never opened), empty,
    forbidden (no permission), not-an-image (nor a video, nor telemetry).
    """
    head = _head(path)
    if not head:
        raise Refused("empty", f"{path}: is empty (0 bytes).", "Copy it from the card again.")
    for signature, kind in SIGNATURES:
        if head.startswith(signature):
            return kind
    found = _boxed(head) or _telemetry(head, name or str(path))
    if found is not None:
        return found
    raise Refused(
        "not-an-image",
        f"{path}: is no photo, raster, video or telemetry, whatever its name says (it begins with {head[:8]!r}).",
        "Check that the camera's own file was sent; convert other formats to GeoTIFF, JPEG or MP4.",
    )


def _head(path: str | Path) -> bytes:
    try:
        status = Path(path).stat()
        if stat.S_ISDIR(status.st_mode):
            raise Refused("directory", f"{path}: is a folder.", "Name the files in it.")
        if not stat.S_ISREG(status.st_mode):
            raise Refused("not-a-file", f"{path}: is a device or a pipe, not a file.", "Save it as a file first.")
        with Path(path).open("rb") as file:
            return file.read(HEAD)
    except PermissionError as error:
        raise Refused("forbidden", f"{path}: may not be read.", "Give read permission to the file.") from error
    except (OSError, ValueError) as error:
        raise _cannot_open(path, error) from error


def _boxed(head: bytes) -> MediaType | None:
    """Formats of boxes (ISO base media) and of packets (MPEG transport streams)."""
    if head[4:8] == b"ftyp":
        if head[8:12] in HEIC_BRANDS:
            return "image/heic"
        return "video/quicktime" if head[8:12] == b"qt  " else "video/mp4"
    if head[4:8] in (b"moov", b"mdat", b"wide"):
        return "video/quicktime"
    packets = len(head) > 2 * PACKET and head[0] == head[PACKET] == head[2 * PACKET] == 0x47
    return "video/mp2t" if packets else None


def _telemetry(head: bytes, name: str) -> MediaType | None:
    if CUE.match(head):
        return "application/x-subrip"
    if b"\0" in head:
        return None
    if b"<gpx" in head:
        return "application/gpx+xml"
    first = head.split(b"\n", 1)[0].lower()
    if b"lat" in first and b"lon" in first and any(mark in first for mark in (b",", b";", b"\t")):
        return "text/csv"
    return NAMED_TEXTS.get(Path(name).suffix.lower())


def _cannot_open(path: str | Path, error: OSError | ValueError) -> Refused:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return Refused("not-found", f"{path}: no such file.", "Check the path.")
    if isinstance(error, OSError) and error.errno == errno.ELOOP:
        return Refused("link-loop", f"{path}: is a link that leads back to itself.", "Send the file itself.")
    return Refused("unreadable", f"{path}: cannot be opened: {error}.", "Check the disk or the card it lies on.")
