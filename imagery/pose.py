"""Where a photo was taken from, and which way the camera looked: tags judged before use."""

from typing import Any

from imagery import vendors
from imagery.errors import Refused
from imagery.metadata import Metadata, finite
from imagery.values import Attitude, Position

GNSS_ERROR = 5.0
"""Metres, horizontal: what photogrammetry takes for a drone's plain GNSS position (Pix4D's "standard")."""
OLD_FIX_ERROR = 100.0
"""Metres: for a position that the receiver itself marked void (GPSStatus V): the last one it had."""
BEST_RTK_ERROR = 0.02
"""Metres: an antenna is not the camera, whatever standard deviation is written beside it."""

TURNING_PROGRAMS = (
    "photo viewer", "microsoft photos", "windows photo", "photo gallery", "picasa", "irfanview", "xnview", "acdsee",
    "faststone", "gthumb", "eog", "gwenview", "shotwell",
)  # fmt: skip
"""Viewers whose "rotate" turns the pixels and leaves DJI's angles as they were. Seen in brighton_beach: six of its
photos were turned by half so."""


def position(metadata: Metadata, path: object) -> Position:
    """The position, EXIF's or else DJI's. Raises `Refused`: no-position, impossible-position."""
    lat = _angle(metadata.gps, "GPSLatitude", {"N": 1, "S": -1})
    lon = _angle(metadata.gps, "GPSLongitude", {"E": 1, "W": -1})
    if lat is None or lon is None:
        pairs = [(metadata.xmp_number(a), metadata.xmp_number(b)) for a, b in vendors.POSITIONS]
        lat, lon = next((pair for pair in pairs if None not in pair), (None, None))
    if lat is None or lon is None:
        raise Refused(
            "no-position",
            f"{path}: says nowhere where it was taken{_because(metadata)}.",
            "Send the camera's original file (messengers and editors remove the position), or use --pixels.",
        )
    if not (-90 <= lat <= 90 and -180 <= lon <= 180) or (abs(lat) < 1e-6 and abs(lon) < 1e-6):
        raise Refused(
            "impossible-position",
            f"{path}: latitude {lat:g}, longitude {lon:g} is no place where it can have been taken.",
            "The receiver had no fix or the tag is damaged: correct the position, or send another picture.",
        )
    height = finite(metadata.gps.get("GPSAltitude"))
    if height is not None and metadata.gps.get("GPSAltitudeRef") in (b"\x01", 1):
        height = -height
    if height is None:
        height = next(vendors.numbers(metadata, vendors.ABSOLUTE), None)
    above = next(vendors.numbers(metadata, vendors.HEIGHTS), None)
    return Position(lon, lat, height, above, *_position_error(metadata))


def attitude(metadata: Metadata) -> tuple[Attitude | None, str | None]:
    """The camera's attitude, or None and a note that says why not."""
    found = vendors.declared_attitude(metadata)
    if found is None:
        return None, "the file does not say which way the camera looked"
    if max(abs(found.yaw), abs(found.roll)) > 360 or abs(found.pitch) > 180:
        return None, f"impossible attitude: yaw {found.yaw:g}, pitch {found.pitch:g}, roll {found.roll:g}"
    if metadata.xmp_number("drone-dji:CamReverse") or metadata.xmp_number("drone-dji:GimbalReverse"):
        return None, "the camera was mounted the other way up, which its angles do not tell"
    return found, None


def turn_in_doubt(metadata: Metadata) -> str | None:
    """The program that rewrote the picture, where it is one that turns pictures: it then holds other pixels at each
    place than the camera's angles tell of, and nothing in the file says so."""
    software = metadata.text("Software") or ""
    return software if any(name in software.lower() for name in TURNING_PROGRAMS) else None


def _angle(gps: Any, tag: str, signs: dict[str, int]) -> float | None:
    """Degrees from degrees, minutes and seconds; None without a hemisphere, for half of the guesses would be wrong."""
    parts, hemisphere = gps.get(tag), gps.get(f"{tag}Ref")
    if isinstance(hemisphere, bytes):
        hemisphere = hemisphere.decode("ascii", "replace")
    sign = signs.get(hemisphere.strip("\0 ").upper()) if isinstance(hemisphere, str) else None
    if sign is None or not isinstance(parts, tuple) or len(parts) != 3:
        return None
    degrees, minutes, seconds = (finite(part) for part in parts)
    if degrees is None or minutes is None or seconds is None:
        return None
    return sign * (degrees + minutes / 60 + seconds / 3600)


def _position_error(metadata: Metadata) -> tuple[float, float | None]:
    """Horizontal and, where the file tells one, vertical: one sigma, metres."""
    deviations = [metadata.xmp_number("drone-dji:RtkStdLon"), metadata.xmp_number("drone-dji:RtkStdLat")]
    rtk = [deviation for deviation in deviations if deviation is not None and deviation > 0]
    if metadata.xmp_number("drone-dji:RtkFlag") and len(rtk) == 2:
        up = metadata.xmp_number("drone-dji:RtkStdHgt")
        return max(*rtk, BEST_RTK_ERROR), max(up, BEST_RTK_ERROR) if up is not None and up > 0 else None
    for across, up_name in vendors.ACCURACIES:
        horizontal, vertical = metadata.xmp_number(across), metadata.xmp_number(up_name)
        if horizontal is not None and horizontal > 0:
            return max(horizontal, BEST_RTK_ERROR), vertical if vertical and vertical > 0 else None
    declared = finite(metadata.gps.get("GPSHPositioningError"))
    if declared is not None and declared > 0:
        return declared, None
    return (OLD_FIX_ERROR if str(metadata.gps.get("GPSStatus", "")).startswith("V") else GNSS_ERROR), None


def _because(metadata: Metadata) -> str:
    if metadata.notes:
        return f" ({'; '.join(metadata.notes)})"
    return " (its GPS tags lack a value or the hemisphere)" if "GPSLatitude" in metadata.gps else ""
