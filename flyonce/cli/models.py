"""`flyonce models`: the shelf of detectors."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from flyonce.cli.output import print_json, stderr, stdout
from flyonce.cli.progress import bar
from flyonce.cli.running import Scheduler, Where, Workers
from imagery.errors import Refused
from records.settings import Settings

if TYPE_CHECKING:
    from detectors.registry import Shelved

app = typer.Typer(help="The shelf of detectors 算法货架.", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """Every detector: classes, ground resolution, licence, what was measured."""
    from detectors import registry

    found, broken = [], []
    for name in (*registry.names(), "change"):
        try:
            found.append(_told(registry.shelved(name)))
        except Refused as refused:
            broken.append(f"{name}: {refused.message} {refused.remedy}")
    if as_json:
        print_json(found)
    else:
        table = Table("name 名称", "version 版本", "classes 类别", "m/px", "licence 许可", "metrics 指标")
        for one in found:
            metrics = ", ".join(f"{key} {value}" for key, value in one["metrics"].items()) or "not measured 未测"
            classes = ", ".join(one["classes"])
            table.add_row(one["name"], one["version"], classes, f"{one['gsd']:g}", one["licence"], metrics)
        stdout.print(table)
    for line in broken:
        stderr.print(f"[bold red]cannot be used[/] {line}", highlight=False, soft_wrap=True)


@app.command()
def show(name: str, as_json: AsJson = False) -> None:
    """One detector: what its results depend on, and what its weights say of themselves."""
    from detectors import registry

    told = _told(registry.shelved(name)) | {"about": registry.about(name)}
    if as_json:
        print_json(told)
        return
    for key, value in told.items():
        stdout.print(f"{key}: {value}", highlight=False, soft_wrap=True)


@app.command()
def add(
    item: Annotated[Path, typer.Argument(help="STAC item with the MLM extension, its weights beside it.")],
    as_json: AsJson = False,
) -> None:
    """Put a model from a file on the shelf: TorchScript, ONNX, or the state dict of a torchvision model. 上架模型。"""
    from detectors import shelf

    told = _told(shelf.add(item))
    if as_json:
        print_json(told)
    else:
        stdout.print(f"On the shelf 已上架: {told['name']} {told['version']}", highlight=False)


@app.command()
def backfill(
    name: Annotated[str, typer.Argument(help="Name of a detector.")],
    minutes: Annotated[float, typer.Option(min=0, help="Budget: no new run is started after so long.")] = 60.0,
    most: Annotated[int, typer.Option("--most", min=0, help="At most so many captures; 0: all.")] = 0,
    workers: Workers = 0,
    scheduler: Scheduler = "",
    as_json: AsJson = False,
) -> None:
    """Run the present version over captures that an older one has answered for, and report what differs. 回溯重算。

    Old results stay and keep naming the version that made them.
    """
    from tickets.codes import load_codes
    from workers.backfill import backfill as run
    from workers.home import Home
    from workers.labels import labels_of

    settings = Settings()
    at = Where(workers or settings.workers, scheduler or settings.scheduler)
    with Home.open(settings, create=False) as home, at.connected() as client, bar() as progress:
        report = run(
            home, client, name, labels_of(load_codes(settings.codes)), minutes=minutes, most=most, progress=progress
        )
    if as_json:
        print_json(report)
        return
    stdout.print(
        f"{name}: {len(report['runs'])} captures run again 重算, {report['waiting']} wait 待办", highlight=False
    )
    for one in report["runs"]:
        stdout.print(
            f"  {one['source']}: {one['same']} same 相同, {one['new']} new 新增, {one['gone']} gone 消失",
            highlight=False,
        )
    for failed in report["failed"]:
        stderr.print(f"[bold red]failed[/] {failed['source']}: {failed['error']}", highlight=False, soft_wrap=True)


def _told(found: "Shelved") -> dict[str, Any]:
    return asdict(found.spec) | {
        "architecture": found.architecture,
        "description": found.description,
        "metrics": dict(found.metrics),
    }
