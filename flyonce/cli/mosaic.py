"""`flyonce mosaic`: a preview of a flight's photos as one picture on the map."""

from typing import Annotated

import typer
from rich.progress import Progress

from flyonce.cli.output import print_json, stderr, stdout


def mosaic(
    flight: Annotated[str, typer.Argument(help="Id of the flight.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the item.")] = False,
) -> None:
    """Lay a flight's photos together into a preview, with its measured residual 快速拼图预览."""
    from records.settings import Settings
    from workers.home import Home
    from workers.mosaic import preview_item

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
