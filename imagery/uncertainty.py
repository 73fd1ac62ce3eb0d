"""How far a pixel's place on the ground may be off: first-order propagation of the pose's errors.

Each parameter of the pose is moved by its sigma, and the shifts of the ground point are added as outer products: the
covariance of a linear function of independent errors, with secants for derivatives, which also holds where the view is
oblique and the function bends.
"""

import math
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imagery.camera import Camera, Relief
from imagery.values import Ellipse, LensSource, PoseSigma, Position

# One sigma each, and independent. Assumed, not measured; to be replaced where a file tells its own.
YAW_SIGMA = 3.0
"""Degrees. A compass among motors; 3 degrees is also what Pix4D's documentation calls an accurate IMU."""
TILT_SIGMA = 1.0
"""Degrees, pitch and roll each: a levelled gimbal, whose tags say 0.1."""
TRACK_YAW_SIGMA, TRACK_TILT_SIGMA = 15.0, 5.0
"""Degrees, for an attitude that was read off the track: wind turns an aircraft against its way, and no gimbal holds
the camera level."""
HEIGHT_SIGMA = 2.0
"""Metres: drift of the barometer in a flight of half an hour, over take-off height."""
TERRAIN_SIGMA = 0.05
"""Of the height: the ground under the picture is not at the height of take-off."""
DEM_SIGMA = 1.0
"""Metres, of an elevation model that was given: what is built or grown on it is not in it."""
FOCAL_SIGMA: dict[LensSource, float] = {
    "calibrated": 0.005,
    "sensor-table": 0.01,
    "focal-plane": 0.02,
    "35mm-equivalent": 0.03,
    "field-of-view": 0.05,
}
"""Of the focal length: factory calibration at another temperature and focus; focal lengths in whole tenths of a
millimetre; rounding of the equivalent to whole millimetres and the doubt which sensor it is told of."""

CHI2_95 = 5.991464547107979
"""The square of the scale from one sigma to 95 % in two dimensions: -2 ln 0.05."""


def assumed_sigma(
    position: Position, source: LensSource, height: float, *, tracked: bool = False, dem: bool = False
) -> PoseSigma:
    """The errors of a pose `height` metres above the ground, from what its file tells and else from the constants."""
    vertical = HEIGHT_SIGMA if position.height_error_m is None or not dem else position.height_error_m
    ground = DEM_SIGMA if dem else TERRAIN_SIGMA * height
    return PoseSigma(
        yaw=TRACK_YAW_SIGMA if tracked else YAW_SIGMA,
        tilt=TRACK_TILT_SIGMA if tracked else TILT_SIGMA,
        height=math.hypot(vertical, ground),
        focal=FOCAL_SIGMA[source],
        position=position.error_m,
    )


def covariance(
    camera: Camera, sigma: PoseSigma, pixels: ArrayLike, relief: Relief | None = None
) -> NDArray[np.float64]:
    """Square metres [..., 2, 2], east and north, of the ground points of pixels [..., 2]; infinite where a sigma lifts
    the line of sight over the horizon, NaN where it already is there."""
    p = np.asarray(pixels, dtype=np.float64)
    places = camera.to_ground(p, relief)
    attitude, lens = camera.attitude, camera.lens
    moved = [
        replace(camera, attitude=replace(attitude, yaw=attitude.yaw + sigma.yaw)),
        replace(camera, attitude=replace(attitude, pitch=attitude.pitch - sigma.tilt)),
        replace(camera, attitude=replace(attitude, pitch=attitude.pitch + sigma.tilt)),
        replace(camera, attitude=replace(attitude, roll=attitude.roll + sigma.tilt)),
        replace(camera, height=camera.height + sigma.height),
        replace(camera, lens=replace(lens, focal=lens.focal * (1 - sigma.focal))),
    ]
    # Up and down are not the same in an oblique view: the pitch counts with the mean of both.
    weights = [1.0, 0.5, 0.5, 1.0, 1.0, 1.0]
    total = np.zeros((*p.shape, 2))
    for weight, each in zip(weights, moved, strict=True):
        shift = each.to_ground(p, relief) - places
        lost = np.isnan(shift) & np.isfinite(places)
        shift = np.where(lost, np.inf, shift)
        with np.errstate(invalid="ignore"):
            total = total + weight * shift[..., :, None] * shift[..., None, :]
    return total + np.eye(2) * sigma.position**2


def ellipse(of: NDArray[np.float64]) -> Ellipse:
    """The 95 % error ellipse of one covariance [2, 2], east and north. Raises ValueError where it is not finite."""
    if not np.isfinite(of).all():
        raise ValueError("a covariance that is not finite has no ellipse")
    values, vectors = np.linalg.eigh(of)
    minor, major = (math.sqrt(max(float(value), 0.0) * CHI2_95) for value in values)
    east, north = vectors[:, 1]
    return Ellipse(round(major, 3), round(minor, 3), round(math.degrees(math.atan2(east, north)) % 180, 1))


def inside(of: NDArray[np.float64], offset: ArrayLike) -> NDArray[np.bool_]:
    """Whether offsets [..., 2] (east, north) lie in the 95 % ellipses of covariances [..., 2, 2]."""
    off = np.asarray(offset, dtype=np.float64)
    solved = np.linalg.solve(of, off[..., None])[..., 0]
    return np.asarray((off * solved).sum(axis=-1) <= CHI2_95)
