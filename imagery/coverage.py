"""What a flight really saw: how often and how finely, cell by cell, and what of the ordered area it did not see.

A cell counts as seen by a frame only where all of it lies within the frame's trusted footprint: a cell that the outline
touches does not. `certain` asks more: within the footprint less its own error of one sigma. Captures that are known by
position alone show nothing.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import shapely
from numpy.typing import NDArray
from rasterio.features import rasterize, shapes
from shapely.geometry import Polygon, box, shape
from shapely.geometry.base import BaseGeometry
from shapely.geometry.polygon import orient

from imagery.errors import Refused
from imagery.ground import LONLAT, WGS84, as_geojson, transformation

CELL = 0.5
"""Metres, at the finest."""
MOST_CELLS = 25_000_000
MOST_SIGHTS = 65_535
SPECK_CELLS = 4
"""A gap of fewer cells is one of the raster's own steps."""


@dataclass(frozen=True, slots=True)
class Sight:
    """One capture that saw ground. `geometry`: EPSG:4326."""

    geometry: BaseGeometry
    error_m: float
    gsd: float | None


@dataclass(frozen=True, slots=True, eq=False)
class Coverage:
    """Arrays [rows, cols] over a UTM grid whose upper left corner is at (`left`, `top`)."""

    crs: str
    left: float
    top: float
    cell: float
    counts: NDArray[np.uint16]
    """How many captures saw the whole cell."""
    certain: NDArray[np.uint16]
    """How many did for certain: their error taken off their footprints."""
    gsd: NDArray[np.float32]
    """Metres per pixel of the finest of them; NaN where none did or none tells."""
    area: NDArray[np.bool_]
    """Which cells belong to the ordered area (their middles); all where none was given."""

    @property
    def seen_m2(self) -> float:
        return float(((self.counts > 0) & self.area).sum()) * self.cell**2

    @property
    def share(self) -> float:
        """Of the ordered area, seen by one capture or more."""
        total = int(self.area.sum())
        return float(((self.counts > 0) & self.area).sum() / total) if total else 0.0

    @property
    def certain_share(self) -> float:
        total = int(self.area.sum())
        return float(((self.certain > 0) & self.area).sum() / total) if total else 0.0

    def gaps(self) -> list[dict[str, Any]]:
        """GeoJSON polygons (EPSG:4326) of ordered ground that no capture saw, the largest first."""
        missed = self.area & (self.counts == 0)
        transform = rasterio.Affine(self.cell, 0, self.left, 0, -self.cell, self.top)
        found = [shape(geometry) for geometry, _ in shapes(missed.astype(np.uint8), mask=missed, transform=transform)]
        project = transformation(self.crs, LONLAT)

        def degrees(xy: NDArray[np.float64]) -> NDArray[np.float64]:
            return np.stack(project.transform(xy[:, 0], xy[:, 1]), axis=-1).round(8)

        large = [one for one in found if one.area >= SPECK_CELLS * self.cell**2]
        ordered = sorted(large, key=lambda one: one.area, reverse=True)
        return [as_geojson(orient(_polygon(shapely.transform(one, degrees)))) for one in ordered]


def cover(sights: Sequence[Sight], area: BaseGeometry | None = None, cell: float = CELL) -> Coverage:
    """The coverage of captures, over the ordered `area` (EPSG:4326) or over all that they saw.

    The cell is made coarser where the grid would have more than `MOST_CELLS`. Raises `Refused` (nothing-seen) where
    there is neither an area nor a capture that saw anything.
    """
    ground = area if area is not None else shapely.union_all([one.geometry for one in sights])
    if ground.is_empty:
        raise Refused(
            "nothing-seen",
            "Not one capture has a footprint that could be trusted.",
            "Give the ordered area, or fly with a camera whose photos tell their pose.",
        )
    west, south, east, north = ground.bounds
    crs = _utm((west + east) / 2, (south + north) / 2)
    project = transformation(LONLAT, crs)

    def metres(xy: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.stack(project.transform(xy[:, 0], xy[:, 1]), axis=-1)

    wanted = shapely.transform(ground, metres)
    left, bottom, right, top = wanted.bounds
    cell = max(cell, math.sqrt((right - left) * (top - bottom) / MOST_CELLS))
    left, top = math.floor(left / cell) * cell, math.ceil(top / cell) * cell
    rows, cols = max(1, math.ceil((top - bottom) / cell)), max(1, math.ceil((right - left) / cell))
    transform = rasterio.Affine(cell, 0, left, 0, -cell, top)
    counts, certain = np.zeros((rows, cols), dtype=np.uint32), np.zeros((rows, cols), dtype=np.uint32)
    finest = np.full((rows, cols), np.nan, dtype=np.float32)
    for one in sights:
        outline = shapely.transform(one.geometry, metres)
        rows_, cols_, inside = _whole_cells(outline, transform, (rows, cols))
        if inside is None:
            continue
        counts[rows_, cols_] += inside
        if one.gsd is not None:
            finest[rows_, cols_] = np.where(
                inside, np.fmin(finest[rows_, cols_], np.float32(one.gsd)), finest[rows_, cols_]
            )
        rows_, cols_, sure = _whole_cells(outline.buffer(-one.error_m), transform, (rows, cols))
        if sure is not None:
            certain[rows_, cols_] += sure
    ordered = np.ones((rows, cols), dtype=bool)
    if area is not None:
        ordered = rasterize([wanted], (rows, cols), transform=transform, dtype="uint8").astype(bool)
    limit = np.uint32(MOST_SIGHTS)
    return Coverage(
        crs,
        left,
        top,
        cell,
        np.minimum(counts, limit).astype(np.uint16),
        np.minimum(certain, limit).astype(np.uint16),
        finest,
        ordered,
    )


def write_coverage(coverage: Coverage, path: str | Path) -> None:
    """Write a Cloud Optimized GeoTIFF, float32: how many captures, how many for certain, the finest metres per pixel
    (NaN where none). Outside of the ordered area all are NaN."""
    bands = np.stack([coverage.counts, coverage.certain, coverage.gsd]).astype(np.float32)
    bands[:, ~coverage.area] = np.nan
    with rasterio.open(
        path, "w", driver="COG", width=bands.shape[2], height=bands.shape[1], count=3, dtype="float32",
        crs=coverage.crs, nodata=math.nan, compress="deflate", overview_resampling="nearest",
        transform=rasterio.Affine(coverage.cell, 0, coverage.left, 0, -coverage.cell, coverage.top),
    ) as file:  # fmt: skip
        file.write(bands)
        for i, name in enumerate(("captures", "captures for certain", "finest metres per pixel"), start=1):
            file.set_band_description(i, name)


def _whole_cells(
    outline: BaseGeometry, transform: rasterio.Affine, size: tuple[int, int]
) -> tuple[slice, slice, NDArray[np.bool_] | None]:
    """The rows and columns around an outline, and which of their cells lie wholly within it: those that nothing outside
    of it touches."""
    nothing = slice(0, 0), slice(0, 0), None
    if outline.is_empty:
        return nothing
    cell, left, top = transform.a, transform.c, transform.f
    west, south, east, north = outline.bounds
    first_row, last_row = max(0, math.floor((top - north) / cell)), min(size[0], math.ceil((top - south) / cell))
    first_col, last_col = max(0, math.floor((west - left) / cell)), min(size[1], math.ceil((east - left) / cell))
    if first_row >= last_row or first_col >= last_col:
        return nothing
    window = rasterio.Affine(cell, 0, left + first_col * cell, 0, -cell, top - first_row * cell)
    rows, cols = last_row - first_row, last_col - first_col
    frame = box(window.c - cell, window.f - (rows + 1) * cell, window.c + (cols + 1) * cell, window.f + cell)
    outside = shapely.difference(frame, outline)
    touched = rasterize([outside], (rows, cols), transform=window, all_touched=True, dtype="uint8").astype(bool)
    return slice(first_row, last_row), slice(first_col, last_col), ~touched


def _polygon(geometry: BaseGeometry) -> Polygon:
    if not isinstance(geometry, Polygon):
        raise TypeError(f"a gap is a polygon, not a {geometry.geom_type}")
    return geometry


def _utm(lon: float, lat: float) -> str:
    return f"EPSG:{(32600 if lat >= 0 else 32700) + int((lon + 180) // 6) % 60 + 1}"


def area_of(geometry: dict[str, Any]) -> float:
    """Square metres of a GeoJSON geometry in EPSG:4326, geodesic."""
    return abs(float(WGS84.geometry_area_perimeter(shape(geometry))[0]))
