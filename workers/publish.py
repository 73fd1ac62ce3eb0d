"""Runs over items of the catalogue, written back as items with their lineage, findings, mask, pictures and evidence.

A run's id follows from its model, inputs and parameters. Asked again, the item that exists is the answer.
"""

import hashlib
import io
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import distributed
import numpy as np
import shapely
from PIL import Image
from rasterio.enums import Resampling
from shapely.geometry import mapping, shape

from detectors import change as change_detector
from detectors import registry
from detectors.base import ModelSpec
from imagery.mosaic import reader
from imagery.polygons import NOT_ANALYSED, Region, area_m2
from imagery.sources import dataset
from imagery.tiles import GroundGrid, Window
from stac.assets import COG, Stored
from stac.items import Custody, strictest
from stac.runs import RunFiles, run_item
from stac.store import Item
from workers.captures import Captured, for_workers, open_captured
from workers.change import compare
from workers.crops import crop, in_crs_units
from workers.detect import detect
from workers.frames import moment, with_places
from workers.home import Home
from workers.inputs import Input
from workers.jobs import ChangeJob, DetectJob
from workers.outputs import (
    Labels,
    about_comparison,
    about_detection,
    comparison_features,
    detection_features,
    write_mask,
)
from workers.results import by_class, classes_of, with_source, working_folder
from workers.shelf import model_of, shelve
from workers.tiling import Analysis, Progress, no_progress
from workers.vectors import Feature, encode

THUMBNAIL_SIDE = 512
_FOUND, _VOID = (230, 30, 30), (128, 128, 128)


@dataclass(frozen=True, slots=True)
class _Run:
    """What both kinds of runs hand to their item."""

    id: str
    spec: ModelSpec
    captured: tuple[Captured, ...]
    parameters: dict[str, Any]
    started: datetime


def run_detection(
    home: Home,
    client: distributed.Client,
    job: DetectJob,
    labels: Labels,
    *,
    progress: Progress = no_progress,
    effort: Callable[[Analysis], None] = lambda _: None,
) -> Item:
    """The item of this detector over this capture, computed unless it exists. `effort` is called with the
    analysis where one was made. Raises `Refused`."""
    spec = registry.spec(job.detector)
    captured = open_captured(home, job.source, gsd=job.gsd)
    run = _run(spec, (captured,), {"gsd": job.gsd, "dtype": job.dtype})
    if known := home.catalog.get_item("detections", run.id):
        return known
    with working_folder(home.settings.home / "work") as folder:
        there = for_workers(client, captured)
        found = detect(client, spec, there, folder / "raw.tif", dtype=job.dtype, cache=home.tiles, progress=progress)
        effort(found.analysis)
        write_mask(folder / "raw.tif", folder / "mask.tif", captured.input, found.grid, found.extent)
        features = list(detection_features(found, labels))
        if captured.input.pixels:
            features = with_places(features, captured.item)
        about = about_detection(found) | {"found": by_class(spec, classes_of(features))} | moment(captured.item)
        shown = _shown(found.analysis.regions, found.grid, spec.gsd, spec.min_area)
        crops = _crops(home, {"after": captured.input}, found.grid, shown, spec.gsd)
        return _write(home, run, features, about, folder / "mask.tif", crops, found.grid, found.extent)


def run_comparison(
    home: Home,
    client: distributed.Client,
    job: ChangeJob,
    labels: Labels,
    *,
    progress: Progress = no_progress,
    effort: Callable[[Analysis], None] = lambda _: None,
) -> Item:
    """The item of the change between two captures, computed unless it exists; `effort` as there. Raises `Refused`."""
    before, after = (open_captured(home, name, gsd=job.gsd) for name in (job.before, job.after))
    run = _run(change_detector.spec, (before, after), {"gsd": job.gsd})
    if known := home.catalog.get_item("changes", run.id):
        return known
    with working_folder(home.settings.home / "work") as folder:
        dates = for_workers(client, before), for_workers(client, after)
        found = compare(client, *dates, folder / "raw.tif", cache=home.tiles, progress=progress)
        effort(found.analysis)
        write_mask(folder / "raw.tif", folder / "mask.tif", before.input, found.grid, found.extent)
        features = list(comparison_features(found, labels))
        about = about_comparison(found) | {
            "found": by_class(run.spec, classes_of(features)),
            "pair": found.pair.to_dict(),
        }
        shown = _shown(found.analysis.regions, found.grid, found.cell, run.spec.min_area)
        crops = _crops(home, {"before": before.input, "after": after.input}, found.grid, shown, found.cell)
        return _write(home, run, features, about, folder / "mask.tif", crops, found.grid, found.extent)


def _run(spec: ModelSpec, captured: tuple[Captured, ...], parameters: dict[str, Any]) -> _Run:
    key = {
        "model": [spec.name, spec.version, spec.weights_sha256],
        "inputs": [one.sha256 for one in captured],
        "items": [one.reference for one in captured],
        "parameters": parameters,
    }
    digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
    return _Run(f"{spec.name}-{digest[:20]}", spec, captured, parameters, datetime.now(UTC))


def _shown(regions: Iterable[Region], grid: GroundGrid, cell_m: float, min_area: float) -> list[Region]:
    """The regions that became features, in their order."""
    return [region for region in regions if area_m2(region.polygon, grid, cell_m) >= min_area]


def _crops(
    home: Home, dates: dict[str, Input], grid: GroundGrid, regions: Sequence[Region], cell_m: float
) -> list[tuple[str, Stored]]:
    """Asset key (`after-0001` for the first finding) and stored crop of every finding on every date."""
    kept = []
    for date, source in dates.items():
        with reader(source.source) as opened:
            for number, region in enumerate(regions, start=1):
                picture = crop(opened, grid.crs, in_crs_units(region.polygon, grid), cell_m / grid.cell)
                key = crop_key(date, number)
                kept.append((key, keep(home, f"{key}.jpg", picture, "image/jpeg")))
    return kept


def crop_key(date: str, number: int) -> str:
    """Asset key of the crop of finding `number` (from 1, as in the GeoJSON) on `before` or `after`."""
    return f"{date}-{number:04d}"


def _write(
    home: Home,
    run: _Run,
    features: Sequence[Feature],
    about: dict[str, Any],
    mask: Path,
    crops: Sequence[tuple[str, Stored]],
    grid: GroundGrid,
    extent: Window,
) -> Item:
    """Store the files, then put the item: whoever sees it finds all it names."""
    items = [one.item for one in run.captured]
    stored_mask = home.files.put(mask)
    named = with_source(features, run.captured[-1].input.name)
    files = RunFiles(
        features=keep(home, f"{run.id}.geojson", encode(named, {"runs": [about]}), "application/geo+json"),
        mask=Stored(f"{run.id}.tif", stored_mask.sha256, stored_mask.size, COG),
        thumbnail=keep(home, f"{run.id}.jpg", _thumbnail(mask, run.captured[-1], grid, extent), "image/jpeg"),
        crops=tuple(crops),
    )
    spec = run.spec
    shelve(home, spec)
    item = run_item(
        run.id,
        model=model_of(spec, float(about["cell_m"])),
        inputs=items,
        input_hashes=[one.sha256 for one in run.captured],
        geometry=_ground(items),
        custody=Custody(items[-1]["properties"]["flyonce:department"], strictest(items)),
        started=run.started,
        finished=datetime.now(UTC),
        software={"flyonce": version("flyonce")},
        parameters=run.parameters,
        found=by_class(spec, classes_of(features)),
        analysed_m2=about["analysed_m2"],
        files=files,
        notes=[note for one in run.captured for note in one.input.notes]
        + [f"{len(about['failed_tiles'])} tiles could not be analysed"] * bool(about["failed_tiles"]),
    )
    home.catalog.put_items([item])
    return item


def keep(home: Home, name: str, content: bytes, media_type: str) -> Stored:
    """Put a derived file into the store."""
    kept = home.files.put_bytes(content)
    return Stored(name, kept.sha256, kept.size, media_type)


def _ground(items: Sequence[Item]) -> dict[str, Any]:
    """What all inputs show; where they only touch or only their positions are known, the last one's own geometry."""
    common = shapely.intersection_all([shape(item["geometry"]) for item in items])
    last: dict[str, Any] = items[-1]["geometry"]
    return dict(mapping(common)) if common.geom_type in {"Polygon", "MultiPolygon"} and not common.is_empty else last


def _thumbnail(mask: Path, captured: Captured, grid: GroundGrid, extent: Window) -> bytes:
    """The (later) capture with what was found in red and what was not analysed in grey."""
    factor = max(1.0, max(extent.height, extent.width) / THUMBNAIL_SIDE)
    coarse = GroundGrid(grid.crs, grid.cell * factor)
    left, top = extent.col / factor, extent.row / factor
    window = Window(
        round(top), round(left), max(1, round(extent.height / factor)), max(1, round(extent.width / factor))
    )
    with reader(captured.input.source) as opened:
        picture = np.moveaxis(opened.read(coarse, window).data, 0, -1).astype(np.float32)
    with dataset(mask) as ds:
        shown = ds.read(1, out_shape=(window.height, window.width), resampling=Resampling.nearest)
    for where, colour in ((shown == NOT_ANALYSED, _VOID), ((shown > 0) & (shown < NOT_ANALYSED), _FOUND)):
        picture[where] = 0.45 * picture[where] + 0.55 * np.array(colour, dtype=np.float32)
    out = io.BytesIO()
    Image.fromarray(picture.astype(np.uint8)).save(out, "JPEG", quality=85)
    return out.getvalue()
