"""The registration error between two orthophotos: a shift of up to six pixels, a slight turn and a local warp."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from imagery.simulator.canvas import View
from imagery.simulator.light import Picture
from imagery.simulator.values import stream

NODE = 12.0
"""Metres between the nodes of the local warp."""
LARGEST = 6.0
"""Pixels; the whole of it at any place is kept below."""


@dataclass(frozen=True, slots=True)
class Registration:
    """Where the second orthophoto shows the ground: a point at (x, y) is drawn `offset(x, y)` metres beside it."""

    width: float
    height: float
    shift: tuple[float, float]
    """Metres, x and y (down)."""
    turn: float
    """Radians about the centre."""
    scale: float
    nodes: NDArray[np.float64]
    """Local warp, float64 [rows, cols, 2], metres, on nodes spread evenly over the visible ground."""
    limit: float
    """Metres that no displacement exceeds."""

    def offset(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Displacement in metres of ground points, arrays of one shape."""
        rows, cols = self.nodes.shape[:2]
        r = np.clip(y / self.height * (rows - 1), 0, rows - 1 - 1e-9)
        c = np.clip(x / self.width * (cols - 1), 0, cols - 1 - 1e-9)
        i, j = r.astype(int), c.astype(int)
        fr, fc = (r - i)[..., None], (c - j)[..., None]
        local = (self.nodes[i, j] * (1 - fc) + self.nodes[i, j + 1] * fc) * (1 - fr) + (
            self.nodes[i + 1, j] * (1 - fc) + self.nodes[i + 1, j + 1] * fc
        ) * fr
        from_x, from_y = x - self.width / 2, y - self.height / 2
        dx = self.shift[0] + self.scale * from_x - self.turn * from_y + local[..., 0]
        dy = self.shift[1] + self.scale * from_y + self.turn * from_x + local[..., 1]
        size = np.hypot(dx, dy)
        keep = np.minimum(1.0, self.limit / np.maximum(size, 1e-12))
        return dx * keep, dy * keep


def misregister(seed: int, width: float, height: float, pixel: float) -> Registration:
    """A registration error for pixels of `pixel` metres."""
    rng = stream(seed, "registration")
    length, bearing = rng.uniform(0, 0.82) * LARGEST * pixel, rng.uniform(0, 2 * np.pi)
    half = np.hypot(width, height) / 2
    turn, scale = rng.normal(0, 0.35, 2) * pixel / half
    shape = max(3, round(height / NODE) + 1), max(3, round(width / NODE) + 1), 2
    nodes = rng.normal(0, 1, shape)
    smooth = (nodes + np.roll(nodes, 1, 0) + np.roll(nodes, 1, 1) + np.roll(nodes, (1, 1), (0, 1))) / 2
    local = np.clip(smooth * rng.uniform(0, 0.5), -1.2, 1.2) * pixel
    shift = float(length * np.cos(bearing)), float(length * np.sin(bearing))
    return Registration(width, height, shift, float(turn), float(scale), local, LARGEST * pixel)


def displace(picture: Picture, view: View, registration: Registration, target: View) -> Picture:
    """The picture of `view` with its ground displaced, as `target` shows it: uint8 [rows, cols, 3].

    `view` must reach `registration.limit` further than `target` on each side.
    """
    step = max(8, round(NODE / 4 / target.gsd))
    xs = sorted({*range(0, target.cols, step), target.cols})
    ys = sorted({*range(0, target.rows, step), target.rows})
    grid_x, grid_y = np.meshgrid(target.x + np.array(xs) * target.gsd, target.y + np.array(ys) * target.gsd)
    # Drawn at p is the ground at p - offset(there); the offset varies so slowly that one look at p is enough.
    dx, dy = registration.offset(grid_x, grid_y)
    from_x, from_y = (grid_x - dx - view.x) / view.gsd, (grid_y - dy - view.y) / view.gsd
    mesh = []
    for i in range(len(ys) - 1):
        for j in range(len(xs) - 1):
            corners = ((i, j), (i + 1, j), (i + 1, j + 1), (i, j + 1))
            quad = [float(value) for r, c in corners for value in (from_x[r, c], from_y[r, c])]
            mesh.append(((xs[j], ys[i], xs[j + 1], ys[i + 1]), tuple(quad)))
    source = Image.fromarray(picture)
    size = target.cols, target.rows
    return np.asarray(source.transform(size, Image.Transform.MESH, mesh, Image.Resampling.BICUBIC))
