"""Tiled debris detection from a COG against the bare model on ready tensors: same windows, batch, dtype and threads.

    make bench            or: .venv/bin/python benchmarks/engine.py --side 4096

Both run in this one command, one after the other, `--rounds` times, on one process with one thread each; what counts is
their ratio. Pixels are those of cores: what the user asked about, not what halos repeat.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from workers.environment import is_set, start_over

if not is_set():
    start_over()  # the bare model gets the allocator and threads that workers are started with

import distributed
import numpy as np
import rasterio
import torch

from detectors import registry
from imagery.cog import write_cog
from imagery.simulator.simulate import draw
from workers.cluster import connect
from workers.detect import detect
from workers.inputs import Input, open_input


def raster(folder: Path, side: int, gsd: float) -> Path:
    """A COG of `side` squared pixels at the model's GSD: a simulated block, repeated."""
    block = draw(1, gsd=gsd, size_m=(100.0, 80.0)).after
    repeats = (1, -(-side // block.shape[1]), -(-side // block.shape[2]))
    data = np.tile(block, repeats)[:, :side, :side]
    plain = folder / "plain.tif"
    profile = {"driver": "GTiff", "width": side, "height": side, "count": 3, "dtype": "uint8", "crs": "EPSG:4547"}
    profile |= {"transform": rasterio.Affine(gsd, 0, 500_000, 0, -gsd, 3_400_000), "tiled": True}
    with rasterio.open(plain, "w", **profile) as file:
        file.write(data)
    write_cog(plain, folder / "cog.tif")
    return folder / "cog.tif"


def bare(side: int) -> float:
    """Core pixels a second of the model alone, on a batch that is already a tensor."""
    torch.set_num_threads(1)
    detector = registry.load("debris")
    spec = detector.spec
    window = spec.core + 2 * spec.halo
    random = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (spec.batch, 3, window, window), dtype=torch.uint8, generator=random)
    valid = torch.ones(spec.batch, window, window, dtype=torch.bool)
    detector.scores(pixels, valid)
    batches = max(2, round((side / spec.core) ** 2 / spec.batch))
    start = time.perf_counter()
    for _ in range(batches):
        detector.scores(pixels, valid)
    return batches * spec.batch * spec.core**2 / (time.perf_counter() - start)


def tiled(client: distributed.Client, source: Input, side: int, folder: Path) -> float:
    """Pixels a second of `detect` from the COG to mask and joined polygons."""
    spec = registry.spec("debris")
    start = time.perf_counter()
    detect(client, spec, source, folder / "mask.tif")
    return side**2 / (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=4096)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    spec = registry.spec("debris")
    with tempfile.TemporaryDirectory() as name, connect(workers=1) as client:
        folder = Path(name)
        source = open_input(raster(folder, given.side, spec.gsd))
        tiled(client, source, given.side, folder)  # the worker loads its model
        rounds = [(bare(given.side), tiled(client, source, given.side, folder)) for _ in range(given.rounds)]
    for alone, engine in rounds:
        print(f"bare {alone / 1e6:.2f} Mpx/s, tiled from COG {engine / 1e6:.2f} Mpx/s, ratio {engine / alone:.2f}")
    print(f"median ratio {statistics.median(engine / alone for alone, engine in rounds):.2f}")


if __name__ == "__main__":
    main()
