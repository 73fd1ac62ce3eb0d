"""Masks on disk, written window by window as tiles come in, and finished as a Cloud Optimized GeoTIFF.

Memory stays flat whatever the raster's size: the driver holds one core at a time, GDAL its bounded block cache.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import rasterio.shutil
from numpy.typing import NDArray
from rasterio.transform import Affine
from rasterio.windows import Window as RasterWindow

from imagery.polygons import NOT_ANALYSED
from imagery.tiles import PIXELS, GroundGrid, Window

_STRIP = 1024
"""Rows held at a time while a mask is brought to the source's own pixels."""


class MaskWriter:
    """One band, uint8, over `extent` of `grid`; every cell is 255, not analysed, until it is written."""

    def __init__(self, path: Path, grid: GroundGrid, extent: Window) -> None:
        self.extent = extent
        self._dataset = rasterio.open(
            path,
            "w",
            crs=None if grid.crs == PIXELS else grid.crs,
            transform=Affine(*grid.transform(extent)),
            **_profile(extent.width, extent.height),
        )

    def put(self, window: Window, values: NDArray[np.uint8]) -> None:
        """Write `values` [H, W] of `window`, as far as it lies in the extent."""
        inside = window.intersect(self.extent)
        if inside.empty:
            return
        rows, cols = inside.slices_in(self.extent)
        place = RasterWindow(cols.start, rows.start, inside.width, inside.height)
        self._dataset.write(values[inside.slices_in(window)], 1, window=place)

    def close(self) -> None:
        self._dataset.close()


@contextmanager
def mask_writer(path: Path, grid: GroundGrid, extent: Window) -> Iterator[MaskWriter]:
    """A `MaskWriter` that is closed with the block."""
    writer = MaskWriter(path, grid, extent)
    try:
        yield writer
    finally:
        writer.close()


def finish_mask(raw: Path, out: Path) -> None:
    """Turn a written mask into a COG with overviews at `out`: there whole or not at all."""
    part = out.with_name(f".{out.name}.part")
    try:
        rasterio.shutil.copy(raw, part, driver="COG", compress="deflate", overview_resampling="mode", num_threads="1")
        part.replace(out)
    finally:
        part.unlink(missing_ok=True)


def to_source_pixels(raw: Path, out: Path, cell: float, extent: Window, width: int, height: int) -> None:
    """Bring a mask on a `PIXELS` grid of `cell` pixels a side to the `width` x `height` pixels of its source.

    Each pixel takes the value of the cell its middle lies in; 255 outside the `extent` that `raw` covers.
    """

    def indices(start: int, stop: int, first: int) -> NDArray[np.intp]:
        return np.asarray(np.floor((np.arange(start, stop) + 0.5) / cell).astype(np.intp) - first)

    cols = indices(0, width, extent.col)
    beside = (cols < 0) | (cols >= extent.width)
    with rasterio.open(raw) as cells, rasterio.open(out, "w", **_profile(width, height)) as pixels:
        for top in range(0, height, _STRIP):
            rows = indices(top, min(top + _STRIP, height), extent.row)
            above = (rows < 0) | (rows >= extent.height)
            values = np.full((len(rows), width), NOT_ANALYSED, dtype=np.uint8)
            if not above.all() and not beside.all():
                first, last = int(rows[~above][0]), int(rows[~above][-1])
                strip = cells.read(1, window=RasterWindow(0, first, extent.width, last - first + 1))
                values[np.ix_(~above, ~beside)] = strip[np.ix_(rows[~above] - first, cols[~beside])]
            pixels.write(values, 1, window=RasterWindow(0, top, width, len(rows)))


def _profile(width: int, height: int) -> dict[str, Any]:
    """A working file: cheap to write, its blocks found again only by the COG that is made of it."""
    return {
        "driver": "GTiff",
        "width": width,
        "height": height,
        "count": 1,
        "dtype": "uint8",
        "nodata": NOT_ANALYSED,
        "tiled": True,
        "blockxsize": 512,
        "blockysize": 512,
        "compress": "packbits",  # runs, as masks are: a third of deflate's time, which is the driver's alone
        "sparse_ok": True,
        "bigtiff": "if_safer",
    }
