"""For tests of the engine: a detector small enough to be checked by hand, and rasters to run it on.

Shipped beside the engine so that worker processes, which do not know the tests, can import it.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import rasterio
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from rasterio.transform import Affine
from rasterio.windows import Window as RasterWindow

from detectors.base import ModelSpec
from workers.vectors import Label

SPEC = ModelSpec(
    name="bright",
    version="1",
    classes=("bright", "dark"),
    gsd=1.0,
    core=16,
    halo=4,
    batch=3,
    thresholds=(150, 170),
    min_area=3.0,
    licence="Apache-2.0",
    weights_sha256="0" * 64,
)


class Bright:
    """Score of the first class: mean brightness over 5 x 5 cells; of the second: 255 less it."""

    spec = SPEC

    def scores(self, pixels: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
        side = SPEC.core + 2 * SPEC.halo
        if tuple(pixels.shape) != (SPEC.batch, 3, side, side):
            raise ValueError(f"batches are padded to {SPEC.batch} windows of {side} cells, not {tuple(pixels.shape)}")
        grey = pixels.float().mean(1, keepdim=True)
        mean = F.avg_pool2d(F.pad(grey, (2, 2, 2, 2)), 5, stride=1)
        both = torch.cat([mean, 255 - mean], dim=1) * valid[:, None]
        return both.round().to(torch.uint8)


def load(name: str, device: str = "cpu") -> Bright:  # noqa: ARG001 - it computes on the CPU
    """The loader that `workers.detect.detect` takes."""
    if name != SPEC.name:
        raise ValueError(f"only {SPEC.name} is here, not {name}")
    return Bright()


def label(name: str) -> Label:
    """Public names for any class."""
    return Label(None, name, name)


def write_raster(
    path: Path,
    data: NDArray[np.uint8],
    *,
    left: float = 500_000.0,
    top: float = 3_400_000.0,
    gsd: float = 1.0,
    crs: str = "EPSG:32650",
) -> Path:
    """`data` uint8 [3, H, W] as a GeoTIFF whose upper left corner lies there."""
    _, height, width = data.shape
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        width=width,
        height=height,
        count=3,
        dtype="uint8",
        crs=crs,
        transform=Affine(gsd, 0.0, left, 0.0, -gsd, top),
        photometric="RGB",
    ) as ds:
        ds.write(data)
    return path


def patches(rng: np.random.Generator, height: int, width: int, size: int = 6) -> NDArray[np.uint8]:
    """uint8 [3, H, W] of grey squares, coarse enough that regions grow across tiles."""
    coarse = rng.integers(0, 256, (1, height // size + 1, width // size + 1), dtype=np.uint8)
    return np.repeat(np.kron(coarse, np.ones((1, size, size), dtype=np.uint8))[:, :height, :width], 3, axis=0)


def soil(rng: np.random.Generator, height: int, width: int) -> NDArray[np.uint8]:
    """uint8 [3, H, W] of squares of many sizes, which registration finds again; 0 does not occur."""
    layers = [patches(rng, height, width, size).astype(int) - 128 for size in (2, 5, 16)]
    mean: NDArray[np.int64] = np.sum(layers, axis=0) // 4 + 110
    return mean.clip(1, 255).astype(np.uint8)


WIDE = replace(SPEC, name="wide", core=1024, halo=64, batch=1, gsd=0.1, min_area=1.0)
"""Windows of a real model's size."""


class Wide(Bright):
    """`Bright` over large windows, many times faster than a network: what then takes time and memory is the engine."""

    spec = WIDE

    def scores(self, pixels: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
        mean = F.avg_pool2d(pixels[:, :1].float(), 5, stride=1, padding=2)
        both = torch.cat([mean, 255 - mean], dim=1) * valid[:, None]
        return both.round().to(torch.uint8)


def load_wide(name: str, device: str = "cpu") -> Wide:  # noqa: ARG001 - it computes on the CPU
    """The loader of `Wide`."""
    if name != WIDE.name:
        raise ValueError(f"only {WIDE.name} is here, not {name}")
    return Wide()


def write_wide(path: Path, side: int, *, gsd: float = 0.1) -> Path:
    """A grey GeoTIFF of `side` squared pixels, written block by block: squares that regions of every size come from."""
    rng = np.random.default_rng(3)
    block = np.kron(rng.integers(90, 166, (64, 64), dtype=np.uint8), np.ones((16, 16), dtype=np.uint8))
    for count, size in ((6, 40), (2, 160)):
        for row, col in rng.integers(0, 1024 - 160, (count, 2)).tolist():
            block[row : row + size, col : col + size] = 240
    profile = {"driver": "GTiff", "width": side, "height": side, "count": 1, "dtype": "uint8", "crs": "EPSG:32650"}
    profile |= {"tiled": True, "blockxsize": 512, "blockysize": 512, "compress": "deflate", "zlevel": 1}
    with rasterio.open(path, "w", transform=Affine(gsd, 0, 500_000, 0, -gsd, 3_400_000), **profile) as ds:
        for row in range(0, side, 1024):
            for col in range(0, side, 1024):
                height, width = min(1024, side - row), min(1024, side - col)
                ds.write(block[:height, :width], 1, window=RasterWindow(col, row, width, height))
    return path
