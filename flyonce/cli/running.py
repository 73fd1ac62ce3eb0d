"""What `detect` and `change` share: what a SOURCE is, where tasks run, and how a run is told of."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flyonce.cli.output import fail, print_json, stderr, stdout

if TYPE_CHECKING:
    import distributed

COLLECTIONS = ("photos", "orthophotos", "videos", "frames")


@dataclass(frozen=True, slots=True)
class Where:
    """A scheduler's address, or worker processes of this machine (0: one per core)."""

    workers: int
    scheduler: str

    @contextmanager
    def connected(self) -> Iterator["distributed.Client"]:
        from workers.cluster import connect

        with connect(workers=self.workers, scheduler=self.scheduler) as client:
            yield client


def are_items(sources: list[str]) -> bool:
    """Whether the sources are items of the catalogue rather than files; ends with a message where they are mixed.

    A file of that name wins, so that a folder called `photos` does not become unreadable.
    """
    items = [not Path(source).exists() and source.partition("/")[0] in COLLECTIONS for source in sources]
    if any(items) != all(items):
        fail("some sources are files and some are items of the catalogue.", "Run them apart.")
    return all(items)


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
        if "item" in run:
            print_line(f"Item 条目: {run['item']}")
    for kind in ("out", "mask"):
        if summary[kind]:
            print_line(f"{kind}: {summary[kind]}")


def print_line(text: str) -> None:
    stdout.print(text, highlight=False, soft_wrap=True)
