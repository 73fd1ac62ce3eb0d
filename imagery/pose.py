"""Where a photo was taken from, which way the camera looked, through what lens: tags judged before use."""

import math
from typing import Any

from imagery.errors import Refused
from imagery.metadata import Metadata, finite
from imagery.values import Attitude, Distortion, Lens, Position

GNSS_ERROR = 5.0
"""Metres, horizontal: what photogrammetry takes for a drone's plain GNSS position (Pix4D's "standard")."""
OLD_FIX_ERROR = 100.0
"""Metres: for a position that the receiver itself marked void (GPSStatus V): the last one it had."""
BEST_RTK_ERROR = 0.02
"""Metres: an antenna is not the camera, whatever standard deviation is written beside it."""

FULL_FRAME_DIAGONAL = 43.2666
"""Millimetres: 36 x 24 mm film, which CIPA DCG-001 relates the 35 mm equivalent to by the diagonal."""
TURNING_PROGRAMS = (
    "photo viewer", "microsoft photos", "windows photo", "photo gallery", "picasa", "irfanview", "xnview", "acdsee",
    "faststone", "gthumb", "eog", "gwenview", "shotwell",
)  # fmt: skip
"""Viewers whose "rotate" turns the pixels and leaves DJI's angles as they were. Seen in brighton_beach: six of its
photos were turned by half so."""
SENSOR_SHAPES = (4 / 3, 3 / 2, 16 / 9, 5 / 4, 1.0)
SHAPE_TOLERANCE = 0.01
CENTRE_TOLERANCE = 0.05
"""A calibrated centre further from the middle, in widths, belongs to another picture: this one was cut or resized."""


def position(metadata: Metadata, path: object) -> Position:
    """The position, EXIF's or else DJI's. Raises `Refused`: no-position, impossible-position."""
    lat = _angle(metadata.gps, "GPSLatitude", {"N": 1, "S": -1})
    lon = _angle(metadata.gps, "GPSLongitude", {"E": 1, "W": -1})
    if lat is None or lon is None:
        lat, lon = metadata.xmp_number("GpsLatitude"), metadata.xmp_number("GpsLongitude")
        lon = metadata.xmp_number("GpsLongtitude") if lon is None else lon  # so spelt by older DJI firmware
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
        height = metadata.xmp_number("AbsoluteAltitude")
    return Position(lon, lat, height, metadata.xmp_number("RelativeAltitude"), *_position_error(metadata))


def attitude(metadata: Metadata) -> tuple[Attitude | None, str | None]:
    """The gimbal's attitude, or None and a note that says why not."""
    yaw, pitch, roll = (metadata.xmp_number(f"Gimbal{axis}Degree") for axis in ("Yaw", "Pitch", "Roll"))
    if yaw is None or pitch is None or roll is None:
        return None, "the file does not say which way the camera looked"
    if max(abs(yaw), abs(roll)) > 360 or abs(pitch) > 180:
        return None, f"impossible attitude: yaw {yaw:g}, pitch {pitch:g}, roll {roll:g}"
    if metadata.xmp_number("CamReverse") or metadata.xmp_number("GimbalReverse"):
        return None, "the camera was mounted the other way up, which its angles do not tell"
    return Attitude(yaw, pitch, roll), None


def lens(metadata: Metadata, width: int, height: int) -> tuple[Lens | None, str | None]:
    """The interior orientation, or None and a note that says why not."""
    if (metadata.number("DigitalZoomRatio") or 1) > 1:
        return None, "digital zoom: the focal length is not known"
    for tag, size in (("ExifImageWidth", width), ("ExifImageHeight", height)):
        if (metadata.number(tag) or size) != size:
            return None, f"cut or resized after it was taken ({tag} says {metadata.number(tag):g}, it has {size})"
    calibrated, note = _dewarp(metadata, width, height)
    if calibrated is not None:
        return calibrated, note
    focal = metadata.xmp_number("CalibratedFocalLength")
    cx, cy = metadata.xmp_number("CalibratedOpticalCenterX"), metadata.xmp_number("CalibratedOpticalCenterY")
    if cx is not None and cy is not None:
        if max(abs(cx - width / 2), abs(cy - height / 2)) > CENTRE_TOLERANCE * width:
            return None, f"cut or resized after it was taken (its centre was at {cx:g}, {cy:g} px)"
        if focal is not None and focal > 0:
            return Lens(width, height, focal, cx, cy, "calibrated"), None
    return _equivalent(metadata, width, height)


def _dewarp(metadata: Metadata, width: int, height: int) -> tuple[Lens | None, str | None]:
    """DJI's DewarpData: date; fx, fy, centre from the middle, k1, k2, p1, p2, k3. DewarpFlag 1: straightened."""
    text = metadata.xmp.get("DewarpData", "")
    numbers = [finite(part) for part in text.rpartition(";")[2].split(",")]
    if len(numbers) != 9 or any(number is None for number in numbers):
        return None, None
    fx, fy, cx, cy, k1, k2, p1, p2, k3 = (number or 0.0 for number in numbers)
    if not (fx > 0 and fy > 0 and max(abs(cx), abs(cy)) <= CENTRE_TOLERANCE * width):
        return None, "the calibration in the file (DewarpData) is no camera's"
    flag = metadata.xmp.get("DewarpFlag")
    bent = Distortion(k1, k2, p1, p2, k3) if flag == "0" and any((k1, k2, p1, p2, k3)) else None
    note = None if flag in ("0", "1") else "the file does not say whether its lens was straightened: taken so"
    return Lens(width, height, math.sqrt(fx * fy), width / 2 + cx, height / 2 + cy, "calibrated", bent), note


def _equivalent(metadata: Metadata, width: int, height: int) -> tuple[Lens | None, str | None]:
    equivalent = metadata.number("FocalLengthIn35mmFilm")
    if not equivalent or equivalent < 0:
        return None, "the file tells no focal length that could be used"
    long, short = max(width, height), min(width, height)
    shape = long / short
    if min(abs(shape / known - 1) for known in SENSOR_SHAPES) > SHAPE_TOLERANCE:
        return None, f"cut after it was taken ({width} x {height} is the shape of no sensor)"
    # The equivalent is that of the whole sensor: pictures wider than 3:2 are cut from one of 4:3.
    diagonal = long * 1.25 if shape > 1.6 else float((long**2 + short**2) ** 0.5)
    focal = equivalent / FULL_FRAME_DIAGONAL * diagonal
    return Lens(width, height, focal, width / 2, height / 2, "35mm-equivalent"), None


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
    deviations = [metadata.xmp_number("RtkStdLon"), metadata.xmp_number("RtkStdLat")]
    rtk = [deviation for deviation in deviations if deviation is not None and deviation > 0]
    if metadata.xmp_number("RtkFlag") and len(rtk) == 2:
        up = metadata.xmp_number("RtkStdHgt")
        return max(*rtk, BEST_RTK_ERROR), max(up, BEST_RTK_ERROR) if up is not None and up > 0 else None
    declared = finite(metadata.gps.get("GPSHPositioningError"))
    if declared is not None and declared > 0:
        return declared, None
    return (OLD_FIX_ERROR if str(metadata.gps.get("GPSStatus", "")).startswith("V") else GNSS_ERROR), None


def _because(metadata: Metadata) -> str:
    if metadata.notes:
        return f" ({'; '.join(metadata.notes)})"
    return " (its GPS tags lack a value or the hemisphere)" if "GPSLatitude" in metadata.gps else ""
