"""Lens distortion after Brown and Conrady, both ways, over the ideal image plane at focal length 1.

x' = x (1 + k1 r^2 + k2 r^4 + k3 r^6) + 2 p1 x y + p2 (r^2 + 2 x^2), and y' alike with p1 and p2 changed over (D. C.
Brown, "Close-range camera calibration", 1971; the same model and order as OpenCV's). Imports numpy alone.
"""

import numpy as np
from numpy.typing import NDArray

from imagery.values import Distortion

Points = NDArray[np.float64]

STEPS = 12
"""Newton's steps; four are enough for lenses of drones, and steps are cheap."""
CLOSE = 1e-9
"""Of the focal length: a point that is not found as well as this has no place on the ideal plane."""


def distort(ideal: Points, by: Distortion) -> Points:
    """Where the lens puts points [..., 2] of the ideal plane."""
    x, y = ideal[..., 0], ideal[..., 1]
    r2 = x * x + y * y
    radial = 1 + r2 * (by.k1 + r2 * (by.k2 + r2 * by.k3))
    across = x * radial + 2 * by.p1 * x * y + by.p2 * (r2 + 2 * x * x)
    down = y * radial + by.p1 * (r2 + 2 * y * y) + 2 * by.p2 * x * y
    return np.stack([across, down], axis=-1)


def undistort(seen: Points, by: Distortion) -> Points:
    """The points [..., 2] of the ideal plane that the lens put at `seen`; NaN where there is none: the polynomial folds
    back beyond the picture that it was fitted to."""
    ideal = seen.copy()
    with np.errstate(all="ignore"):
        for _ in range(STEPS):
            off = distort(ideal, by) - seen
            (a, b), (c, d) = _slopes(ideal, by)
            scale = a * d - b * c
            ideal = (
                ideal
                - np.stack([d * off[..., 0] - b * off[..., 1], a * off[..., 1] - c * off[..., 0]], -1)
                / (scale[..., None])
            )
        off = np.abs(distort(ideal, by) - seen).max(axis=-1)
        (a, b), (c, d) = _slopes(ideal, by)
        found = (off < CLOSE) & (a * d - b * c > 0)
    return np.where(found[..., None], ideal, np.nan)


def _slopes(ideal: Points, by: Distortion) -> tuple[tuple[Points, Points], tuple[Points, Points]]:
    """The derivatives of `distort`: rows across and down, columns by x and by y."""
    x, y = ideal[..., 0], ideal[..., 1]
    r2 = x * x + y * y
    radial = 1 + r2 * (by.k1 + r2 * (by.k2 + r2 * by.k3))
    bend = 2 * (by.k1 + r2 * (2 * by.k2 + r2 * 3 * by.k3))
    mixed = x * y * bend + 2 * (by.p1 * x + by.p2 * y)
    return (
        (radial + x * x * bend + 2 * by.p1 * y + 6 * by.p2 * x, mixed),
        (mixed, radial + y * y * bend + 6 * by.p1 * y + 2 * by.p2 * x),
    )
