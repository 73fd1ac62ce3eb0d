"""A photo's file to a `Capture`: whole picture or refusal, then what its tags tell of place, time and pose."""

import mmap
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pi_heif  # type: ignore[import-untyped]
from PIL import Image, UnidentifiedImageError
from PIL.MpoImagePlugin import MpoImageFile

from imagery import pose
from imagery.clocks import taken
from imagery.errors import Refused
from imagery.footprints import Terrain, pose_footprint, position_footprint
from imagery.lens import lens, thermal
from imagery.metadata import read_metadata
from imagery.sniff import media_type
from imagery.tiff import TiffShape, tiff_shape
from imagery.values import Capture

TURNED_ALIKE = -87.0
"""Degrees of pitch: so steep, a picture turned by half shows the same ground to a tenth of its height."""
FORMATS: dict[str, str] = {"image/jpeg": "JPEG", "image/png": "PNG", "image/heic": "HEIF", "image/tiff": "TIFF"}
MOST_RAW_PIXELS = 400_000_000
CLOCK_NEVER_SET = "its clock was never set (it shows a year before 1990): taken when it was received"
START_OF_SCAN, END_OF_IMAGE = b"\xff\xda", b"\xff\xd9"

# For the whole process: threads that each use `warnings.catch_warnings` undo one another's filters.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)  # `picture` refuses what is too large
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")  # damaged tags are told in notes


@contextmanager
def picture(path: str | Path) -> Iterator[Image.Image]:
    """Open a JPEG, PNG, HEIC or a photo's TIFF with Pillow, and say what is wrong in our words.

    Raises `Refused`: truncated, damaged, too-many-pixels (more than twice Pillow's limit: 179 megapixels), not-an-image
    for other formats, and all that `media_type` raises. Within the `with` an unreadable picture raises them too.
    """
    kind = media_type(path)
    if kind not in FORMATS:
        raise Refused("not-an-image", f"{path}: is a {kind}, not a photo.", "Read it as an orthophoto.")
    if kind == "image/jpeg" and not _complete(path):
        raise _truncated(path, "it has no end-of-image marker")
    if kind == "image/heic":
        pi_heif.register_heif_opener(thumbnails=False, decode_threads=1)
    try:
        with Image.open(path, formats=(FORMATS[kind],)) as image:
            yield image
    except Image.DecompressionBombError as error:
        raise _bomb(path, str(error)) from error
    except UnidentifiedImageError as error:
        raise _damaged(path, "its header cannot be read") from error
    except (OSError, SyntaxError, ValueError, RuntimeError, EOFError) as error:
        raise (_truncated if "truncated" in str(error).lower() else _damaged)(path, str(error)) from error


def read_photo(path: str | Path, terrain: Terrain | None = None, *, decode: bool = True) -> Capture:
    """What a photo tells about itself: JPEG, PNG, HEIC, DNG or a camera's TIFF. What is compressed is decoded once,
    small, to be sure that it is whole, unless `decode` says that somebody else will; of raw data every byte that the
    index names must be there.

    `terrain`: the ground to lay the footprint on, flat where it is not given.

    Raises `Refused`: no-position, impossible-position, and all that `picture` raises.
    """
    kind: str = media_type(path)
    with picture(path) as image:
        width, height = image.size
        metadata = read_metadata(image)
        lost = _lost_frames(image, path)
        bands, deep = len(image.getbands()), image.mode.startswith("I;16")
        if kind == "image/tiff":
            shape = _whole_tiff(path)
            width, height = shape.width, shape.height
            kind = "image/x-adobe-dng" if shape.dng else kind
            bands, deep = (1, True) if shape.dng else (bands, deep)
        elif decode:
            image.draft("RGB", (width // 8, height // 8))  # an eighth of the pixels, all of the file
            image.load()
    position = pose.position(metadata, path)
    attitude, no_attitude = pose.attitude(metadata)
    found, no_lens = lens(metadata, width, height)
    notes = [*metadata.notes, *lost, *(note for note in (no_attitude, no_lens) if note)]
    turned_by = pose.turn_in_doubt(metadata)
    if turned_by and attitude is not None:
        notes.append(f"rewritten by {turned_by}, which may have turned it: its pixels cannot be projected")
    time, zone = taken(metadata, position.lon)
    if time is None and metadata.text("DateTimeOriginal"):
        notes.append(CLOCK_NEVER_SET)
    capture = Capture(
        kind="photo",
        media_type=kind,
        width=width,
        height=height,
        bands=bands,
        dtype="uint16" if deep else "uint8",
        footprint=position_footprint(position),
        taken=time,
        taken_zone=zone,
        position=position,
        attitude=attitude,
        attitude_from="none" if attitude is None else "file",
        lens=found,
        focal_mm=metadata.number("FocalLength") or None,
        turn_in_doubt=turned_by is not None,
        thermal=thermal(metadata, width, height),
        make=metadata.text("Make"),
        model=metadata.text("Model"),
        notes=tuple(notes),
    )
    if turned_by and attitude is not None and attitude.pitch > TURNED_ALIKE:
        return capture
    return with_footprint(capture, terrain)


def with_footprint(capture: Capture, terrain: Terrain | None = None) -> Capture:
    """The capture with the ground that its pose shows, where that can be trusted; else as it was, with a note."""
    position, attitude, found = capture.position, capture.attitude, capture.lens
    if position is None or attitude is None or found is None:
        return capture
    posed, note = pose_footprint(position, attitude, found, tracked=capture.attitude_from == "track", terrain=terrain)
    notes = (*capture.notes, note) if note else capture.notes
    if posed is None:
        return replace(capture, notes=notes)
    return replace(
        capture,
        footprint=posed.footprint,
        gsd=posed.camera.gsd(),
        sigma=posed.sigma,
        camera_height=posed.camera.height,
        notes=notes,
    )


def _whole_tiff(path: str | Path) -> TiffShape:
    shape, size = tiff_shape(path), Path(path).stat().st_size
    if shape is None:
        raise _damaged(path, "its directories cannot be followed")
    if shape.end > size:
        raise _truncated(path, f"its index names {shape.end}")
    if shape.width * shape.height > MOST_RAW_PIXELS:
        raise _bomb(path, f"it claims {shape.width} x {shape.height} pixels")
    return shape


def _complete(path: str | Path) -> bool:
    """Whether a JPEG's own end-of-image marker follows its first scan. Thumbnails in its header end in one too, so the
    header is walked over segment by segment."""
    with Path(path).open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        at = 2
        while at + 4 <= len(content) and content[at] == 0xFF:
            marker = content[at : at + 2]
            if marker == START_OF_SCAN:
                return content.rfind(END_OF_IMAGE, at) >= 0  # from the end, where it is
            at += 1 if marker == b"\xff\xff" else 2 + int.from_bytes(content[at + 2 : at + 4], "big")
        return at + 4 <= len(content)  # a byte that is no marker: for the decoder to judge


def _lost_frames(image: Image.Image, path: str | Path) -> list[str]:
    """A note where the file ends before the previews or thermal data that its index names. The picture itself is whole
    all the same: editors and transfers cut these off."""
    if not isinstance(image, MpoImageFile) or not image.mpinfo:
        return []
    with Path(path).open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        base, size = content.find(b"MPF\0") + 4, len(content)
    ends = [base + entry["DataOffset"] + entry["Size"] for entry in image.mpinfo[0xB002] if entry["DataOffset"]]
    return ["lacks the further pictures (previews) that its index names"] if ends and max(ends) > size else []


def _bomb(path: str | Path, found: str) -> Refused:
    return Refused("too-many-pixels", f"{path}: {found}.", "Send it as a GeoTIFF, or in parts.")


def _truncated(path: str | Path, found: str) -> Refused:
    return Refused(
        "truncated",
        f"{path}: breaks off after {Path(path).stat().st_size} bytes: {found}.",
        "Copy it from the card again.",
    )


def _damaged(path: str | Path, found: str) -> Refused:
    return Refused("damaged", f"{path}: is damaged: {found}.", "Copy it from the card again, or send another picture.")
