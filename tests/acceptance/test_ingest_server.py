"""An operator's laptop and a server: `flyonce ingest --server` over HTTP, from the light client too."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import pytest
import rasterio

from imagery.inspect import inspect
from imagery.video import ffmpeg

ROOT = Path(__file__).parents[2]
KEY = "a key of some length"
HEAVY = {"torch", "torchvision", "rasterio", "dask", "distributed", "sqlalchemy", "fastapi", "numpy", "shapely", "PIL"}


@dataclass(frozen=True)
class Served:
    url: str
    token: Path

    @property
    def options(self) -> list[str]:
        return ["--server", self.url, "--token-file", str(self.token)]

    def ask(self, path: str) -> dict:
        answer = httpx.get(self.url + path, headers={"authorization": f"Bearer {KEY}"}, timeout=60)
        assert answer.status_code == 200, answer.text
        found: dict = answer.json()
        return found


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """`flyonce serve` with its worker, behind a key."""
    folder = tmp_path_factory.mktemp("served")
    (folder / "token").write_text(f"{KEY}\n")
    environment = {**os.environ, "FLYONCE_HOME": str(folder / "home"), "FLYONCE_API_KEY": KEY}
    command = [sys.executable, "-m", "flyonce", "serve", "--port", "0"]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=log, text=True)
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            address = re.search(r"http://\S+?:\d+", line)
            assert address, line
            yield Served(address[0], folder / "token")
        finally:
            process.terminate()
            process.wait(60)
            if process.stdout:
                process.stdout.close()


def client(python: Path | str, *arguments: object, at: Path | None = None) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "FLYONCE_HOME": "/nowhere/at/all"}
    if at is not None:
        environment.pop("PYTHONPATH", None)  # nothing but what is installed
    command = [str(python), "-m", "flyonce", *map(str, arguments)]
    return subprocess.run(command, env=environment, cwd=at, capture_output=True, text=True)


@pytest.fixture(scope="module")
def card(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A card with two good photos and what else is found on cards."""
    folder = tmp_path_factory.mktemp("card")
    originals = sorted((data / "flights/brighton_beach").glob("*.JPG"))
    (folder / "DCIM").mkdir()
    for path in originals[6:8]:
        (folder / "DCIM" / path.name).write_bytes(path.read_bytes())
    (folder / "broken.JPG").write_bytes(originals[8].read_bytes()[:200_000])
    (folder / "empty.JPG").touch()
    (folder / "link.JPG").symlink_to(originals[9])
    (folder / "readme.txt").write_text("not a capture")
    return folder


REASONS = {"broken.JPG": "truncated", "empty.JPG": "empty", "link.JPG": "link"}


def check_report(report: dict) -> None:
    assert report["counts"] == {"accepted": 2, "duplicate": 0, "quarantined": 3, "waiting": 0, "ignored": 1}
    assert {Path(one["file"]).name: one["reason"] for one in report["quarantined"]} == REASONS
    assert all(one["message"] and one["remedy"] for one in report["quarantined"])
    assert {one["footprint"] for one in report["accepted"]} == {"pose"}
    assert report["state"] == "processed"


@pytest.fixture(scope="module")
def light(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a clean environment that holds flyonce[client] from its wheel and nothing heavy."""
    folder = tmp_path_factory.mktemp("light")
    source = folder / "source"
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, tracked.split("\0")):
        if name.endswith((".py", ".toml", ".json", ".typed", "README.md", "LICENSE")) and (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    build = "import sys; from setuptools import build_meta; print(build_meta.build_wheel(sys.argv[1]))"
    made = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", build, str(folder)], cwd=source, capture_output=True, text=True
    )
    assert made.returncode == 0, made.stderr
    wheel = next(folder.glob("*.whl"))
    uv = Path(sys.executable).with_name("uv")
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, folder / "venv"], check=True)
    python = folder / "venv" / "bin" / "python"
    install = [uv, "pip", "install", "--quiet", "--python", python, f"flyonce[client] @ {wheel.as_uri()}"]
    if subprocess.run([*install, "--offline"], capture_output=True).returncode:
        online = subprocess.run(install, capture_output=True, text=True)
        if online.returncode:
            pytest.skip(f"no package index answers: {online.stderr[-200:]}")
    return python


def test_the_light_client_sends_a_folder_and_reads_the_answer(
    light: Path, served: Served, card: Path, tmp_path: Path
) -> None:
    installed = subprocess.run(
        [light, "-c", "import importlib.util as u, sys; print([n for n in sys.argv[1:] if u.find_spec(n)])", *HEAVY],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
    )
    assert installed.stdout.strip() == "[]", installed.stderr
    megabytes = sum(path.stat().st_size for path in light.parents[1].rglob("*") if path.is_file()) / 1e6
    assert megabytes < 150
    page = tmp_path / "报告.html"
    run = client(
        light,
        *("ingest", card, "--flight", "北路 五月", "--department", "UAV", "--json", "--report", page),
        *("--pilot", "王", "--licence", "UAOC-1", "--approval", "空-7", "--retain-until", "2030-01-31"),
        *served.options,
        at=tmp_path,
    )
    assert run.returncode == 0, run.stderr
    report = json.loads(run.stdout)
    check_report(report)
    told = served.ask(f"/api/flights/{report['flight']}")
    assert (told["pilot"], told["operator_licence"], told["airspace_approval"]) == ("王", "UAOC-1", "空-7")
    assert told["retain_until"] == "2030-01-31"
    text = page.read_text("utf-8")
    for word in ("北路 五月", "broken.JPG", "文件不完整", "truncated", "王"):
        assert word in text
    photo = served.ask(f"/stac/collections/photos/items/{report['accepted'][0]['item'].split('/')[1]}")
    assert photo["properties"]["flyonce:retain_until"] == "2030-01-31"
    shown = client(light, "flights", "show", "北路 五月", *served.options, at=tmp_path)
    assert "complete with 3 refused" in shown.stdout


def test_sent_again_nothing_is_sent_and_nothing_is_new(served: Served, card: Path) -> None:
    command = ("ingest", card, "--flight", "again", "--department", "UAV", "--json", *served.options)
    first, second = (client(sys.executable, *command) for _ in range(2))
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    before, after = json.loads(first.stdout)["counts"], json.loads(second.stdout)["counts"]
    assert before["accepted"] + before["duplicate"] == 2
    assert after == {"accepted": 0, "duplicate": 2, "quarantined": 3, "waiting": 0, "ignored": 1}
    assert len(served.ask("/stac/search?collections=photos")["features"]) == 2


def test_a_wrong_key_a_wrong_address_and_another_department_are_said(
    served: Served, card: Path, tmp_path: Path
) -> None:
    (tmp_path / "wrong").write_text("wrong")
    sent = ("ingest", card / "DCIM", "--flight", "wrong", "--department", "UAV", "--server")
    run = client(sys.executable, *sent, served.url, "--token-file", tmp_path / "wrong")
    assert run.returncode == 1
    assert "401" in run.stderr
    assert "--token-file" in run.stderr
    run = client(sys.executable, *sent, "http://127.0.0.1:9", "--token-file", served.token)
    assert run.returncode == 1
    assert "does not answer" in run.stderr
    one = ("ingest", card / "DCIM", "--flight", "owned", *served.options, "--department")
    assert client(sys.executable, *one, "UAV").returncode == 0
    run = client(sys.executable, *one, "ROADS")
    assert run.returncode == 1
    assert "belongs to UAV" in run.stderr


def test_a_watched_folder_is_followed_until_it_is_stopped(served: Served, data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "incoming"
    folder.mkdir()
    photo = (data / "flights/brighton_beach/DJI_0029.JPG").read_bytes()
    command = [sys.executable, "-m", "flyonce", "ingest", "--watch", str(folder), "--settle", "0.5", "--close"]
    command += ["--flight", "watched", "--department", "UAV", "--json", *served.options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    assert "watching" in process.stderr.readline()
    with (folder / "DJI_0029.JPG").open("wb") as growing:
        for start in range(0, len(photo), 1_000_000):
            growing.write(photo[start : start + 1_000_000])
            growing.flush()
            time.sleep(0.2)
    deadline = time.monotonic() + 120
    files: list[dict] = []
    while not (files and files[0]["state"] == "accepted") and time.monotonic() < deadline:
        time.sleep(0.3)
        if any(one["flight"] == "watched" for one in served.ask("/api/flights")["flights"]):
            files = served.ask("/api/flights/watched")["files"]
    assert [(file["file"], file["state"]) for file in files] == [("DJI_0029.JPG", "accepted")]
    assert served.ask("/api/flights/watched")["state"] == "receiving"  # it is open until somebody closes it
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    report = json.loads(out)
    assert report["counts"]["accepted"] == 1
    assert report["state"] == "processed"


def test_ground_and_the_clock_of_a_log_are_said_to_the_server(served: Served, data: Path, tmp_path: Path) -> None:
    """The elevation model goes first, once, and photos lie on it; an offset mends a video that was refused without."""
    original = data / "flights/brighton_beach/DJI_0030.JPG"
    place = inspect(original, decode=False).position
    assert place is not None
    assert place.height is not None
    assert place.above_ground is not None
    card = tmp_path / "card"
    card.mkdir()
    (card / "DJI_0030.JPG").write_bytes(original.read_bytes())
    filmed = [ffmpeg(), "-v", "error", "-f", "lavfi", "-i", "testsrc=size=320x240:rate=5", "-t", "8", "-c:v", "mpeg4"]
    subprocess.run([*filmed, str(card / "DJI_1.MP4")], check=True, capture_output=True)
    rows = "".join(f"{second},30.6,{114 + second / 1e5}\n" for second in range(40))
    (card / "DJI_1.csv").write_text("seconds,lat,lon\n" + rows)
    ground = np.full((1, 200, 200), place.height - place.above_ground + 7.0, dtype=np.float32)
    corner = rasterio.Affine(1e-4, 0, place.lon - 0.01, 0, -1e-4, place.lat + 0.01)
    with rasterio.open(tmp_path / "dtm.tif", "w", "GTiff", 200, 200, 1, "EPSG:4326", corner, "float32") as model:
        model.write(ground)
    sent = ("ingest", card, "--flight", "hills", "--department", "UAV", "--json", "--terrain", tmp_path / "dtm.tif")
    first = client(sys.executable, *sent, *served.options)
    assert first.returncode == 0, first.stderr
    report = json.loads(first.stdout)
    assert [(Path(one["file"]).name, one["reason"]) for one in report["quarantined"]] == [
        ("DJI_1.MP4", "offset-unknown")
    ]
    (photo,) = (one["item"] for one in report["accepted"] if one["item"].startswith("photos/"))
    said = served.ask("/stac/collections/photos/items/" + photo.partition("/")[2])["properties"]
    assert said["flyonce:height_above_ground"] == pytest.approx(place.above_ground - 7.0)
    (elevation,) = (one["item"] for one in report["accepted"] if one["item"].startswith("elevation/"))
    assert served.ask("/api/flights/hills")["terrain"].startswith(elevation.partition("/")[2])

    second = client(sys.executable, *sent, "--offset", "-20", *served.options)
    assert second.returncode == 0, second.stderr
    report = json.loads(second.stdout)
    assert report["quarantined"] == []
    (video,) = (one for one in [*report["accepted"], *report["duplicate"]] if one["file"].endswith(".MP4"))
    item = served.ask("/stac/collections/videos/items/" + video["item"].partition("/")[2])
    assert item["properties"]["flyonce:log_offset"] == {"seconds": -20.0, "source": "said", "sigma": 0.5}

    third = client(sys.executable, *sent, "--offset", "-12", *served.options)
    assert third.returncode == 0, third.stderr
    said = served.ask("/stac/collections/videos/items/" + video["item"].partition("/")[2])["properties"]
    assert said["flyonce:log_offset"]["seconds"] == -12.0

    other = client(sys.executable, *sent[:-1], original, *served.options)
    assert other.returncode == 1
    assert "has terrain" in other.stderr  # one flight, one ground
