"""One detector over one source: windows read, scored and outlined on the workers, joined and written by the driver."""

import os
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from typing import Protocol

import distributed
import numpy as np
from numpy.typing import NDArray

from detectors import registry
from detectors.base import Detector, ModelSpec
from detectors.pair import Reason
from imagery.errors import Refused
from imagery.polygons import NOT_ANALYSED
from imagery.tiles import GroundGrid, Tile, Window
from workers import versions
from workers.cluster import shares_files
from workers.devices import shared_by
from workers.found import FORMAT, TileFound, from_bytes, tile_found, to_bytes
from workers.inputs import Input
from workers.jobs import Dtype
from workers.pipeline import Known, Threads, overlapped
from workers.scoring import Scored, Scorer, Staged, best_device, machine
from workers.tilecache import CacheAt, TileCache, key_of, open_cache
from workers.tiling import Analysis, Progress, collect, count_tiles, no_progress
from workers.windows import Sheet, digest, link_key, origin_of, read_all

BATCHES_A_TASK = 2
"""On a CPU: so that a task lasts long beside what Dask spends on it, and a lost one costs little."""
MOST_A_TASK = 64
"""Tiles, on a GPU."""
TASKS_A_THREAD = 4
"""At least, where a raster has enough tiles: what a worker that ends first waits for is one task."""
_LOADING = threading.Lock()
VOID = "void"
"""Digest of a window whose core has no pixel."""


class Load(Protocol):
    """Gives the detector of a name on a device (`cpu`, `cuda`); called once in each worker process."""

    def __call__(self, name: str, device: str = "cpu") -> Detector: ...

    def __hash__(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Detection:
    """A detector's answer for one source."""

    input: Input
    spec: ModelSpec
    grid: GroundGrid
    extent: Window
    analysis: Analysis
    dtype: Dtype = "float32"


@dataclass(frozen=True, slots=True)
class Task:
    """What tasks of one run have in common; travels to the workers."""

    load: Load
    name: str
    weights_sha256: str
    dtype: Dtype
    sheet: Sheet
    cache: CacheAt | None
    versions: tuple[tuple[str, str], ...] = field(default_factory=versions.here)


def load(name: str, device: str = "cpu") -> Detector:
    """The installed detector of that name."""
    return registry.load(name, device)


def detect(
    client: distributed.Client,
    spec: ModelSpec,
    source: Input,
    mask: Path,
    *,
    load: Load = load,
    extent: Window | None = None,
    chunk: int = 0,
    dtype: Dtype = "float32",
    cache: CacheAt | None = None,
    progress: Progress = no_progress,
) -> Detection:
    """Run the detector that `spec` describes over `source`; its mask is written to `mask`, a plain GeoTIFF on the grid.

    `extent`: only what reaches into this window of the grid is answered; the windows that the model sees do not move.
    `chunk`: tiles a task, 0 for a sensible number; it changes no result. `cache`: where tile results are kept, on each
    worker's host; None: nowhere. Raises `Refused`: no-overlap, other-versions, and as `collect` and loading do;
    `SchedulerLostError`.
    """
    load(spec.name)  # what cannot be loaded here will not load on the workers
    versions.check_workers(client)
    grid = source.source.grid(spec.gsd)
    whole = source.source.extent(grid)
    extent = whole if extent is None else whole.intersect(extent)
    if extent.empty:
        raise Refused("no-overlap", f"{source.name} does not reach into the extent asked for.", "Ask for another one.")
    if cache is not None and not shares_files(client):
        cache = cache.elsewhere()
    task = Task(load, spec.name, spec.weights_sha256, dtype, Sheet(origin_of(source.source), grid), cache)
    analysis = collect(
        client,
        partial(analyse, task),
        spec.plan,
        grid,
        extent,
        mask,
        chunk=chunk or _chunk(client, spec, count_tiles(spec.plan, extent)),
        stage=f"{spec.name} {source.name}",
        progress=progress,
    )
    return Detection(source, spec, grid, extent, analysis, dtype)


def analyse(task: Task, tiles: Sequence[Tile]) -> list[TileFound]:
    """Runs on a worker: the answer for each tile. Equal for a tile whatever stands beside it in `tiles`."""
    versions.check(task.versions)
    scorer = _scorer(task.load, task.name, task.weights_sha256, task.dtype)
    steps = _Steps(task, scorer, None if task.cache is None else open_cache(task.cache))
    answers = dict(
        overlapped(tiles, steps.read, steps.score, steps.finish, batch=scorer.batch, threads=_threads(scorer))
    )
    return [answers[tile] for tile in tiles]


@dataclass(frozen=True, slots=True, eq=False)
class _Ready:
    """A window on its way to the device."""

    staged: Staged
    key: str
    """Of its result."""
    seconds: float
    """Spent on reading it."""


class _Steps:
    """The three stages of `overlapped` for one task."""

    def __init__(self, task: Task, scorer: Scorer, cache: TileCache | None) -> None:
        self._sheets = (task.sheet,)
        self._scorer, self._cache = scorer, cache
        device = scorer.device
        self._about = ("scores", FORMAT, repr(scorer.spec), device, machine(device), task.dtype, scorer.batch)

    def read(self, tile: Tile) -> _Ready | Known[TileFound]:
        link = link_key(self._sheets, tile.full)
        known = self._cache.get(link) if self._cache else None
        if known is not None and (answer := self._kept(known.decode(), tile)) is not None:
            return Known(answer)
        start = time.perf_counter()
        (pixels,) = read_all(self._sheets, tile.full)
        empty = not pixels.valid[tile.core.slices_in(tile.full)].any()
        # Without a cache nothing is looked up by what it holds.
        name = VOID if empty else digest([pixels]) if self._cache else ""
        if self._cache and known is None:
            self._cache.put(link, name.encode())
        if (answer := self._kept(name, tile)) is not None:
            return Known(answer)
        return _Ready(self._scorer.stage(pixels), self._key(name), time.perf_counter() - start)

    def score(self, windows: Sequence[_Ready]) -> Sequence[Scored]:
        return self._scorer([window.staged for window in windows])

    def finish(self, tile: Tile, ready: _Ready, scored: Scored) -> TileFound:
        start = time.perf_counter()
        found = _outlined(tile.core, scored.mask, scored.top)
        seconds = ready.seconds + scored.seconds + time.perf_counter() - start
        found = TileFound(found.mask, found.why, found.regions, seconds)
        if self._cache:
            self._cache.put(ready.key, to_bytes(found, tile.core))
        return found

    def _kept(self, name: str, tile: Tile) -> TileFound | None:
        """The answer for pixels of this digest, if it is known."""
        if name == VOID:
            side = self._scorer.spec.core
            return _outlined(tile.core, np.full((side, side), NOT_ANALYSED, np.uint8), np.zeros((side, side), np.uint8))
        data = self._cache.get(self._key(name)) if self._cache else None
        return None if data is None else from_bytes(data, tile.core)

    def _key(self, name: str) -> str:
        return key_of(*self._about, name)


def _outlined(core: Window, mask: NDArray[np.uint8], top: NDArray[np.uint8]) -> TileFound:
    why = np.where(mask == NOT_ANALYSED, np.uint8(Reason.NO_DATA), np.uint8(Reason.COMPARABLE))
    return tile_found(core, mask, top, why)


def _scorer(load: Load, name: str, weights_sha256: str, dtype: Dtype) -> Scorer:
    """Once per process: the model on its device. The GPU where this process has one, else the CPU."""
    # A cache alone lets a process's first two tasks load a model each, of which neither waits for the other's turn.
    with _LOADING:
        return _loaded(load, name, weights_sha256, dtype)


@lru_cache(maxsize=4)
def _loaded(load: Load, name: str, weights_sha256: str, dtype: Dtype) -> Scorer:
    device = best_device()
    scorer = Scorer(partial(load, name), device=device, dtype=dtype, lanes=_lanes(device), shared_by=shared_by())
    if scorer.spec.weights_sha256 != weights_sha256:
        raise Refused(
            "other-weights",
            f"This worker has {name} with weights {scorer.spec.weights_sha256[:12]}, the run asks for "
            f"{weights_sha256[:12]}.",
            "Install the same version of flyonce on every worker.",
        )
    return scorer


def _lanes(device: str) -> int:
    """Batches on the device at a time: a GPU that one process has to itself wants copies beside its arithmetic."""
    return 3 if device == "cuda" and shared_by() == 1 else 1


def _threads(scorer: Scorer) -> Threads:
    """A CPU's cores are busy with the model: one thread reads ahead. A GPU wants all the cores it can get."""
    if scorer.device == "cpu":
        return Threads()
    cores = len(os.sched_getaffinity(0)) // shared_by()
    return Threads(
        readers=max(1, min(6, cores - 4)), lanes=_lanes("cuda"), finishers=max(1, min(4, cores // 2)), ahead=4
    )


def _chunk(client: distributed.Client, spec: ModelSpec, tiles: int) -> int:
    """Tiles of a task. A GPU's task has several of its batches, unless the raster has too few for all workers."""
    if "cuda" not in client.run(best_device).values():
        return BATCHES_A_TASK * spec.batch
    threads = sum(client.nthreads().values())  # type: ignore[no-untyped-call]
    return max(spec.batch, min(MOST_A_TASK, tiles // (TASKS_A_THREAD * threads)))
