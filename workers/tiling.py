"""Tiles of one plan through Dask into one mask and its regions: what detection and change share.

Memory stays flat whatever the raster's size: the driver holds a few tiles' answers, the regions that wait for a
neighbouring core, and a bounded number of those that are whole; the rest lies on disk.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import distributed
import numpy as np
from shapely import clip_by_rect

from imagery.errors import Refused
from imagery.polygons import NOT_ANALYSED, Region
from imagery.tiles import GroundGrid, Tile, TilePlan, Window
from workers.disk import room_on_disk
from workers.found import TileFound
from workers.masks import mask_writer
from workers.regions import Regions
from workers.run import Failed, spread
from workers.seams import Seams

Progress = Callable[[str, int, int], None]
"""Called with the name of the pass, the tiles done and the tiles in all."""


def no_progress(stage: str, done: int, total: int) -> None:
    """For callers that show nothing."""


@dataclass(frozen=True, slots=True)
class Analysis:
    """What all tiles came to."""

    regions: Regions
    """Those that reach into the extent, whole, in canonical order."""
    cells: tuple[int, ...]
    """Cells of the extent for each mask value 0..255."""
    why: tuple[int, ...]
    """Cells of the extent for each reason 0..255."""
    tiles: int
    failed: tuple[Failed[Tile], ...]
    """Tiles that could not be worked on; their cells are 255 in the mask."""
    kept: int = 0
    """Tiles that were read from the cache."""
    saved: float = 0.0
    """Seconds of one worker that those took when they were computed."""
    spent: float = 0.0
    """Seconds that the others took now, over all workers."""


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

    Raises `Refused`: nothing-analysed where every tile failed, disk-full; `SchedulerLostError`.
    """
    regions, failed = Regions(mask.parent), list[Failed[Tile]]()

    def keep(region: Region) -> None:
        if _reaches_into(region, extent):
            regions.add(region)

    seams = Seams(plan, extent, keep)
    cells, why = np.zeros(256, dtype=np.int64), np.zeros(256, dtype=np.int64)
    kept, saved, spent = 0, 0.0, 0.0
    total = count_tiles(plan, extent)
    progress(stage, 0, total)
    with room_on_disk(mask), mask_writer(mask, grid, extent) as writer:
        for done, answer in enumerate(spread(client, work, plan.tiles(extent), chunk=chunk), start=1):
            if isinstance(answer, Failed):
                failed.append(answer)
                inside = answer.item.core.intersect(extent)
                cells[NOT_ANALYSED] += inside.height * inside.width
                seams.add(answer.item.core)
            else:
                core, found = answer.item.core, answer.answer
                cut = core.intersect(extent).slices_in(core)
                cells += found.mask.count_in(cut)
                why += found.why.count_in(cut)
                if found.mask.counts != ((NOT_ANALYSED, core.height * core.width),):
                    writer.put(core, found.mask.array())
                seams.add(core, found.regions)
                kept += found.kept
                saved += found.seconds * found.kept
                spent += found.seconds * (not found.kept)
            progress(stage, done, total)
    if len(failed) == total > 0:
        raise Refused(
            "nothing-analysed",
            f"None of the {total} tiles could be analysed: {failed[0].error}",
            "Check that the source can be read by the workers.",
        )
    failed.sort(key=lambda failure: failure.item)
    return Analysis(regions, tuple(cells.tolist()), tuple(why.tolist()), total, tuple(failed), kept, saved, spent)


def _reaches_into(region: Region, extent: Window) -> bool:
    """Whether a region has ground in common with the extent, not only a border."""
    left, top, right, bottom = extent.col, extent.row, extent.col + extent.width, extent.row + extent.height
    west, north, east, south = region.polygon.bounds
    if left <= west and top <= north and east <= right and south <= bottom:
        return True
    return bool(clip_by_rect(region.polygon, left, top, right, bottom).area > 0)
