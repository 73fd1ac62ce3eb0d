"""`flyonce search` asks a server and the local home the same, and `flyonce serve` starts, answers and stops."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

Run = Callable[..., "subprocess.CompletedProcess[str]"]
LINE = re.compile(r"Serving at (http://\S+)")


def environment(home: Path, **more: str) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("FLYONCE_")}
    return {**clean, "FLYONCE_HOME": str(home), **more}


@pytest.fixture
def flyonce(tmp_path: Path) -> Run:
    def run(*arguments: str, home: Path = tmp_path / "none") -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "flyonce", *arguments]
        return subprocess.run(command, capture_output=True, text=True, env=environment(home), timeout=120)

    return run


def test_a_server_is_searched(flyonce: Run, served: str) -> None:
    asked = ["--collection", "photos", "--filter", "gsd < 0.0175", "--bbox", "102.6,24.9,102.8,25.1"]
    found = flyonce("search", *asked, "--datetime", "2026-05-01T00:00:02Z/..", "--json", "--server", served)
    assert found.returncode == 0, found.stderr
    collection = json.loads(found.stdout)
    assert [item["id"] for item in collection["features"]] == [f"photo-000{number}" for number in (4, 3, 2, 1)]
    assert collection["type"] == "FeatureCollection"


def test_more_than_a_page_is_followed(flyonce: Run, served: str) -> None:
    found = flyonce("search", "--json", "--limit", "140", "--server", served)
    assert len({item["id"] for item in json.loads(found.stdout)["features"]}) == 140


def test_a_table_is_printed_for_people(flyonce: Run, served: str) -> None:
    found = flyonce("search", "--collection", "changes", "--server", served)
    assert "change-1" in found.stdout
    assert "1 项 items" in found.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--bbox", "1,2,x,4"], "not numbers"),
        (["--bbox", "1,2,3"], "bbox"),
        (["--datetime", "yesterday"], "datetime"),
        (["--filter", "a b"], "not CQL2 text"),
        (["--token-file", "/nowhere"], "cannot be read"),
    ],
)
def test_a_bad_search_says_why(flyonce: Run, served: str, arguments: list[str], words: str) -> None:
    found = flyonce("search", *arguments, "--server", served)
    assert found.returncode == 1
    assert words in found.stderr
    assert "Traceback" not in found.stderr


def test_no_home_and_no_server_are_said(flyonce: Run) -> None:
    here, there = flyonce("search"), flyonce("search", "--server", "http://127.0.0.1:9")
    assert (here.returncode, there.returncode) == (1, 1)
    assert "flyonce init" in here.stderr
    assert "does not answer" in there.stderr


def test_serving_to_others_without_a_key_is_refused(flyonce: Run, tmp_path: Path) -> None:
    found = flyonce("serve", "--host", "0.0.0.0", "--no-worker", home=tmp_path / "home")
    assert found.returncode == 1
    assert "FLYONCE_API_KEY" in found.stderr


def test_serve_says_where_wants_its_key_and_stops(tmp_path: Path, flyonce: Run) -> None:
    home, key = tmp_path / "home", tmp_path / "key"
    key.write_text("long-secret\n")
    process = subprocess.Popen(
        [sys.executable, "-m", "flyonce", "serve", "--port", "0", "--no-worker"],
        env=environment(home, FLYONCE_API_KEY="long-secret", PYTHONUNBUFFERED="1", COLUMNS="200"),
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        found = LINE.search(process.stdout.readline())
        assert found is not None
        assert httpx.get(f"{found[1]}stac/").status_code == 401
        assert "--token-file" in flyonce("search", "--server", found[1]).stderr
        answer = flyonce("search", "--json", "--server", found[1], "--token-file", str(key))
        assert json.loads(answer.stdout)["features"] == []
        local = flyonce("search", "--json", home=home)
        assert json.loads(local.stdout)["features"] == []
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        if process.stdout is not None:
            process.stdout.close()
