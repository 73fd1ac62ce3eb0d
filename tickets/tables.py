"""The tables of events and their sightings, and the way between rows and values."""

from dataclasses import fields
from typing import Any

from sqlalchemy import JSON, Column, Float, ForeignKeyConstraint, Index, Integer, RowMapping, String, Table, Text
from sqlalchemy import UniqueConstraint as Unique

from records.schema import Moment, metadata
from tickets.states import State
from tickets.values import Event, Evidence, Sighting

events = Table(
    "events",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("class", String(64), nullable=False, key="class_"),
    Column("state", String(16), nullable=False),
    Column("score", Float, nullable=False),
    Column("area_m2", Float, nullable=False),
    Column("error_m", Float, nullable=False),
    Column("geometry", JSON, nullable=False),
    Column("lon", Float, nullable=False),
    Column("lat", Float, nullable=False),
    # The geometry's bounds in degrees, to find what may belong together.
    Column("west", Float, nullable=False),
    Column("south", Float, nullable=False),
    Column("east", Float, nullable=False),
    Column("north", Float, nullable=False),
    Column("first_seen", Moment, nullable=False),
    Column("last_seen", Moment, nullable=False),
    Column("flight", String(200), nullable=False),
    Column("evidence", JSON, nullable=False),
    Column("ticket", String(32)),
    Column("approved_by", String(200)),
    Column("merged_into", String(32)),
    Column("changed", Moment, nullable=False),
    Unique("ticket"),
    ForeignKeyConstraint(["merged_into"], ["events.id"]),
    Index("ix_events_state_first_seen_id", "state", "first_seen", "id"),
    Index("ix_events_class_west", "class_", "west"),
)

sightings = Table(
    "sightings",
    metadata,
    Column("id", String(200), primary_key=True),
    Column("event", String(32), nullable=False),
    Column("run", Text, nullable=False),
    Column("flight", String(200), nullable=False),
    Column("class", String(64), nullable=False, key="class_"),
    Column("score", Float, nullable=False),
    Column("area_m2", Float, nullable=False),
    Column("error_m", Float, nullable=False),
    Column("geometry", JSON, nullable=False),
    Column("seen", Moment, nullable=False),
    Column("evidence", JSON, nullable=False),
    ForeignKeyConstraint(["event"], ["events.id"]),
    Index("ix_sightings_event_seen", "event", "seen"),
)

ticket_numbers = Table(
    "ticket_numbers",
    metadata,
    Column("day", String(8), primary_key=True),
    Column("last", Integer, nullable=False),
)

_EVENT = [field.name for field in fields(Event)]
_SIGHTING = [field.name for field in fields(Sighting)]


def event_of(row: RowMapping) -> Event:
    values = {name: row[name] for name in _EVENT}
    return Event(**values | {"state": State(values["state"]), "evidence": Evidence.from_json(values["evidence"])})


def sighting_of(row: RowMapping) -> Sighting:
    values = {name: row[name] for name in _SIGHTING}
    return Sighting(**values | {"evidence": Evidence.from_json(values["evidence"])})


def sighting_row(sighting: Sighting, event: str) -> dict[str, Any]:
    values = {name: getattr(sighting, name) for name in _SIGHTING}
    return values | {"evidence": sighting.evidence.to_json(), "event": event}
