"""A pinhole camera above flat ground: pixels to metres on the ground and back.

Ground coordinates are metres east and north of the point straight below the camera; the ground is the plane `height`
metres under it. Axes of the camera: x right, y down, z along the view. Arrays are float64 [..., 2]: (x, y) in pixels,
whole numbers at pixel *corners* (the image covers [0, width] x [0, height]), or (east, north) in metres.

The rotation is DJI's gimbal convention, applied yaw, then pitch, then roll about the viewing axis (DJI "Camera Gimbal"
documentation, Z-Y'-X''); the projection is the collinearity equation of any photogrammetry textbook, without
distortion. Imports numpy alone.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imagery.values import Attitude, Lens

Points = NDArray[np.float64]

FURTHEST = 5.0
"""How far a footprint may reach, in heights of the camera: 11 degrees under the horizon. Beyond it one degree of
attitude moves the outline by half the height and more, so that the outline would be a guess."""


@dataclass(frozen=True)
class Camera:
    """`lens` and `attitude` of a photo taken `height` metres above flat ground."""

    lens: Lens
    attitude: Attitude
    height: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.height) and self.height > 0):
            raise ValueError(f"a camera looks down from above the ground, not from {self.height} m")

    @cached_property
    def axes(self) -> Points:
        """[3, 3]: row i is the camera's axis i (right, down, forward) in east, north, up."""
        yaw, pitch, roll = (math.radians(a) for a in (self.attitude.yaw, self.attitude.pitch, self.attitude.roll))
        forward = np.array([math.sin(yaw) * math.cos(pitch), math.cos(yaw) * math.cos(pitch), math.sin(pitch)])
        right = np.array([math.cos(yaw), -math.sin(yaw), 0.0])
        down = np.cross(forward, right)
        c, s = math.cos(roll), math.sin(roll)
        return np.stack([c * right + s * down, c * down - s * right, forward])

    def rays(self, pixels: ArrayLike) -> Points:
        """Directions [..., 3] in east, north, up of the lines of sight of pixels [..., 2]; not of unit length."""
        p = np.asarray(pixels, dtype=np.float64)
        across = (p[..., 0] - self.lens.cx) / self.lens.focal
        along = (p[..., 1] - self.lens.cy) / self.lens.focal
        return np.asarray(np.stack([across, along, np.ones_like(across)], axis=-1) @ self.axes)

    def to_ground(self, pixels: ArrayLike) -> Points:
        """East, north [..., 2] in metres where pixels [..., 2] meet the ground; NaN at and above the horizon."""
        rays = self.rays(pixels)
        sinks = -rays[..., 2]
        with np.errstate(all="ignore"):
            scale = np.where(sinks > 1e-12, self.height / sinks, np.nan)
        return np.asarray(rays[..., :2] * scale[..., None])

    def to_pixel(self, ground: ArrayLike) -> Points:
        """Pixels [..., 2] that see ground points east, north [..., 2]; NaN behind the camera. They may lie outside
        the image."""
        g = np.asarray(ground, dtype=np.float64)
        sight = np.concatenate([g, np.full((*g.shape[:-1], 1), -self.height)], axis=-1) @ self.axes.T
        with np.errstate(all="ignore"):
            scale = np.where(sight[..., 2] > 1e-12, self.lens.focal / sight[..., 2], np.nan)
        return np.asarray(sight[..., :2] * scale[..., None] + np.array([self.lens.cx, self.lens.cy]))

    def outline(self, furthest: float = FURTHEST) -> Points:
        """Pixels [N, 2] around the part of the image that shows ground within `furthest` heights; N is 0 where none
        does, 4 where all does (from the top left corner, clockwise in the image).

        The limit is a square on the ground turned to the view, because its sides are straight lines in the image too:
        the cut is exact. Straight lines stay straight under the projection, so that these corners are all that a
        footprint needs.
        """
        w, h = float(self.lens.width), float(self.lens.height)
        ring = np.array([[0.0, 0.0], [w, 0.0], [w, h], [0.0, h]])
        yaw = math.radians(self.attitude.yaw)
        ahead, aside = np.array([math.sin(yaw), math.cos(yaw)]), np.array([math.cos(yaw), -math.sin(yaw)])
        for direction in (ahead, -ahead, aside, -aside):
            ring = self._cut(ring, direction, furthest)
        return ring

    def footprint(self, furthest: float = FURTHEST) -> Points:
        """East, north [N, 2] of the corners of the ground seen, in the order of `outline`."""
        return self.to_ground(self.outline(furthest))

    @property
    def cut(self) -> bool:
        """Whether part of the image shows no ground within `FURTHEST`: sky, or ground too far to place."""
        w, h = self.lens.width, self.lens.height
        corners = self.to_ground([[0, 0], [w, 0], [w, h], [0, h]])
        return not np.array_equal(self.footprint(), corners)

    def gsd(self) -> float:
        """Metres on the ground per pixel in the middle of the image (geometric mean of both directions); NaN where
        the middle shows no ground."""
        x, y = self.lens.width / 2, self.lens.height / 2
        left, right, top, bottom = self.to_ground([[x - 0.5, y], [x + 0.5, y], [x, y - 0.5], [x, y + 0.5]])
        (a, c), (b, d) = right - left, bottom - top
        return math.sqrt(abs(a * d - b * c))

    def _cut(self, ring: Points, direction: Points, furthest: float) -> Points:
        """Sutherland-Hodgman against one side: keeps pixels whose ground lies less than `furthest` heights along
        `direction`, which is linear in the pixel: sinks * furthest - ray . direction >= 0."""
        if not len(ring):
            return ring
        rays = self.rays(ring)
        inside = -rays[:, 2] * furthest - rays[:, :2] @ direction
        kept: list[Points] = []
        for i in range(len(ring)):
            j = (i + 1) % len(ring)
            if inside[i] >= 0:
                kept.append(ring[i])
            if (inside[i] >= 0) != (inside[j] >= 0):
                kept.append(ring[i] + (ring[j] - ring[i]) * (inside[i] / (inside[i] - inside[j])))
        return np.array(kept) if len(kept) >= 3 else np.empty((0, 2))
