"""`flyonce ingest`: send a flight's files, and learn what became of each."""

from pathlib import Path
from typing import Annotated, Any

import typer

from flyonce.cli.output import print_json, stdout
from flyonce.cli.progress import bar
from records.settings import Settings


def ingest(
    paths: Annotated[list[Path], typer.Argument(help="Photos, orthophotos, or folders of them.")],
    flight: Annotated[str, typer.Option("--flight", help="Name of the flight that they belong to.")],
    department: Annotated[str, typer.Option("--department", help="Code of the department whose flight it is.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Take captures of one flight into store and catalogue; safe to repeat. 上传并编目一个架次。

    Exit code 0 when every file has its answer: accepted, duplicate, or quarantined with a reason. A file is named as
    quarantined even where the rest went through; nothing is dropped in silence.
    """
    from workers.home import Home
    from workers.ingest import ingest as take_in

    with Home.open(Settings()) as home, bar() as progress:
        report = take_in(home, paths, flight, department, progress=progress).to_dict()
    if as_json:
        print_json(report)
    else:
        _show(report)


def _show(report: dict[str, Any]) -> None:
    counts = report["counts"]
    stdout.print(
        f"Flight 架次 {report['flight']}: accepted 已接收 {counts['accepted']}, "
        f"duplicate 重复 {counts['duplicate']}, quarantined 隔离 {counts['quarantined']}, "
        f"not captures 非影像 {counts['ignored']}",
        highlight=False,
        soft_wrap=True,
    )
    methods = [one["footprint"] for one in report["accepted"]]
    for method in sorted(set(methods)):
        stdout.print(f"  footprint 覆盖范围 {method}: {methods.count(method)}", highlight=False)
    for one in report["quarantined"]:
        text = f"  [bold red]{one['reason']}[/] {one['message']} {one['remedy']}"
        stdout.print(text, highlight=False, soft_wrap=True)
