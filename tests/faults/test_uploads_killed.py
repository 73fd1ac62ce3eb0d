"""The server killed (kill -9) while files are uploaded: nothing acknowledged is lost, and nothing is there twice."""

import hashlib
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from sqlalchemy import event

from catalog_api import tus
from catalog_api.app import create_app
from catalog_api.uploading import Uploads
from flyonce.server import Server
from flyonce.tus import Sending, upload
from records import jobs, uploads
from records.engine import transaction
from records.settings import Settings
from stac import flight_queries, flights
from stac.flight_tables import Sender
from stac.flight_values import Plan
from workers.home import Home

SIZE = 1_500_000
TUS = {"Tus-Resumable": "1.0.0"}
BODY = {**TUS, "Content-Type": "application/offset+octet-stream"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=5).status_code == 200
    except httpx.TransportError:
        return False


def serve(home: Path, port: int, dies_at: int) -> None:
    """Serve until killed; die just before step number `dies_at` (0: live): each sync, each link, each commit."""
    left = dies_at

    def step(*_: object) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def dying(call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any) -> Any:
            step()
            return call(*args)

        return wrapped

    opened = Home.open(Settings(home=home))
    app = create_app(home=opened)
    Uploads.of(opened).expire()  # as the server does when it starts; no step of it is counted
    app.state.uploads = Quiet.of(opened)
    os.fsync, os.fdatasync, os.link = dying(os.fsync), dying(os.fdatasync), dying(os.link)
    event.listen(opened.engine, "commit", step)
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="error")


class Quiet(Uploads):
    """Without the housekeeping that runs beside the requests: steps are counted in the order of the upload."""

    def expire(self, orphans_after: float = 0.0) -> int:
        return 0


@contextmanager
def forked(home: Path, port: int, dies_at: int = 0) -> Iterator[int]:
    """A server in a forked process, which starts in a moment; its pid."""
    pid = os.fork()
    if pid == 0:
        try:
            serve(home, port, dies_at)
        finally:
            os._exit(1)
    try:
        deadline = time.monotonic() + 60
        while not answers(port):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield pid
    finally:
        with suppress(ProcessLookupError, ChildProcessError):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def has_died(pid: int, seconds: float) -> bool:
    """Whether the process ends by itself in this time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if os.waitpid(pid, os.WNOHANG)[0]:
            return True
        time.sleep(0.01)
    return False


def prepared(folder: Path) -> Path:
    """A home with a flight that waits for files."""
    home = folder / "home"
    with Home.open(Settings(home=home)) as opened, transaction(opened.engine) as conn:
        flights.open_flight(conn, Plan("north", "UAV", open_ended=True), Sender("li", "operator"))
    return home


def check_whole(home: Path, contents: dict[str, bytes], lost: int = 0) -> None:
    """Every file is in its flight once, in the store under its hash, and will be read; at most `lost` uploads that no
    sender knows of are left."""
    with Home.open(Settings(home=home)) as opened:
        Uploads.of(opened).expire(orphans_after=0)
        with opened.engine.connect() as conn:
            files = {file.name: (file.state, file.sha256) for file in flight_queries.files_of(conn, "north")}
            waiting = {upload.id for upload in uploads.open_of(conn, "north")}
        kinds = Counter(job.kind for job in jobs.recent(opened.engine))
        objects = {path.name: path for path in opened.settings.files_dir.glob("??/??/*")}
        left = {path.name for path in (opened.settings.files_dir / "uploads").iterdir()}
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    assert files == {name: ("received", digest) for name, digest in hashes.items()}
    assert set(objects) == set(hashes.values())
    for name, path in objects.items():
        assert hashlib.sha256(path.read_bytes()).hexdigest() == name
    assert kinds == {"take": 1}  # nobody has taken it up, so that it serves them all
    # An upload whose address never came back to its sender is left, and expires.
    assert left == waiting
    assert len(waiting) <= lost


def test_killed_at_every_step_of_an_upload(tmp_path: Path) -> None:
    """The server dies at each sync, link and commit in turn; another is started, and the sender goes on."""
    content = random.Random(3).randbytes(SIZE)
    step, died = 0, True
    while died:
        step += 1
        folder = tmp_path / f"killed at {step}"
        folder.mkdir()
        home, port = prepared(folder), free_port()
        url = f"http://127.0.0.1:{port}"
        acknowledged = 0
        said = tus.metadata_header({"flight": "north", "filename": "a.JPG"})
        place = None
        with forked(home, port, step) as pid, httpx.Client(base_url=url, timeout=30) as http:
            try:
                made = http.post("/uploads", headers={**TUS, "Upload-Length": str(SIZE), "Upload-Metadata": said})
                place = made.headers["location"]
                for start in (0, SIZE // 2):
                    headers = {**BODY, "Upload-Offset": str(start)}
                    answer = http.patch(place, headers=headers, content=content[start : start + SIZE // 2])
                    assert answer.status_code == 204
                    acknowledged = int(answer.headers["upload-offset"])
            except httpx.TransportError:
                pass
            died = has_died(pid, 0.3 if acknowledged == SIZE else 30)
        with forked(home, port), httpx.Client(base_url=url, timeout=30) as http:
            if place is None:
                made = http.post("/uploads", headers={**TUS, "Upload-Length": str(SIZE), "Upload-Metadata": said})
                place = made.headers["location"]
            offset = int(http.head(place, headers=TUS).headers["upload-offset"])
            assert offset >= acknowledged
            if offset < SIZE:
                headers = {**BODY, "Upload-Offset": str(offset)}
                assert http.patch(place, headers=headers, content=content[offset:]).status_code == 204
            # An upload whose address never came back to its sender is left, and expires.
            for one in http.get("/api/flights/north").json()["uploads"]:
                assert http.delete(one["href"], headers=TUS).status_code == 204
        check_whole(home, {"a.JPG": content})
    assert step > 8  # it did die at each of the calls named above


def test_killed_again_and_again_under_a_sender_that_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Our own client sends files while servers (`flyonce serve`) die at random moments."""
    monkeypatch.setattr("flyonce.tus.FIRST_PAUSE", 0.2)
    monkeypatch.setattr("flyonce.tus.LONGEST_PAUSE", 1.0)
    seed = random.randrange(2**32)
    print("seed", seed)
    chance = random.Random(seed)
    contents = {f"{number}.JPG": chance.randbytes(8_000_000) for number in range(2)}
    home, port = prepared(tmp_path), free_port()
    command = [sys.executable, "-m", "flyonce", "serve", "--no-worker", "--port", str(port)]
    environment = {**os.environ, "FLYONCE_HOME": str(home)}
    ended: list[str] = []

    def send() -> None:
        with Server(f"http://127.0.0.1:{port}") as to:
            for name, content in contents.items():
                (tmp_path / name).write_bytes(content)
                digest = hashlib.sha256(content).hexdigest()
                upload(to, Sending(tmp_path / name, "north", name, len(content), digest), lambda _: None)
                ended.append(name)

    sender = threading.Thread(target=send)
    for life in range(3):
        with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as process:
            while not answers(port):
                assert process.poll() is None
                time.sleep(0.05)
            if not life:
                sender.start()
            if life < 2:
                time.sleep(chance.uniform(0.05, 0.5))
            else:
                sender.join(120)
            process.kill()
    assert ended == list(contents)
    check_whole(home, contents, lost=2)
