"""From a candidate to a filed ticket on the command line."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from flyonce.cli import review, tickets
from records.engine import transaction
from records.settings import Settings
from tickets import store
from tickets.values import Evidence, Sighting
from workers.home import Home

Run = Callable[..., Result]


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("FLYONCE_HOME", str(tmp_path / "home"))
    return Settings()


@pytest.fixture
def events(settings: Settings) -> list[str]:
    """Three candidates: heaps of score 0.9 and 0.6, and a roof that has no matter code."""
    with Home.open(settings) as home:
        crop = f"/assets/{home.files.put_bytes(b'crop').sha256}/after.jpg"
        seen = [
            Sighting(
                id=f"run/{n}",
                class_=class_,
                geometry={"type": "Point", "coordinates": [114.3 + n / 100, 30.5]},
                score=score,
                area_m2=9.04,
                error_m=1.0,
                seen=datetime(2026, 11, 22, tzinfo=UTC),
                run="detections/run",
                flight="east",
                evidence=Evidence(after=crop),
            )
            for n, (class_, score) in enumerate([("spoil_heap", 0.9), ("spoil_heap", 0.6), ("roof", 0.5)])
        ]
        with transaction(home.engine) as conn:
            return store.record(conn, seen)


def run(app: Any, *arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def answer(app: Any, *arguments: str) -> Any:
    """What `--json` prints: one document on stdout and nothing else."""
    result = run(app, *arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_from_candidate_to_filed_ticket(settings: Settings, events: list[str]) -> None:
    listed = answer(review.app, "list")["events"]
    assert [event["id"] for event in listed] == events
    assert (listed[0]["class"], listed[0]["code"], listed[0]["state"]) == ("spoil_heap", "06011", "candidate")

    [approved] = answer(review.app, "approve", events[0], "--by", "王审核")["events"]
    number = approved["ticket"]
    assert (approved["state"], approved["approved_by"]) == ("approved", "王审核")
    [rejected] = answer(review.app, "reject", events[1], "--by", "王审核", "--reason", "花坛")["events"]
    assert rejected["state"] == "rejected"
    assert [event["id"] for event in answer(review.app, "list")["events"]] == events[2:]
    assert [event["id"] for event in answer(review.app, "list", "--state", "rejected")["events"]] == [events[1]]

    filed = answer(tickets.app, "file")
    assert filed == {"folder": str(settings.outbox_dir), "filed": [number], "failed": []}
    assert answer(tickets.app, "file")["filed"] == []
    document = json.loads((settings.outbox_dir / f"{number}.json").read_text("utf-8"))
    assert (document["name_zh"], document["approved_by"]) == ("积存垃圾渣土", "王审核")

    assert [ticket["ticket"] for ticket in answer(tickets.app, "list")["tickets"]] == [number]
    shown = answer(tickets.app, "show", number)
    assert [(entry["kind"], entry["actor"]) for entry in shown["history"]] == [
        ("propose", "machine"),
        ("approve", "王审核"),
        ("file", "gateway file"),
    ]
    assert [sighting["id"] for sighting in shown["sightings"]] == ["run/0"]


def test_tables_show_what_the_documents_hold(events: list[str]) -> None:
    assert all(event in run(review.app, "list").stdout for event in events)
    number = answer(review.app, "approve", events[0], "--by", "wang")["events"][0]["ticket"]
    assert number in run(tickets.app, "list").stdout
    assert number in run(tickets.app, "file").stdout.replace("\n", "")
    assert "approve  wang" in run(tickets.app, "show", number).stdout


def test_approving_by_score_and_class(events: list[str]) -> None:
    approved = answer(review.app, "approve", "--by", "demo", "--min-score", "0.55", "--class", "spoil_heap")["events"]
    assert [event["id"] for event in approved] == events[:2]
    assert answer(review.app, "approve", "--by", "demo", "--min-score", "0.55", "--class", "spoil_heap")["events"] == []


def test_all_or_none_are_decided(events: list[str]) -> None:
    answer(review.app, "reject", events[1], "--by", "wang", "--reason", "flower bed")
    result = run(review.app, "approve", events[0], events[1], "--by", "wang")
    assert result.exit_code == 1
    assert events[1] in result.stderr
    assert "not possible while rejected" in result.stderr
    assert answer(tickets.app, "list")["tickets"] == []


def test_export_is_geojson_and_never_overwrites(events: list[str], tmp_path: Path) -> None:
    number = answer(review.app, "approve", events[0], "--by", "wang")["events"][0]["ticket"]
    out = tmp_path / "tickets.geojson"
    assert answer(tickets.app, "export", str(out)) == {"file": str(out), "tickets": 1}
    [feature] = json.loads(out.read_text("utf-8"))["features"]
    assert (feature["id"], feature["geometry"]) == (number, {"type": "Point", "coordinates": [114.3, 30.5]})
    assert feature["properties"]["area_m2"] == 9.04
    again = run(tickets.app, "export", str(out))
    assert again.exit_code == 1
    assert "File exists" in again.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["approve", "--by", "wang"], "no event is named"),
        (["approve", "x", "--min-score", "0.5", "--by", "wang"], "Use one of the two"),
        (["approve", "x"], "--by"),
        (["reject", "x", "--by", "wang"], "--reason"),
        (["list", "--state", "lost"], "There are: candidate"),
    ],
)
def test_what_is_missing_is_said(settings: Settings, arguments: list[str], words: str) -> None:
    result = run(review.app, *arguments)
    assert result.exit_code != 0
    assert words in result.stderr


def test_a_lost_crop_fails_the_command_and_loses_no_ticket(settings: Settings, events: list[str]) -> None:
    number = answer(review.app, "approve", events[0], "--by", "wang")["events"][0]["ticket"]
    with Home.open(settings) as home:
        crop = home.files.path(home.files.put_bytes(b"crop").sha256)
    crop.rename(crop.with_suffix(".lost"))
    result = run(tickets.app, "file", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["failed"][0]["ticket"] == number
    crop.with_suffix(".lost").rename(crop)
    assert answer(tickets.app, "file")["filed"] == [number]
