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
    as_json: Annotated[bool, typer.Option("--json", help="Print a GeoJSON FeatureCollection.")] = False,
    server: At = None,
    token_file: TokenFile = None,
) -> None:
    """Items of the catalogue, newest first."""
    from flyonce.client import AskedWrongError, connect, open_home

    box = None if bbox is None else _numbers(bbox)
    try:
        client = open_home() if server is None else connect(server, key_of(token_file))
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
