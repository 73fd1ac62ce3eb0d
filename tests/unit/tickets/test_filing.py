import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from records.engine import transaction
from records.files import DirectoryStore
from records.outbox import DeliveryError, Drained
from tickets import store
from tickets.codes import load_codes
from tickets.filing import file_approved
from tickets.gateways.file import FileGateway
from tickets.states import Action, State
from tickets.values import Evidence, Sighting

CODES = load_codes()


@pytest.fixture
def files(tmp_path: Path) -> DirectoryStore:
    return DirectoryStore(tmp_path / "files")


@pytest.fixture
def gateway(tmp_path: Path, files: DirectoryStore) -> FileGateway:
    return FileGateway(tmp_path / "outbox", files)


def approved(engine: Engine, files: DirectoryStore, count: int = 1, after: str = "") -> list[str]:
    """Ticket numbers of approved heaps, each with two crops."""
    before = f"/assets/{files.put_bytes(b'crop before').sha256}/before.jpg"
    after = after or f"/assets/{files.put_bytes(b'crop after').sha256}/after.JPG"
    seen = [
        Sighting(
            id=f"run/{n}",
            class_="spoil_heap",
            geometry={"type": "Point", "coordinates": [114.3 + n / 100, 30.5]},
            score=0.9,
            area_m2=9.0,
            error_m=1.0,
            seen=datetime(2026, 11, 22, tzinfo=UTC),
            run="detections/run",
            flight="east",
            evidence=Evidence(before=before, after=after),
        )
        for n in range(count)
    ]
    numbers = []
    for event in record(engine, seen):
        with transaction(engine) as conn:
            numbers.append(store.decide(conn, CODES, event, Action.APPROVE, "wang").event.ticket or "")
    return numbers


def record(engine: Engine, seen: list[Sighting]) -> list[str]:
    with transaction(engine) as conn:
        return store.record(conn, seen)


def shown(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def test_an_approved_ticket_is_one_document_with_its_crops(
    engine: Engine, files: DirectoryStore, gateway: FileGateway
) -> None:
    [number] = approved(engine, files)
    assert file_approved(engine, CODES, gateway) == Drained((number,), ())
    assert shown(gateway.folder) == [f"{number}-after.jpg", f"{number}-before.jpg", f"{number}.json"]
    ticket = json.loads((gateway.folder / f"{number}.json").read_text("utf-8"))
    assert (ticket["ticket"], ticket["code"], ticket["name_zh"]) == (number, "06011", "积存垃圾渣土")
    assert ticket["coordinates"] == [114.3, 30.5]
    crops = {what: (gateway.folder / name).read_bytes() for what, name in ticket["evidence"]["files"].items()}
    assert crops == {"before": b"crop before", "after": b"crop after"}
    with engine.connect() as conn:
        event = store.get(conn, number)
        assert event is not None
        assert event.state is State.FILED
        last = store.history_of(conn, event.id)[-1]
    assert (last.kind, last.actor, last.body["reason"]) == ("file", "gateway file", f"file {number}.json")


def test_filing_again_files_nothing_again(engine: Engine, files: DirectoryStore, gateway: FileGateway) -> None:
    numbers = approved(engine, files, 3)
    assert file_approved(engine, CODES, gateway) == Drained(tuple(numbers), ())
    before = {path.name: path.stat().st_mtime_ns for path in gateway.folder.iterdir()}
    assert file_approved(engine, CODES, gateway) == Drained((), ())
    assert {path.name: path.stat().st_mtime_ns for path in gateway.folder.iterdir()} == before


def test_the_same_ticket_twice_is_one_document(tmp_path: Path, gateway: FileGateway) -> None:
    ticket: dict[str, Any] = {"ticket": "FO-20261122-000001", "evidence": {"before": None, "after": None}}
    assert gateway.file(ticket) == gateway.file(ticket) == {"file": "FO-20261122-000001.json"}
    assert shown(gateway.folder) == ["FO-20261122-000001.json"]


def test_evidence_that_is_missing_holds_the_ticket_back_until_it_is_restored(
    engine: Engine, files: DirectoryStore, gateway: FileGateway
) -> None:
    [number] = approved(engine, files)
    crop = files.path(files.put_bytes(b"crop after").sha256)
    crop.rename(crop.with_suffix(".lost"))
    drained = file_approved(engine, CODES, gateway)
    assert drained.delivered == ()
    assert "'after'" in drained.failed[0][1]
    assert f"{number}.json" not in shown(gateway.folder)
    crop.with_suffix(".lost").rename(crop)
    assert file_approved(engine, CODES, gateway, impatient=True) == Drained((number,), ())


@pytest.mark.parametrize("href", ["https://example.org/a.jpg", "/assets/../../etc/passwd", f"/assets/{'0' * 64}/a.jpg"])
def test_evidence_is_only_taken_from_the_file_store(tmp_path: Path, gateway: FileGateway, href: str) -> None:
    with pytest.raises(DeliveryError, match="not in the file store"):
        gateway.file({"ticket": "FO-20261122-000001", "evidence": {"before": None, "after": href}})
    assert shown(gateway.folder) == []


@pytest.mark.parametrize("number", ["../FO-20261122-000001", "FO-1", "", "FO-20261122-000001/x"])
def test_a_number_that_could_name_another_file_is_refused(gateway: FileGateway, number: str) -> None:
    with pytest.raises(ValueError, match="not a ticket number"):
        gateway.file({"ticket": number, "evidence": {"before": None, "after": None}})
