"""A photo's file to a `Capture`: whole picture or refusal, then what its tags tell of place, time and pose."""

import mmap
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image, UnidentifiedImageError
from PIL.MpoImagePlugin import MpoImageFile

from imagery import pose
from imagery.clocks import taken
from imagery.errors import Refused
from imagery.footprints import Terrain, pose_footprint, position_footprint
from imagery.metadata import read_metadata
from imagery.sniff import media_type
from imagery.values import Capture

TURNED_ALIKE = -87.0
"""Degrees of pitch: so steep, a picture turned by half shows the same ground to a tenth of its height."""
START_OF_SCAN, END_OF_IMAGE = b"\xff\xda", b"\xff\xd9"


@contextmanager
def picture(path: str | Path) -> Iterator[Image.Image]:
    """Open a JPEG or PNG with Pillow, and say what is wrong in our words.

    Raises `Refused`: truncated, damaged, too-many-pixels (more than twice Pillow's limit: 179 megapixels), not-an-image
    for other formats, and all that `media_type` raises. Within the `with` an unreadable picture raises them too.
    """
    kind = media_type(path)
    if kind == "image/tiff":
        raise Refused("not-an-image", f"{path}: is a TIFF, not a photo.", "Read it as an orthophoto.")
    if kind == "image/jpeg" and not _complete(path):
        raise _truncated(path, "it has no end-of-image marker")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")  # damaged tags are told in notes
        try:
            with Image.open(path, formats=("JPEG", "PNG")) as image:
                yield image
        except Image.DecompressionBombError as error:
            raise Refused("too-many-pixels", f"{path}: {error}.", "Send it as a GeoTIFF, or in parts.") from error
        except UnidentifiedImageError as error:
            raise _damaged(path, "its header cannot be read") from error
        except (OSError, SyntaxError, ValueError) as error:
            raise (_truncated if "truncated" in str(error) else _damaged)(path, str(error)) from error


def read_photo(path: str | Path, terrain: Terrain | None = None) -> Capture:
    """What a JPEG or PNG photo tells about itself. Decodes it once, small, to be sure that it is whole.

    `terrain`: the ground to lay the footprint on, flat where it is not given.

    Raises `Refused`: no-position, impossible-position, and all that `picture` raises.
    """
    with picture(path) as image:
        width, height = image.size
        metadata = read_metadata(image)
        lost = _lost_frames(image, path)
        image.draft("RGB", (width // 8, height // 8))  # an eighth of the pixels, all of the file
        image.load()
        bands, deep = len(image.getbands()), image.mode.startswith("I;16")
    position = pose.position(metadata, path)
    attitude, no_attitude = pose.attitude(metadata)
    lens, no_lens = pose.lens(metadata, width, height)
    notes = [*metadata.notes, *lost, *(note for note in (no_attitude, no_lens) if note)]
    footprint, gsd, sigma, camera_height = position_footprint(position), None, None, None
    turned_by = pose.turn_in_doubt(metadata)
    if turned_by and attitude is not None:
        notes.append(f"rewritten by {turned_by}, which may have turned it: its pixels cannot be projected")
    if attitude is not None and lens is not None and not (turned_by and attitude.pitch > TURNED_ALIKE):
        posed, note = pose_footprint(position, attitude, lens, terrain=terrain)
        notes += [note] if note else []
        if posed is not None:
            footprint, sigma = posed.footprint, posed.sigma
            gsd, camera_height = posed.camera.gsd(), posed.camera.height
    time, zone = taken(metadata, position.lon)
    return Capture(
        kind="photo",
        media_type=media_type(path),
        width=width,
        height=height,
        bands=bands,
        dtype="uint16" if deep else "uint8",
        footprint=footprint,
        taken=time,
        taken_zone=zone,
        gsd=gsd,
        position=position,
        attitude=attitude,
        lens=lens,
        sigma=sigma,
        camera_height=camera_height,
        focal_mm=metadata.number("FocalLength") or None,
        turn_in_doubt=turned_by is not None,
        make=metadata.text("Make"),
        model=metadata.text("Model"),
        notes=tuple(notes),
    )


def _complete(path: str | Path) -> bool:
    """Whether a JPEG's own end-of-image marker follows its first scan. Thumbnails in its header end in one too, so the
    header is walked over segment by segment."""
    with Path(path).open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        at = 2
        while at + 4 <= len(content) and content[at] == 0xFF:
            marker = content[at : at + 2]
            if marker == START_OF_SCAN:
                return content.find(END_OF_IMAGE, at) >= 0
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


def _truncated(path: str | Path, found: str) -> Refused:
    return Refused(
        "truncated",
        f"{path}: breaks off after {Path(path).stat().st_size} bytes: {found}.",
        "Copy it from the card again.",
    )


def _damaged(path: str | Path, found: str) -> Refused:
    return Refused("damaged", f"{path}: is damaged: {found}.", "Copy it from the card again, or send another picture.")
