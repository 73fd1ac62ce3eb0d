"""How others run the same weights over the same COG, as their documentation shows it; started by `engine.py`.

    python benchmarks/peers.py "dask map_blocks" default COG SMALL_COG

Prints pixels a second, of the clock and of processor time (children's included), as JSON. Every way, ours on workers
that are there by then, runs over a small picture before its time starts, so that imports and first calls are in no
figure. `default`: what one gets who follows the documentation (chunks or chips of its size, torch's own threads).
`equal`: windows, overlap and threads as ours. Every way ends with the mask of the whole raster as a GeoTIFF on disk;
none but ours makes polygons.
"""

import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import distributed
import numpy as np
import rasterio
import torch

from detectors import registry

SPEC = registry.spec("debris")
WINDOW = SPEC.core + 2 * SPEC.halo


class Planes(torch.nn.Module):
    """Our weights as a network of anybody's: RGB float [N, 3, H, W] of 0..`white` in, float [N, 1 + C, H, W] out, of
    which the largest is the class: the first plane stands at the threshold. Sides are padded to the stride of 16."""

    def __init__(self, detector: object, white: float = 1.0) -> None:
        super().__init__()
        self.detector, self.white = detector, white

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        height, width = pixels.shape[-2:]
        whole = (pixels * (255 / self.white)).round().clamp(0, 255).to(torch.uint8)
        whole = torch.nn.functional.pad(whole, (0, -width % 16, 0, -height % 16))
        valid = torch.ones(len(whole), *whole.shape[-2:], dtype=torch.bool)
        scores = self.detector.scores(whole, valid)[..., :height, :width].float()
        return torch.cat([torch.full_like(scores[:, :1], SPEC.thresholds[0] - 0.5), scores], dim=1)


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
    for batch in loader:
        found = masked(detector, batch["image"][0].numpy().clip(0, 255).astype(np.uint8))
        left, top = inverse * corner(batch["bounds"] if "bounds" in batch else batch["bbox"])
        rows, cols = (
            kept(round(at), side, halo, whole)
            for at, side, whole in ((top, found.shape[0], mask.shape[0]), (left, found.shape[1], mask.shape[1]))
        )
        row, col = round(top), round(left)
        mask[rows, cols] = found[rows.start - row : rows.stop - row, cols.start - col : cols.stop - col]
    write(cog, mask, folder)


def kept(at: int, side: int, halo: int, whole: int) -> slice:
    """Of a chip that begins at `at`, what is kept of it along one axis of the raster: all but the halo, except at the
    raster's own edges."""
    first = 0 if at <= 0 else at + halo
    return slice(first, whole if at + side >= whole else at + side - halo)


def corner(bounds: object) -> tuple[float, float]:
    """West and north of a sample, in whichever form this version of torchgeo tells it."""
    first = bounds[0]
    if hasattr(first, "minx"):
        return float(first.minx), float(first.maxy)
    if isinstance(first, tuple) and isinstance(first[0], slice):
        return float(first[0].start), float(first[1].stop)
    flat = np.asarray(first, dtype=float).ravel()
    return float(flat[0]), float(flat[4] if len(flat) > 6 else flat[3])


def geoai(detector: object, cog: str, equal: bool, folder: str) -> None:
    """`predict_geotiff`, which takes any network; blended as it is by default, which writes no weight for `none`."""
    from geoai.inference import predict_geotiff

    mine = {"tile_size": WINDOW, "overlap": 2 * SPEC.halo, "batch_size": SPEC.batch} if equal else {}
    predict_geotiff(
        Planes(detector),
        cog,
        str(Path(folder) / "mask.tif"),
        num_classes=1 + len(SPEC.classes),
        output_dtype="uint8",
        output_nodata=255,
        postprocess_fn=lambda planes: planes.argmax(0).astype(np.uint8),
        device="cpu",
        verbose=False,
        **mine,
    )


def samgeo(detector: object, cog: str, equal: bool, folder: str) -> None:
    """`tiff_to_tiff`, which hands any function the windows that it would give to SAM."""
    from samgeo.common import tiff_to_tiff

    def segment(rgb: np.ndarray, **_: object) -> np.ndarray:
        return masked(detector, np.ascontiguousarray(rgb.transpose(2, 0, 1)))

    mine = {"sample_size": (SPEC.core, SPEC.core), "bound": SPEC.halo} if equal else {}
    tiff_to_tiff(cog, str(Path(folder) / "mask.tif"), segment, **mine)


def rastervision(detector: object, cog: str, equal: bool, folder: str) -> None:
    """A learner around any network, its sliding windows and label store, as in the library's tutorial on prediction."""
    from rastervision.core.data import ClassConfig, SemanticSegmentationLabels
    from rastervision.pytorch_learner import (
        SemanticSegmentationGeoDataConfig,
        SemanticSegmentationLearner,
        SemanticSegmentationLearnerConfig,
        SemanticSegmentationSlidingWindowGeoDataset,
        SolverConfig,
    )

    classes = ClassConfig(names=["none", *SPEC.classes], null_class="none")
    size, stride = (WINDOW, SPEC.core) if equal else (300, 300)  # 300: the pipeline's own chips
    dataset = SemanticSegmentationSlidingWindowGeoDataset.from_uris(
        class_config=classes,
        image_uri=cog,
        image_raster_source_kw={"channel_order": [0, 1, 2]},
        size=size,
        stride=stride,
        **({"padding": SPEC.halo, "pad_direction": "both"} if equal else {}),
    )
    solver = SolverConfig(batch_sz=SPEC.batch) if equal else SolverConfig()
    data = SemanticSegmentationGeoDataConfig(class_config=classes, **({"num_workers": 0} if equal else {}))
    learner = SemanticSegmentationLearner(
        cfg=SemanticSegmentationLearnerConfig(data=data, solver=solver), model=Planes(detector), training=False
    )
    predictions = learner.predict_dataset(dataset, raw_out=False, numpy_out=True, progress_bar=False)
    labels = SemanticSegmentationLabels.from_predictions(
        dataset.windows,
        predictions,
        smooth=False,
        extent=dataset.scene.extent,
        num_classes=len(classes),
        crop_sz=SPEC.halo if equal else None,
    )
    labels.save(folder, crs_transformer=dataset.scene.raster_source.crs_transformer, class_config=classes)


def flyonce(client: distributed.Client, cog: str, folder: str) -> None:
    """Ours, on workers that are there: a process for each core by default, a thread of this one at equal settings."""
    from workers.detect import detect
    from workers.inputs import open_input
    from workers.outputs import write_mask

    raw, source = Path(folder) / "raw.tif", open_input(Path(cog))
    found = detect(client, SPEC, source, raw)
    write_mask(raw, Path(folder) / "mask.tif", source, found.grid, found.extent)
    assert not found.analysis.failed


Way = Callable[[object, str, bool, str], None]
WAYS: dict[str, Way] = {
    "dask map_blocks": dask_map_blocks,
    "torchgeo": torchgeo,
    "geoai": geoai,
    "samgeo tiff_to_tiff": samgeo,
    "raster-vision": rastervision,
}


def processor_seconds() -> float:
    """Of this process and of its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


@contextmanager
def prepared(peer: str, equal: bool) -> Iterator[tuple[Callable[[str, str], None], Callable[[], float]]]:
    """What runs the peer over a COG into a folder, and what tells the processor time that it has used so far."""
    if peer != "flyonce":
        detector = registry.load("debris")
        yield lambda cog, folder: WAYS[peer](detector, cog, equal, folder), processor_seconds
        return
    from workers.cluster import connect

    with connect(workers=1 if equal else 0, processes=not equal) as client:

        def used() -> float:
            return processor_seconds() + (0.0 if equal else sum(client.run(processor_seconds).values()))

        yield partial(flyonce, client), used


def main() -> None:
    peer, mode, cog, small = sys.argv[1:]
    if mode == "equal":
        torch.set_num_threads(1)
    with prepared(peer, mode == "equal") as (run, used), tempfile.TemporaryDirectory() as folder:
        with tempfile.TemporaryDirectory() as first:
            run(small, first)
        before, start = used(), time.perf_counter()
        run(cog, folder)
        seconds, spent = time.perf_counter() - start, used() - before
        answers = sorted({*Path(folder).glob("*.tif")} - {Path(folder) / "raw.tif"})
        with rasterio.open(answers[0]) as ds:
            found = int(((ds.read(1) > 0) & (ds.read(1) != 255)).sum())
    with rasterio.open(cog) as ds:
        pixels = ds.width * ds.height
    print(json.dumps({"Mpx_s": pixels / seconds / 1e6, "Mpx_cpu_s": pixels / spent / 1e6, "cells_found": found}))


if __name__ == "__main__":
    main()
