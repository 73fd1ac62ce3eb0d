"""`flyonce detect`: one detector over files, or over items of the catalogue."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flyonce.cli.output import fail, print_json, stdout
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
from workers.jobs import DetectJob, Dtype

if TYPE_CHECKING:
    from detectors.base import ModelSpec
    from workers.outputs import Labels


@dataclass(frozen=True, slots=True)
class _ReadAs:
    """How files become sources, and how exactly they are looked at."""

    pixels: bool
    gsd: float | None
    mosaic: bool
    dtype: Dtype


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
    refine: Annotated[str, typer.Option("--refine", metavar="sam", help="Draw the outlines tighter with SAM.")] = "",
    point: Annotated[
        list[str] | None,
        typer.Option("--point", metavar="X,Y", help="sam: a thing, by a point on it (lon,lat or pixels)."),
    ] = None,
    box: Annotated[
        list[str] | None, typer.Option("--box", metavar="W,S,E,N", help="sam: a thing, by a box about it.")
    ] = None,
    dtype: Annotated[
        Dtype, typer.Option("--dtype", help="Of the network's arithmetic; part of the result's key.")
    ] = "float32",
    as_json: AsJson = False,
) -> None:
    """Find things in pictures: polygons with class, score and area, and a mask. 目标识别。

    For items of the catalogue the run is written back as an item of `detections`, and what was found becomes candidates
    for `flyonce review`. A video is analysed key frame by key frame, each with its second.
    """
    from detectors import registry
    from tickets.codes import load_codes
    from workers.labels import labels_of

    settings = Settings()
    spec = registry.spec(detector)
    labels = labels_of(load_codes(settings.codes))
    of_catalogue = are_items(sources)
    check_outputs(of_catalogue, pixels, out, mask)
    if refine not in ("", "sam"):
        fail(f"--refine {refine} is not known.", "There is --refine sam.")
    if (refine or point or box) and of_catalogue:
        fail("--refine, --point and --box are for files.", "Export the item's original first.")
    if point or box:
        _point_at(detector, sources, pixels, gsd, point or [], box or [], labels, out, as_json)
        return
    at = Where(workers or settings.workers, scheduler or settings.scheduler)
    if of_catalogue:
        asked = partial(DetectJob, detector, gsd=gsd, change=change, dtype=dtype)
        summary = _items(settings, asked, sources, labels, at, out, mask)
    elif change is not None:
        fail("--change is for items of the catalogue.", "Ingest the files first; or compare them by `flyonce change`.")
    elif mosaic and pixels:
        fail("--mosaic puts files where they lie on the ground; --pixels leaves that aside.", "Give one of them.")
    else:
        read_as = _ReadAs(pixels, gsd, mosaic, dtype)
        paths = [Path(source) for source in sources]
        summary = _files(spec, paths, read_as, labels, at, out, mask, settings, refine)
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
    refine: str,
) -> dict[str, Any]:
    from records.files import DirectoryStore
    from workers.cluster import shares_files
    from workers.detect import Detection
    from workers.detect import detect as run
    from workers.inputs import Input, open_input, open_mosaic, stored
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
    tighten: Callable[[Detection], Detection] = lambda found: found  # noqa: E731
    if refine:
        from detectors.sam import Sam
        from workers.prompts import refined

        sam = Sam.load()  # before hours of work, so that a missing checkpoint is told first
        tighten = partial(refined, sam=sam)
    with at.connected() as client, bar() as progress:

        def analysed(one: Input, raw: Path) -> Detection:
            there = one if shares_files(client) else stored(one, DirectoryStore(settings.files_dir))
            found = run(client, spec, there, raw, dtype=read_as.dtype, cache=kept, progress=progress)
            return tighten(replace(found, input=one))

        return detect_to_files(analysed, inputs, labels, out, mask)


def _point_at(
    detector: str,
    sources: list[str],
    pixels: bool,
    gsd: float | None,
    points: list[str],
    boxes: list[str],
    labels: "Labels",
    out: Path | None,
    as_json: bool,
) -> None:
    """What a person points at, in one picture."""
    if detector != "sam" or len(sources) != 1:
        fail(
            "--point and --box are for sam and one source.", "flyonce detect sam SOURCE --point LON,LAT --out F.geojson"
        )
    from detectors.sam import Sam
    from records.files import write_atomically
    from workers.inputs import open_input
    from workers.outputs import about_input
    from workers.prompts import Prompt, prompted
    from workers.vectors import encode, features

    one = open_input(Path(sources[0]), pixels=pixels, gsd=gsd)
    asked = [Prompt(point=(x, y)) for x, y in (_numbers(text, 2) for text in points)]
    asked += [Prompt(box=(w, s, e, n)) for w, s, e, n in (_numbers(text, 4) for text in boxes)]
    sam = Sam.load()
    grid, regions = prompted(one, sam, asked)
    found = list(features(regions, grid, sam.spec.classes, labels, cell_m=sam.spec.gsd, min_area=0.0))
    if out is not None:
        write_atomically(out, encode(found, {"runs": [{"detector": "sam", "source": about_input(one)}]}))
    if as_json:
        print_json({"found": len(found), "out": str(out) if out else None})
    else:
        stdout.print(f"Found 发现: {len(found)} of {len(asked)} prompts 提示", highlight=False)


def _numbers(text: str, count: int) -> list[float]:
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        values = []
    if len(values) != count:
        fail(f"{text!r} is not {count} numbers with commas between them.", "As in --point 113.93,30.94.")
    return values


def _items(
    settings: Settings,
    asked: Callable[[str], DetectJob],
    sources: list[str],
    labels: "Labels",
    at: Where,
    out: Path | None,
    mask: Path | None,
) -> dict[str, Any]:
    from records.engine import transaction
    from tickets import store
    from workers.captures import get_item
    from workers.frames import captures_in
    from workers.home import Home
    from workers.propose import proposals
    from workers.publish import run_detection
    from workers.results import Effort, items_to_files

    with Home.open(settings, create=False) as home, at.connected() as client, bar() as progress:
        jobs = [asked(name) for name in dict.fromkeys(one for source in sources for one in captures_in(home, source))]
        compared = {job.change: get_item(home, job.change) for job in jobs if job.change}
        effort = Effort()
        items = [run_detection(home, client, job, labels, progress=progress, effort=effort) for job in jobs]
        proposed = [
            proposals(home, item, compared.get(job.change or "")) for job, item in zip(jobs, items, strict=True)
        ]
        explain(*(note for _, notes in proposed for note in notes))
        with transaction(home.engine) as conn:
            events = [event for seen, _ in proposed for event in store.record(conn, seen)]
        told = {"events": list(dict.fromkeys(events)), "effort": effort.to_dict()}
        return items_to_files(home, items, out, mask) | told
