"""A detector on its device: batches of windows in, masks and scores of their cores out.

A scorer has threads of its own, one for each batch that may be on the device at a time. On CUDA each has a stream, and
windows come through pinned memory, so that copies and arithmetic of several overlap; the batch grows until it fills the
memory it may have, and is halved, in the end handed to the CPU, where that is not enough. Imports torch and numpy, no
rasterio, so that it runs on a bare GPU machine.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from detectors.base import Detector, ModelSpec
from imagery.tiles import Window
from workers.jobs import Dtype

NOT_ANALYSED = 255
LARGEST_BATCH = 16
BUDGET = 0.8
"""Of the device's free memory when the detector is loaded, and of this process's share of the whole."""

log = logging.getLogger(__name__)


class Pixels(Protocol):
    """What a window reader returns."""

    @property
    def data(self) -> NDArray[np.uint8]:
        """uint8 [3, H, W]."""
        ...

    @property
    def valid(self) -> NDArray[np.bool_]:
        """bool [H, W]."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """One core: `mask` uint8 [core, core] (0 clean, 1..N, 255 not analysed), `top` uint8 [core, core], the score of
    the class that the mask names, 0 elsewhere. `seconds`: its share of its batch's time on the device."""

    mask: NDArray[np.uint8]
    top: NDArray[np.uint8]
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Staged:
    """What the network is given of one window: `pixels` uint8 [3, H, W], `valid` bool [H, W]."""

    pixels: Tensor
    valid: Tensor
    place: Window
    """Where that lies in the window, from its upper left corner."""


def best_device() -> str:
    """`cuda` where this process has a GPU, else `cpu`."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def machine(device: str) -> str:
    """What of a machine the last bit of a score may depend on: torch's version and the kind of processor."""
    kind = torch.cuda.get_device_name() if device == "cuda" else torch.backends.cpu.get_cpu_capability()
    return f"torch {torch.__version__} {kind}"


def classify(scores: Tensor, valid: Tensor, thresholds: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Mask and top score, both uint8 [N, H, W], from scores uint8 [N, C, H, W] and bool [N, H, W], on their device.

    A cell belongs to the class with the highest score among those at or above their own threshold, the first of
    equals; a score of 0 is no detection whatever the threshold.
    """
    top = torch.zeros(valid.shape, dtype=torch.uint8, device=scores.device)
    mask = torch.zeros_like(top)
    for index, threshold in enumerate(thresholds):
        plane = scores[:, index].contiguous()  # classes may lie side by side, where all that follows would be slow
        if plane.device.type == "cpu" and int(plane.max()) < threshold:
            continue  # as on most ground; on a GPU asking would cost more than it saves
        plane = plane * (plane >= threshold)  # a product runs over many cells at once, `masked_fill` does not
        mask.masked_fill_(plane > top, index + 1)
        top = torch.maximum(top, plane)
    return mask.masked_fill_(~valid, NOT_ANALYSED), top


def needed(valid: NDArray[np.bool_], spec: ModelSpec) -> Window:
    """The part of a window that decides the valid cells of its core, from the window's upper left corner.

    `valid`: bool [H, W] of the whole window. The part is those cells with `spec.halo` around them, out to multiples of
    `spec.lattice`: a function of the window alone, as all that a tile's answer depends on.
    """
    whole = Window(0, 0, *valid.shape)
    if not spec.lattice or valid.all():
        return whole
    core = whole.grow(-spec.halo)
    inside = valid[core.slices_in(whole)]
    rows, cols = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    if not len(rows):
        return whole

    def out(first: int, last: int) -> tuple[int, int]:
        start = first // spec.lattice * spec.lattice
        return start, -(-last // spec.lattice) * spec.lattice - start

    # The first cell's halo reaches from the window's edge as far in as the cell lies in the core.
    (row, height), (col, width) = (out(int(at[0]), int(at[-1]) + 1 + 2 * spec.halo) for at in (rows, cols))
    return Window(row, col, height, width).intersect(whole)


class Scorer:
    """Scores batches of windows. Equal for a window whatever stands beside it in its batch. Safe for threads."""

    def __init__(
        self,
        load: Callable[[str], Detector],
        *,
        device: str = "cpu",
        dtype: Dtype = "float32",
        batch: int = 0,
        lanes: int = 1,
        budget: float = BUDGET,
        shared_by: int = 1,
    ) -> None:
        """`load` gives the detector on a device. `batch`: a multiple of the model's own; 0 for that on a CPU, and for
        what fills a GPU. `lanes`: batches that may be on the device at the same time; others wait. `shared_by`:
        processes that use the GPU, of which each takes no more of its memory than the others may."""
        self._load, self._dtype = load, dtype
        self.device = device
        self.detector = load(device)
        self._instead: Detector | None = None
        """On the CPU, once the device's memory was not even enough for the model's own batch."""
        self.spec: ModelSpec = self.detector.spec
        self._guard = threading.Lock()
        # They live as long as the scorer: cuDNN's plans belong to the thread that made them, and memory that PyTorch
        # keeps to a stream. Threads that end with their task would have both made anew, for seconds, by each.
        self._lanes = ThreadPoolExecutor(lanes, "device", initializer=_own_stream if device == "cuda" else None)
        # A sum's order of addition follows the number of threads: one everywhere.
        torch.set_num_threads(1)
        if device == "cuda":
            torch.backends.cudnn.benchmark = False
            torch.backends.cudnn.deterministic = True
        self.batch = batch or (self.spec.batch if device == "cpu" else self._fitting_batch(lanes, budget, shared_by))
        """Windows that a call should be given."""
        self.fits = self.batch
        """Windows that the device is given at a time: less than `batch` once its memory was not enough."""

    def stage(self, pixels: Pixels) -> Staged:
        """A window ready to go to the device: for a GPU in pinned memory, which the calling thread fills.

        A CPU is given no more of it than is `needed`; a GPU is kept busy by batches of one size.
        """
        whole = Window(0, 0, *pixels.valid.shape)
        if self.device == "cuda":
            data, valid = torch.from_numpy(pixels.data), torch.from_numpy(pixels.valid)
            return Staged(data.pin_memory(), valid.pin_memory(), whole)
        place = needed(pixels.valid, self.spec)
        rows, cols = place.slices_in(whole)
        data, valid = torch.from_numpy(pixels.data[:, rows, cols]), torch.from_numpy(pixels.valid[rows, cols])
        return Staged(data.contiguous(), valid.contiguous(), place)

    def __call__(self, windows: Sequence[Staged]) -> list[Scored]:
        """The cores of `windows`, in their order; each batch is padded to the size that is fixed, and holds windows of
        which the same part is needed."""
        scored: dict[int, Scored] = {}
        places: dict[Window, list[int]] = {}
        for index, window in enumerate(windows):
            places.setdefault(window.place, []).append(index)
        for place, indices in places.items():
            alike = [windows[index] for index in indices]
            scored.update(zip(indices, (self._whole(one, place) for one in self._scored(alike)), strict=True))
        return [scored[index] for index in range(len(windows))]

    def _scored(self, windows: Sequence[Staged]) -> list[Scored]:
        """Windows of one size through the device; of each the cells of its core that were given."""
        scored: list[Scored] = []
        while len(scored) < len(windows):
            size = self.fits
            part = windows[len(scored) : len(scored) + size]
            try:
                mask, top, seconds = self._lanes.submit(self._run, part, size).result()
            except torch.OutOfMemoryError:
                if not self._retreat(size):
                    raise
                continue
            scored += [Scored(mask[index], top[index], seconds / len(part)) for index in range(len(part))]
        return scored

    def _whole(self, scored: Scored, place: Window) -> Scored:
        """The whole core; what was not given has no pixels."""
        core = self._core()
        inside = core.intersect(place)
        if inside == core:
            return scored
        shape = (core.height, core.width)
        mask, top = np.full(shape, NOT_ANALYSED, np.uint8), np.zeros(shape, np.uint8)
        mask[inside.slices_in(core)], top[inside.slices_in(core)] = scored.mask, scored.top
        return Scored(mask, top, scored.seconds)

    def _core(self) -> Window:
        """In a window, from its upper left corner."""
        return Window(self.spec.halo, self.spec.halo, self.spec.core, self.spec.core)

    def _run(self, windows: Sequence[Staged], size: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8], float]:
        """Runs on a thread of `lanes`: mask and top of each window, and the seconds that all took."""
        start = time.perf_counter()
        on_cpu = self.device == "cpu" or self._instead is not None
        pixels, valid = _batch(windows, size, "cpu" if on_cpu else "cuda")
        mask, top = self._forward(self._instead or self.detector, windows[0].place, pixels, valid)
        if not on_cpu:
            mask, top = (_pinned_copy(plane) for plane in (mask, top))
            torch.cuda.current_stream().synchronize()
        return mask.numpy(), top.numpy(), time.perf_counter() - start

    def _retreat(self, size: int) -> bool:
        """After running out of memory with `size` windows: half of them, and from the model's own batch to the CPU;
        False where that has been tried already."""
        torch.cuda.empty_cache()
        with self._guard:
            if size // 2 >= self.spec.batch:
                log.warning("out of memory with %d windows at a time: going on with %d", size, size // 2)
                self.fits = min(self.fits, size // 2)
                return True
            if self._instead is None:
                log.warning("out of memory with the model's own batch: going on with the CPU")
                self._instead = self._load("cpu")
                return True
            return False

    def _forward(self, detector: Detector, place: Window, pixels: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        rows, cols = self._core().intersect(place).slices_in(place)
        with torch.inference_mode(), self.precision(pixels.device.type):
            scores = detector.scores(pixels, valid)[:, :, rows, cols]
            return classify(scores, valid[:, rows, cols], self.spec.thresholds)

    def precision(self, device: str) -> AbstractContextManager[object]:
        """The block in which the network computes in `dtype`."""
        return nullcontext() if self._dtype == "float32" else torch.autocast(device, dtype=torch.bfloat16)

    def _fitting_batch(self, lanes: int, budget: float, shared_by: int) -> int:
        """The model's own batch, doubled as long as `lanes` of them fit into `budget` of the free memory, and of one
        of `shared_by` equal shares.

        What one batch needs is measured with one; the rest of the card is left to others.
        """
        spec, side = self.spec, self.spec.core + 2 * self.spec.halo
        free, total = torch.cuda.mem_get_info()
        allowed = min(free, total / shared_by) * budget
        torch.cuda.set_per_process_memory_fraction(min(1.0, (allowed + torch.cuda.memory_reserved()) / total))
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        pixels, valid = torch.zeros(3, side, side, dtype=torch.uint8), torch.ones(side, side, dtype=torch.bool)
        blank = Staged(pixels, valid, Window(0, 0, side, side))
        try:
            self._lanes.submit(self._run, [blank], spec.batch).result()
        except torch.OutOfMemoryError:
            torch.cuda.empty_cache()
            return spec.batch
        need = max(1, torch.cuda.max_memory_allocated() - before)
        batch = spec.batch
        while 2 * batch <= LARGEST_BATCH // shared_by and 2 * batch * lanes * need / spec.batch <= allowed:
            batch *= 2
        return batch


def _own_stream() -> None:
    torch.cuda.set_stream(torch.cuda.Stream())  # type: ignore[no-untyped-call]


def _pinned_copy(plane: Tensor) -> Tensor:
    """In ordinary memory, once the stream has come so far."""
    here = torch.empty(plane.shape, dtype=plane.dtype, pin_memory=True)
    return here.copy_(plane, non_blocking=True)


def _batch(windows: Sequence[Staged], size: int, device: str) -> tuple[Tensor, Tensor]:
    """uint8 [size, 3, H, W] and bool [size, H, W] on the device; what is not filled is black and not valid."""
    first = windows[0]
    if device == "cpu" and size == 1:
        return first.pixels[None], first.valid[None]
    pixels = torch.empty(size, *first.pixels.shape, dtype=torch.uint8, device=device)
    valid = torch.empty(size, *first.valid.shape, dtype=torch.bool, device=device)
    for index, window in enumerate(windows):
        pixels[index].copy_(window.pixels, non_blocking=True)
        valid[index].copy_(window.valid, non_blocking=True)
    pixels[len(windows) :] = 0
    valid[len(windows) :] = False
    return pixels, valid
