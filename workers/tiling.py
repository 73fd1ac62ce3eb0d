"""Tiles of one raster through Dask into one mask and one list of regions: what detection and change share."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import distributed
import numpy as np
from numpy.typing import NDArray
from shapely import clip_by_rect

from imagery.errors import Refused
from imagery.polygons import NOT_ANALYSED, Region, merge, polygonise
from imagery.tiles import GroundGrid, Tile, TilePlan, Window
from workers.masks import mask_writer
from workers.run import Failed, spread

Progress = Callable[[str, int, int], None]
"""Called with the name of the pass, the tiles done and the tiles in all."""


def no_progress(stage: str, done: int, total: int) -> None:
    """For callers that show nothing."""


@dataclass(frozen=True, slots=True, eq=False)
class TileFound:
    """What a worker returns for one tile: its core's mask, regions and reasons, nothing that depends on an extent."""

    mask: NDArray[np.uint8]
    """uint8 [core, core]: 0 clean, 1..N, 255 not analysed or not comparable."""
    why: NDArray[np.uint8]
    """uint8 [core, core]: why a cell was not compared, as the analysis numbers its reasons; 0 else."""
    regions: tuple[Region, ...]


@dataclass(frozen=True, slots=True)
class Analysis:
    """What all tiles came to."""

    regions: tuple[Region, ...]
    """Those that reach into the extent, whole, in canonical order."""
    cells: tuple[int, ...]
    """Cells of the extent for each mask value 0..255."""
    why: tuple[int, ...]
    """Cells of the extent for each reason 0..255."""
    tiles: int
    failed: tuple[Failed[Tile], ...]
    """Tiles that could not be worked on; their cells are 255 in the mask."""


def tile_found(core: Window, mask: NDArray[np.uint8], scores: NDArray[np.uint8], why: NDArray[np.uint8]) -> TileFound:
    """The answer for one core, from its arrays [core, core]; `scores` holds the score of the class the mask names."""
    mask = np.ascontiguousarray(mask)
    return TileFound(mask, np.ascontiguousarray(why), tuple(polygonise(mask, core, scores)))


def count_tiles(plan: TilePlan, extent: Window) -> int:
    """How many tiles `plan.tiles(extent)` will give."""
    if extent.empty:
        return 0
    rows = (extent.row + extent.height - 1) // plan.core - extent.row // plan.core + 1
    cols = (extent.col + extent.width - 1) // plan.core - extent.col // plan.core + 1
    return rows * cols


def collect(
    client: distributed.Client,
    work: Callable[[tuple[Tile, ...]], Sequence[TileFound]],
    plan: TilePlan,
    grid: GroundGrid,
    extent: Window,
    mask: Path,
    *,
    chunk: int,
    stage: str,
    progress: Progress = no_progress,
) -> Analysis:
    """Run `work` over every tile of `extent`, writing the mask to `mask` (a plain GeoTIFF) as answers come in.

    Raises `Refused` (nothing-analysed) where every tile failed.
    """
    seams, failed = Seams(), list[Failed[Tile]]()
    cells, why = np.zeros(256, dtype=np.int64), np.zeros(256, dtype=np.int64)
    total = count_tiles(plan, extent)
    progress(stage, 0, total)
    with mask_writer(mask, grid, extent) as writer:
        for done, answer in enumerate(spread(client, work, plan.tiles(extent), chunk=chunk), start=1):
            if isinstance(answer, Failed):
                failed.append(answer)
                inside = answer.item.core.intersect(extent)
                cells[NOT_ANALYSED] += inside.height * inside.width
            else:
                core, found = answer.item.core, answer.answer
                cut = core.intersect(extent).slices_in(core)
                cells += np.bincount(found.mask[cut].ravel(), minlength=256)
                why += np.bincount(found.why[cut].ravel(), minlength=256)
                writer.put(core, found.mask)
                seams.add(core, found.regions)
            progress(stage, done, total)
    regions = tuple(region for region in seams.regions() if _reaches_into(region, extent))
    if len(failed) == total > 0:
        raise Refused(
            "nothing-analysed",
            f"None of the {total} tiles could be analysed: {failed[0].error}",
            "Check that the source can be read by the workers.",
        )
    failed.sort(key=lambda failure: failure.item)
    return Analysis(regions, tuple(cells.tolist()), tuple(why.tolist()), total, tuple(failed))


class Seams:
    """Regions of many cores, in any order; only those that touch a core's border are ever looked at again."""

    def __init__(self) -> None:
        self._whole: list[Region] = []
        self._touching: list[Region] = []

    def add(self, core: Window, regions: Sequence[Region]) -> None:
        left, top, right, bottom = core.col, core.row, core.col + core.width, core.row + core.height
        for region in regions:
            west, north, east, south = region.polygon.bounds
            inside = left < west and top < north and east < right and south < bottom
            (self._whole if inside else self._touching).append(region)

    def regions(self) -> list[Region]:
        """Every region once, from north to south and west to east."""
        return sorted([*self._whole, *merge(self._touching)], key=_order)


def _order(region: Region) -> tuple[float, float, int, bytes]:
    west, north, _, _ = region.polygon.bounds
    return north, west, region.value, region.polygon.wkb


def _reaches_into(region: Region, extent: Window) -> bool:
    """Whether a region has ground in common with the extent, not only a border."""
    left, top, right, bottom = extent.col, extent.row, extent.col + extent.width, extent.row + extent.height
    west, north, east, south = region.polygon.bounds
    if left <= west and top <= north and east <= right and south <= bottom:
        return True
    return bool(clip_by_rect(region.polygon, left, top, right, bottom).area > 0)
