"""What `detect` and `change` share: what a SOURCE is, where tasks run, and how a run is told of."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flyonce.cli.output import fail, print_json, stderr, stdout

if TYPE_CHECKING:
    import distributed

Out = Annotated[Path | None, typer.Option("--out", help="GeoJSON to write.")]
Mask = Annotated[
    Path | None, typer.Option("--mask", help="Mask to write (COG); for several sources a folder of masks.")
]
Pixels = Annotated[bool, typer.Option("--pixels", help="Answer in pixel coordinates, whatever the georeference.")]
Gsd = Annotated[
    float | None, typer.Option("--gsd", min=1e-4, max=1000, help="Metres per pixel, where a source does not tell.")
]
Workers = Annotated[int, typer.Option("--workers", min=0, help="Worker processes; 0: by cores and GPUs here.")]
Scheduler = Annotated[str, typer.Option("--scheduler", help="Address of a Dask scheduler.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print a summary as JSON.")]

COLLECTIONS = ("photos", "orthophotos", "videos", "frames")


@dataclass(frozen=True, slots=True)
class Where:
    """A scheduler's address, or worker processes of this machine (0: by cores and GPUs here)."""

    workers: int
    scheduler: str
    on_cores: bool = False
    """For work that does not use GPUs: a process per core also where there are some."""

    @contextmanager
    def connected(self) -> Iterator["distributed.Client"]:
        """A client for the block. Raises `Refused`: no-scheduler, scheduler-lost."""
        from imagery.errors import Refused
        from workers.cluster import connect
        from workers.run import SchedulerLostError

        try:
            with connect(workers=self.workers, scheduler=self.scheduler, on_cores=self.on_cores) as client:
                yield client
        except SchedulerLostError as lost:
            raise Refused("scheduler-lost", str(lost)) from lost


def are_items(sources: list[str]) -> bool:
    """Whether the sources are items of the catalogue rather than files; ends with a message where they are mixed.

    A file of that name wins, so that a folder called `photos` does not become unreadable.
    """
    items = [not Path(source).exists() and source.partition("/")[0] in COLLECTIONS for source in sources]
    if any(items) != all(items):
        fail("some sources are files and some are items of the catalogue.", "Run them apart.")
    return all(items)


def check_outputs(of_catalogue: bool, pixels: bool, out: Path | None, mask: Path | None) -> None:
    """End with a message where there is nothing to write, or what is asked does not fit the sources."""
    from workers.results import check_targets

    if not of_catalogue and out is None and mask is None:
        fail("there is nothing to write.", "Give --out F.geojson, --mask F.tif, or both.")
    if of_catalogue and pixels:
        fail("--pixels is for files.", "Items of the catalogue keep the coordinates they have.")
    check_targets(out, mask)


def explain(*lines: str) -> None:
    """What a person should know about the run, on stderr."""
    for line in lines:
        stderr.print(line, highlight=False, soft_wrap=True)


def show(summary: dict[str, Any], as_json: bool) -> None:
    """The summary of a finished run on stdout; tiles that failed are told of on stderr in any case."""
    for run in summary["runs"]:
        if run["failed_tiles"]:
            first = run["failed_tiles"][0]["error"]
            explain(f"[bold red]{len(run['failed_tiles'])} of {run['tiles']} tiles not analysed[/]; first: {first}")
    if as_json:
        print_json(summary)
        return
    found = ", ".join(f"{count} {name}" for name, count in summary["by_class"].items()) or "nothing 无"
    print_line(f"Found 发现: {found}; {summary['area_m2']:.1f} m²")
    for run in summary["runs"]:
        left_out = "".join(f", {why} {area:.1f}" for why, area in run["not_analysed_m2"].items())
        print_line(f"Analysed 已分析: {run['analysed_m2']:.1f} m²; not 未分析{left_out or ' 0'} m²")
        _kept(run)
        if "item" in run:
            print_line(f"Item 条目: {run['item']}")
    _kept(summary.get("effort", {}))
    if "events" in summary:
        print_line(f"Candidates 待审核: {len(summary['events'])} (flyonce review list)")
    for kind in ("out", "mask"):
        if summary[kind]:
            print_line(f"{kind}: {summary[kind]}")


def _kept(effort: dict[str, Any]) -> None:
    if effort.get("tiles_kept"):
        saved = f"{effort['seconds_saved']:.0f} s saved 节省"
        print_line(f"From the cache 来自缓存: {effort['tiles_kept']} of {effort['tiles']} tiles, {saved}")


def print_line(text: str) -> None:
    stdout.print(text, highlight=False, soft_wrap=True)
