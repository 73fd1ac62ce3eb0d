"""Two dates of the same ground: a pair model fitted once over the whole overlap, then every window compared with it.

Pass 1 measures shift and then light in every window and is fitted in the driver, from values whose order does not
matter; pass 2 is a function of the window and the pair model alone. So neither chunks nor workers change a result.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import distributed
import numpy as np
import torch

from detectors import change as detector
from detectors.base import ModelSpec
from detectors.pair import LightTally, PairModel, Reason, ShiftField, ShiftVote
from imagery.errors import Refused
from imagery.polygons import NOT_ANALYSED
from imagery.reader import Pixels, reader
from imagery.sources import Source
from imagery.tiles import PIXELS, GroundGrid, Tile, Window
from workers.inputs import Input
from workers.run import Done, spread
from workers.tiling import Analysis, Progress, TileFound, collect, count_tiles, no_progress, tile_found

TILES_A_TASK = 2
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Sheets:
    """Both dates and the grid each is read on: the same ground grid, or for pictures without georeference each its own
    pixels, with cell (0, 0) in both top left corners."""

    before: Source
    after: Source
    grid_before: GroundGrid
    grid_after: GroundGrid

    @contextmanager
    def opened(self) -> Iterator[Callable[[Window], tuple[Pixels, Pixels]]]:
        """Keep both files open; the function reads one window of each."""
        grey = both_grey(self)
        with reader(self.before) as before, reader(self.after) as after:
            yield lambda window: (
                grey(before.read(self.grid_before, window)),
                grey(after.read(self.grid_after, window)),
            )


def both_grey(sheets: Sheets) -> Callable[[Pixels], Pixels]:
    """Where one date has a single band, the colours of the other say nothing: both are compared in grey."""
    if len(set(sheets.before.rgb)) > 1 and len(set(sheets.after.rgb)) > 1:
        return lambda pixels: pixels

    def grey(pixels: Pixels) -> Pixels:
        light = pixels.data.mean(axis=0).round().astype(np.uint8)
        return Pixels(np.stack((light, light, light)), pixels.valid)

    return grey


@dataclass(frozen=True, slots=True)
class Comparison:
    """The answer for two dates."""

    before: Input
    after: Input
    spec: ModelSpec
    cell: float
    """Metres on the ground per cell of the grid."""
    grid: GroundGrid
    extent: Window
    pair: PairModel
    analysis: Analysis


def compare(
    client: distributed.Client,
    before: Input,
    after: Input,
    mask: Path,
    *,
    extent: Window | None = None,
    chunk: int = 0,
    progress: Progress = no_progress,
) -> Comparison:
    """Compare two dates; the mask (0 unchanged, 1 changed, 255 not comparable) is written to `mask` on the grid.

    The pair model is always fitted over the whole overlap, whatever the `extent` that is answered for. Raises
    `Refused`: mixed-coordinates, no-overlap.
    """
    spec = detector.spec
    gsd_before, gsd_after = ground_gsds(before, after)
    cell = detector.cell(gsd_before, gsd_after)
    sheets = lay_out(before, after, cell)
    overlap = sheets.before.extent(sheets.grid_before).intersect(sheets.after.extent(sheets.grid_after))
    if overlap.empty:
        raise Refused(
            "no-overlap",
            f"{before.name} and {after.name} show no common ground.",
            "Choose two captures of the same place; `flyonce search --bbox` finds them.",
        )
    chunk = chunk or TILES_A_TASK
    passes = partial(_measure, client, overlap, chunk=chunk, progress=progress)
    shift = detector.fit_shift(passes(partial(votes, sheets), stage="shift"))
    tallies = passes(partial(light, sheets, shift), stage="light")
    if not tallies:
        raise Refused(
            "nothing-analysed",
            f"No window of {before.name} and {after.name} could be read.",
            "Check that the sources can be read by the workers.",
        )
    pair = detector.fit(shift, tallies, gsd_before, gsd_after)
    asked = overlap if extent is None else overlap.intersect(extent)
    work = partial(differences, sheets, pair)
    analysis = collect(
        client, work, spec.plan, sheets.grid_before, asked, mask, chunk=chunk, stage="compare", progress=progress
    )
    return Comparison(before, after, spec, cell, sheets.grid_before, asked, pair, analysis)


def ground_gsds(before: Input, after: Input) -> tuple[float, float]:
    """Metres per pixel of both; where one tells and the other does not, they are taken for equal."""
    known = before.gsd or after.gsd or detector.spec.gsd
    return before.gsd or known, after.gsd or known


def lay_out(before: Input, after: Input, cell: float) -> Sheets:
    """Put both dates on one grid of `cell` metres. Raises `Refused` (mixed-coordinates)."""
    if before.pixels != after.pixels:
        without = before if before.pixels else after
        raise Refused(
            "mixed-coordinates",
            f"{without.name} has no georeference, its counterpart has one: they cannot be laid on each other.",
            "Give both a georeference, or compare both in their pixels with --pixels.",
        )
    if not before.pixels:
        grid = before.source.grid(cell)
        return Sheets(before.source, after.source, grid, grid)
    gsds = ground_gsds(before, after)
    grids = [GroundGrid(PIXELS, cell / gsd) for gsd in gsds]
    return Sheets(before.source, after.source, grids[0], grids[1])


def _measure(
    client: distributed.Client,
    overlap: Window,
    work: Callable[[tuple[Tile, ...]], Sequence[Answer]],
    *,
    chunk: int,
    stage: str,
    progress: Progress,
) -> list[Answer]:
    """One value per window of the overlap, in the order of the windows; a window that cannot be read has none."""
    plan = detector.spec.plan
    total = count_tiles(plan, overlap)
    progress(stage, 0, total)
    measured = []
    for done, answer in enumerate(spread(client, work, plan.tiles(overlap), chunk=chunk), start=1):
        if isinstance(answer, Done):
            measured.append((answer.item, answer.answer))
        progress(stage, done, total)
    return [value for _, value in sorted(measured, key=lambda pair: pair[0])]


def votes(sheets: Sheets, tiles: Sequence[Tile]) -> list[tuple[ShiftVote, ...]]:
    """Runs on a worker: pass 1a."""
    torch.set_num_threads(1)
    with sheets.opened() as read:
        return [detector.observe_shift(tile.full, *read(tile.full)) for tile in tiles]


def light(sheets: Sheets, shift: ShiftField, tiles: Sequence[Tile]) -> list[LightTally]:
    """Runs on a worker: pass 1b."""
    torch.set_num_threads(1)
    with sheets.opened() as read:
        return [detector.observe_light(shift, tile.full, *read(tile.full)) for tile in tiles]


def differences(sheets: Sheets, pair: PairModel, tiles: Sequence[Tile]) -> list[TileFound]:
    """Runs on a worker: pass 2."""
    torch.set_num_threads(1)
    (threshold,) = detector.spec.thresholds
    answers = []
    with sheets.opened() as read:
        for tile in tiles:
            compared = detector.compare(pair, tile.full, *read(tile.full))
            core = tile.core.slices_in(tile.full)
            score, reason = compared.score[core], compared.reason[core]
            mask = (score >= threshold).astype(np.uint8)
            mask[reason != Reason.COMPARABLE] = NOT_ANALYSED
            answers.append(tile_found(tile.core, mask, score, reason))
    return answers
