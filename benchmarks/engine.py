"""The engine against the bare model, against others with the same weights and image, and against itself.

    make bench            or: .venv/bin/python benchmarks/engine.py --only bare,repeat --side 2048

Each comparison is made in this one command, its sides in turn, `--rounds` times; what counts are the ratios. Pixels
are those of cores: what was asked about, not what halos repeat. Peers are installed by this script alone, into
`.cache/peers`, on top of the torch that is here. The GPU column, where there is a GPU: the stages are
`benchmarks/gpu.py`, the whole engine `--only card`.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, get_args

from workers.environment import WORKER_ENVIRONMENT, is_set, start_over

if not is_set():
    start_over()  # the bare model gets the allocator and threads that workers are started with

import distributed
import gpu as gpu_alone
import numpy as np
import rasterio
import torch

from detectors import registry
from imagery.cog import write_cog
from imagery.simulator.simulate import draw
from workers.cluster import connect
from workers.detect import detect
from workers.inputs import Input, open_input
from workers.jobs import Dtype
from workers.scoring import Scorer
from workers.testing import WIDE, load_wide, write_wide
from workers.tilecache import CacheAt

HERE = Path(__file__).resolve().parent
PEERS = HERE.parent / ".cache" / "peers"
SECTIONS = ("bare", "workers", "repeat", "memory", "peers", "gpu", "card")
SPEC = registry.spec("debris")


def raster(folder: Path, side: int, *, aligned: bool = True) -> Path:
    """A COG of `side` squared pixels at the model's GSD: a simulated block, repeated. `aligned`: its corner is that of
    a core, so that no window hangs over its edge."""
    gsd, step = SPEC.gsd, SPEC.core * SPEC.gsd
    left, top = (6104 * step, 41504 * step) if aligned else (500_000.0, 3_400_000.0)
    plain, cog = folder / "plain.tif", folder / f"cog-{side}-{'aligned' if aligned else 'free'}.tif"
    if cog.exists():
        return cog
    block = draw(1, gsd=gsd, size_m=(100.0, 80.0)).after
    repeats = (1, -(-side // block.shape[1]), -(-side // block.shape[2]))
    data = np.tile(block, repeats)[:, :side, :side]
    profile = {"driver": "GTiff", "width": side, "height": side, "count": 3, "dtype": "uint8", "crs": "EPSG:4547"}
    with rasterio.open(plain, "w", transform=rasterio.Affine(gsd, 0, left, 0, -gsd, top), tiled=True, **profile) as ds:
        ds.write(data)
    write_cog(plain, cog)
    plain.unlink()
    return cog


def bare(side: int) -> float:
    """Core pixels a second of the model alone, on a batch that is already a tensor."""
    torch.set_num_threads(1)
    detector = registry.load("debris")
    window = SPEC.core + 2 * SPEC.halo
    random = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (SPEC.batch, 3, window, window), dtype=torch.uint8, generator=random)
    valid = torch.ones(SPEC.batch, window, window, dtype=torch.bool)
    detector.scores(pixels, valid)
    batches = max(2, round((side / SPEC.core) ** 2 / SPEC.batch))
    start = time.perf_counter()
    for _ in range(batches):
        detector.scores(pixels, valid)
    return batches * SPEC.batch * SPEC.core**2 / (time.perf_counter() - start)


def tiled(
    client: distributed.Client,
    source: Input,
    folder: Path,
    cache: CacheAt | None = None,
    dtype: Dtype = "float32",
) -> float:
    """Pixels a second of `detect` from the COG to mask and joined polygons."""
    start = time.perf_counter()
    found = detect(client, SPEC, source, folder / "mask.tif", cache=cache, dtype=dtype)
    assert not found.analysis.failed
    return source.source.width * source.source.height / (time.perf_counter() - start)


def pin(cores: list[int]) -> None:
    """Runs on a worker: this process, every thread of it, on these cores alone."""
    for task in Path("/proc/self/task").iterdir():
        with suppress(ProcessLookupError):  # a thread that has ended meanwhile
            os.sched_setaffinity(int(task.name), cores)


def pinned(client: distributed.Client, cores: list[int]) -> None:
    """Each worker on a core of its own."""
    workers = sorted(client.scheduler_info(n_workers=-1)["workers"])
    for worker, core in zip(workers, cores, strict=False):
        client.run(pin, [core], workers=[worker])


def against_bare(folder: Path, side: int, rounds: int) -> dict[str, Any]:
    answer: dict[str, Any] = {}
    cases = {
        "COG whose edges are those of cores, a core of its own for reading": (True, None),
        "the same, everything on one core": (True, 0),
        "COG that lies anywhere": (False, None),
    }
    for name, (aligned, core) in cases.items():
        source = open_input(raster(folder, side, aligned=aligned))
        with connect(workers=1) as client:
            tiled(client, source, folder)  # the worker loads its model
            if core is not None:
                pinned(client, [core])
            pairs = [(bare(side), tiled(client, source, folder)) for _ in range(rounds)]
        answer[name] = {
            "bare_Mpx_s": [alone / 1e6 for alone, _ in pairs],
            "engine_Mpx_s": [engine / 1e6 for _, engine in pairs],
            "ratio": statistics.median(engine / alone for alone, engine in pairs),
        }
    return answer


def two_workers(folder: Path, side: int, rounds: int) -> dict[str, Any]:
    source = open_input(raster(folder, side))
    cores = sorted(os.sched_getaffinity(0))[:2]
    with connect(workers=1) as one, connect(workers=2) as two:
        for client, some in ((one, cores[:1]), (two, cores)):
            tiled(client, source, folder)
            pinned(client, some)
        pairs = [(tiled(one, source, folder), tiled(two, source, folder)) for _ in range(rounds)]
        same = [
            [(region.value, region.cells, region.score_sum, region.polygon.wkb) for region in found.analysis.regions]
            for found in (detect(client, SPEC, source, folder / "mask.tif") for client in (one, two))
        ]
    return {
        "one_Mpx_s": [a / 1e6 for a, _ in pairs],
        "two_Mpx_s": [b / 1e6 for _, b in pairs],
        "ratio": statistics.median(b / a for a, b in pairs),
        "identical": same[0] == same[1],
    }


def repeat(folder: Path, side: int) -> dict[str, Any]:
    source = open_input(raster(folder, side))
    with connect(workers=1) as client:
        tiled(client, source, folder)
        cache = CacheAt(str(folder / "tiles"))
        first, again = (tiled(client, source, folder, cache) for _ in range(2))
    return {"first_Mpx_s": first / 1e6, "again_Mpx_s": again / 1e6, "ratio": again / first}


def memory(sides: list[int]) -> dict[str, Any]:
    """Peak resident MiB of the worker and of the driver, each side in a process of its own."""
    found = {}
    for side in sides:
        run = subprocess.run(
            [sys.executable, __file__, "--memory-of", str(side)], capture_output=True, text=True, check=True
        )
        found[f"{side}"] = json.loads(run.stdout.splitlines()[-1])
    return found


def memory_of(side: int) -> dict[str, float]:
    def resident(what: str = "VmHWM") -> float:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(what))

    with tempfile.TemporaryDirectory() as name, connect(workers=1) as client:
        folder = Path(name)
        small = open_input(write_wide(folder / "small.tif", 1024))
        detect(client, WIDE, small, folder / "mask.tif", load=load_wide)
        (before,) = client.run(partial(resident, "VmRSS")).values()
        source = open_input(write_wide(folder / "a.tif", side))
        start = time.perf_counter()
        found = detect(client, WIDE, source, folder / "mask.tif", load=load_wide)
        seconds = time.perf_counter() - start
        (worker,) = client.run(resident).values()
    return {
        "worker_MiB": worker,
        "worker_with_model_MiB": before,
        "driver_MiB": resident(),
        "regions": len(found.analysis.regions),
        "Mpx_s": side**2 / seconds / 1e6,
    }


PACKAGES = {
    "dask map_blocks": "",
    "torchgeo": "torchgeo",
    "geoai": "geoai-py",
    "samgeo tiff_to_tiff": "segment-geospatial",
    "raster-vision": "rastervision-pytorch-learner",
}
"""What has to be installed for each peer; nothing for what is here."""


def peers(folder: Path, side: int, modes: list[str]) -> dict[str, Any]:
    """Others at their defaults on all cores, and at equal overlap, threads and allocator on one core, in turn with ours
    on as many. Each is a process of its own; processor time counts all that it did, on however busy a machine."""
    cogs = raster(folder, side), raster(folder, SPEC.core)
    cores = sorted(os.sched_getaffinity(0))
    answer: dict[str, Any] = {}
    for peer, package in PACKAGES.items():
        python = installed(package) if package else sys.executable
        if python is None:
            answer[peer] = "could not be installed here"
            continue
        line: dict[str, Any] = {}
        for mode in modes:
            some = cores[:1] if mode == "equal" else cores
            ours, theirs = (
                foreign(interpreter, name, mode, cogs, some)
                for interpreter, name in ((sys.executable, "flyonce"), (python, peer))
            )
            if isinstance(ours, str) or isinstance(theirs, str):
                line[mode] = {"ours": ours, "theirs": theirs}
                continue
            line[mode] = {
                "ours_Mpx_s": ours["Mpx_s"],
                "theirs_Mpx_s": theirs["Mpx_s"],
                "ratio": ours["Mpx_s"] / theirs["Mpx_s"],
                "ratio_of_processor_time": ours["Mpx_cpu_s"] / theirs["Mpx_cpu_s"],
                "cells_found": [ours["cells_found"], theirs["cells_found"]],
            }
        answer[peer] = line
    return answer


def foreign(python: str, peer: str, mode: str, cogs: tuple[Path, Path], cores: list[int]) -> dict[str, float] | str:
    """What `peers.py` prints of a peer, in a process of its own; or why it prints nothing."""
    plain = {name: value for name, value in os.environ.items() if name not in WORKER_ENVIRONMENT}
    environment = {**os.environ, **WORKER_ENVIRONMENT} if mode == "equal" or peer == "flyonce" else plain
    command = [python, str(HERE / "peers.py"), peer, mode, *map(str, cogs)]
    run = subprocess.run(
        command,
        env={**environment, "PYTHONPATH": str(HERE.parent)},
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: os.sched_setaffinity(0, cores),
    )
    if run.returncode:
        return f"failed: {run.stderr.strip().splitlines()[-1]}"
    told: dict[str, float] = json.loads(run.stdout.splitlines()[-1])
    return told


def installed(package: str) -> str | None:
    """The interpreter of a virtual environment that has the package, on top of what is installed here; None where
    that cannot be had in ten minutes."""
    folder = PEERS / package
    python = folder / "bin" / "python"
    if not (folder / ".ready").exists():
        try:
            subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
            (site,) = folder.glob("lib/python*/site-packages")
            (site / "shared.pth").write_text(sysconfig.get_path("purelib"))
            pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", package]
            subprocess.run(pip, check=True, timeout=600)
        except (subprocess.SubprocessError, OSError) as error:
            print(f"{package}: {error}", file=sys.stderr)
            return None
        (folder / ".ready").touch()
    return str(python)


def gpu() -> Any:
    if not torch.cuda.is_available():
        return "no CUDA device here"
    run = subprocess.run([sys.executable, str(HERE / "gpu.py")], capture_output=True, text=True, check=True)
    return json.loads(run.stdout)


def card(folder: Path, side: int, rounds: int, processes: list[int]) -> Any:
    """The whole engine on this machine's GPUs, by so many processes that share them (0: as many as flyonce starts),
    against the bare model on one."""
    if not torch.cuda.is_available():
        return "no CUDA device here"
    source = open_input(raster(folder, side))
    answer: dict[str, Any] = {}
    for dtype in get_args(Dtype):
        scorer = Scorer(partial(registry.load, "debris"), device="cuda", dtype=dtype, lanes=1)
        alone = gpu_alone.bare(scorer, 2.0, torch.cuda.synchronize) / 1e6
        del scorer
        torch.cuda.empty_cache()
        line: dict[str, Any] = {"bare_Mpx_s": alone}
        for workers in processes:
            with connect(workers=workers) as client:
                tiled(client, source, folder, dtype=dtype)  # the workers load their models
                started = len(client.nthreads())
                rates = [tiled(client, source, folder, dtype=dtype) / 1e6 for _ in range(rounds)]
            line[f"{started} processes"] = {"engine_Mpx_s": rates, "ratio": statistics.median(rates) / alone}
            print(f"{dtype}, {started} processes: {told(rates)} of {alone:.4g} Mpx/s", file=sys.stderr, flush=True)
        answer[dtype] = line
    return answer


def told(value: Any, depth: int = 0) -> str:
    """Nested figures as indented lines, four digits each."""
    if isinstance(value, dict):
        return "".join(f"\n{'  ' * depth}{name}: {told(inner, depth + 1)}" for name, inner in value.items())
    if isinstance(value, list):
        return ", ".join(told(inner) for inner in value)
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=4096, help="pixels of the picture's side")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default=",".join(SECTIONS), help=f"some of {','.join(SECTIONS)}")
    parser.add_argument("--modes", default="default,equal", help="settings of peers")
    parser.add_argument("--memory-sides", default="5120,20480,40960")
    parser.add_argument("--processes", default="1,0", help="that share the GPUs, in turn; 0: as many as flyonce starts")
    parser.add_argument("--memory-of", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--json", type=Path, help="also write the figures there")
    given = parser.parse_args()
    if given.memory_of:
        print(json.dumps(memory_of(given.memory_of)))
        return
    answer: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sections: dict[str, Callable[[], Any]] = {
            "bare": lambda: against_bare(folder, given.side, given.rounds),
            "workers": lambda: two_workers(folder, given.side, given.rounds),
            "repeat": lambda: repeat(folder, given.side),
            "memory": lambda: memory([int(side) for side in given.memory_sides.split(",")]),
            "peers": lambda: peers(folder, given.side, given.modes.split(",")),
            "gpu": gpu,
            "card": lambda: card(folder, given.side, given.rounds, [int(some) for some in given.processes.split(",")]),
        }
        for section in given.only.split(","):
            answer[section] = sections[section]()
            print(f"{section}: {told(answer[section], 1)}\n", flush=True)
    if given.json:
        given.json.write_text(json.dumps(answer, indent=1) + "\n")


if __name__ == "__main__":
    main()
