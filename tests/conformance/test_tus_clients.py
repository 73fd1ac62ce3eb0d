"""The reference clients of tus, tuspy and tus-js-client, against the real server."""

import hashlib
import json
import random
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tusclient.client import TusClient
from tusclient.exceptions import TusCommunicationError

from catalog_api.app import create_app
from workers.home import Home

FOLDER = Path(__file__).parent / "tus"
SIZE = 3_000_000


@pytest.fixture
def server(home: Home, serving: Callable[..., Any]) -> Iterator[str]:
    with serving(create_app(home=home)) as url:
        flight = {"name": "north", "department": "UAV", "open_ended": True}
        assert httpx.post(f"{url}/api/flights", json=flight).status_code == 201
        yield url


@pytest.fixture
def card(tmp_path: Path) -> Path:
    path = tmp_path / "照片 1.JPG"
    path.write_bytes(random.Random(5).randbytes(SIZE))
    return path


def check_whole(home: Home, server: str, card: Path, name: str = "照片 1.JPG") -> None:
    """The file is in the store once, and in its flight under its name."""
    assert [path.name for path in home.settings.files_dir.glob("??/??/*")] == [
        hashlib.sha256(card.read_bytes()).hexdigest()
    ]
    files = httpx.get(f"{server}/api/flights/north").json()["files"]
    assert [(file["file"], file["state"]) for file in files] == [(name, "waiting")]


def metadata(name: str = "照片 1.JPG") -> dict[str, str]:
    return {"flight": "north", "filename": name}


def test_tuspy_sends_in_checked_chunks(home: Home, server: str, card: Path) -> None:
    client = TusClient(f"{server}/uploads")
    with card.open("rb") as file:
        client.uploader(file_stream=file, chunk_size=700_000, metadata=metadata(), upload_checksum=True).upload()
    check_whole(home, server, card)


def test_tuspy_goes_on_where_it_stopped(home: Home, server: str, card: Path) -> None:
    client = TusClient(f"{server}/uploads")
    with card.open("rb") as file:
        first = client.uploader(file_stream=file, chunk_size=1_000_000, metadata=metadata())
        first.upload_chunk()
    with card.open("rb") as file:
        second = client.uploader(file_stream=file, chunk_size=1_000_000, url=first.url)
        assert second.offset == 1_000_000
        second.upload()
    check_whole(home, server, card)


def test_tuspy_is_told_what_is_wrong(server: str, card: Path) -> None:
    client = TusClient(f"{server}/uploads")
    said = {"flight": "nowhere", "filename": "a"}
    with card.open("rb") as file, pytest.raises(TusCommunicationError) as refused:
        client.uploader(file_stream=file, metadata=said).upload()
    assert refused.value.status_code == 404


@pytest.fixture(scope="session")
def node(need_program: Callable[..., str]) -> str:
    """Node with tus-js-client beside the script."""
    found, npm = need_program("node"), need_program("npm")
    lock, done = FOLDER / "package-lock.json", FOLDER / "node_modules" / ".lock"
    if not done.is_file() or done.read_bytes() != lock.read_bytes():
        run = subprocess.run([npm, "ci", "--silent"], cwd=FOLDER, capture_output=True, text=True)
        assert run.returncode == 0, run.stderr
        shutil.copyfile(lock, done)
    return found


@pytest.mark.parametrize(
    "options",
    [
        {"chunkSize": 800_000},
        {},
        {"uploadDataDuringCreation": True, "chunkSize": 1_000_000},
        {"parallelUploads": 3},
        {"overridePatchMethod": True, "chunkSize": 1_500_000},
        {"chunkSize": 500_000, "abortAfter": 1_000_000},
    ],
    ids=["chunks", "one request", "creation with upload", "in parallel", "without PATCH", "broken off and resumed"],
)
def test_tus_js_client(node: str, home: Home, server: str, card: Path, options: dict[str, Any]) -> None:
    said = {**options, "metadata": metadata()}
    command = [node, "send.mjs", f"{server}/uploads", str(card), json.dumps(said)]
    run = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith(f"{server}/uploads/")
    check_whole(home, server, card)
