"""Events and tickets as JSON, the one form that commands, HTTP and gateways give out."""

from typing import Any

from records.history import Entry, Head
from records.schema import moment_text
from tickets.codes import Codes, Matter
from tickets.values import Event, Sighting


def event_json(event: Event, codes: Codes) -> dict[str, Any]:
    """One event. Code and names are empty for a class without a matter code. Times are RFC 3339, UTC."""
    matter = codes.of_class(event.class_)
    return {
        "id": event.id,
        "class": event.class_,
        **_code(matter),
        "state": event.state.value,
        "score": round(event.score, 4),
        "area_m2": round(event.area_m2, 2),
        "error_m": round(event.error_m, 2),
        "geometry": event.geometry,
        "lon": event.lon,
        "lat": event.lat,
        "first_seen": moment_text(event.first_seen),
        "last_seen": moment_text(event.last_seen),
        "flight": event.flight,
        "ticket": event.ticket,
        "approved_by": event.approved_by,
        "merged_into": event.merged_into,
        "changed": moment_text(event.changed),
        "evidence": event.evidence.to_json(),
    }


def sighting_json(sighting: Sighting) -> dict[str, Any]:
    return {
        "id": sighting.id,
        "class": sighting.class_,
        "score": round(sighting.score, 4),
        "area_m2": round(sighting.area_m2, 2),
        "error_m": round(sighting.error_m, 2),
        "geometry": sighting.geometry,
        "seen": moment_text(sighting.seen),
        "run": sighting.run,
        "flight": sighting.flight,
        "evidence": sighting.evidence.to_json(),
    }


def entry_json(entry: Entry) -> dict[str, Any]:
    return {
        "seq": entry.seq,
        "at": moment_text(entry.at),
        "kind": entry.kind,
        "actor": entry.actor,
        **entry.body,
        "hash": entry.hash,
    }


def ticket_json(event: Event, matter: Matter, sightings: list[Sighting], head: Head) -> dict[str, Any]:
    """What is filed, complete in itself. `coordinates` are WGS84 longitude, latitude; `history` is the head of the
    chain at approval, by which the books can be checked later (`records.history.verify`)."""
    if event.ticket is None:
        raise ValueError(f"event {event.id} has no ticket number yet")
    return {
        "ticket": event.ticket,
        "event": event.id,
        "class": event.class_,
        "standard": matter.standard,
        "kind": matter.kind,
        **_code(matter),
        "coordinate_system": "WGS84",
        "coordinates": [event.lon, event.lat],
        "error_m": round(event.error_m, 2),
        "geometry": event.geometry,
        "area_m2": round(event.area_m2, 2),
        "score": round(event.score, 4),
        "first_seen": moment_text(event.first_seen),
        "last_seen": moment_text(event.last_seen),
        "flight": event.flight,
        "approved_by": event.approved_by,
        "approved": moment_text(event.changed),
        "evidence": event.evidence.to_json(),
        "sightings": [sighting_json(sighting) for sighting in sightings],
        "history": {"seq": head.seq, "hash": head.hash},
    }


def _code(matter: Matter | None) -> dict[str, str]:
    if matter is None:
        return {"code": "", "name_zh": "", "name_en": ""}
    return {"code": matter.code, "name_zh": matter.name_zh, "name_en": matter.name_en}
