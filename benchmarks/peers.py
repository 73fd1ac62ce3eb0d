"""How others run the same weights over the same COG, as their documentation shows it; started by `engine.py`.

    python benchmarks/peers.py "dask map_blocks" default COG

Prints pixels a second, model loaded and first window run before the clock starts. `default`: what one gets who follows
the documentation (chunks or chips without overlap, torch's own threads). `equal`: windows, overlap and threads as ours.
Every way ends with the mask of the whole raster as a GeoTIFF on disk; none of them makes polygons.
"""

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import rasterio
import torch

from detectors import registry

SPEC = registry.spec("debris")


def masked(detector: object, pixels: np.ndarray) -> np.ndarray:
    """uint8 [H, W] of classes from uint8 [3, H, W]; sides are padded to the model's stride of 16."""
    _, height, width = pixels.shape
    padded = np.pad(pixels, ((0, 0), (0, -height % 16), (0, -width % 16)))
    tensor = torch.from_numpy(padded)[None]
    scores = detector.scores(tensor, torch.ones(1, *padded.shape[1:], dtype=torch.bool))[0]
    top, best = scores.max(0)
    return torch.where(top >= SPEC.thresholds[0], best + 1, 0).to(torch.uint8).numpy()[:height, :width]


def write(cog: str, mask: np.ndarray, folder: str) -> None:
    with rasterio.open(cog) as ds:
        profile = {"driver": "GTiff", "width": ds.width, "height": ds.height, "count": 1, "dtype": "uint8"}
        profile |= {"crs": ds.crs, "transform": ds.transform, "tiled": True, "compress": "deflate"}
    with rasterio.open(Path(folder) / "mask.tif", "w", **profile) as ds:
        ds.write(mask, 1)


def dask_map_blocks(detector: object, cog: str, equal: bool, folder: str) -> None:
    """A lazy array of the COG, `map_blocks` (with overlap: `map_overlap`) over it, computed by Dask's threads."""
    import dask
    import dask.array as da

    with rasterio.open(cog) as ds:
        shape, side = (ds.count, ds.height, ds.width), SPEC.core if equal else 512

    class Lazy:
        dtype, ndim = np.dtype("uint8"), 3

        def __init__(self) -> None:
            self.shape = shape

        def __getitem__(self, key: tuple[slice, ...]) -> np.ndarray:
            rows, cols = key[1], key[2]
            with rasterio.open(cog) as ds:
                return ds.read(window=((rows.start, rows.stop), (cols.start, cols.stop)))

    array = da.from_array(Lazy(), chunks=(shape[0], side, side), asarray=False, lock=False)
    halo = SPEC.halo if equal else 0
    if halo:
        array = da.overlap.overlap(array, depth={0: 0, 1: halo, 2: halo}, boundary={0: "none", 1: 0, 2: 0})

    def block(pixels: np.ndarray) -> np.ndarray:
        found = masked(detector, pixels)
        return found[halo : found.shape[0] - halo, halo : found.shape[1] - halo] if halo else found

    sizes = tuple(tuple(n - 2 * halo for n in axis) for axis in array.chunks[1:])
    masks = array.map_blocks(block, dtype="uint8", drop_axis=0, chunks=sizes, meta=np.empty((0, 0), dtype="uint8"))
    with dask.config.set(scheduler="threads", num_workers=1 if equal else None):
        write(cog, masks.compute(), folder)


def torchgeo(detector: object, cog: str, equal: bool, folder: str) -> None:
    """RasterDataset, GridGeoSampler and a DataLoader; chips are stitched by hand, since torchgeo leaves that to its
    user: cores are pasted, so that where chips overlap the middle of each counts."""
    from torch.utils.data import DataLoader
    from torchgeo.datasets import RasterDataset, stack_samples
    from torchgeo.samplers import GridGeoSampler, Units

    class Picture(RasterDataset):
        filename_glob = Path(cog).name
        is_image = True

    dataset = Picture(str(Path(cog).parent))
    size = SPEC.core + 2 * SPEC.halo if equal else 512
    stride = SPEC.core if equal else 512
    halo = (size - stride) // 2
    sampler = GridGeoSampler(dataset, size=size, stride=stride, units=Units.PIXELS)
    loader = DataLoader(dataset, batch_size=1, sampler=sampler, collate_fn=stack_samples)
    with rasterio.open(cog) as ds:
        mask, inverse = np.zeros((ds.height, ds.width), dtype=np.uint8), ~ds.transform
        gsd = ds.transform.a
    for batch in loader:
        x, y = corner(batch["bounds"] if "bounds" in batch else batch["bbox"])
        left, top = inverse * (x, y)
        col, row = round(left), round(top)
        found = masked(detector, batch["image"][0].numpy().clip(0, 255).astype(np.uint8))
        inner = found[halo : halo + stride, halo : halo + stride]
        row, col = max(row + halo, 0), max(col + halo, 0)
        part = mask[row : row + stride, col : col + stride]
        part[...] = inner[: part.shape[0], : part.shape[1]]
    assert gsd > 0
    write(cog, mask, folder)


def corner(bounds: object) -> tuple[float, float]:
    """West and north of a sample, in whichever form this version of torchgeo tells it."""
    first = bounds[0]
    if hasattr(first, "minx"):
        return float(first.minx), float(first.maxy)
    if isinstance(first, tuple) and isinstance(first[0], slice):
        return float(first[0].start), float(first[1].stop)
    flat = np.asarray(first, dtype=float).ravel()
    return float(flat[0]), float(flat[4] if len(flat) > 6 else flat[3])


def main() -> None:
    peer, mode, cog = sys.argv[1:]
    equal = mode == "equal"
    if equal:
        torch.set_num_threads(1)
    detector = registry.load("debris")
    side = SPEC.core + 2 * SPEC.halo if equal else 512
    masked(detector, np.zeros((3, side, side), dtype=np.uint8))
    ways = {"dask map_blocks": dask_map_blocks, "torchgeo": torchgeo}
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        ways[peer](detector, cog, equal, folder)
        seconds = time.perf_counter() - start
    with rasterio.open(cog) as ds:
        print(ds.width * ds.height / seconds)


if __name__ == "__main__":
    main()
