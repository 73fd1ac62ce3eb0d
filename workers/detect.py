"""One detector over one source: windows read, scored and outlined on the workers, joined and written by the driver."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import distributed
import numpy as np
import torch
from numpy.typing import NDArray

from detectors import registry
from detectors.base import Detector, ModelSpec
from detectors.pair import Reason
from imagery.errors import Refused
from imagery.polygons import NOT_ANALYSED
from imagery.reader import Pixels, reader
from imagery.sources import Source
from imagery.tiles import GroundGrid, Tile, Window
from workers.inputs import Input
from workers.tiling import Analysis, Progress, TileFound, collect, no_progress, tile_found

Load = Callable[[str], Detector]
"""Gives the detector of a name; called once in each worker process."""

BATCHES_A_TASK = 2
"""So that a task lasts long beside what Dask spends on it, and a lost one costs little."""


@dataclass(frozen=True, slots=True)
class Detection:
    """A detector's answer for one source."""

    input: Input
    spec: ModelSpec
    grid: GroundGrid
    extent: Window
    analysis: Analysis


def load(name: str) -> Detector:
    """The installed detector of that name, on the CPU."""
    return registry.load(name, "cpu")


def detect(
    client: distributed.Client,
    spec: ModelSpec,
    source: Input,
    mask: Path,
    *,
    load: Load = load,
    extent: Window | None = None,
    chunk: int = 0,
    progress: Progress = no_progress,
) -> Detection:
    """Run the detector that `spec` describes over `source`; its mask is written to `mask`, a plain GeoTIFF on the grid.

    `extent`: only what reaches into this window of the grid is answered; the windows that the model sees do not move.
    `chunk`: tiles a task, 0 for a sensible number; it changes no result. Raises `Refused`: no-overlap, nothing-analysed
    (where every tile failed), and as loading the detector does.
    """
    load(spec.name)  # what cannot be loaded here will not load on the workers
    grid = source.source.grid(spec.gsd)
    whole = source.source.extent(grid)
    extent = whole if extent is None else whole.intersect(extent)
    if extent.empty:
        raise Refused("no-overlap", f"{source.name} does not reach into the extent asked for.", "Ask for another one.")
    work = partial(analyse, load, spec.name, spec.weights_sha256, source.source, grid)
    analysis = collect(
        client,
        work,
        spec.plan,
        grid,
        extent,
        mask,
        chunk=chunk or BATCHES_A_TASK * spec.batch,
        stage=f"{spec.name} {source.name}",
        progress=progress,
    )
    return Detection(source, spec, grid, extent, analysis)


def analyse(
    load: Load, name: str, weights_sha256: str, source: Source, grid: GroundGrid, tiles: Sequence[Tile]
) -> list[TileFound]:
    """Runs on a worker: the answer for each tile. Equal for a tile whatever stands beside it in `tiles`."""
    detector = _detector(load, name, weights_sha256)
    spec = detector.spec
    answers: dict[Tile, TileFound] = {}
    ready: list[tuple[Tile, Pixels]] = []
    with reader(source) as opened:
        for tile in tiles:
            pixels = opened.read(grid, tile.full)
            if pixels.valid[tile.core.slices_in(tile.full)].any():
                ready.append((tile, pixels))
            else:
                answers[tile] = _nothing(tile, spec)
    for start in range(0, len(ready), spec.batch):
        answers.update(_batch(detector, ready[start : start + spec.batch]))
    return [answers[tile] for tile in tiles]


@lru_cache(maxsize=4)
def _detector(load: Load, name: str, weights_sha256: str) -> Detector:
    """Once per process: the model, with one thread, so that sums keep one order of addition."""
    torch.set_num_threads(1)
    detector = load(name)
    if detector.spec.weights_sha256 != weights_sha256:
        raise Refused(
            "other-weights",
            f"This worker has {name} with weights {detector.spec.weights_sha256[:12]}, the run asks for "
            f"{weights_sha256[:12]}.",
            "Install the same version of flyonce on every worker.",
        )
    return detector


def _batch(detector: Detector, ready: Sequence[tuple[Tile, Pixels]]) -> dict[Tile, TileFound]:
    """Score at most one batch, padded to the size that the model fixes."""
    spec = detector.spec
    side = spec.core + 2 * spec.halo
    data = np.zeros((spec.batch, 3, side, side), dtype=np.uint8)
    valid = np.zeros((spec.batch, side, side), dtype=bool)
    for index, (_, pixels) in enumerate(ready):
        data[index], valid[index] = pixels.data, pixels.valid
    scores = detector.scores(torch.from_numpy(data), torch.from_numpy(valid)).numpy()
    answers = {}
    for index, (tile, pixels) in enumerate(ready):
        rows, cols = tile.core.slices_in(tile.full)
        answers[tile] = classify(tile.core, scores[index, :, rows, cols], pixels.valid[rows, cols], spec.thresholds)
    return answers


def classify(
    core: Window, scores: NDArray[np.uint8], valid: NDArray[np.bool_], thresholds: tuple[int, ...]
) -> TileFound:
    """Mask and parts of a core from its quantised scores [C, core, core].

    A cell belongs to the class with the highest score among those at or above their own threshold, the first of equals.
    """
    reached = scores >= np.array(thresholds, dtype=np.uint8)[:, None, None]
    standing = np.where(reached, scores.astype(np.int16), -1)
    best, top = standing.argmax(axis=0), standing.max(axis=0)
    mask = np.where(top >= 0, best + 1, 0).astype(np.uint8)
    mask[~valid] = NOT_ANALYSED
    why = np.where(valid, np.uint8(Reason.COMPARABLE), np.uint8(Reason.NO_DATA))
    return tile_found(core, mask, np.maximum(top, 0).astype(np.uint8), why)


def _nothing(tile: Tile, spec: ModelSpec) -> TileFound:
    """The answer where the source has no pixel at all."""
    void = np.zeros((spec.core, spec.core), dtype=bool)
    return classify(
        tile.core, np.zeros((len(spec.classes), spec.core, spec.core), dtype=np.uint8), void, spec.thresholds
    )
