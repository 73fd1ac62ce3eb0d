"""The ground that a photo shows, over flat ground at the height of take-off, and how far its outline may be off."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import shapely
from shapely.geometry import Point, Polygon, box
from shapely.geometry.polygon import orient

from imagery.camera import Camera, Points
from imagery.ground import WGS84, as_geojson
from imagery.values import Attitude, Footprint, Lens, Position

# One sigma each, and independent. Assumed, not measured; to be replaced where a file tells its own.
YAW_SIGMA = 3.0
"""Degrees. A compass among motors; 3 degrees is also what Pix4D's documentation calls an accurate IMU."""
TILT_SIGMA = 1.0
"""Degrees, pitch and roll each: a levelled gimbal, whose tags say 0.1."""
HEIGHT_SIGMA = 2.0
"""Metres: drift of the barometer in a flight of half an hour, over take-off height."""
TERRAIN_SIGMA = 0.05
"""Of the height: the ground under the picture is not at the height of take-off."""
FOCAL_SIGMA = {"calibrated": 0.005, "35mm-equivalent": 0.03}
"""Of the focal length: factory calibration at another temperature and focus; rounding of the equivalent to whole
millimetres and the doubt which sensor it is told of."""

TRUSTED = 0.5
"""An outline that is off by more than this part of the footprint's own size is no footprint."""
DIGITS = 8
"""Of degrees: 1 mm."""


def pose_footprint(position: Position, attitude: Attitude, lens: Lens) -> tuple[Footprint | None, str | None]:
    """The footprint of a posed photo, or None and a note that says why none could be trusted.

    Corners are the camera's rays cut with flat ground `above_ground` below it, and laid on the ellipsoid by geodesics
    from the position. What lies near or above the horizon is left out (`imagery.camera.FURTHEST`), and noted.
    """
    height = position.above_ground
    if height is None:
        return None, "the file does not say how high above the ground it was taken"
    if height <= 0:
        return None, f"taken {height:g} m above take-off: not from above the ground"
    camera = Camera(lens, attitude, height)
    corners = camera.footprint()
    if not len(corners):
        return None, "the camera looked over the horizon"
    shape = Polygon(corners)
    error = math.hypot(position.error_m, outline_error(camera))
    if error > TRUSTED * math.sqrt(shape.area):
        return None, (
            f"its outline would be off by about {error:.0f} m, too much for {math.sqrt(shape.area):.0f} m of ground: "
            f"taken {height:g} m above take-off, looking {-attitude.pitch:g} degrees under the horizon"
        )
    lonlat = from_position(position, corners)
    note = "the part at and above the horizon is left out of the footprint" if camera.cut else None
    return Footprint(geojson_area(lonlat), "pose", round(error, 2)), note


def position_footprint(position: Position) -> Footprint:
    """The point that a photo was taken from, which is all that is known of what it shows."""
    point = Point(round(position.lon, DIGITS), round(position.lat, DIGITS))
    return Footprint(as_geojson(point), "position", position.error_m)


def outline_error(camera: Camera) -> float:
    """Metres, one sigma: how far the outline's worst corner moves with the pose, the position aside.

    First-order propagation: each parameter is moved by its sigma and the corners' shifts are added in squares.
    """
    outline = camera.outline()
    corners = camera.to_ground(outline)
    attitude, lens = camera.attitude, camera.lens
    height_sigma = math.hypot(HEIGHT_SIGMA, TERRAIN_SIGMA * camera.height)
    moved = [
        replace(camera, attitude=replace(attitude, yaw=attitude.yaw + YAW_SIGMA)),
        replace(camera, attitude=replace(attitude, pitch=attitude.pitch - TILT_SIGMA)),
        replace(camera, attitude=replace(attitude, roll=attitude.roll + TILT_SIGMA)),
        replace(camera, height=camera.height + height_sigma),
        replace(camera, lens=replace(lens, focal=lens.focal * (1 - FOCAL_SIGMA[lens.source]))),
    ]
    # A corner that a small turn lifts over the horizon is off without bound.
    shifts = [np.nan_to_num(each.to_ground(outline) - corners, nan=np.inf) for each in moved]
    variance = sum((shift**2).sum(axis=1) for shift in shifts)
    return float(np.sqrt(np.max(variance)))


def from_position(position: Position, ground: Points) -> Points:
    """Longitude, latitude [N, 2] of points east, north [N, 2] metres of the position, along geodesics."""
    east, north = ground[:, 0], ground[:, 1]
    here = np.full(len(ground), position.lon), np.full(len(ground), position.lat)
    lon, lat, _ = WGS84.fwd(*here, np.degrees(np.arctan2(east, north)), np.hypot(east, north))
    return np.stack([lon, lat], axis=-1)


def geojson_area(ring: Points) -> dict[str, Any]:
    """RFC 7946: a ring of longitude, latitude [N, 2], counter-clockwise and cut in two at the antimeridian."""
    if np.ptp(ring[:, 0]) <= 180:
        return as_geojson(orient(Polygon(ring.round(DIGITS))))
    east = Polygon(np.stack([ring[:, 0] % 360, ring[:, 1]], axis=-1))
    near, far = shapely.intersection(east, [box(0, -90, 180, 90), box(180, -90, 360, 90)])
    beyond = shapely.transform(far, lambda xy: xy - np.array([360.0, 0.0]))
    parts = [shapely.transform(part, lambda xy: xy.round(DIGITS)) for part in (near, beyond)]
    return as_geojson(shapely.multipolygons([orient(part) for part in parts]))
