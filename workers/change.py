"""Two dates of the same ground: a pair model fitted once over the whole overlap, then every window compared with it.

Pass 1 measures shift and then light in every window and is fitted in the driver, from values whose order does not
matter; pass 2 is a function of the window and the pair model alone. So neither chunks nor workers change a result.
"""

import json
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, field, replace
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
from imagery.reader import Pixels
from imagery.tiles import PIXELS, GroundGrid, Tile, Window
from workers import versions
from workers.cluster import shares_files
from workers.found import FORMAT, TileFound, from_bytes, tile_found, to_bytes
from workers.inputs import Input
from workers.pipeline import Known, overlapped
from workers.run import Done, spread
from workers.scoring import machine
from workers.tilecache import CacheAt, key_of, open_cache
from workers.tiling import Analysis, Progress, collect, count_tiles, no_progress
from workers.windows import Sheet, digest, link_key, origin_of, parts, read_all

TILES_A_TASK = 2
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Sheets:
    """Both dates and the grid each is read on: the same ground grid, or for pictures without georeference each its own
    pixels, with cell (0, 0) in both top left corners. Travels to the workers."""

    before: Sheet
    after: Sheet
    cache: CacheAt | None = None
    versions: tuple[tuple[str, str], ...] = field(default_factory=versions.here)

    @property
    def grid(self) -> GroundGrid:
        """Of the earlier date, which results are told on."""
        return self.before.grid

    @property
    def overlap(self) -> Window:
        """Ground that both dates may show."""
        one, other = (sheet.origin.source.extent(sheet.grid) for sheet in (self.before, self.after))
        return one.intersect(other)


def both_grey(sheets: Sheets) -> Callable[[Pixels], Pixels]:
    """Where one date has a single band, the colours of the other say nothing: both are compared in grey."""
    if all(len(set(part.rgb)) > 1 for sheet in (sheets.before, sheets.after) for part in parts(sheet.origin.source)):
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
    cache: CacheAt | None = None,
    progress: Progress = no_progress,
) -> Comparison:
    """Compare two dates; the mask (0 unchanged, 1 changed, 255 not comparable) is written to `mask` on the grid.

    The pair model is always fitted over the whole overlap, whatever the `extent` that is answered for. Raises
    `Refused`: mixed-coordinates, no-overlap.
    """
    spec = detector.spec
    gsd_before, gsd_after = ground_gsds(before, after)
    cell = detector.cell(gsd_before, gsd_after)
    versions.check_workers(client)
    if cache is not None and not shares_files(client):
        cache = cache.elsewhere()
    sheets = replace(lay_out(before, after, cell), cache=cache)
    overlap = sheets.overlap
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
        client, work, spec.plan, sheets.grid, asked, mask, chunk=chunk, stage="compare", progress=progress
    )
    return Comparison(before, after, spec, cell, sheets.grid, asked, pair, analysis)


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
        grids = [before.source.grid(cell)] * 2
    else:
        grids = [GroundGrid(PIXELS, cell / gsd) for gsd in ground_gsds(before, after)]
    return Sheets(Sheet(origin_of(before.source), grids[0]), Sheet(origin_of(after.source), grids[1]))


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

    def encode(found: tuple[ShiftVote, ...]) -> bytes:
        return json.dumps([astuple(vote) for vote in found]).encode()

    def decode(data: bytes) -> tuple[ShiftVote, ...]:
        return tuple(ShiftVote(*vote) for vote in json.loads(data))

    def observed(tile: Tile, dates: Sequence[Pixels]) -> tuple[ShiftVote, ...]:
        return detector.observe_shift(tile.full, *dates)

    return _each(sheets, "votes", tiles, observed, encode, decode)


def light(sheets: Sheets, shift: ShiftField, tiles: Sequence[Tile]) -> list[LightTally]:
    """Runs on a worker: pass 1b."""

    def encode(tally: LightTally) -> bytes:
        return json.dumps(tally.joint.shape).encode() + b"\n" + zlib.compress(tally.joint.tobytes(), 1)

    def decode(data: bytes) -> LightTally:
        shape, _, joint = data.partition(b"\n")
        return LightTally(np.frombuffer(zlib.decompress(joint), dtype=np.int64).reshape(json.loads(shape)))

    kind = f"light {shift!r}"
    return _each(
        sheets, kind, tiles, lambda tile, pair: detector.observe_light(shift, tile.full, *pair), encode, decode
    )


def differences(sheets: Sheets, pair: PairModel, tiles: Sequence[Tile]) -> list[TileFound]:
    """Runs on a worker: pass 2."""
    (threshold,) = detector.spec.thresholds

    def compared(tile: Tile, dates: Sequence[Pixels]) -> TileFound:
        start = time.perf_counter()
        found = detector.compare(pair, tile.full, *dates)
        core = tile.core.slices_in(tile.full)
        score, reason = found.score[core], found.reason[core]
        mask = (score >= threshold).astype(np.uint8)
        mask[reason != Reason.COMPARABLE] = NOT_ANALYSED
        return replace(tile_found(tile.core, mask, score, reason), seconds=time.perf_counter() - start)

    return _each(sheets, f"differences {pair!r}", tiles, compared, to_bytes, from_bytes)


def _each(
    sheets: Sheets,
    kind: str,
    tiles: Sequence[Tile],
    work: Callable[[Tile, Sequence[Pixels]], Answer],
    encode: Callable[[Answer], bytes],
    decode: Callable[[bytes], Answer],
) -> list[Answer]:
    """`work` over the windows of `tiles`, the next one read meanwhile; what the cache knows is not worked on again.

    Answers may name absolute rows and columns, so that equal ground elsewhere has another: the key holds the window.
    """
    versions.check(sheets.versions)
    torch.set_num_threads(1)
    cache = None if sheets.cache is None else open_cache(sheets.cache)
    both = (sheets.before, sheets.after)
    grey = both_grey(sheets)

    def key(tile: Tile, name: str) -> str:
        return key_of(kind, FORMAT, repr(detector.spec), machine("cpu"), astuple(tile.full), name)

    def kept(tile: Tile, name: str) -> Known[Answer] | None:
        data = cache.get(key(tile, name)) if cache else None
        return None if data is None else Known(decode(data))

    def read(tile: Tile) -> "_Pair | Known[Answer]":
        link = link_key(both, tile.full)
        known = cache.get(link) if cache else None
        if known is not None and (answer := kept(tile, known.decode())) is not None:
            return answer
        pair = [grey(date) for date in read_all(both, tile.full)]
        if cache is None:
            return _Pair(pair, "")
        name = digest(pair)
        cache.put(link, name.encode())
        return kept(tile, name) or _Pair(pair, name)

    def look(pairs: Sequence[_Pair]) -> Sequence[_Pair]:
        return pairs  # there is no batch to fill: every pair is worked on by itself

    def finish(tile: Tile, pair: _Pair, _: _Pair) -> Answer:
        answer = work(tile, pair.dates)
        if cache is not None:
            cache.put(key(tile, pair.digest), encode(answer))
        return answer

    answers = dict(overlapped(tiles, read, look, finish, batch=1))  # type: ignore[misc] # a union of two variables
    return [answers[tile] for tile in tiles]


@dataclass(frozen=True, slots=True, eq=False)
class _Pair:
    """One window on both dates; `digest` only where results are kept."""

    dates: list[Pixels]
    digest: str
