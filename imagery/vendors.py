"""Which way the camera looked and how high it was, in the tags of each maker.

| maker | tags | convention |
| --- | --- | --- |
| DJI | `drone-dji:Gimbal*Degree`, `RelativeAltitude` | pitch -90 straight down |
| Autel | `drone:Gimbal*Degree`, `RelativeAltitude` (the same names in a namespace of its own) | as DJI's |
| Parrot (Anafi) | `drone-parrot:Camera*Degree` (Parrot GroundSDK, "Photo metadata") | as DJI's |
| Skydio | `drone-skydio:CameraOrientationNED/…`, `RelativeAltitude` (Skydio, "Camera and metadata overview") | as DJI's |
| senseFly, MicaSense, Sequoia, older Autel | `Camera:Yaw Pitch Roll`, `AboveGroundAltitude` (Pix4D, "Specifications of XMP camera tags") | 0 straight down |

MicaSense's `DLS:Yaw …` are those of its light sensor, not of the camera, and are not read.
"""  # noqa: E501

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from imagery.metadata import Metadata
from imagery.values import Attitude

GIMBALS = (
    ("drone-dji:GimbalYawDegree", "drone-dji:GimbalPitchDegree", "drone-dji:GimbalRollDegree"),
    ("drone:GimbalYawDegree", "drone:GimbalPitchDegree", "drone:GimbalRollDegree"),
    ("drone-parrot:CameraYawDegree", "drone-parrot:CameraPitchDegree", "drone-parrot:CameraRollDegree"),
    (
        "drone-skydio:CameraOrientationNED/Yaw",
        "drone-skydio:CameraOrientationNED/Pitch",
        "drone-skydio:CameraOrientationNED/Roll",
    ),
)
BODY = ("Camera:Yaw", "Camera:Pitch", "Camera:Roll")
HEIGHTS = (
    "drone-dji:RelativeAltitude",
    "drone:RelativeAltitude",
    "drone-skydio:RelativeAltitude",
    "Camera:AboveGroundAltitude",
)
ABSOLUTE = ("drone-dji:AbsoluteAltitude", "drone:AbsoluteAltitude", "drone-skydio:AbsoluteAltitude")
POSITIONS = (
    ("drone-dji:GpsLatitude", "drone-dji:GpsLongitude"),
    ("drone-dji:GpsLatitude", "drone-dji:GpsLongtitude"),  # so spelt by older DJI firmware
    ("drone:GpsLatitude", "drone:GpsLongitude"),
    ("drone:GpsLatitude", "drone:GpsLongtitude"),
    ("drone-skydio:Latitude", "drone-skydio:Longitude"),
)
ACCURACIES = (
    ("Camera:GPSXYAccuracy", "Camera:GPSZAccuracy"),
    ("drone-skydio:GpsHorizontalAccuracy", "drone-skydio:GpsVerticalAccuracy"),
)


def declared_attitude(metadata: Metadata) -> Attitude | None:
    """The camera's attitude in DJI's convention, from the first maker's tags that are complete."""
    for names in GIMBALS:
        yaw, pitch, roll = (metadata.xmp_number(name) for name in names)
        if yaw is not None and pitch is not None and roll is not None:
            return Attitude(yaw, pitch, roll)
    yaw, pitch, roll = (metadata.xmp_number(name) for name in BODY)
    if yaw is None or pitch is None or roll is None:
        return None
    if (metadata.text("Make") or "").lower() == "sensefly":
        roll = -roll  # senseFly counts it to the left
    return from_body(yaw, pitch, roll)


def from_body(yaw: float, pitch: float, roll: float) -> Attitude:
    """The attitude of a camera that looks down out of a body with these angles (aerospace order: yaw, pitch nose up,
    roll right wing down), the top of its picture to the nose."""
    y, p, r = (math.radians(angle) for angle in (yaw, pitch, roll))
    cy, sy, cp, sp, cr, sr = math.cos(y), math.sin(y), math.cos(p), math.sin(p), math.cos(r), math.sin(r)
    # Columns of the rotation from body to north, east, down, written as east, north, up.
    wing = np.array([sy * sp * sr + cy * cr, cy * sp * sr - sy * cr, -cp * sr])
    view = np.array([sy * sp * cr - cy * sr, cy * sp * cr + sy * sr, -cp * cr])
    return attitude_of(view, wing)


def attitude_of(view: NDArray[np.float64], right: NDArray[np.float64]) -> Attitude:
    """The attitude of a camera that looks along `view`, `right` to the right of its picture: unit vectors in east,
    north, up."""
    level_part = math.hypot(view[0], view[1])
    tilt = math.degrees(math.atan2(view[2], level_part))
    steep = level_part < 1e-12  # then the right side tells the heading
    heading = math.atan2(-right[1], right[0]) if steep else math.atan2(view[0], view[1])
    level = np.array([math.cos(heading), -math.sin(heading), 0.0])
    turn = math.atan2(float(right @ np.cross(view, level)), float(right @ level))
    return Attitude(math.degrees(heading), tilt, math.degrees(turn))


def numbers(metadata: Metadata, names: tuple[str, ...]) -> Iterator[float]:
    """The tags of these names that hold a number."""
    for name in names:
        value = metadata.xmp_number(name)
        if value is not None:
            yield value
