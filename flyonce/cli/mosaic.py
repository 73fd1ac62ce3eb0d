"""`flyonce mosaic`: a flight's photos as one picture on the map: a preview of minutes, or in full by NodeODM."""

import signal
import threading
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import Progress

from flyonce.cli.output import fail, print_json, stderr, stdout
from flyonce.cli.progress import bar

if TYPE_CHECKING:
    from workers.home import Home


def mosaic(
    flight: Annotated[str, typer.Argument(help="Id of the flight.")],
    full: Annotated[
        bool, typer.Option("--full", help="By the NodeODM server of FLYONCE_NODEODM_URL: orthophoto and surface model.")
    ] = False,
    resolution: Annotated[
        float | None, typer.Option(metavar="CM", min=0.1, max=1000, help="With --full: centimetres per pixel 分辨率.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the item, or with --full the items.")] = False,
) -> None:
    """Lay a flight's photos together into a preview, with its measured residual 快速拼图预览; or --full 完整处理.

    Full processing takes hours at the server. Ctrl+C, a broken line or a restart end the wait alone: the same command
    goes on with the same task. 完整处理需数小时；中断后重新执行同一命令即可继续。
    """
    from records.settings import Settings
    from workers.home import Home
    from workers.mosaic import preview_item

    if resolution is not None and not full:
        fail("--resolution is for --full.", "A preview is as fine as its photos allow.")
    if full:
        with Home.open(Settings(), create=False) as home:
            _full(home, flight, resolution, as_json=as_json)
        return
    with Home.open(Settings(), create=False) as home, Progress(console=stderr, transient=True) as bar:
        task = bar.add_task("mosaic 拼图", total=None)

        def show(what: str, done: int, of: int) -> None:
            bar.update(task, description=what, completed=done, total=of)

        item = preview_item(home, flight, show)
    if as_json:
        print_json(item)
        return
    said = item["properties"]
    stdout.print(f"orthophotos/{item['id']}", highlight=False)
    stdout.print(
        f"  残差 residual {said.get('flyonce:residual_m')} m, 位置误差 error {said['flyonce:footprint_error_m']} m"
    )


def _full(home: "Home", flight: str, resolution: float | None, *, as_json: bool) -> None:
    from workers.photogrammetry import StoppedError, full_items

    stop = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: stop.set())
    try:
        with bar() as progress:
            items = full_items(home, flight, progress, resolution=resolution, stop=stop)
    except StoppedError:
        fail("stopped; the task goes on at the server.", "Give the same command again. 重新执行同一命令即可继续。")
    if as_json:
        print_json(items)
        return
    for item in items:
        error = item["properties"]["flyonce:footprint_error_m"]
        stdout.print(f"{item['collection']}/{item['id']}  位置误差 error {error} m", highlight=False)
