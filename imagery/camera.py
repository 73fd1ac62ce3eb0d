"""A camera above the ground: pixels to metres on the ground and back, through a lens that may bend.

Ground coordinates are metres east and north of the point straight below the camera. The ground is the plane `height`
metres under it, or a relief over that plane. Axes of the camera: x right, y down, z along the view. Arrays are float64
[..., 2]: (x, y) in pixels, whole numbers at pixel *corners* (the image covers [0, width] x [0, height]), or (east,
north) in metres.

The rotation is DJI's gimbal convention, applied yaw, then pitch, then roll about the viewing axis (DJI "Camera Gimbal"
documentation, Z-Y'-X''); the projection is the collinearity equation of any photogrammetry textbook, with the
distortion of `imagery.distortion`. Imports numpy alone.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imagery.distortion import distort, undistort
from imagery.values import Attitude, Lens

Points = NDArray[np.float64]

FURTHEST = 5.0
"""How far a footprint may reach, in heights of the camera: 11 degrees under the horizon. Beyond it one degree of
attitude moves the outline by half the height and more, so that the outline would be a guess."""

SIDE = 24
"""Points along each side of an outline that is not made of straight lines."""
MARCH = 160
"""Steps of a line of sight towards a relief, before its crossing is halved down."""
HALVINGS = 24


class Relief(Protocol):
    """The height of the ground over the plane under the camera."""

    @property
    def lowest(self) -> float:
        """Metres; no ground lies deeper."""
        ...

    def heights(self, ground: Points) -> NDArray[np.float64]:
        """Metres [...] above the plane at east, north [..., 2]; NaN where it is not known."""
        ...


@dataclass(frozen=True)
class Camera:
    """`lens` and `attitude` of a photo taken `height` metres above the ground (with a relief: above its plane)."""

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
        """Directions [..., 3] in east, north, up of the lines of sight of pixels [..., 2]; not of unit length. NaN
        where the lens sees nothing."""
        return self._rays(self._ideal(np.asarray(pixels, dtype=np.float64)))

    def to_ground(self, pixels: ArrayLike, relief: Relief | None = None) -> Points:
        """East, north [..., 2] in metres where pixels [..., 2] meet the ground; NaN at and above the horizon, and where
        the relief is not known."""
        return self._meet(self.rays(pixels), relief)

    def to_pixel(self, ground: ArrayLike, up: ArrayLike = 0.0) -> Points:
        """Pixels [..., 2] that see ground points east, north [..., 2], `up` [...] metres above the plane; NaN behind
        the camera. They may lie outside the image."""
        g = np.asarray(ground, dtype=np.float64)
        above = np.broadcast_to(np.asarray(up, dtype=np.float64), g.shape[:-1])[..., None]
        sight = np.concatenate([g, above - self.height], axis=-1) @ self.axes.T
        with np.errstate(all="ignore"):
            scale = np.where(sight[..., 2] > 1e-12, self.lens.focal / sight[..., 2], np.nan)
        return self._seen(np.asarray(sight[..., :2] * scale[..., None] + self._centre))

    def outline(self, furthest: float = FURTHEST) -> Points:
        """Pixels [N, 2] around the part of the image that shows ground within `furthest` heights; N is 0 where none
        does, 4 where all does through a straight lens (from the top left corner, clockwise in the image).

        The limit is a square on the ground turned to the view, because its sides are straight lines in the image too:
        the cut is exact. Straight lines stay straight under the projection, so that a footprint on the plane needs
        nothing but these corners; a lens that bends gets `SIDE` points along each side.
        """
        return self._seen(self._ring(furthest))

    def footprint(self, furthest: float = FURTHEST, relief: Relief | None = None) -> Points:
        """East, north [N, 2] of the corners of the ground seen, in the order of `outline`; over a relief with `SIDE`
        points along each side, NaN among them where the relief is not known."""
        ring = self._ring(furthest)
        if relief is not None and len(ring):
            ring = _dense(ring)
        return self._meet(self._rays(ring), relief)

    @property
    def cut(self) -> bool:
        """Whether part of the image shows no ground within `FURTHEST`: sky, or ground too far to place."""
        return not np.array_equal(self._ring(FURTHEST), self._frame())

    def gsd(self) -> float:
        """Metres on the ground per pixel in the middle of the image (geometric mean of both directions); NaN where
        the middle shows no ground."""
        x, y = self.lens.width / 2, self.lens.height / 2
        left, right, top, bottom = self.to_ground([[x - 0.5, y], [x + 0.5, y], [x, y - 0.5], [x, y + 0.5]])
        (a, c), (b, d) = right - left, bottom - top
        return math.sqrt(abs(a * d - b * c))

    @property
    def _centre(self) -> Points:
        return np.array([self.lens.cx, self.lens.cy])

    def _ideal(self, pixels: Points) -> Points:
        """Pixels [..., 2] of the pinhole that this camera would be without its lens."""
        if self.lens.distortion is None:
            return pixels
        return undistort((pixels - self._centre) / self.lens.focal, self.lens.distortion) * self.lens.focal + (
            self._centre
        )

    def _seen(self, ideal: Points) -> Points:
        """The other way round."""
        if self.lens.distortion is None:
            return ideal
        return distort((ideal - self._centre) / self.lens.focal, self.lens.distortion) * self.lens.focal + self._centre

    def _rays(self, ideal: Points) -> Points:
        across = (ideal[..., 0] - self.lens.cx) / self.lens.focal
        along = (ideal[..., 1] - self.lens.cy) / self.lens.focal
        return np.asarray(np.stack([across, along, np.ones_like(across)], axis=-1) @ self.axes)

    def _meet(self, rays: Points, relief: Relief | None) -> Points:
        sinks = -rays[..., 2]
        with np.errstate(all="ignore"):
            scale = np.where(sinks > 1e-12, self.height / sinks, np.nan)
        plane = np.asarray(rays[..., :2] * scale[..., None])
        return plane if relief is None else self._crossing(plane, relief)

    def _crossing(self, plane: Points, relief: Relief) -> Points:
        """Where lines of sight that meet the plane at `plane` first meet the relief: at the part t of their way to the
        plane where height * (1 - t) is the height of the ground."""

        def above(t: Points) -> Points:
            return self.height * (1 - t) - relief.heights(plane[..., None, :] * t[..., None])

        shape = plane.shape[:-1]
        last = 1 - min(relief.lowest, 0.0) / self.height
        t = np.broadcast_to(np.linspace(0, last, MARCH + 1), (*shape, MARCH + 1))
        with np.errstate(invalid="ignore"):
            under = np.asarray(above(t) <= 0)
        first = under.argmax(axis=-1)
        low = np.take_along_axis(t, np.maximum(first - 1, 0)[..., None], axis=-1)
        high = np.take_along_axis(t, first[..., None], axis=-1)
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            with np.errstate(invalid="ignore"):
                inside = above(middle) <= 0
            low, high = np.where(inside, low, middle), np.where(inside, middle, high)
        found = np.asarray(under.any(axis=-1) & np.isfinite(plane).all(axis=-1))
        return np.where(found[..., None], plane * high, np.nan)

    def _frame(self) -> Points:
        """The image's border as ideal pixels, clockwise from the top left corner."""
        w, h = float(self.lens.width), float(self.lens.height)
        corners = np.array([[0.0, 0.0], [w, 0.0], [w, h], [0.0, h]])
        if self.lens.distortion is None:
            return corners
        ideal = self._ideal(_dense(corners))
        return ideal[np.isfinite(ideal).all(axis=-1)]

    def _ring(self, furthest: float) -> Points:
        """`outline` as ideal pixels."""
        ring = self._frame()
        yaw = math.radians(self.attitude.yaw)
        ahead, aside = np.array([math.sin(yaw), math.cos(yaw)]), np.array([math.cos(yaw), -math.sin(yaw)])
        for direction in (ahead, -ahead, aside, -aside):
            ring = self._cut(ring, direction, furthest)
        return ring

    def _cut(self, ring: Points, direction: Points, furthest: float) -> Points:
        """Sutherland-Hodgman against one side: keeps pixels whose ground lies less than `furthest` heights along
        `direction`, which is linear in the pixel: sinks * furthest - ray . direction >= 0."""
        if not len(ring):
            return ring
        rays = self._rays(ring)
        inside = -rays[:, 2] * furthest - rays[:, :2] @ direction
        kept: list[Points] = []
        for i in range(len(ring)):
            j = (i + 1) % len(ring)
            if inside[i] >= 0:
                kept.append(ring[i])
            if (inside[i] >= 0) != (inside[j] >= 0):
                kept.append(ring[i] + (ring[j] - ring[i]) * (inside[i] / (inside[i] - inside[j])))
        return np.array(kept) if len(kept) >= 3 else np.empty((0, 2))


def _dense(ring: Points) -> Points:
    """`SIDE` points along each side of a ring, its corners among them."""
    along = np.linspace(0, 1, SIDE, endpoint=False)[None, :, None]
    return np.asarray((ring[:, None] * (1 - along) + np.roll(ring, -1, axis=0)[:, None] * along).reshape(-1, 2))
