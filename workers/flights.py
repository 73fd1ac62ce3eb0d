"""A flight as people see it: its item over all that was accepted for it, its report, and the list of flights."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from imagery.gcj02 import seems_shifted
from stac import flight_queries
from stac.collections import FLIGHTS
from stac.flight_report import flight_report
from stac.flight_states import State
from stac.flight_tables import Flight
from stac.flight_values import cameras_note
from stac.items import Custody, flight_item
from stac.store import Item
from stac.times import rfc3339
from workers.home import Home
from workers.judging import quality_notes

_KINDS = {
    "photos": "张照片 photos",
    "orthophotos": "幅正射影像 orthophotos",
    "videos": "段视频 videos",
    "elevation": "幅高程 elevation models",
}


def custody_of(flight: Flight) -> Custody:
    return Custody(flight.plan.department, flight.plan.security, flight.plan.retain_until)


def put_flight(home: Home, flight: Flight) -> None:
    """The flight's item over all that was ever accepted for it; left alone where nothing is new.

    While files still come it is made anew only once it has grown by half, so that a long flight costs no more than its
    files.
    """
    with home.engine.connect() as conn:
        files = flight_queries.files_of(conn, flight.id)
    named = dict.fromkeys(file.answer.item for file in files if file.answer is not None and file.answer.item)
    known = home.catalog.get_item(FLIGHTS, flight.id)
    before = 0 if known is None else int(known["properties"]["flyonce:captures"])
    if not named or (flight.state is State.RECEIVING and len(named) < 1.5 * before):
        return
    captures = [item for item in (item_named(home, reference) for reference in named) if item is not None]
    if not captures:
        return
    tally: dict[str, int] = {}
    for capture in captures:
        tally[capture["collection"]] = tally.get(capture["collection"], 0) + 1
    cameras = cameras_note([str(capture["properties"].get("platform", "")) for capture in captures])
    item = flight_item(
        flight.id,
        title=flight.plan.name,
        custody=custody_of(flight),
        captures=captures,
        created=flight.created if known is None else datetime.fromisoformat(known["properties"]["created"]),
        notes=[
            *(f"{count} {_KINDS.get(kind, kind)}" for kind, count in sorted(tally.items())),
            *([cameras] if cameras else []),
            *quality_notes(captures),
            *shifted_notes(captures),
        ],
    )
    if item != known:
        home.catalog.put_items([item])


def shifted_notes(captures: Sequence[Item]) -> list[str]:
    """Warnings of rasters that lie beside the flight's own photos as GCJ-02 lies beside WGS84, though they say nothing
    of it."""
    flown = [one["properties"].get("pers:perspective_center") for one in captures]
    places = [place for place in flown if place]
    if not places:
        return []
    middle = sum(place[0] for place in places) / len(places), sum(place[1] for place in places) / len(places)
    notes = []
    for one in captures:
        if one["collection"] == "orthophotos":
            west, south, east, north = one["bbox"]
            if seems_shifted(((west + east) / 2, (south + north) / 2), middle):
                notes.append(f"{one['properties']['title']}: 疑似 GCJ-02 坐标 seems to be in GCJ-02, beside the photos")
    return notes


def report_of(home: Home, flight_id: str) -> dict[str, Any]:
    """The whole report of a flight, as the API gives it. Raises `Refused` (no-such-flight)."""
    with home.engine.connect() as conn:
        flight, files = flight_queries.get(conn, flight_id), flight_queries.files_of(conn, flight_id)
    return flight_report(flight, files, notes=notes_of(home, flight_id))


def list_flights(home: Home, limit: int) -> list[dict[str, Any]]:
    """The newest flights with their files counted, JSON-ready."""
    with home.engine.connect() as conn:
        found = [(flight, flight_queries.tally(conn, flight.id)) for flight in flight_queries.recent(conn, limit)]
    return [
        {
            "flight": flight.id,
            "name": flight.plan.name,
            "department": flight.plan.department,
            "state": flight.state,
            "created": rfc3339(flight.created),
            "missing": count.missing,
            "waiting": count.pending,
            "answered": count.answered,
            "quarantined": count.refused,
        }
        for flight, count in found
    ]


def notes_of(home: Home, flight_id: str) -> list[str]:
    """What the flight's item tells a person."""
    item = home.catalog.get_item(FLIGHTS, flight_id)
    return [] if item is None else list(item["properties"].get("flyonce:notes", []))


def item_named(home: Home, reference: str) -> Item | None:
    collection, _, item = reference.partition("/")
    return home.catalog.get_item(collection, item)
