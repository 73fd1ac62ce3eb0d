"""`flyonce demo`: the whole loop on simulated flights, in one command."""

import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flyonce.cli.output import fail, print_json, stderr, stdout

if TYPE_CHECKING:
    from flyonce.demo import Outcome

FOLDER = Path("flyonce-demo")
SEED = 100_000
"""The first of the seeds that nothing was trained or tuned on."""


def demo(
    keep: Annotated[Path | None, typer.Option(metavar="DIR", help="A new or empty folder for everything.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same block.")] = SEED,
    workers: Annotated[int, typer.Option(min=0, help="Worker processes; 0: by cores and GPUs here.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Simulate two flights over one block, catalogue them, find change and debris, approve, file 一键演示.

    Everything is simulated and stays in one folder: ./flyonce-demo, made anew at each run, unless --keep names another.
    """
    from flyonce import demo as loop
    from flyonce.pictures import overview

    folder = keep or FOLDER
    if keep is None and (FOLDER / "home").is_dir() and (FOLDER / "simulated").is_dir():
        shutil.rmtree(FOLDER)  # an earlier demo's, and nothing but
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        fail(f"{folder} is not empty.", "Name a new folder with --keep: nothing is overwritten.")
    folder.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    with stderr.status("…") as status:

        def say(what: str) -> None:
            if stderr.is_terminal:
                status.update(what)
            else:
                stderr.print(f"{time.monotonic() - start:5.1f} s  {what}", highlight=False)

        outcome = loop.run(folder, seed, say, workers=workers)
        say("drawing pictures 绘图")
        picture = overview(outcome, folder / "overview.jpg")
    seconds = time.monotonic() - start
    if as_json:
        print_json(_summary(outcome, picture, seconds))
    else:
        _show(outcome, picture, seconds)


def _summary(outcome: "Outcome", picture: Path, seconds: float) -> dict[str, Any]:
    return {
        "simulated": True,
        "seed": outcome.seed,
        "seconds": round(seconds, 1),
        "folder": str(outcome.folder),
        "home": str(outcome.folder / "home"),
        "picture": str(picture),
        "flights": [flight["id"] for flight in outcome.flights],
        "captures": [flight["properties"]["flyonce:captures"] for flight in outcome.flights],
        "area_m2": round(outcome.area_m2, 1),
        "changes": sum(outcome.change["properties"]["flyonce:found"].values()),
        "detections": sum(outcome.detections["properties"]["flyonce:found"].values()),
        "proposed": len(outcome.events),
        "tickets": [
            {key: ticket[key] for key in ("ticket", "class", "code", "name_zh", "lon", "lat", "area_m2", "score")}
            | {"evidence": str(outcome.outbox / f"{ticket['ticket']}.json")}
            for ticket in outcome.tickets
        ],
        "found": list(outcome.score.found),
        "missed": list(outcome.score.missed),
        "false": list(outcome.score.false),
    }


def _show(outcome: "Outcome", picture: Path, seconds: float) -> None:
    from rich.table import Table

    def line(text: str) -> None:
        stdout.print(text, highlight=False, soft_wrap=True)

    line(f"Simulated flights 模拟架次 (seed {outcome.seed}), {outcome.area_m2:,.0f} m² on both dates 两期共有")
    for flight in outcome.flights:
        said = flight["properties"]
        line(f"  {said['title']}: {said['datetime'][:10]}, {said['flyonce:captures']} captures 份影像")
    changes = sum(outcome.change["properties"]["flyonce:found"].values())
    found = sum(outcome.detections["properties"]["flyonce:found"].values())
    line(f"{changes} changes 处变化, {found} debris detections 处堆放物")
    line(f"{len(outcome.events)} of them new: candidates for review 新增待审核")
    line(f"{len(outcome.tickets)} approved by the principal “demo” and filed 由 demo 批准并立案:")
    table = Table("", "ticket 工单", "class 类别", "place 位置 lon, lat", "m²", "score", box=None, pad_edge=False)
    for number, ticket in enumerate(outcome.tickets, start=1):
        table.add_row(
            str(number),
            ticket["ticket"],
            f"{ticket['code']} {ticket['name_zh']} {ticket['class']}",
            f"{ticket['lon']:.6f}, {ticket['lat']:.6f}",
            f"{ticket['area_m2']:.1f}",
            f"{ticket['score']:.2f}",
        )
    stdout.print(table)
    score = outcome.score
    line(
        f"Against the truth 对照真值: heaps of 4 m² and more found 找到 {len(score.found)}, missed 漏报 "
        f"{len(score.missed)}; false tickets 误报 {len(score.false)}"
    )
    line(f"Tickets and their evidence 工单与证据: {outcome.outbox}/")
    line(f"Picture 图: {picture}")
    line(f"Took 用时 {seconds:.0f} s. Look at it on a map 在地图上查看:")
    line(f"  FLYONCE_HOME={outcome.folder / 'home'} make serve   →  http://127.0.0.1:8000/console/")
