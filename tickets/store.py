"""Events in the books: recorded from sightings, decided on by people, every step in the chained history.

All functions that write work within the caller's `records.engine.transaction`, so that a decision, its history and
what it sends out stand or fall together.
"""

import hashlib
import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta, timezone
from typing import Any

import shapely.geometry
from sqlalchemy import Connection, insert, select, text, update

from imagery.errors import Refused
from records import history, outbox
from records.schema import now
from tickets import joining
from tickets.codes import Codes
from tickets.states import ENDS, Action, Actor, ForbiddenError, Instruction, Side, State, transition
from tickets.tables import event_of, events, sighting_of, sighting_row, sightings
from tickets.values import Event, Geometry, Sighting, Watch
from tickets.wire import sighting_json, ticket_json

TOPIC = "tickets"
"""Of the outbox messages that a gateway files; their key is the ticket's number, their body `wire.ticket_json`."""
DAY_ZONE = timezone(timedelta(hours=8))
"""A ticket's number carries the day in China."""
_WIDEST_M = 100.0
"""No event's position error is taken for more when neighbours are looked up; distances are checked afterwards."""


@dataclass(frozen=True, slots=True)
class Acted:
    """What an action came to. `watch` asks for a look at a later capture; `unwatch` takes that back."""

    event: Event
    watch: Watch | None = None
    unwatch: bool = False


def record(conn: Connection, seen: Iterable[Sighting], by: str = "machine") -> list[str]:
    """Join sightings to events or make new ones, as candidates; the event of each sighting, in their order.

    A sighting that was recorded before changes nothing, and the order within one call does not matter. The grouping
    depends on nothing else, so that work repeated after a crash comes to the same events.
    """
    history.hold(conn)  # one at a time, for two workers must not make two events of one heap
    given = list(seen)
    known = _recorded(conn, [sighting.id for sighting in given])
    fresh = {sighting.id: sighting for sighting in given if sighting.id not in known}
    for run in _runs(fresh.values()):
        matched = joining.match(run, _nearby(conn, run))
        for sighting in run:
            event = matched.get(sighting.id)
            known[sighting.id] = _propose(conn, sighting, by) if event is None else _join(conn, event, sighting, by)
    return [known[sighting.id] for sighting in given]


def find(
    conn: Connection, states: Collection[State] = (), classes: Collection[str] = (), limit: int = 1000
) -> Sequence[Event]:
    """Events in these states and of these classes, all where none is named; the highest score first."""
    wanted = select(events).order_by(events.c.score.desc(), events.c.id).limit(limit)
    if states:
        wanted = wanted.where(events.c.state.in_(states))
    if classes:
        wanted = wanted.where(events.c.class_.in_(classes))
    return [event_of(row) for row in conn.execute(wanted).mappings()]


def get(conn: Connection, name: str) -> Event | None:
    """The event of this id or ticket number."""
    row = conn.execute(select(events).where((events.c.id == name) | (events.c.ticket == name))).mappings().one_or_none()
    return None if row is None else event_of(row)


def sightings_of(conn: Connection, event: str) -> list[Sighting]:
    """All sightings of an event, first seen first."""
    rows = conn.execute(select(sightings).where(sightings.c.event == event).order_by(sightings.c.seen, sightings.c.id))
    return [sighting_of(row) for row in rows.mappings()]


def history_of(conn: Connection, event: str) -> list[history.Entry]:
    """Everything that happened to an event, oldest first."""
    return history.entries(conn, _stream(event))


def decide(conn: Connection, codes: Codes, event: str, action: Action, by: str, reason: str = "") -> Acted:
    """A reviewer's decision: `Action.APPROVE` or `Action.REJECT` (with a reason). See `act`."""
    if action not in (Action.APPROVE, Action.REJECT):
        raise ValueError(f"a review approves or rejects; {action} is for `act`")
    return act(conn, codes, event, action, Actor(by, Side.REVIEW), reason=reason)


def act(
    conn: Connection, codes: Codes, event: str, action: Action, by: Actor, *, reason: str = "", into: str | None = None
) -> Acted:
    """Take an event one step on. An approval also gives the ticket its number and puts it in the outbox.

    Raises `ForbiddenError` where the ticket's life does not allow it; `Refused` (`no-event`) where there is no such
    event, and (`no-code`) where an approved event has no matter code to be filed under. `into` is the event that
    `MERGE` merges this one into.
    """
    history.hold(conn)
    before = _locked(conn, event)
    state, instructions = transition(before.state, action, by, reason=reason, handlers=_handlers(conn, before.id))
    values: dict[str, Any] = {"state": state, "changed": now(conn)}
    if action is Action.MERGE:
        values["merged_into"] = _merge_target(conn, before, into)
    if Instruction.FILE in instructions:
        values |= {"ticket": _next_number(conn), "approved_by": by.name}
    conn.execute(update(events).where(events.c.id == before.id).values(values))
    after = _locked(conn, before.id)
    entry = _write(conn, after, action, by.name, {"side": by.side.value, "from": before.state.value, "reason": reason})
    if Instruction.FILE in instructions:
        _post(conn, codes, after, history.Head(entry.seq, entry.hash))
    watch = Watch(after.id, after.geometry, after.changed) if Instruction.WATCH in instructions else None
    return Acted(after, watch, Instruction.UNWATCH in instructions)


def _post(conn: Connection, codes: Codes, event: Event, head: history.Head) -> None:
    matter = codes.of_class(event.class_)
    if matter is None or event.ticket is None:
        raise Refused(
            "no-code",
            f"Event {event.id} is of class {event.class_}, which has no matter code to be filed under.",
            "Give the class a code in the CSV that FLYONCE_CODES names.",
        )
    outbox.post(conn, event.ticket, TOPIC, ticket_json(event, matter, sightings_of(conn, event.id), head))


def _locked(conn: Connection, event: str) -> Event:
    wanted = select(events).where((events.c.id == event) | (events.c.ticket == event)).with_for_update()
    row = conn.execute(wanted).mappings().one_or_none()
    if row is None:
        raise Refused("no-event", f"There is no event or ticket {event}.", "`flyonce review list` shows what there is.")
    return event_of(row)


def _merge_target(conn: Connection, event: Event, into: str | None) -> str:
    target = None if into is None else get(conn, into)
    if target is None or target.id == event.id or target.state in ENDS:
        raise ForbiddenError(f"{event.id} cannot be merged into {into}: name another event, one that is still open")
    return target.id


def _handlers(conn: Connection, event: str) -> set[str]:
    return {entry.actor for entry in history_of(conn, event) if entry.body.get("side") == Side.HANDLER}


def _next_number(conn: Connection) -> str:
    day = now(conn).astimezone(DAY_ZONE).strftime("%Y%m%d")
    counted = text(
        "INSERT INTO ticket_numbers (day, last) VALUES (:day, 1) "
        "ON CONFLICT (day) DO UPDATE SET last = ticket_numbers.last + 1 RETURNING last"
    )
    return f"FO-{day}-{conn.execute(counted, {'day': day}).scalar_one():06d}"


def _runs(fresh: Iterable[Sighting]) -> list[list[Sighting]]:
    """Sightings by run, the run of the earliest capture first."""
    by_run: dict[str, list[Sighting]] = {}
    for sighting in sorted(fresh, key=lambda sighting: (sighting.seen, sighting.run, sighting.id)):
        by_run.setdefault(sighting.run, []).append(sighting)
    return list(by_run.values())


def _recorded(conn: Connection, ids: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for start in range(0, len(ids), 500):  # below every database's limit of bound parameters
        wanted = select(sightings.c.id, sightings.c.event).where(sightings.c.id.in_(ids[start : start + 500]))
        found |= {row.id: row.event for row in conn.execute(wanted)}
    return found


def _nearby(conn: Connection, run: Sequence[Sighting]) -> list[Event]:
    """Events that sightings of one run might belong to, less those that this run has a sighting of already."""
    west, south, east, north = shapely.union_all([_shape(sighting.geometry) for sighting in run]).bounds
    margin = max(joining.reach(sighting, _WIDEST_M) for sighting in run) / 110_000  # metres to degrees of latitude
    wide = margin / max(0.01, math.cos(math.radians(max(abs(south), abs(north)))))
    box = (events.c.south <= north + margin) & (events.c.north >= south - margin)
    if west - wide > -180 and east + wide < 180:  # else across the antimeridian: latitude alone
        box &= (events.c.west <= east + wide) & (events.c.east >= west - wide)
    same_run = select(sightings.c.event).where(sightings.c.run == run[0].run)
    wanted = select(events).where(
        box, events.c.class_.in_({sighting.class_ for sighting in run}), events.c.id.not_in(same_run)
    )
    return [event_of(row) for row in conn.execute(wanted).mappings()]


def _propose(conn: Connection, sighting: Sighting, by: str) -> str:
    event = hashlib.sha256(sighting.id.encode()).hexdigest()[:16]  # short enough to be typed
    values = _shown(sighting) | {"first_seen": sighting.seen, "last_seen": sighting.seen}
    conn.execute(insert(events).values(id=event, state=State.CANDIDATE, changed=now(conn), **values))
    conn.execute(insert(sightings).values(sighting_row(sighting, event)))
    history.append(conn, _stream(event), "propose", _facts(sighting) | {"to": State.CANDIDATE.value}, by)
    return event


def _join(conn: Connection, event: str, sighting: Sighting, by: str) -> str:
    before = _locked(conn, event)
    values: dict[str, Any] = {
        "first_seen": min(before.first_seen, sighting.seen),
        "last_seen": max(before.last_seen, sighting.seen),
    }
    if before.state is State.CANDIDATE and sighting.score > before.score:
        values |= _shown(sighting)
    conn.execute(update(events).where(events.c.id == event).values(values))
    conn.execute(insert(sightings).values(sighting_row(sighting, event)))
    history.append(conn, _stream(event), "see-again", _facts(sighting) | {"to": before.state.value}, by)
    return event


def _write(conn: Connection, event: Event, action: Action, by: str, body: dict[str, Any]) -> history.Entry:
    facts = body | {"to": event.state.value, "ticket": event.ticket, "merged_into": event.merged_into}
    return history.append(conn, _stream(event.id), action.value, facts, by)


def _facts(sighting: Sighting) -> dict[str, Any]:
    """What the history keeps of a sighting: enough to tell later whether the row is still the one recorded."""
    digest = hashlib.sha256(history.canonical(sighting_json(sighting)).encode()).hexdigest()
    return {"sighting": sighting.id, "class": sighting.class_, "run": sighting.run, "sha256": digest}


def _shown(sighting: Sighting) -> dict[str, Any]:
    shape = _shape(sighting.geometry)
    point = shape.representative_point()
    west, south, east, north = shape.bounds
    return {
        "class_": sighting.class_,
        "score": sighting.score,
        "area_m2": sighting.area_m2,
        "error_m": sighting.error_m,
        "geometry": sighting.geometry,
        "lon": round(point.x, 7),
        "lat": round(point.y, 7),
        "west": west,
        "south": south,
        "east": east,
        "north": north,
        "flight": sighting.flight,
        "evidence": sighting.evidence.to_json(),
    }


def _shape(geometry: Geometry) -> shapely.geometry.base.BaseGeometry:
    return shapely.geometry.shape(geometry)


def _stream(event: str) -> str:
    return f"event/{event}"
