"""The report of a flight: what became of every file, as JSON. Pure; `stac.flight_page` makes a page of it."""

from collections.abc import Sequence
from typing import Any

from stac import times
from stac.flight_states import words
from stac.flight_tables import File, Flight


def flight_report(flight: Flight, files: Sequence[File], *, notes: Sequence[str] = ()) -> dict[str, Any]:
    """JSON-ready. `files` are all of the flight's; `state` of each is missing, waiting, or its outcome."""
    told = [_file(file) for file in files]
    counts = dict.fromkeys(("missing", "waiting", "accepted", "duplicate", "quarantined"), 0)
    for one in told:
        counts[one["state"]] += 1
    zh, en = words(flight.state, counts["quarantined"])
    plan = flight.plan.to_json()
    return {
        "flight": flight.id,
        **plan,
        "state": flight.state,
        "words": {"zh": zh, "en": en},
        "closed_by": flight.closed_by,
        "close_reason": flight.close_reason,
        "created": times.rfc3339(flight.created),
        "changed": times.rfc3339(flight.changed),
        "counts": counts,
        "bytes": sum(file.size or 0 for file in files if file.state != "expected"),
        "notes": list(notes),
        "files": told,
    }


def _file(file: File) -> dict[str, Any]:
    said: dict[str, Any] = {"file": file.name, "size": file.size, "sha256": file.sha256, "late": file.late}
    if file.state == "expected":
        return said | {"state": "missing"}
    if file.answer is None or file.state == "received":
        return said | {"state": "waiting"}
    answer = file.answer.to_json()
    return said | {"state": answer.pop("outcome"), **answer}
