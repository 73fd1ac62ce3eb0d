"""`flyonce search`: what has been captured where and when."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from flyonce.cli.output import fail, print_json, stderr, stdout
from imagery.errors import Refused

PAGE = 500


def search(
    bbox: Annotated[str | None, typer.Option(help="W,S,E,N in degrees; W > E crosses the antimeridian.")] = None,
    when: Annotated[
        str | None, typer.Option("--datetime", help="2026-05-01T00:00:00Z, or A/B with .. for an open end.")
    ] = None,
    collection: Annotated[list[str] | None, typer.Option(help="May be repeated.")] = None,
    condition: Annotated[str | None, typer.Option("--filter", help="CQL2 text, such as: gsd < 0.05")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many items.")] = 100,
    as_json: Annotated[bool, typer.Option("--json", help="Print a GeoJSON FeatureCollection.")] = False,
    server: Annotated[str | None, typer.Option(help="Ask this server instead of the local home.")] = None,
    token_file: Annotated[Path | None, typer.Option(help="File with the server's key.")] = None,
) -> None:
    """Items of the catalogue, newest first."""
    box = None if bbox is None else _numbers(bbox)
    if server is None:
        items = _local(box, when, collection or [], condition, limit)
    else:
        items = _remote(server, token_file, box, when, collection or [], condition, limit)
    if as_json:
        print_json({"type": "FeatureCollection", "features": items, "numberReturned": len(items)})
    else:
        _print(items, limit)


def _numbers(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        fail(f"--bbox {text}: not numbers with commas between", "Write W,S,E,N in degrees: 102.70,25.00,102.75,25.05")


def _local(
    bbox: list[float] | None, when: str | None, collections: list[str], condition: str | None, limit: int
) -> list[dict[str, Any]]:
    """Items of the home on this machine, with assets as file addresses."""
    from dataclasses import replace

    from catalog_api.stac_query import query_of
    from records.settings import Settings
    from stac.assets import stored_sha256
    from stac.store import QueryError
    from workers.home import Home

    with Home.open(Settings(), create=False) as home:
        try:
            query = query_of(
                collections=collections,
                bbox=bbox,
                datetime=when,
                limit=min(limit, PAGE),
                filter_expr=condition,
                filter_lang="cql2-text",
            )
            items: list[dict[str, Any]] = []
            while len(items) < limit:
                page = home.catalog.search(query)
                items.extend(page.items)
                if page.next is None:
                    break
                query = replace(query, token=page.next)
        except QueryError as error:
            fail(f"--{error.field}: {error.message}")
        for item in items:
            item["links"] = [link for link in item["links"] if not link["href"].startswith("/")]
            for asset in item["assets"].values():
                if stored_sha256(asset["href"]):
                    asset["href"] = home.asset_path(asset["href"]).as_uri()
    return items[:limit]


def _remote(
    server: str,
    token_file: Path | None,
    bbox: list[float] | None,
    when: str | None,
    collections: list[str],
    condition: str | None,
    limit: int,
) -> list[dict[str, Any]]:
    """The same from a server, following its pages."""
    import httpx

    asked: dict[str, Any] = {"limit": min(limit, PAGE)}
    asked |= {"bbox": bbox} if bbox else {}
    asked |= {"datetime": when} if when else {}
    asked |= {"collections": collections} if collections else {}
    asked |= {"filter": condition, "filter-lang": "cql2-text"} if condition else {}
    items: list[dict[str, Any]] = []
    try:
        with httpx.Client(base_url=server.rstrip("/"), headers=_key(token_file), timeout=60) as client:
            while len(items) < limit:
                answer = client.post("/stac/search", json=asked)
                if answer.is_error:
                    _say(answer.status_code, answer.json() if "json" in answer.headers.get("content-type", "") else {})
                page = answer.json()
                items.extend(page["features"])
                following = next((link for link in page["links"] if link["rel"] == "next"), None)
                if following is None:
                    break
                asked = following["body"]
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        fail(f"{server} does not answer: {error}", "Is `flyonce serve` running there, and the address right?")
    return items[:limit]


def _key(token_file: Path | None) -> dict[str, str]:
    if token_file is None:
        return {}
    try:
        return {"authorization": f"Bearer {token_file.read_text('utf-8').strip()}"}
    except OSError as error:
        raise Refused("no-token", f"{token_file} cannot be read: {error.strerror}.", "Check --token-file.") from error


def _say(status: int, problem: dict[str, Any]) -> None:
    remedy = "Give the server's key with --token-file." if status == 401 else ""
    fail(f"the server answered {status}: {problem.get('detail', 'nothing that explains it')}", remedy)


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
