"""`flyonce admin` on both catalogues: bulk load, verify, and a backup that is restored and compared."""

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from records import receipts
from records.engine import transaction
from records.receipts import Outcome, Receipt
from records.settings import Settings
from stac.store import Query
from workers.home import Home
from workers.verify import Kind, verify

Run = Callable[..., "subprocess.CompletedProcess[str]"]
BYTES = b"an original"


@pytest.fixture
def settings(catalogue_of_my_own: str, tmp_path: Path, request: pytest.FixtureRequest) -> Settings:
    """Where a backup is restored elsewhere, PostgreSQL's files are on an S3 server."""
    on_s3 = catalogue_of_my_own and "elsewhere" in request.fixturenames
    store = request.getfixturevalue("seaweed") | _bucket() if on_s3 else {}
    return Settings(home=tmp_path / "home", database_url=catalogue_of_my_own, api_key=None, **store)


def _bucket() -> dict[str, str]:
    return {"store_url": f"s3://flyonce/{uuid.uuid4().hex}"}


@pytest.fixture(params=["sqlite", "pgstac"])
def catalogue_of_my_own(request: pytest.FixtureRequest) -> str:
    return "" if request.param == "sqlite" else str(request.getfixturevalue("pgstac_database")())


@pytest.fixture
def home(settings: Settings) -> Iterator[Home]:
    with Home.open(settings) as opened:
        yield opened


def flyonce(settings: Settings, *arguments: str) -> "subprocess.CompletedProcess[str]":
    clean = {name: value for name, value in os.environ.items() if not name.startswith("FLYONCE_")}
    env = {**clean, "FLYONCE_HOME": str(settings.home), "FLYONCE_DATABASE_URL": settings.database_url}
    if settings.store_key is not None:
        env |= {"FLYONCE_STORE_URL": settings.store_url, "FLYONCE_STORE_ENDPOINT": settings.store_endpoint}
        env |= {"FLYONCE_STORE_KEY_ID": settings.store_key_id}
        env |= {"FLYONCE_STORE_KEY": settings.store_key.get_secret_value()}
    command = [sys.executable, "-m", "flyonce", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=env, timeout=120)


def item(name: str, sha256: str, size: int = len(BYTES), **said: Any) -> dict[str, Any]:
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "stac_extensions": [],
        "id": name,
        "collection": "photos",
        "geometry": {"type": "Point", "coordinates": [102.7, 25.0]},
        "bbox": [102.7, 25.0, 102.7, 25.0],
        "properties": {"datetime": "2026-05-01T00:00:00Z", "title": f"照片 {name}", **said},
        "links": [],
        "assets": {
            "original": {
                "href": f"/assets/{sha256}/{name}.jpg",
                "file:size": size,
                "file:checksum": f"1220{sha256}",
                "roles": ["data"],
            }
        },
    }


def write(path: Path, items: list[Any]) -> Path:
    path.write_text("".join((one if isinstance(one, str) else json.dumps(one)) + "\n" for one in items), "utf-8")
    return path


def test_items_are_loaded_and_replaced(home: Home, settings: Settings, tmp_path: Path) -> None:
    sha256 = home.files.put_bytes(BYTES).sha256
    told = flyonce(
        settings, "admin", "load", str(write(tmp_path / "a.ndjson", [item(f"{n}", sha256) for n in range(5)])), "--json"
    )
    assert told.returncode == 0, told.stderr
    assert json.loads(told.stdout)["loaded"] == 5
    again = write(tmp_path / "b.ndjson", [item("4", sha256, gsd=0.5), item("5", sha256), item("5", sha256, gsd=0.6)])
    assert flyonce(settings, "admin", "load", str(again)).returncode == 0
    assert home.catalog.counts()["photos"] == 6
    found = home.catalog.search(Query(filter={"op": ">", "args": [{"property": "gsd"}, 0.1]}, sort=(("gsd", False),)))
    assert [one["id"] for one in found.items] == ["4", "5"]
    extent = home.catalog.get_collection("photos")
    assert extent is not None
    assert extent["extent"]["spatial"]["bbox"] == [[102.7, 25.0, 102.7, 25.0]]
    assert verify(home).differences == ()


def test_faults_are_named_by_line_and_field_and_nothing_is_loaded(
    home: Home, settings: Settings, tmp_path: Path
) -> None:
    good = item("good", home.files.put_bytes(BYTES).sha256)
    lines = [
        good,
        {**good, "id": "a", "geometry": {"type": "Point", "coordinates": [0, 95]}},
        "{",
        "",
        {**good, "id": "b", "collection": "nowhere"},
        {**good, "id": "c", "assets": {"x": {"href": "https://elsewhere.example/x.tif"}}},
        {**good, "id": "d", "properties": {"datetime": "May"}},
        "[1]",
    ]
    told = flyonce(settings, "admin", "load", str(write(tmp_path / "bad.ndjson", lines)))
    assert told.returncode == 1
    for line, field in (
        (2, "geometry"),
        (3, "body"),
        (5, "collection"),
        (6, "assets.x.href"),
        (7, "properties.datetime"),
        (8, "body"),
    ):
        assert f"line {line}, {field}:" in told.stderr, told.stderr
    assert "line 1," not in told.stderr
    assert home.catalog.counts()["photos"] == 0
    assert flyonce(settings, "admin", "load", str(tmp_path / "none")).returncode == 1


def test_every_difference_is_named(home: Home, settings: Settings) -> None:
    def kept(content: bytes) -> str:
        return home.files.put_bytes(content).sha256

    whole, lost, damaged, larger, stray = (kept(one) for one in (BYTES, b"lost", b"damaged", b"larger", b"stray"))
    wrong = item("checksum", whole)
    wrong["assets"]["original"]["file:checksum"] = f"1220{'0' * 64}"
    home.catalog.put_items(
        [item("whole", whole), item("lost", lost, 4), item("damaged", damaged, 7), item("larger", larger, 5), wrong]
    )
    with transaction(home.engine) as conn:
        receipts.add(conn, [Receipt("f", "x.jpg", whole, 11, Outcome.ACCEPTED, item="photos/never")])
    home.files.path(lost).unlink()
    path = home.files.path(damaged)
    path.chmod(0o644)
    path.write_bytes(b"DAMAGED")
    told = flyonce(settings, "admin", "verify", "--json")
    assert told.returncode == 1, told.stderr
    found = {(one["kind"], one["what"]) for one in json.loads(told.stdout)["differences"]}
    assert found == {
        (Kind.MISSING, "photos/lost"),
        (Kind.DAMAGED, damaged),
        (Kind.SIZE, "photos/larger"),
        (Kind.CHECKSUM, "photos/checksum"),
        (Kind.UNREFERENCED, stray),
        (Kind.LOST, "photos/never"),
    }
    assert "photos/lost" in flyonce(settings, "admin", "verify", "--quick").stdout


@pytest.fixture
def elsewhere(settings: Settings, tmp_path: Path, request: pytest.FixtureRequest) -> Settings:
    """A new home, with an empty database on PostgreSQL."""
    url = ""
    if settings.database_url:
        server: str = request.getfixturevalue("postgres_server")
        name = f"restored_{uuid.uuid4().hex}"
        with psycopg.connect(f"{server}/postgres", autocommit=True) as conn:
            conn.execute(f'CREATE DATABASE "{name}" TEMPLATE template0')
        url = f"{server}/{name}"
    store = _bucket() if settings.store_url else {}
    return settings.model_copy(update={"home": tmp_path / "elsewhere", "database_url": url, **store})


def test_a_backup_is_restored_and_is_the_same(
    home: Home, settings: Settings, elsewhere: Settings, tmp_path: Path
) -> None:
    sha256 = home.files.put_bytes(BYTES).sha256
    home.catalog.put_items([item(f"{n}", sha256, gsd=n / 10) for n in range(4)])
    with transaction(home.engine) as conn:
        receipts.add(conn, [Receipt("f", "0.jpg", sha256, 11, Outcome.ACCEPTED, item="photos/0")])
    folder = tmp_path / "backup"
    assert flyonce(settings, "admin", "backup", str(folder)).returncode == 0
    # A second one into the same folder, with what came since.
    more = home.files.put_bytes(b"another").sha256
    home.catalog.put_items([item("late", more, 7)])
    told = flyonce(settings, "admin", "backup", str(folder), "--json")
    assert told.returncode == 0, told.stderr
    assert json.loads(told.stdout)["files"] == 2

    restored = flyonce(elsewhere, "admin", "restore", str(folder))
    assert restored.returncode == 0, restored.stderr
    assert flyonce(elsewhere, "admin", "verify").returncode == 0
    with Home.open(elsewhere) as other:
        assert list(other.catalog.items()) == list(home.catalog.items())
        asked = Query(filter={"op": ">", "args": [{"property": "gsd"}, 0.15]}, words=("照片",), sort=(("gsd", True),))
        assert [one["id"] for one in other.catalog.search(asked).items] == ["3", "2"]
        assert other.catalog.items_of_file(more)[0]["id"] == "late"
        other.catalog.put_items([item("new", more, 7)])
        assert other.catalog.counts()["photos"] == 6
    refused = flyonce(elsewhere, "admin", "restore", str(folder))
    assert (refused.returncode, "home-exists" in refused.stderr) == (1, True)


def test_a_folder_that_is_no_whole_backup_is_refused(
    home: Home, settings: Settings, elsewhere: Settings, tmp_path: Path
) -> None:
    folder = tmp_path / "backup"
    folder.mkdir()
    (folder / "holiday.jpg").write_bytes(b"")
    refused = flyonce(settings, "admin", "backup", str(folder))
    assert (refused.returncode, "not-a-backup" in refused.stderr) == (1, True)
    assert "not-a-backup" in flyonce(elsewhere, "admin", "restore", str(folder)).stderr
    good = tmp_path / "good"
    assert flyonce(settings, "admin", "backup", str(good)).returncode == 0
    database = next(path for path in good.iterdir() if path.name.startswith("flyonce."))
    database.write_bytes(database.read_bytes()[:-1])
    assert "damaged-backup" in flyonce(elsewhere, "admin", "restore", str(good)).stderr
    assert not elsewhere.home.exists()
