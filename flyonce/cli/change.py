"""`flyonce change`: what changed between two dates, over two files or two items of the catalogue."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

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
    from workers.outputs import Labels


def change(
    before: Annotated[str, typer.Argument(help="The earlier file, or collection/id of the home.")],
    after: Annotated[str, typer.Argument(help="The later one.")],
    out: Out = None,
    mask: Mask = None,
    pixels: Pixels = False,
    gsd: Gsd = None,
    workers: Workers = 0,
    scheduler: Scheduler = "",
    as_json: AsJson = False,
) -> None:
    """Compare two dates: changed, unchanged, or not comparable with the reason. 变化检测。

    For items of the catalogue the run is written back as an item of `changes`.
    """
    from tickets.codes import load_codes
    from workers.labels import labels_of

    settings = Settings()
    labels = labels_of(load_codes(settings.codes))
    of_catalogue = are_items([before, after])
    check_outputs(of_catalogue, pixels, out, mask)
    at = Where(workers or settings.workers, scheduler or settings.scheduler, on_cores=True)
    if of_catalogue:
        summary = _items(settings, before, after, gsd, labels, at, out, mask)
    else:
        summary = _files(Path(before), Path(after), pixels, gsd, labels, at, out, mask, settings)
    show(summary, as_json)


def _files(
    before: Path,
    after: Path,
    pixels: bool,
    gsd: float | None,
    labels: "Labels",
    at: Where,
    out: Path | None,
    mask: Path | None,
    settings: Settings,
) -> dict[str, Any]:
    from detectors.change import spec
    from records.files import DirectoryStore
    from workers.change import compare
    from workers.cluster import shares_files
    from workers.inputs import open_input, stored
    from workers.outputs import gsd_words
    from workers.results import change_to_files
    from workers.tilecache import cache_of

    first, second = (open_input(path, pixels=pixels, gsd=gsd) for path in (before, after))
    for one in (first, second):
        explain(gsd_words(one, spec.gsd), *one.notes)
    with at.connected() as client, bar() as progress:
        kept = cache_of(settings)
        if not shares_files(client):
            first, second = (stored(one, DirectoryStore(settings.files_dir)) for one in (first, second))
        return change_to_files(
            lambda raw: compare(client, first, second, raw, cache=kept, progress=progress), labels, out, mask
        )


def _items(
    settings: Settings,
    before: str,
    after: str,
    gsd: float | None,
    labels: "Labels",
    at: Where,
    out: Path | None,
    mask: Path | None,
) -> dict[str, Any]:
    from workers.home import Home
    from workers.jobs import ChangeJob
    from workers.publish import run_comparison
    from workers.results import Effort, items_to_files

    with Home.open(settings, create=False) as home, at.connected() as client, bar() as progress:
        effort = Effort()
        job = ChangeJob(before, after, gsd)
        item = run_comparison(home, client, job, labels, progress=progress, effort=effort)
        return items_to_files(home, [item], out, mask) | {"effort": effort.to_dict()}
