"""The tags of a photo as its file declares them: EXIF and XMP through Pillow, not yet believed in anything."""

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from xml.etree.ElementTree import ParseError

from defusedxml import DefusedXmlException
from PIL import ExifTags, Image

from imagery.xmp import parse_xmp

BROKEN_EXIF = (SyntaxError, ValueError, TypeError, KeyError, IndexError, OverflowError, OSError, struct.error)
"""What Pillow lets through when EXIF is damaged: its parser trusts offsets and counts in the file."""


@dataclass(frozen=True, slots=True)
class Metadata:
    """Tags by name. `exif` joins the main and the camera folder (ExifTags.Base names), `gps` holds ExifTags.GPS names,
    `xmp` the properties that `imagery.xmp.parse_xmp` names (`drone-dji:RelativeAltitude`, `Camera:Yaw`, …)."""

    exif: Mapping[str, Any] = field(default_factory=dict)
    gps: Mapping[str, Any] = field(default_factory=dict)
    xmp: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def text(self, tag: str) -> str | None:
        """An EXIF text without its padding; None where absent or blank."""
        value = self.exif.get(tag)
        if isinstance(value, bytes):
            value = value.decode("ascii", "replace")
        return (value.split("\0", 1)[0].strip() or None) if isinstance(value, str) else None

    def number(self, tag: str) -> float | None:
        """An EXIF number; None where absent, not a number or 0/0."""
        return finite(self.exif.get(tag))

    def xmp_number(self, name: str) -> float | None:
        return finite(self.xmp.get(name))


def read_metadata(image: Image.Image) -> Metadata:
    """All tags of an opened image. Damaged EXIF or XMP leaves a note, not an error: the picture may still be good."""
    notes: list[str] = []
    exif: dict[str, Any] = {}
    gps: dict[str, Any] = {}
    xmp: dict[str, str] = {}
    try:
        tags = image.getexif()
        for folder in (tags, tags.get_ifd(ExifTags.IFD.Exif)):
            exif.update({ExifTags.TAGS[tag]: value for tag, value in folder.items() if tag in ExifTags.TAGS})
        gps = {ExifTags.GPSTAGS.get(tag, str(tag)): value for tag, value in tags.get_ifd(ExifTags.IFD.GPSInfo).items()}
    except BROKEN_EXIF as error:
        notes.append(f"EXIF is damaged ({error})")
    try:
        packet = _packet(image)
        xmp = parse_xmp(packet) if packet else {}
    except (ParseError, DefusedXmlException, UnicodeDecodeError, ValueError) as error:
        notes.append(f"XMP is damaged ({error})")
    return Metadata(exif, gps, xmp, tuple(notes))


def _packet(image: Image.Image) -> bytes | None:
    """The XMP packet, where the format keeps it: a segment, a chunk of text or TIFF's tag 700."""
    kept = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp")
    if kept is None:
        kept = getattr(image, "tag_v2", {}).get(700)
    if isinstance(kept, str):
        kept = kept.encode()
    return bytes(kept) if isinstance(kept, bytes | tuple) else None


def finite(value: Any) -> float | None:
    """A number out of a tag of any type, None where it is none."""
    try:
        number = float(value)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return number if math.isfinite(number) else None
