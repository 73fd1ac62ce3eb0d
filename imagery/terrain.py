"""An elevation model under a camera: a raster of heights, looked up in metres east and north of a position."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from imagery.errors import Refused
from imagery.ground import LONLAT, WGS84, Points, invert, transformation
from imagery.sources import dataset
from imagery.values import Position

FINEST, MOST_CELLS = 0.5, 1024
"""Metres between the nodes, at least; nodes a side, at most."""


@dataclass(frozen=True, eq=False)
class LocalRelief:
    """Heights on nodes `cell` metres apart, node [i, j] at east (j - n) * cell, north (n - i) * cell for a middle n.
    `imagery.camera.Relief`."""

    nodes: NDArray[np.float64]
    """Metres above the ground straight below the camera; NaN where the model has none."""
    cell: float
    lowest: float

    def heights(self, ground: Points) -> NDArray[np.float64]:
        """Bilinear between nodes; NaN outside."""
        middle = (len(self.nodes) - 1) / 2
        with np.errstate(invalid="ignore"):
            col, row = middle + ground[..., 0] / self.cell, middle - ground[..., 1] / self.cell
            known = (col >= 0) & (row >= 0) & (col <= 2 * middle) & (row <= 2 * middle)
        x, y = np.where(known, col, 0.0), np.where(known, row, 0.0)
        j = np.minimum(x.astype(int), len(self.nodes) - 2)
        i = np.minimum(y.astype(int), len(self.nodes) - 2)
        fx, fy = x - j, y - i
        n = self.nodes
        mixed = (n[i, j] * (1 - fx) + n[i, j + 1] * fx) * (1 - fy) + (
            n[i + 1, j] * (1 - fx) + n[i + 1, j + 1] * fx
        ) * fy
        return np.where(known, mixed, np.nan)


@dataclass(frozen=True, slots=True)
class Elevation:
    """A one-band GeoTIFF of metres. Its heights must be over the same zero as the positions' heights (the geoid or the
    ellipsoid): files do not say reliably which, so whoever gives the model must see to it."""

    path: Path

    def check(self) -> None:
        """Raises `Refused`: no-crs, not-elevation, and as `imagery.sources.dataset` does."""
        with dataset(self.path) as ds:
            self._check(ds)

    def _check(self, ds: Any) -> None:
        if ds.count != 1:
            raise Refused(
                "not-elevation", f"{self.path}: has {ds.count} bands, not one of heights.", "Give a DSM or DTM."
            )
        if ds.crs is None:
            raise Refused("no-crs", f"{self.path}: has no coordinate system.", "Declare it (gdal_edit.py -a_srs).")

    def below(self, position: Position, reach: float) -> tuple[LocalRelief, float]:
        """The relief within `reach` metres of a position, and the model's height of the ground straight below it.

        Raises `Refused`: no-crs, not-elevation, outside-elevation, and as `imagery.sources.dataset` does.
        """
        with dataset(self.path) as ds:
            self._check(ds)
            half = reach * 1.05
            side = min(MOST_CELLS, max(8, 2 * round(half / FINEST)))
            cell = 2 * half / side
            steps = (np.arange(side + 1) - side / 2) * cell
            east, north = np.meshgrid(steps, -steps)
            lon, lat, _ = WGS84.fwd(
                np.full(east.size, position.lon),
                np.full(east.size, position.lat),
                np.degrees(np.arctan2(east, north)).ravel(),
                np.hypot(east, north).ravel(),
            )
            x, y = transformation(LONLAT, ds.crs.to_string()).transform(lon, lat)
            a, b, c, d, e, f = invert(tuple(ds.transform)[:6])
            col, row = a * x + b * y + c - 0.5, d * x + e * y + f - 0.5
            nodes = _bilinear(ds, col, row).reshape(side + 1, side + 1)
        below = nodes[side // 2, side // 2]
        if not np.isfinite(below):
            raise Refused(
                "outside-elevation",
                f"{self.path}: has no height at longitude {position.lon:.6f}, latitude {position.lat:.6f}.",
                "Give an elevation model of the ground that was flown over.",
            )
        nodes = nodes - below
        return LocalRelief(nodes, cell, float(np.nanmin(nodes))), float(below)


def _bilinear(ds: Any, col: NDArray[np.float64], row: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values of the first band at (col, row) between pixel centres; NaN outside and where any of the four is void."""
    width, height = ds.width, ds.height
    left, top = max(int(np.floor(col.min())), 0), max(int(np.floor(row.min())), 0)
    right, bottom = min(int(np.ceil(col.max())) + 1, width), min(int(np.ceil(row.max())) + 1, height)
    if right - left < 2 or bottom - top < 2:
        return np.full(col.shape, np.nan)
    window = Window(left, top, right - left, bottom - top)
    raw = ds.read(1, window=window, masked=True)
    heights = raw.astype(np.float64).filled(np.nan)
    x, y = col - left, row - top
    known = (x >= 0) & (y >= 0) & (x <= heights.shape[1] - 1) & (y <= heights.shape[0] - 1)
    x, y = np.where(known, x, 0.0), np.where(known, y, 0.0)
    j, i = np.minimum(x.astype(int), heights.shape[1] - 2), np.minimum(y.astype(int), heights.shape[0] - 2)
    fx, fy = x - j, y - i
    mixed = (heights[i, j] * (1 - fx) + heights[i, j + 1] * fx) * (1 - fy) + (
        heights[i + 1, j] * (1 - fx) + heights[i + 1, j + 1] * fx
    ) * fy
    return np.where(known, mixed, np.nan)
