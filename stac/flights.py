"""Flights as batches in the books: what was announced, what came, what became of it, and who closed it.

Every change of a batch ends in `_settle`, which counts its files and writes the state that follows from them, with a
row in the history where it changed. Transactions lock the flight's row first, so that two files that finish at once
see each other.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import BindParameter, Connection, bindparam, func, select, update
from sqlalchemy import insert as sql_insert

from imagery.errors import Refused
from records import history, receipts
from records.receipts import Outcome, Receipt
from records.schema import now
from stac.collections import VIDEOS
from stac.flight_queries import files_named, find, get, tally, unknown
from stac.flight_states import check_close, check_late, state_of
from stac.flight_tables import File, Flight, Sender, flight_files, flights
from stac.flight_values import Announced, Answer, Plan

MOST_FILES = 100_000
"""Files of one flight."""


def open_flight(conn: Connection, plan: Plan, by: Sender) -> Flight:
    """Create the flight, or take up the one of this name and department as it is.

    What an earlier call said is kept; what it left empty is filled in. Raises `Refused`:
    flight-of-another-department, flight-differs (security class, retention date or elevation model).
    """
    history.hold(conn)
    known = find(conn, plan.id, lock=True)
    if known is None:
        moment = now(conn)
        conn.execute(
            sql_insert(flights).values(
                **plan.to_json(),
                id=plan.id,
                state="receiving",
                close_reason="",
                created=moment,
                created_by=by.name,
                changed=moment,
            )
        )
        history.append(conn, f"flight/{plan.id}", "create", plan.to_json(), by.name)
        return get(conn, plan.id)
    if known.plan.department != plan.department or known.plan.name != plan.name:
        raise Refused(
            "flight-of-another-department",
            f"Flight {plan.name} belongs to {known.plan.department}, not to {plan.department}.",
            "Choose another name for this flight.",
        )
    for what in ("security", "retain_until", "terrain"):
        said, kept = getattr(plan, what), getattr(known.plan, what)
        filled_in = what == "terrain" and kept is None
        if said != kept and said != getattr(Plan("-", "-"), what) and not filled_in:
            raise Refused(
                "flight-differs",
                f"Flight {plan.name} has {what} {kept}, not {said}.",
                "Leave it out, or use a new flight.",
            )
    details = ("purpose", "platform", "pilot", "operator_licence", "airspace_approval", "terrain")
    told: dict[str, Any] = {
        name: getattr(plan, name) for name in details if getattr(plan, name) and not getattr(known.plan, name)
    }
    if plan.open_ended and not known.plan.open_ended:
        told["open_ended"] = True
    if told:
        conn.execute(update(flights).where(flights.c.id == plan.id).values(**told, changed=now(conn)))
        history.append(conn, f"flight/{plan.id}", "describe", told, by.name)
    return get(conn, plan.id)


def announce(conn: Connection, flight_id: str, files: Sequence[Announced], by: Sender, *, late: str = "") -> Flight:
    """Say that these files will come. Known ones are left as they are, unless another content is announced; a video
    that was refused waits for another answer where another offset of its log is said.

    Raises `Refused`: no-such-flight, flight-closed (new files without `late`, a reason), too-many-files.
    """
    flight = _locked(conn, flight_id)
    known = files_named(conn, flight_id, [file.name for file in files])
    new = [file for file in files if _is_new(known.get(file.name), file)]
    if new:
        check_late(closed=flight.closed_by is not None, reason=late)
        held = conn.execute(
            select(func.count()).select_from(flight_files).where(flight_files.c.flight == flight_id)
        ).scalar_one()
        if held + len(new) > MOST_FILES:
            raise Refused(
                "too-many-files", f"A flight holds at most {MOST_FILES:,} files.", "Send them as several flights."
            )
        if flight.closed_by is not None:
            reopen(conn, flight_id, late, by.name)
    moment = now(conn)
    rows = [
        {
            "flight": flight_id,
            "name": file.name,
            "size": file.size,
            "sha256": file.sha256,
            "state": "expected",
            "outcome": None,
            "answer": None,
            "sender": by.name,
            "sender_role": by.role,
            "late": flight.closed_by is not None,
            "looked": False,
            "tries": 0,
            "changed": moment,
            "log_offset": file.log_offset,
        }
        for file in {file.name: file for file in new}.values()
    ]
    if fresh := [row for row in rows if row["name"] not in known]:
        conn.execute(sql_insert(flight_files), fresh)
    for row in rows:
        if row["name"] in known:
            conn.execute(update(flight_files).where(_is(flight_id, str(row["name"]))).values(row))
    refused = [
        (file.name, "", 0, Answer("quarantined", None, *file.refused)) for file in new if file.refused is not None
    ]
    _answer(conn, flight_id, refused)
    _retime(conn, flight_id, {file.name: file.log_offset for file in files if file.name in known}, known)
    return _settle(conn, flight_id, by.name)


def _retime(conn: Connection, flight_id: str, offsets: Mapping[str, float | None], known: Mapping[str, File]) -> None:
    """Note offsets of known files that are new; what was refused without them or accepted with others is read again."""
    for name, offset in offsets.items():
        file = known[name]
        if offset is None or offset == file.log_offset:
            continue
        said: dict[str, Any] = {"log_offset": offset, "changed": now(conn)}
        if file.sha256 is not None and file.answer is not None:
            if file.answer.outcome == "quarantined":
                said |= {"state": "received", "outcome": None, "answer": None, "tries": 0}
            elif (file.answer.item or "").startswith(f"{VIDEOS}/"):
                said |= {"state": "received", "tries": 0}
        conn.execute(update(flight_files).where(_is(flight_id, name)).values(**said))


def receive(conn: Connection, flight_id: str, name: str, sha256: str, size: int, by: Sender) -> Flight:
    """Note that a file has come whole and lies in the store; it waits for its answer now.

    Raises `Refused`: no-such-flight, flight-closed (a file that was not announced).
    """
    flight = announce(conn, flight_id, [Announced(name, size, sha256)], by)
    waiting = {"size": size, "sha256": sha256, "state": "received", "tries": 0, "changed": now(conn)}
    said = {"sender": by.name, "sender_role": by.role}
    row = files_named(conn, flight_id, [name])[name]
    if not (row.state == "answered" and row.sha256 == sha256):
        conn.execute(update(flight_files).where(_is(flight_id, name)).values(**waiting, **said))
    return _settle(conn, flight.id, by.name)


def begin(conn: Connection, flight_id: str, names: Iterable[str]) -> None:
    """Count that these files are about to be read, so that one which takes its reader down is known by it."""
    which = [{"file": name} for name in names]
    if which:
        begun = update(flight_files).where(_is(flight_id, bindparam("file"))).values(tries=flight_files.c.tries + 1)
        conn.execute(begun, which)


def answer(conn: Connection, flight_id: str, answers: Iterable[tuple[str, str, int, Answer]], actor: str) -> Flight:
    """Write what became of files (name, SHA-256 or nothing, size, answer), one receipt each."""
    _locked(conn, flight_id)
    _answer(conn, flight_id, list(answers))
    return _settle(conn, flight_id, actor)


def read_again(conn: Connection, flight_id: str, names: Iterable[str], actor: str) -> Flight:
    """Let files that are answered wait for another answer; the receipts of the earlier one stay."""
    _locked(conn, flight_id)
    rows = [{"file": name, "changed": now(conn)} for name in names]
    waiting = update(flight_files).where(_is(flight_id, bindparam("file")))
    if rows:
        conn.execute(waiting.values(state="received", outcome=None, answer=None, tries=0), rows)
    return _settle(conn, flight_id, actor)


def looked(conn: Connection, flight_id: str, name: str) -> None:
    conn.execute(update(flight_files).where(_is(flight_id, name)).values(looked=True))


def amend(conn: Connection, flight_id: str, name: str, *, footprint: str, notes: Sequence[str]) -> None:
    """Say in an accepted file's answer what was found out about its place later."""
    file = files_named(conn, flight_id, [name])[name]
    if file.answer is not None:
        after = replace(file.answer, footprint=footprint, notes=tuple(notes))
        conn.execute(update(flight_files).where(_is(flight_id, name)).values(answer=after.to_json()))


def close(conn: Connection, flight_id: str, by: str, *, early: bool = False, reason: str = "") -> Flight:
    """End the batch. Closing one that is closed changes nothing. Raises `Refused`: no-such-flight, files-missing,
    no-reason."""
    flight = _locked(conn, flight_id)
    if flight.closed_by is not None:
        return flight
    count = tally(conn, flight_id)
    check_close(count, early=early, reason=reason)
    conn.execute(
        update(flights).where(flights.c.id == flight_id).values(closed_by=by, close_reason=reason, changed=now(conn))
    )
    kind = "close-early" if count.missing or not count.received else "close"
    history.append(conn, f"flight/{flight_id}", kind, {"reason": reason, "missing": count.missing}, by)
    return _settle(conn, flight_id, by)


def reopen(conn: Connection, flight_id: str, reason: str, by: str) -> Flight:
    """Let late files into a closed batch. Raises `Refused`: no-such-flight, flight-closed (without a reason)."""
    flight = _locked(conn, flight_id)
    check_late(closed=flight.closed_by is not None, reason=reason)
    if flight.closed_by is not None:
        values = {"closed_by": None, "close_reason": "", "changed": now(conn)}
        conn.execute(update(flights).where(flights.c.id == flight_id).values(values))
        history.append(conn, f"flight/{flight_id}", "reopen", {"reason": reason}, by)
    return _settle(conn, flight_id, by)


def set_job(conn: Connection, flight_id: str, column: str, job: str) -> None:
    conn.execute(update(flights).where(flights.c.id == flight_id).values({column: job}))


def _settle(conn: Connection, flight_id: str, actor: str) -> Flight:
    flight = get(conn, flight_id)
    count = tally(conn, flight_id)
    state = state_of(count, open_ended=flight.plan.open_ended, closed=flight.closed_by is not None)
    if state is flight.state:
        return flight
    conn.execute(update(flights).where(flights.c.id == flight_id).values(state=state, changed=now(conn)))
    body = {"missing": count.missing, "pending": count.pending, "answered": count.answered, "refused": count.refused}
    history.append(conn, f"flight/{flight_id}", state, body, actor)
    return get(conn, flight_id)


def _answer(conn: Connection, flight_id: str, answers: Sequence[tuple[str, str, int, Answer]]) -> None:
    if not answers:
        return
    known = files_named(conn, flight_id, [name for name, *_ in answers])
    moment = now(conn)
    sent, rows = [], []
    for name, sha256, size, said in answers:
        told = f"{said.message} {said.remedy}".strip()
        sent.append(Receipt(flight_id, name, sha256, size, Outcome(said.outcome), said.reason, told, said.item))
        before = known[name].answer
        # Sent again, a file of this flight is its own duplicate; what it became stays what the report says.
        again = said.outcome == "duplicate" and before is not None and before.item == said.item
        last = before if again and before is not None else said
        values = {"file": name, "size": size, "sha256": sha256 or None, "outcome": last.outcome}
        rows.append({**values, "answer": last.to_json(), "changed": moment})
    receipts.add(conn, sent)
    told_to = update(flight_files).where(_is(flight_id, bindparam("file"))).values(state="answered", tries=0)
    conn.execute(told_to, rows)
    if fresh := [{"file": name} for name, _, _, said in answers if said.outcome == "accepted"]:
        conn.execute(update(flight_files).where(_is(flight_id, bindparam("file"))).values(looked=False), fresh)


def _is_new(known: File | None, file: Announced) -> bool:
    if known is None:
        return True
    if known.state == "expected" and file.refused is None:
        said = ((known.sha256, file.sha256), (known.size, file.size))
        return any(before is not None and after is not None and before != after for before, after in said)
    if known.answer is not None and known.answer.outcome == "quarantined" and known.sha256 is None:
        return True  # it could not be sent then; perhaps it can now
    return file.sha256 is not None and file.sha256 != known.sha256


def _is(flight_id: str, name: str | BindParameter[str]) -> Any:
    return (flight_files.c.flight == flight_id) & (flight_files.c.name == name)


def _locked(conn: Connection, flight_id: str) -> Flight:
    history.hold(conn)  # who appends to the history after locking rows holds it first
    found = find(conn, flight_id, lock=True)
    if found is None:
        raise unknown(flight_id)
    return found
