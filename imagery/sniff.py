"""What a file is, by its first bytes: names and extensions are not believed."""

import errno
import stat
from pathlib import Path
from typing import Literal

from imagery.errors import Refused

MediaType = Literal["image/jpeg", "image/tiff", "image/png", "image/heic", "image/jp2"]

SIGNATURES: tuple[tuple[bytes, MediaType], ...] = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
    (b"\x00\x00\x00\x0cjP  \r\n\x87\n", "image/jp2"),
    (b"\xff\x4f\xff\x51", "image/jp2"),  # a bare codestream
    (b"II+\x00", "image/tiff"),  # BigTIFF
    (b"MM\x00+", "image/tiff"),
)


HEIC_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})
"""ISO/IEC 23008-12: of a file whose first box is `ftyp`."""


def media_type(path: str | Path) -> MediaType:
    """What the file's content says it is.

    Raises `Refused`: not-found, directory, link-loop, not-a-file (a pipe or a device, which is never opened), empty,
    forbidden (no permission), not-an-image.
    """
    try:
        status = Path(path).stat()
        if stat.S_ISDIR(status.st_mode):
            raise Refused("directory", f"{path}: is a folder.", "Name the files in it.")
        if not stat.S_ISREG(status.st_mode):
            raise Refused("not-a-file", f"{path}: is a device or a pipe, not a file.", "Save it as a file first.")
        with Path(path).open("rb") as file:
            head = file.read(16)
    except PermissionError as error:
        raise Refused("forbidden", f"{path}: may not be read.", "Give read permission to the file.") from error
    except (OSError, ValueError) as error:
        raise _cannot_open(path, error) from error
    if not head:
        raise Refused("empty", f"{path}: is empty (0 bytes).", "Copy it from the card again.")
    for signature, kind in SIGNATURES:
        if head.startswith(signature):
            return kind
    if head[4:8] == b"ftyp" and head[8:12] in HEIC_BRANDS:
        return "image/heic"
    raise Refused(
        "not-an-image",
        f"{path}: is not a JPEG, PNG, TIFF, HEIC or JPEG 2000, whatever its name says (it begins with {head[:8]!r}).",
        "Check that the camera's own file was sent; convert other formats to GeoTIFF or JPEG.",
    )


def _cannot_open(path: str | Path, error: OSError | ValueError) -> Refused:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return Refused("not-found", f"{path}: no such file.", "Check the path.")
    if isinstance(error, OSError) and error.errno == errno.ELOOP:
        return Refused("link-loop", f"{path}: is a link that leads back to itself.", "Send the file itself.")
    return Refused("unreadable", f"{path}: cannot be opened: {error}.", "Check the disk or the card it lies on.")
