"""`flyonce search`: what has been captured where and when."""

from typing import Annotated, Any

import typer
from rich.table import Table

from flyonce.cli.asking import At, TokenFile, key_of
from flyonce.cli.output import fail, print_json, stderr, stdout


def search(
    bbox: Annotated[str | None, typer.Option(help="W,S,E,N in degrees; W > E crosses the antimeridian.")] = None,
    when: Annotated[
        str | None, typer.Option("--datetime", help="2026-05-01T00:00:00Z, or A/B with .. for an open end.")
    ] = None,
    collection: Annotated[list[str] | None, typer.Option(help="May be repeated.")] = None,
    condition: Annotated[str | None, typer.Option("--filter", help="CQL2 text, such as: gsd < 0.05")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many items.")] = 100,
    point: Annotated[str | None, typer.Option(help="LON,LAT in degrees: what lies over this place.")] = None,
    visible: Annotated[
        bool, typer.Option("--visible", help="With --point: what shows it, videos by the second, and from which side.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print a GeoJSON FeatureCollection.")] = False,
    server: At = None,
    token_file: TokenFile = None,
) -> None:
    """Items of the catalogue, newest first."""
    from flyonce.client import AskedWrongError, connect, open_home

    if point is not None and bbox is not None:
        fail("--point and --bbox both say where", "Give one of them.")
    if visible and point is None:
        fail("--visible needs a place", "Give --point LON,LAT.")
    place = None if point is None else _place_of(point)
    box = _numbers(bbox) if bbox is not None else None if place is None else [*place, *place]
    try:
        client = open_home() if server is None else connect(server, key_of(token_file))
        if visible and place is not None:
            _print_views(client.visible(*place), as_json)
            return
        items = client.search(collection or [], bbox=box, datetime=when, filter=condition, limit=limit)
    except AskedWrongError as error:
        fail(str(error))
    if as_json:
        print_json({"type": "FeatureCollection", "features": items, "numberReturned": len(items)})
    else:
        _print(items, limit)


def _numbers(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        fail(f"--bbox {text}: not numbers with commas between", "Write W,S,E,N in degrees: 102.70,25.00,102.75,25.05")


def _place_of(text: str) -> tuple[float, float]:
    numbers = _numbers(text)
    if len(numbers) != 2 or not (-180 <= numbers[0] <= 180 and -90 <= numbers[1] <= 90):
        fail(f"--point {text}: no place", "Write LON,LAT in degrees: 113.95,30.92")
    return numbers[0], numbers[1]


def _print_views(views: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        print_json({"views": views, "numberReturned": len(views)})
        return
    table = Table(
        "架次 flight", "类别 collection", "时间 time", "秒 seconds", "方位 from", "距离 m", "名称 title",
        box=None, pad_edge=False,
    )  # fmt: skip
    for view in views:
        seconds = "" if view["begins"] is None else f"{view['begins']:.0f}–{view['ends']:.0f}"
        distance = "" if view["distance"] is None else f"{view['distance']:.0f}"
        table.add_row(
            view["flight"] or "",
            view["collection"],
            view["taken"],
            seconds,
            view["side"] or "",
            distance,
            view["title"],
        )
    if views:
        stdout.print(table)
    stderr.print(f"{len(views)} 次可见 views", highlight=False)


def _print(items: list[dict[str, Any]], limit: int) -> None:
    table = Table("类别 collection", "编号 id", "时间 time", "位置 place", "名称 title", box=None, pad_edge=False)
    for item in items:
        said = item["properties"]
        table.add_row(item["collection"], item["id"], str(said.get("datetime")), _place(item), said.get("title", ""))
    if items:
        stdout.print(table)
    stderr.print(f"{len(items)} 项 items" + (f" (--limit {limit})" if len(items) == limit else ""), highlight=False)


def _place(item: dict[str, Any]) -> str:
    """The middle of its box, longitude then latitude."""
    if not item.get("bbox"):
        return ""
    west, south, east, north = item["bbox"]
    return f"{(west + east) / 2:.5f},{(south + north) / 2:.5f}"
