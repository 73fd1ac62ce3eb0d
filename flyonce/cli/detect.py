"""`flyonce detect`: one detector over files, or over items of the catalogue."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flyonce.cli.output import fail
from flyonce.cli.progress import bar
from flyonce.cli.running import (
    AsJson,
    Gsd,
    Mask,
    Out,
    Pixels,
    Scheduler,
    Where,
    Workers,
    are_items,
    check_outputs,
    explain,
    show,
)
from records.settings import Settings

if TYPE_CHECKING:
    from detectors.base import ModelSpec
    from workers.outputs import Labels


@dataclass(frozen=True, slots=True)
class _ReadAs:
    """How files become sources."""

    pixels: bool
    gsd: float | None
    mosaic: bool


def detect(
    detector: Annotated[str, typer.Argument(help="Name of a detector; `flyonce models list` shows them.")],
    sources: Annotated[list[str], typer.Argument(metavar="SOURCE...", help="Files, or collection/id of the home.")],
    out: Out = None,
    mask: Mask = None,
    pixels: Pixels = False,
    gsd: Gsd = None,
    workers: Workers = 0,
    scheduler: Scheduler = "",
    change: Annotated[
        str | None, typer.Option("--change", metavar="changes/ID", help="Propose only what stands on changed ground.")
    ] = None,
    mosaic: Annotated[
        bool, typer.Option("--mosaic", help="Read all files as one raster; earlier ones cover later ones.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Find things in pictures: polygons with class, score and area, and a mask. 目标识别。

    For items of the catalogue the run is written back as an item of `detections`, and what was found becomes candidates
    for `flyonce review`.
    """
    from detectors import registry
    from tickets.codes import load_codes
    from workers.labels import labels_of

    settings = Settings()
    spec = registry.spec(detector)
    labels = labels_of(load_codes(settings.codes))
    of_catalogue = are_items(sources)
    check_outputs(of_catalogue, pixels, out, mask)
    at = Where(workers or settings.workers, scheduler or settings.scheduler)
    if of_catalogue:
        summary = _items(settings, detector, sources, gsd, change, labels, at, out, mask)
    elif change is not None:
        fail("--change is for items of the catalogue.", "Ingest the files first; or compare them by `flyonce change`.")
    elif mosaic and pixels:
        fail("--mosaic puts files where they lie on the ground; --pixels leaves that aside.", "Give one of them.")
    else:
        read_as = _ReadAs(pixels, gsd, mosaic)
        summary = _files(spec, [Path(source) for source in sources], read_as, labels, at, out, mask, settings)
    show(summary, as_json)


def _files(
    spec: "ModelSpec",
    paths: list[Path],
    read_as: _ReadAs,
    labels: "Labels",
    at: Where,
    out: Path | None,
    mask: Path | None,
    settings: Settings,
) -> dict[str, Any]:
    from records.files import DirectoryStore
    from workers.cluster import shares_files
    from workers.detect import detect as run
    from workers.inputs import open_input, open_mosaic, stored
    from workers.outputs import gsd_words
    from workers.results import detect_to_files
    from workers.tilecache import cache_of

    if read_as.mosaic:
        inputs = [open_mosaic(paths)]
    else:
        inputs = [open_input(path, pixels=read_as.pixels, gsd=read_as.gsd) for path in paths]
    for one in inputs:
        explain(gsd_words(one, spec.gsd), *one.notes)
    kept = cache_of(settings)
    with at.connected() as client, bar() as progress:
        if not shares_files(client):
            inputs = [stored(one, DirectoryStore(settings.files_dir)) for one in inputs]
        return detect_to_files(
            lambda one, raw: run(client, spec, one, raw, cache=kept, progress=progress), inputs, labels, out, mask
        )


def _items(
    settings: Settings,
    detector: str,
    sources: list[str],
    gsd: float | None,
    change: str | None,
    labels: "Labels",
    at: Where,
    out: Path | None,
    mask: Path | None,
) -> dict[str, Any]:
    from records.engine import transaction
    from tickets import store
    from workers.captures import get_item
    from workers.home import Home
    from workers.jobs import DetectJob
    from workers.propose import proposals
    from workers.publish import run_detection
    from workers.results import items_to_files

    with Home.open(settings, create=False) as home, at.connected() as client, bar() as progress:
        compared = get_item(home, change) if change else None
        jobs = [DetectJob(detector, source, gsd, change) for source in sources]
        items = [run_detection(home, client, job, labels, progress=progress) for job in jobs]
        proposed = [proposals(home, item, compared) for item in items]
        explain(*(note for _, notes in proposed for note in notes))
        with transaction(home.engine) as conn:
            events = [event for seen, _ in proposed for event in store.record(conn, seen)]
        return items_to_files(home, items, out, mask) | {"events": list(dict.fromkeys(events))}
