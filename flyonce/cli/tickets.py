"""`flyonce tickets`: approved events on their way to whoever clears them away."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flyonce.cli.output import fail, print_json, stderr, stdout
from records.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from tickets.codes import Codes
    from workers.home import Home

app = typer.Typer(help="Tickets 工单: approved findings, filed to the gateway.", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """Every ticket 全部工单, the waiting ones included."""
    from rich.table import Column, Table

    with _home() as home, home.engine.connect() as conn:
        shown = _tickets(conn, _codes())
    if as_json:
        print_json({"tickets": shown})
        return
    table = Table(
        Column("ticket 工单", min_width=18),
        "state 状态",
        "code 代码",
        "name 名称",
        "m²",
        "lon, lat",
        "approved by 审核人",
    )
    for ticket in shown:
        place = f"{ticket['lon']:.6f}, {ticket['lat']:.6f}"
        name = ticket["name_zh"] or ticket["class"]
        area = f"{ticket['area_m2']:.1f}"
        table.add_row(ticket["ticket"], ticket["state"], ticket["code"], name, area, place, ticket["approved_by"])
    stdout.print(table)
    stdout.print(f"{len(shown)} ticket(s) 件")


@app.command()
def show(ticket: str, as_json: AsJson = False) -> None:
    """One ticket or event: what it is, who saw it, what happened 经过."""
    from tickets import store
    from tickets.wire import entry_json, event_json, sighting_json

    with _home() as home, home.engine.connect() as conn:
        event = store.get(conn, ticket)
        if event is None:
            fail(f"there is no ticket or event {ticket}.", "`flyonce tickets list` shows what there is.")
        shown = event_json(event, _codes()) | {
            "sightings": [sighting_json(sighting) for sighting in store.sightings_of(conn, event.id)],
            "history": [entry_json(entry) for entry in store.history_of(conn, event.id)],
        }
    if as_json:
        print_json(shown)
        return
    for key in ("ticket", "id", "state", "class", "code", "name_zh", "name_en", "area_m2", "score", "lon", "lat"):
        stdout.print(f"{key}: {shown[key]}", highlight=False, markup=False)
    for what in ("before", "after"):
        stdout.print(f"{what}: {shown['evidence'][what]}", highlight=False, markup=False, soft_wrap=True)
    for entry in shown["history"]:
        line = f"{entry['at']}  {entry['kind']}  {entry['actor']}  {entry.get('reason', '')}"
        stdout.print(line.rstrip(), highlight=False, markup=False, soft_wrap=True)


@app.command("file")
def file_(as_json: AsJson = False) -> None:
    """File what is approved 立案: hand it to the gateway, here the outbox folder. Safe to repeat."""
    from tickets.filing import file_approved
    from tickets.gateways.file import FileGateway

    settings = Settings()
    with _home() as home:
        drained = file_approved(home.engine, _codes(), FileGateway(settings.outbox_dir, home.files), impatient=True)
    if as_json:
        failed = [{"ticket": ticket, "error": error} for ticket, error in drained.failed]
        print_json({"folder": str(settings.outbox_dir), "filed": list(drained.delivered), "failed": failed})
    else:
        for ticket in drained.delivered:
            stdout.print(str(settings.outbox_dir / f"{ticket}.json"), highlight=False, markup=False, soft_wrap=True)
        stdout.print(f"{len(drained.delivered)} ticket(s) filed 件已立案")
    for _, error in drained.failed:
        stderr.print(error, highlight=False, markup=False, soft_wrap=True)
    if drained.failed:
        raise typer.Exit(1)


@app.command()
def export(
    out: Annotated[Path, typer.Argument(help="GeoJSON file to write; must not exist yet.")], as_json: AsJson = False
) -> None:
    """Write all tickets as GeoJSON 导出 (RFC 7946, WGS84) for a GIS."""
    import json

    with _home() as home, home.engine.connect() as conn:
        tickets = _tickets(conn, _codes())
    features = [
        {"type": "Feature", "id": ticket["ticket"], "geometry": ticket.pop("geometry"), "properties": ticket}
        for ticket in tickets
    ]
    text = json.dumps({"type": "FeatureCollection", "features": features}, ensure_ascii=False, indent=2)
    try:
        with out.open("x", encoding="utf-8") as target:
            target.write(f"{text}\n")
    except OSError as error:
        fail(
            f"{out} cannot be written: {error.strerror}.", "Name a file that does not exist yet, in a folder that does."
        )
    if as_json:
        print_json({"file": str(out), "tickets": len(features)})
    else:
        stdout.print(f"{len(features)} ticket(s) 件 → {out}", highlight=False, markup=False, soft_wrap=True)


def _home() -> "Home":
    from workers.home import Home

    return Home.open(Settings())


def _codes() -> "Codes":
    from tickets.codes import load_codes

    return load_codes(Settings().codes)


def _tickets(conn: "Connection", codes: "Codes") -> list[dict[str, Any]]:
    """Events that have a ticket number, by number."""
    from tickets import store
    from tickets.states import State
    from tickets.wire import event_json

    states = [state for state in State if state not in (State.CANDIDATE, State.REJECTED)]
    found = [event_json(event, codes) for event in store.find(conn, states, limit=1_000_000)]
    return sorted((event for event in found if event["ticket"]), key=lambda event: str(event["ticket"]))
