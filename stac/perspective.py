"""How a photo's camera stood, said on its item so that any pixel can be projected to the ground and back.

The perspective-imagery extension gives the terms: the perspective centre in OGC:CRS84, and a rotation (matrix, and
omega, phi, kappa in degrees) from east, north, up *at that centre* to the photogrammetric image axes: x right, y up,
z out of the picture towards the viewer. What it has no term for (focal length in pixels, principal point in pixels,
distortion, height above the ground, errors) has the prefix `flyonce:`. `camera_of` reads an item back.
"""

import math
from dataclasses import asdict
from typing import Any

import numpy as np

from imagery.camera import Camera
from imagery.values import Attitude, Capture, Distortion, Lens, Position
from stac.store import Item


def pose_properties(capture: Capture) -> dict[str, Any]:
    """Where the camera was and looked, and through what, as item properties."""
    said = _place(capture) | _look(capture) | _lens(capture)
    if capture.turn_in_doubt:
        said["flyonce:turn_in_doubt"] = True
    if capture.position is not None and capture.lens is not None:
        said["pers:interior_orientation"] = _interior(capture, capture.lens)
        if capture.attitude is not None and not capture.turn_in_doubt:
            said |= _rotation(Camera(capture.lens, capture.attitude, 1.0))
    if capture.sigma is not None:
        said["flyonce:pose_sigma"] = asdict(capture.sigma)
    if capture.footprint.ellipse is not None:
        said["flyonce:error_ellipse"] = asdict(capture.footprint.ellipse)
    return said


def camera_of(item: Item) -> tuple[Camera, Position] | None:
    """The camera of a photo's item and the place it stood at; None where the item tells no pose.

    The camera's ground coordinates are metres east and north of the position (`imagery.footprints.from_position`).
    """
    said = item["properties"]
    needed = ("flyonce:attitude", "flyonce:focal_px", "flyonce:height_above_ground", "pers:perspective_center")
    if said.get("flyonce:turn_in_doubt") or any(name not in said for name in needed):
        return None
    if said["flyonce:height_above_ground"] <= 0:
        return None
    width, height = said["pers:interior_orientation"]["sensor_array_dimensions"]
    cx, cy = said.get("flyonce:principal_point", (width / 2, height / 2))
    bent = said.get("flyonce:distortion")
    lens = Lens(
        width,
        height,
        said["flyonce:focal_px"],
        cx,
        cy,
        said["flyonce:lens_source"],
        None if bent is None else Distortion(**bent),
    )
    lon, lat, *up = said["pers:perspective_center"]
    above = said["flyonce:height_above_ground"]
    error = said.get("flyonce:pose_sigma", {}).get("position", said["flyonce:footprint_error_m"])
    position = Position(lon, lat, up[0] if up else None, above, error)
    return Camera(lens, Attitude(**said["flyonce:attitude"]), above), position


def _place(capture: Capture) -> dict[str, Any]:
    position = capture.position
    if position is None:
        return {}
    up = [] if position.height is None else [position.height]
    above = capture.camera_height if capture.camera_height is not None else position.above_ground
    # CRS84 is WGS84 with longitude first; files do not say what their heights are above.
    said = {"pers:crs": "OGC:CRS84", "pers:perspective_center": [position.lon, position.lat, *up]}
    return said if above is None else said | {"flyonce:height_above_ground": above}


def _look(capture: Capture) -> dict[str, Any]:
    attitude = capture.attitude
    if attitude is None:
        return {}
    said: dict[str, Any] = {"flyonce:attitude": {"yaw": attitude.yaw, "pitch": attitude.pitch, "roll": attitude.roll}}
    if capture.attitude_from == "track":
        said["flyonce:attitude_from"] = "track"
    if -90 <= attitude.pitch <= 0:
        said |= {"view:off_nadir": attitude.pitch + 90, "view:azimuth": attitude.yaw % 360}
    return said


def _lens(capture: Capture) -> dict[str, Any]:
    lens = capture.lens
    if lens is None:
        return {}
    said: dict[str, Any] = {"flyonce:focal_px": lens.focal, "flyonce:lens_source": lens.source}
    said["flyonce:principal_point"] = [lens.cx, lens.cy]
    return said if lens.distortion is None else said | {"flyonce:distortion": asdict(lens.distortion)}


def _interior(capture: Capture, lens: Lens) -> dict[str, Any]:
    said: dict[str, Any] = {
        "sensor_array_dimensions": [lens.width, lens.height],
        "field_of_view": math.degrees(2 * math.atan(lens.width / 2 / lens.focal)),
        **({"camera_manufacturer": capture.make} if capture.make else {}),
        **({"camera_model": capture.model} if capture.model else {}),
    }
    if capture.focal_mm is not None:
        pitch = capture.focal_mm / lens.focal
        said |= {
            "focal_length": capture.focal_mm,
            "pixel_spacing": [pitch, pitch],
            "principal_point_offset": [(lens.cx - lens.width / 2) * pitch, -(lens.cy - lens.height / 2) * pitch],
        }
    if lens.distortion is not None:
        said["radial_distortion"] = [0.0, lens.distortion.k1, lens.distortion.k2, lens.distortion.k3]
    return said


def _rotation(camera: Camera) -> dict[str, Any]:
    right, down, forward = camera.axes
    m = np.stack([right, -down, -forward])
    return {
        "pers:rotation_matrix": [float(value) for value in m.ravel()],
        "pers:omega": math.degrees(math.atan2(-m[2, 1], m[2, 2])),
        "pers:phi": math.degrees(math.asin(min(1.0, max(-1.0, float(m[2, 0]))))),
        "pers:kappa": math.degrees(math.atan2(-m[1, 0], m[0, 0])),
    }
