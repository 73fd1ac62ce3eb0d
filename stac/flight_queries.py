"""What the books say of flights and of their files; `stac.flights` writes it."""

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, func, select

from imagery.errors import Refused
from stac.flight_states import Tally
from stac.flight_tables import File, Flight, file_of, flight_files, flight_of, flights

_CHUNK = 500
"""Names asked for in one statement."""


def get(conn: Connection, flight_id: str) -> Flight:
    """Raises `Refused` (`no-such-flight`)."""
    found = find(conn, flight_id)
    if found is None:
        raise unknown(flight_id)
    return found


def find(conn: Connection, flight_id: str, *, lock: bool = False) -> Flight | None:
    asked = select(flights).where(flights.c.id == flight_id)
    row = conn.execute(asked.with_for_update() if lock else asked).mappings().one_or_none()
    return None if row is None else flight_of(row)


def recent(conn: Connection, limit: int = 50) -> list[Flight]:
    rows = conn.execute(select(flights).order_by(flights.c.created.desc(), flights.c.id).limit(limit))
    return [flight_of(row) for row in rows.mappings()]


def job_of(conn: Connection, flight_id: str, column: str) -> str | None:
    """The job last put in for this flight: `take_job` or `look_job`."""
    found: str | None = conn.execute(select(flights.c[column]).where(flights.c.id == flight_id)).scalar_one()
    return found


def holds(conn: Connection, flight_id: str, sha256: str) -> bool:
    """Whether a file of this content has come for the flight."""
    came = (flight_files.c.flight == flight_id) & (flight_files.c.sha256 == sha256)
    return conn.execute(select(flight_files.c.name).where(came, flight_files.c.state != "expected")).first() is not None


def files_of(conn: Connection, flight_id: str) -> list[File]:
    rows = conn.execute(select(flight_files).where(flight_files.c.flight == flight_id).order_by(flight_files.c.name))
    return [file_of(row) for row in rows.mappings()]


def files_named(conn: Connection, flight_id: str, names: Sequence[str]) -> Mapping[str, File]:
    """Those of these files that the flight knows, by name."""
    found: dict[str, File] = {}
    for start in range(0, len(names), _CHUNK):
        some = flight_files.c.name.in_(names[start : start + _CHUNK])
        rows = conn.execute(select(flight_files).where(flight_files.c.flight == flight_id, some))
        found |= {row["name"]: file_of(row) for row in rows.mappings()}
    return found


def pending(conn: Connection, flight_id: str, limit: int) -> list[File]:
    """Files that wait for their answer, by name."""
    waiting = select(flight_files).where(flight_files.c.flight == flight_id, flight_files.c.state == "received")
    return [file_of(row) for row in conn.execute(waiting.order_by(flight_files.c.name).limit(limit)).mappings()]


def to_look_at(conn: Connection, flight_id: str) -> list[File]:
    """Accepted files of which nobody has looked at the pixels yet."""
    new = (flight_files.c.flight == flight_id) & (flight_files.c.outcome == "accepted") & ~flight_files.c.looked
    return [
        file_of(row) for row in conn.execute(select(flight_files).where(new).order_by(flight_files.c.name)).mappings()
    ]


def tally(conn: Connection, flight_id: str) -> Tally:
    columns = (flight_files.c.state, flight_files.c.outcome)
    counted = select(*columns, func.count()).where(flight_files.c.flight == flight_id).group_by(*columns)
    by_state: dict[str, int] = {"expected": 0, "received": 0}
    by_outcome: dict[str, int] = {}
    for state, outcome, count in conn.execute(counted):
        if state == "answered":
            by_outcome[outcome] = by_outcome.get(outcome, 0) + count
        else:
            by_state[state] += count
    return Tally(
        by_state["expected"],
        by_state["received"],
        by_outcome.get("accepted", 0),
        by_outcome.get("duplicate", 0),
        by_outcome.get("quarantined", 0),
    )


def unknown(flight_id: str) -> Refused:
    return Refused(
        "no-such-flight", f"There is no flight {flight_id[:80]!r}.", "Create it first: POST /api/flights 请先登记架次。"
    )
