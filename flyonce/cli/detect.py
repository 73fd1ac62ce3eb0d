"""`flyonce detect`: one detector over files, or over items of the catalogue."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flyonce.cli.output import fail
from flyonce.cli.progress import bar
from flyonce.cli.running import Where, are_items, explain, show
from records.settings import Settings

if TYPE_CHECKING:
    from detectors.base import ModelSpec
    from workers.outputs import Labels


def detect(
    detector: Annotated[str, typer.Argument(help="Name of a detector; `flyonce models list` shows them.")],
    sources: Annotated[list[str], typer.Argument(metavar="SOURCE...", help="Files, or collection/id of the home.")],
    out: Annotated[Path | None, typer.Option("--out", help="GeoJSON to write.")] = None,
    mask: Annotated[
        Path | None, typer.Option("--mask", help="Mask to write (COG); for several sources a folder of masks.")
    ] = None,
    pixels: Annotated[bool, typer.Option("--pixels", help="Answer in pixel coordinates.")] = False,
    gsd: Annotated[
        float | None, typer.Option("--gsd", min=1e-4, max=1000, help="Metres per pixel, where a source does not tell.")
    ] = None,
    workers: Annotated[int, typer.Option("--workers", min=0, help="Worker processes; 0: one per core.")] = 0,
    scheduler: Annotated[str, typer.Option("--scheduler", help="Address of a Dask scheduler.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print a summary as JSON.")] = False,
) -> None:
    """Find things in pictures: polygons with class, score and area, and a mask. 目标识别。

    For items of the catalogue the run is written back as an item of `detections`.
    """
    from detectors import registry
    from tickets.codes import load_codes
    from workers.labels import labels_of
    from workers.results import check_targets

    settings = Settings()
    spec = registry.spec(detector)
    labels = labels_of(load_codes(settings.codes))
    of_catalogue = are_items(sources)
    if not of_catalogue and out is None and mask is None:
        fail("there is nothing to write.", "Give --out F.geojson, --mask F.tif, or both.")
    check_targets(out, mask)
    at = Where(workers or settings.workers, scheduler or settings.scheduler)
    if of_catalogue:
        if pixels:
            fail("--pixels is for files.", "Items of the catalogue keep the coordinates they have.")
        summary = _items(settings, detector, sources, gsd, labels, at, out, mask)
    else:
        summary = _files(spec, [Path(source) for source in sources], pixels, gsd, labels, at, out, mask)
    show(summary, as_json)


def _files(
    spec: "ModelSpec",
    paths: list[Path],
    pixels: bool,
    gsd: float | None,
    labels: "Labels",
    at: Where,
    out: Path | None,
    mask: Path | None,
) -> dict[str, Any]:
    from workers.detect import detect as run
    from workers.inputs import open_input
    from workers.outputs import gsd_words
    from workers.results import detect_to_files

    inputs = [open_input(path, pixels=pixels, gsd=gsd) for path in paths]
    for one in inputs:
        explain(gsd_words(one, spec.gsd), *one.notes)
    with at.connected() as client, bar() as progress:
        return detect_to_files(
            lambda one, raw: run(client, spec, one, raw, progress=progress), inputs, labels, out, mask
        )


def _items(
    settings: Settings,
    detector: str,
    sources: list[str],
    gsd: float | None,
    labels: "Labels",
    at: Where,
    out: Path | None,
    mask: Path | None,
) -> dict[str, Any]:
    from workers.home import Home
    from workers.jobs import DetectJob
    from workers.publish import run_detection
    from workers.results import items_to_files

    with Home.open(settings, create=False) as home, at.connected() as client, bar() as progress:
        jobs = [DetectJob(detector, source, gsd, propose=False) for source in sources]
        items = [run_detection(home, client, job, labels, progress=progress) for job in jobs]
        return items_to_files(home, items, out, mask)
