"""A photo's interior orientation from its tags: calibration first, then the sensor, then the 35 mm equivalent."""

import math

from imagery.metadata import Metadata, finite
from imagery.sensors import sensor_of
from imagery.values import Distortion, Lens

FULL_FRAME_DIAGONAL = 43.2666
"""Millimetres: 36 x 24 mm film, which CIPA DCG-001 relates the 35 mm equivalent to by the diagonal."""
SENSOR_SHAPES = (4 / 3, 3 / 2, 16 / 9, 5 / 4, 1.0)
SHAPE_TOLERANCE = 0.01
CENTRE_TOLERANCE = 0.05
"""A calibrated centre further from the middle, in widths, belongs to another picture: this one was cut or resized."""
RESOLUTION_UNITS_MM = {2: 25.4, 3: 10.0, 4: 1.0, 5: 0.001}
"""EXIF FocalPlaneResolutionUnit."""

Found = tuple[Lens | None, str | None]
"""A lens, or what should be said of it, or neither."""


def lens(metadata: Metadata, width: int, height: int) -> Found:
    """The interior orientation, or None and a note that says why not."""
    if (metadata.number("DigitalZoomRatio") or 1) > 1:
        return None, "digital zoom: the focal length is not known"
    for tag, size in (("ExifImageWidth", width), ("ExifImageHeight", height)):
        if (metadata.number(tag) or size) != size:
            return None, f"cut or resized after it was taken ({tag} says {metadata.number(tag):g}, it has {size})"
    if (metadata.xmp.get("Camera:ModelType") or "perspective").lower() != "perspective":
        return None, "a fisheye lens, which no footprint is computed for"
    for calibration in (_dewarp, _dji, _skydio, _pix4d):
        found, note = calibration(metadata, width, height)
        if found is not None or note is not None:
            return found, note
    return _by_sensor(metadata, width, height) or _equivalent(metadata, width, height)


def thermal(metadata: Metadata, width: int, height: int) -> bool:
    """Whether the picture is one of heat: FLIR's tags, DJI's word for its source, or its sensor."""
    band = metadata.xmp.get("FLIR:BandName") or metadata.xmp.get("Camera:BandName") or ""
    source = metadata.xmp.get("drone-dji:ImageSource", "")
    sensor = sensor_of(metadata.text("Model"), width, height)
    infrared = "infrared" in source.lower() or "LWIR" in band.upper()
    return infrared or (sensor is not None and sensor.thermal)


def _dewarp(metadata: Metadata, width: int, height: int) -> Found:
    """DJI's DewarpData: date; fx, fy, centre from the middle, k1, k2, p1, p2, k3. DewarpFlag 1: straightened."""
    text = metadata.xmp.get("drone-dji:DewarpData", "")
    numbers = [finite(part) for part in text.rpartition(";")[2].split(",")]
    if len(numbers) != 9 or any(number is None for number in numbers):
        return None, None
    fx, fy, cx, cy, k1, k2, p1, p2, k3 = (number or 0.0 for number in numbers)
    if not (fx > 0 and fy > 0 and max(abs(cx), abs(cy)) <= CENTRE_TOLERANCE * width):
        return None, "the calibration in the file (DewarpData) is no camera's"
    flag = metadata.xmp.get("drone-dji:DewarpFlag")
    bent = Distortion(k1, k2, p1, p2, k3) if flag == "0" and any((k1, k2, p1, p2, k3)) else None
    note = None if flag in ("0", "1") else "the file does not say whether its lens was straightened: taken so"
    return Lens(width, height, math.sqrt(fx * fy), width / 2 + cx, height / 2 + cy, "calibrated", bent), note


def _dji(metadata: Metadata, width: int, height: int) -> Found:
    focal = metadata.xmp_number("drone-dji:CalibratedFocalLength")
    cx = metadata.xmp_number("drone-dji:CalibratedOpticalCenterX")
    cy = metadata.xmp_number("drone-dji:CalibratedOpticalCenterY")
    return _centred(width, height, focal, cx, cy)


def _skydio(metadata: Metadata, width: int, height: int) -> Found:
    focal = metadata.xmp_number("drone-skydio:CalibratedFocalLength/X")
    cx = metadata.xmp_number("drone-skydio:CalibratedOpticalCenter/X")
    cy = metadata.xmp_number("drone-skydio:CalibratedOpticalCenter/Y")
    return _centred(width, height, focal, cx, cy)


def _centred(width: int, height: int, focal: float | None, cx: float | None, cy: float | None) -> Found:
    """A calibration in pixels."""
    if cx is None or cy is None:
        return None, None
    if max(abs(cx - width / 2), abs(cy - height / 2)) > CENTRE_TOLERANCE * width:
        return None, f"cut or resized after it was taken (its centre was at {cx:g}, {cy:g} px)"
    return (None if focal is None or focal <= 0 else Lens(width, height, focal, cx, cy, "calibrated")), None


def _pix4d(metadata: Metadata, width: int, height: int) -> Found:
    """`Camera:` tags in millimetres, over the pixel pitch that EXIF states (or a known sensor's)."""
    focal, pitch = metadata.xmp_number("Camera:PerspectiveFocalLength"), _pitch(metadata, width, height)
    if focal is None or focal <= 0 or pitch is None:
        return None, None
    centre = [finite(part) for part in metadata.xmp.get("Camera:PrincipalPoint", "").split(",")]
    cx, cy = width / 2, height / 2
    if len(centre) == 2 and centre[0] is not None and centre[1] is not None:
        cx, cy = centre[0] / pitch, centre[1] / pitch
    bends = [finite(part) or 0.0 for part in metadata.xmp.get("Camera:PerspectiveDistortion", "").split(",")]
    bent = None
    if len(bends) == 5 and any(bends):
        k1, k2, k3, p1, p2 = bends
        bent = Distortion(k1, k2, p1, p2, k3)
    found, note = _centred(width, height, focal / pitch, cx, cy)
    if found is None:
        return None, note
    return Lens(width, height, found.focal, cx, cy, "calibrated", bent), None


def _pitch(metadata: Metadata, width: int, height: int) -> float | None:
    """Millimetres per pixel."""
    sensor = sensor_of(metadata.text("Model"), width, height)
    if sensor is not None:
        return sensor.pitch
    density = metadata.number("FocalPlaneXResolution")
    unit = RESOLUTION_UNITS_MM.get(int(metadata.number("FocalPlaneResolutionUnit") or 2))
    return unit / density if density and density > 0 and unit else None


def _by_sensor(metadata: Metadata, width: int, height: int) -> Found | None:
    """Focal length in millimetres over the pitch of a known sensor, or over the one that EXIF states."""
    focal, pitch = metadata.number("FocalLength"), _pitch(metadata, width, height)
    if not focal or focal < 0 or pitch is None:
        return None
    known = sensor_of(metadata.text("Model"), width, height) is not None
    pixels = focal / pitch
    if not 0.2 * width < pixels < 40 * width:
        return None  # a pitch of no camera
    return Lens(width, height, pixels, width / 2, height / 2, "sensor-table" if known else "focal-plane"), None


def _equivalent(metadata: Metadata, width: int, height: int) -> Found:
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
