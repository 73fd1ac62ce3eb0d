"""The engine's way through a GPU against the bare model on it: read, copy, score and fetch at the same time.

    python benchmarks/gpu.py                       on a machine with torch and numpy alone
    python benchmarks/gpu.py --device cpu --side 2560 --seconds 2

Prints one JSON object. For each dtype: the bare model (batches that lie on the device already, answers stay there), the
engine's stages over a memory-mapped file of raw pixels, and over blocks of 512 px compressed with deflate as COGs hold
them; pixels are those of cores, what halos repeat not counted. Beside them the roofline: what the model must compute
and move, what the card can, and what one thread decodes. Vectorising and writing are not in it: they need GDAL, and
`benchmarks/engine.py` measures them.
"""

import argparse
import json
import os
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from workers.environment import is_set, start_over

if not is_set():
    start_over()  # the bare model gets the allocator and threads that workers are started with

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from detectors import registry
from imagery.tiles import Tile, Window
from workers.jobs import Dtype
from workers.pipeline import Threads, overlapped
from workers.scoring import Scored, Scorer, Staged, classify, machine

BLOCK = 512
NAME = "debris"


@dataclass(frozen=True, eq=False)
class Pixels:
    data: np.ndarray
    valid: np.ndarray


@dataclass(frozen=True)
class Raster:
    """The same picture twice: planar raw pixels, and deflated blocks [rows][cols] of interleaved ones."""

    raw: np.ndarray
    blocks: list[list[bytes]]


def draw(folder: Path, side: int) -> Raster:
    """A picture that compresses about as aerial photographs do (PNG's filter, 2 to 1), one drawn patch repeated."""
    rng = np.random.default_rng(1)
    patch = min(side, 4 * BLOCK)
    picture = np.zeros((patch, patch))
    for size, strength in ((1, 6), (4, 14), (32, 22), (256, 30)):
        cells = rng.normal(0, strength, (patch // size, patch // size))
        picture += np.kron(cells, np.ones((size, size)))
    patch_rgb = np.clip(np.stack([picture + 120, picture + 112, picture + 98]), 0, 255).astype(np.uint8)
    raw = np.memmap(folder / "raw", dtype=np.uint8, mode="w+", shape=(3, side, side))
    for row in range(0, side, patch):
        for col in range(0, side, patch):
            part = raw[:, row : row + patch, col : col + patch]
            part[...] = patch_rgb[:, : part.shape[1], : part.shape[2]]
    kept: dict[tuple[int, int], bytes] = {}
    blocks: list[list[bytes]] = []
    for row in range(0, side, BLOCK):
        blocks.append([])
        for col in range(0, side, BLOCK):
            place = (row % patch, col % patch)
            if place not in kept:
                own = np.moveaxis(raw[:, row : row + BLOCK, col : col + BLOCK], 0, -1)
                steps = np.diff(own, axis=1, prepend=np.zeros_like(own[:, :1]))
                kept[place] = zlib.compress(steps.tobytes(), 6)
            blocks[-1].append(kept[place])
    return Raster(raw, blocks)


def window_raw(raster: Raster, tile: Tile) -> Pixels:
    """A window of the raw file, black and not valid beyond its edge."""
    side = raster.raw.shape[1]
    inside = tile.full.intersect(Window(0, 0, side, side))
    data = np.zeros((3, tile.full.height, tile.full.width), dtype=np.uint8)
    valid = np.zeros(data.shape[1:], dtype=bool)
    rows, cols = inside.slices_in(tile.full)
    data[:, rows, cols] = raster.raw[:, inside.row : inside.row + inside.height, inside.col : inside.col + inside.width]
    valid[rows, cols] = True
    return Pixels(data, valid)


def window_blocks(raster: Raster, tile: Tile) -> Pixels:
    """The same window from deflated blocks: every block that it touches is inflated and its differences summed."""
    side = raster.raw.shape[1]
    inside = tile.full.intersect(Window(0, 0, side, side))
    data = np.zeros((3, tile.full.height, tile.full.width), dtype=np.uint8)
    valid = np.zeros(data.shape[1:], dtype=bool)
    for i in range(inside.row // BLOCK, (inside.row + inside.height - 1) // BLOCK + 1):
        for j in range(inside.col // BLOCK, (inside.col + inside.width - 1) // BLOCK + 1):
            place = Window(i * BLOCK, j * BLOCK, BLOCK, BLOCK)
            part = place.intersect(inside)
            block = decoded(raster.blocks[i][j], (i, j))
            rows, cols = part.slices_in(tile.full)
            data[:, rows, cols] = np.moveaxis(block[part.slices_in(place)], -1, 0)
            valid[rows, cols] = True
    return Pixels(data, valid)


@lru_cache(maxsize=384)
def decoded(block: bytes, place: tuple[int, int]) -> np.ndarray:  # noqa: ARG001 - equal blocks elsewhere count anew
    """One block's pixels [BLOCK, BLOCK, 3]. As many are kept as GDAL's block cache holds by default in 300 MB."""
    return np.cumsum(inflated(block), axis=1, dtype=np.uint8)


def inflated(block: bytes) -> np.ndarray:
    return np.frombuffer(zlib.decompress(block), dtype=np.uint8).reshape(BLOCK, BLOCK, 3)


def rate(step: Callable[[], float], seconds: float, settle: Callable[[], object]) -> float:
    """What `step` returns (pixels, bytes or operations) a second, over at least `seconds` after one warm-up."""
    step()
    settle()
    done, start = 0.0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        done += step()
    settle()
    return done / (time.perf_counter() - start)


def bare(scorer: Scorer, seconds: float, settle: Callable[[], object]) -> float:
    """Core pixels a second of the model and the choice of classes on one batch that lies on the device."""
    spec, device = scorer.spec, scorer.device
    side = spec.core + 2 * spec.halo
    pixels = torch.randint(0, 256, (scorer.batch, 3, side, side), dtype=torch.uint8).to(device)
    valid = torch.ones(scorer.batch, side, side, dtype=torch.bool, device=device)
    core = slice(spec.halo, spec.halo + spec.core)

    def step() -> float:
        with torch.inference_mode(), scorer.precision(device):
            scores = scorer.detector.scores(pixels, valid)[:, :, core, core]
            classify(scores, valid[:, core, core], spec.thresholds)
        return float(scorer.batch * spec.core**2)

    return rate(step, seconds, settle)


def engine(
    scorer: Scorer, raster: Raster, read: Callable[[Raster, Tile], Pixels], threads: Threads, seconds: float
) -> float:
    """Core pixels a second from the file to masks and scores in ordinary memory."""
    spec, side = scorer.spec, raster.raw.shape[1]
    deadline = time.perf_counter() + seconds

    def items() -> Iterator[Tile]:
        while time.perf_counter() < deadline:
            yield from spec.plan.tiles(Window(0, 0, side, side))

    def staged(tile: Tile) -> Staged:
        return scorer.stage(read(raster, tile))

    def finish(_tile: Tile, _staged: Staged, scored: Scored) -> int:
        return int(np.count_nonzero(scored.mask))

    start, done = time.perf_counter(), 0
    for _ in overlapped(items(), staged, scorer, finish, batch=scorer.batch, threads=threads):
        done += 1
    return done * spec.core**2 / (time.perf_counter() - start)


def ceilings(device: str, seconds: float, settle: Callable[[], object]) -> dict[str, float]:
    """What this device reaches: large copies on it (GB/s read plus written), matrix products (TFLOP/s), and copies
    from pinned memory to it (GB/s)."""
    size = 4096 if device == "cuda" else 512
    big = torch.ones(size * 16, size, device=device)
    copy = torch.empty_like(big)
    answer = {"copy_GB_s": rate(lambda: (copy.copy_(big), 2.0 * big.nbytes)[1], seconds, settle) / 1e9}
    for name, dtype in (("float32", torch.float32), ("bfloat16", torch.bfloat16)):
        a = torch.randn(size, size, device=device).to(dtype)
        answer[f"matmul_{name}_TFLOP_s"] = rate(lambda a=a: (a @ a, 2.0 * size**3)[1], seconds, settle) / 1e12
    if device == "cuda":
        host = torch.ones(64 << 20, dtype=torch.uint8).pin_memory()
        there = torch.empty_like(host, device="cuda")
        moved = rate(lambda: (there.copy_(host, non_blocking=True), float(host.nbytes))[1], seconds, settle)
        answer["pinned_to_device_GB_s"] = moved / 1e9
    return answer


def roofline(scorer: Scorer) -> dict[str, float]:
    """What one core pixel costs: operations of convolutions, and bytes of every layer's inputs and outputs, read and
    written once each as eager PyTorch does."""
    spec, device = scorer.spec, scorer.device
    side = spec.core + 2 * spec.halo
    pixels = torch.zeros(spec.batch, 3, side, side, dtype=torch.uint8, device=device)
    valid = torch.ones(spec.batch, side, side, dtype=torch.bool, device=device)
    moved = 0

    class Moved(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            nonlocal moved
            out = func(*args, **(kwargs or {}))
            if "view" not in str(func) and "slice" not in str(func) and "select" not in str(func):
                leaves = tree_leaves((args, kwargs, out))
                moved += sum(leaf.nbytes for leaf in leaves if isinstance(leaf, torch.Tensor))
            return out

    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter, scorer.precision(device):
        scorer.detector.scores(pixels, valid)
    with torch.no_grad(), Moved(), scorer.precision(device):
        scorer.detector.scores(pixels, valid)
    cores = spec.batch * spec.core**2
    halo_bytes = 3 * side * side + side * side
    return {
        "flop_per_px": counter.get_total_flops() / cores,
        "eager_bytes_per_px": moved / cores,
        "copied_to_device_bytes_per_px": halo_bytes / spec.core**2,
        "copied_back_bytes_per_px": 2.0,
    }


def decode_rate(raster: Raster, seconds: float) -> float:
    """Pixels a second that one thread inflates and sums up."""
    block = raster.blocks[0][0]

    def step() -> float:
        np.cumsum(inflated(block), axis=1, dtype=np.uint8)
        return float(BLOCK * BLOCK)

    return rate(step, seconds, lambda: None)


def measure(device: str, dtype: Dtype, raster: Raster, given: argparse.Namespace) -> dict[str, Any]:
    on_gpu = device == "cuda"
    settle = torch.cuda.synchronize if on_gpu else (lambda: None)
    cores = len(os.sched_getaffinity(0))
    lanes = given.lanes or (3 if on_gpu else 1)
    readers = max(1, min(12, cores - lanes - 1)) if on_gpu else 1
    threads = Threads(readers=readers, lanes=lanes, finishers=2 if on_gpu else 1, ahead=lanes + 1)
    if on_gpu:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    scorer = Scorer(partial(registry.load, NAME), device=device, dtype=dtype, lanes=lanes)
    line: dict[str, Any] = {"dtype": dtype, "batch": scorer.batch, "readers": readers, "lanes": lanes}
    line["bare_Mpx_s"] = bare(scorer, given.seconds, settle) / 1e6
    for name, read in (("raw", window_raw), ("deflate", window_blocks)):
        engine(scorer, raster, read, threads, given.seconds / 4)
        line[f"engine_{name}_Mpx_s"] = engine(scorer, raster, read, threads, given.seconds) / 1e6
    line["bare_again_Mpx_s"] = bare(scorer, given.seconds, settle) / 1e6
    both = (line["bare_Mpx_s"] + line["bare_again_Mpx_s"]) / 2
    line["ratio_raw"] = line["engine_raw_Mpx_s"] / both
    line["ratio_deflate"] = line["engine_deflate_Mpx_s"] / both
    line["roofline"] = roofline(scorer)
    if on_gpu:
        line["peak_memory_MiB"] = torch.cuda.max_memory_reserved() / 2**20
    return line


def rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: rounded(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [rounded(inner) for inner in value]
    return float(f"{value:.4g}") if isinstance(value, float) else value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--side", type=int, default=16384, help="pixels of the picture's side, a multiple of 512")
    parser.add_argument("--seconds", type=float, default=4.0, help="of each measurement")
    parser.add_argument("--lanes", type=int, default=0, help="batches on the device at the same time; 0: 3 on a GPU")
    parser.add_argument("--dtypes", nargs="+", default=["float32", "bfloat16"])
    parser.add_argument("--json", type=Path, help="also write the answer there")
    given = parser.parse_args()
    torch.set_num_threads(1)
    settle = torch.cuda.synchronize if given.device == "cuda" else (lambda: None)
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        raster = draw(Path(folder), given.side)
        answer: dict[str, Any] = {
            "when": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": machine(given.device),
            "cores": len(os.sched_getaffinity(0)),
            "model": f"{NAME} {registry.spec(NAME).version} {registry.spec(NAME).weights_sha256[:8]}",
            "picture": f"{given.side} x {given.side}",
            "ceilings": ceilings(given.device, min(1.0, given.seconds / 4), settle),
            "decode_Mpx_s_per_thread": decode_rate(raster, min(1.0, given.seconds / 4)) / 1e6,
        }
        answer["runs"] = [measure(given.device, dtype, raster, given) for dtype in given.dtypes]
        del raster
    answer["seconds"] = time.perf_counter() - start
    text = json.dumps(rounded(answer), indent=1)
    if given.json:
        given.json.write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
