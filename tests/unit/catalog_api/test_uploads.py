"""Uploads over HTTP as tus 1.0 has them, and what became of the files in the books and in the store."""

import base64
import errno
import hashlib
import os
import random
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from catalog_api import pouring, tus, uploading
from catalog_api.app import create_app
from records import jobs, uploads
from records.engine import transaction
from records.settings import Settings
from sharing.policy import Decision, Principal, Right, SecurityClass
from stac import flight_queries
from stac.store import Query
from workers.home import Home
from workers.looking import look
from workers.taking import take

TUS = {"Tus-Resumable": "1.0.0"}
BODY = {**TUS, "Content-Type": "application/offset+octet-stream"}


def nothing(*_: object) -> None:
    return


class Sender:
    """Speaks tus by hand."""

    def __init__(self, http: httpx.Client, flight: str) -> None:
        self.http, self.flight = http, flight
        answer = http.post("/api/flights", json={"name": flight, "department": "UAV", "open_ended": True})
        assert answer.status_code == 201, answer.text

    def create(self, length: int, name: str = "a.JPG", content: bytes | None = None, **more: str) -> httpx.Response:
        said = {"flight": self.flight, "filename": name, **more}
        headers = {**(TUS if content is None else BODY), "Upload-Length": str(length)}
        headers["Upload-Metadata"] = tus.metadata_header(said)
        return self.http.post("/uploads", headers=headers, content=content)

    def patch(self, place: str, offset: int, content: bytes, **more: str) -> httpx.Response:
        headers = {
            **BODY,
            "Upload-Offset": str(offset),
            **{key.replace("_", "-"): value for key, value in more.items()},
        }
        return self.http.patch(place, headers=headers, content=content)

    def head(self, place: str) -> httpx.Response:
        return self.http.head(place, headers=TUS)

    def files(self) -> dict[str, str]:
        told = self.http.get(f"/api/flights/{self.flight}").json()["files"]
        return {file["file"]: file["state"] for file in told}


@pytest.fixture
def url(home: Home, serving: Callable[..., Any]) -> Iterator[str]:
    with serving(create_app(home=home)) as found:
        yield found


@pytest.fixture
def sender(url: str) -> Iterator[Sender]:
    with httpx.Client(base_url=url, timeout=60) as http:
        yield Sender(http, "north")


def content(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


def stored(home: Home) -> set[str]:
    return {path.name for path in home.settings.files_dir.glob("??/??/*")}


def partial_files(home: Home) -> list[Path]:
    return list((home.settings.files_dir / "uploads").iterdir())


def test_options_tell_what_there_is(sender: Sender) -> None:
    answer = sender.http.options("/uploads")
    assert answer.status_code == 204
    assert answer.headers["tus-version"] == "1.0.0"
    assert set(answer.headers["tus-extension"].split(",")) == {
        "creation",
        "creation-with-upload",
        "expiration",
        "checksum",
        "termination",
        "concatenation",
    }
    assert int(answer.headers["tus-max-size"]) > 2**32
    assert "sha1" in answer.headers["tus-checksum-algorithm"].split(",")


def test_a_file_in_pieces_is_acknowledged_once_it_is_whole(sender: Sender, home: Home) -> None:
    data = content(300_000)
    made = sender.create(len(data))
    assert (made.status_code, made.headers["upload-offset"]) == (201, "0")
    assert "upload-expires" in made.headers
    place = made.headers["location"]
    first = sender.patch(place, 0, data[:100_000])
    assert (first.status_code, first.headers["upload-offset"]) == (204, "100000")
    head = sender.head(place)
    assert (head.headers["upload-offset"], head.headers["upload-length"]) == ("100000", "300000")
    assert head.headers["cache-control"] == "no-store"
    assert tus.metadata_of({"upload-metadata": head.headers["upload-metadata"]})["filename"] == "a.JPG"
    assert stored(home) == set()
    assert jobs.recent(home.engine) == []
    assert sender.files() == {"a.JPG": "missing"}
    last = sender.patch(place, 100_000, data[100_000:])
    assert (last.status_code, last.headers["upload-offset"]) == (204, "300000")
    assert stored(home) == {hashlib.sha256(data).hexdigest()}
    assert partial_files(home) == []
    assert [job.kind for job in jobs.recent(home.engine)] == ["take"]
    assert sender.files() == {"a.JPG": "waiting"}
    assert sender.head(place).headers["upload-offset"] == "300000"
    assert sender.patch(place, 300_000, b"x").status_code == 403
    assert sender.http.delete(place, headers=TUS).status_code == 403


def test_one_waiting_job_serves_all_files_that_came_before_it(sender: Sender, home: Home) -> None:
    for number in range(3):
        assert sender.create(5, f"{number}.JPG", content(5, number)).status_code == 201
    assert len(jobs.recent(home.engine)) == 1
    row = jobs.lease(home.engine, "w", 60)
    assert row is not None
    assert sender.create(5, "late.JPG", content(5, 9)).status_code == 201  # the job has begun: another one
    assert len(jobs.recent(home.engine)) == 2
    take(home, "north", nothing)
    assert set(sender.files().values()) == {"quarantined"}


@pytest.mark.parametrize(
    ("how", "status"),
    [
        ({"headers": {}}, 412),
        ({"headers": {"Tus-Resumable": "0.2.2"}}, 412),
        ({"headers": {**TUS, "Upload-Length": "ten"}}, 400),
        ({"headers": {**TUS, "Upload-Length": "10"}}, 400),  # no flight
        ({"headers": {**TUS, "Upload-Length": str(2**50), "Upload-Metadata": "flight bm9ydGg="}}, 413),
        ({"headers": {**TUS, "Upload-Length": "10", "Upload-Metadata": "flight bm93aGVyZQ=="}}, 404),
        ({"headers": {**TUS, "Upload-Length": "10", "Upload-Metadata": "flight !"}}, 400),
        ({"headers": {**TUS, "Upload-Length": "1", "Content-Type": "image/jpeg"}, "content": b"x"}, 415),
    ],
)
def test_what_is_not_tus_is_refused_with_its_reason(sender: Sender, how: dict[str, Any], status: int) -> None:
    answer = sender.http.post("/uploads", **how)
    assert answer.status_code == status, answer.text
    assert answer.headers["tus-resumable"] == "1.0.0"
    assert answer.json()["detail"]
    if status == 412:
        assert answer.headers["tus-version"] == "1.0.0"


def test_a_patch_belongs_at_the_offset_that_is_safe(sender: Sender) -> None:
    place = sender.create(10).headers["location"]
    assert sender.patch(place, 5, b"x").status_code == 409
    assert sender.patch(place, 0, b"x" * 11).status_code == 413
    assert sender.http.patch(place, headers={**TUS, "Upload-Offset": "0"}, content=b"x").status_code == 415
    assert sender.head(place).headers["upload-offset"] == "0"
    over = sender.http.patch(place, headers={**BODY, "Upload-Offset": "0"}, content=iter([b"x" * 6, b"y" * 6]))
    assert over.status_code == 413  # sent in chunks: found out on the way
    assert sender.head(place).headers["upload-offset"] == "0"
    assert sender.patch(place, 0, b"x" * 10).status_code == 204
    assert sender.head("/uploads/" + "0" * 32).status_code == 404
    assert sender.head("/uploads/..%2f..%2fflyonce.sqlite").status_code == 404


def test_the_first_request_may_bring_everything(sender: Sender, home: Home) -> None:
    data = content(70_000)
    made = sender.create(len(data), content=data)
    assert (made.status_code, made.headers["upload-offset"]) == (201, "70000")
    assert stored(home) == {hashlib.sha256(data).hexdigest()}
    part = sender.create(len(data), "b.JPG", data[:30_000])
    assert part.headers["upload-offset"] == "30000"
    assert sender.patch(part.headers["location"], 30_000, data[30_000:]).status_code == 204
    assert len(stored(home)) == 1


def test_an_empty_file_is_whole_at_once_and_refused_by_name(sender: Sender, home: Home) -> None:
    assert sender.create(0, "zero.JPG").headers["upload-offset"] == "0"
    take(home, "north", nothing)
    assert sender.files() == {"zero.JPG": "quarantined"}
    (file,) = sender.http.get("/api/flights/north").json()["files"]
    assert file["reason"] == "empty"


def test_damage_on_the_way_is_found_by_a_checksum(sender: Sender, home: Home) -> None:
    data = content(2000)
    place = sender.create(len(data)).headers["location"]

    def checksum(of: bytes, algorithm: str = "sha1") -> dict[str, str]:
        return {"Upload_Checksum": f"{algorithm} {base64.b64encode(hashlib.new(algorithm, of).digest()).decode()}"}

    assert sender.patch(place, 0, data[:1000], **checksum(data[:1000])).status_code == 204
    damaged = sender.patch(place, 1000, b"?" + data[1001:], **checksum(data[1000:]))
    assert damaged.status_code == 460
    assert sender.head(place).headers["upload-offset"] == "1000"
    assert sender.patch(place, 1000, data[1000:], Upload_Checksum="crc32 AA==").status_code == 400
    assert sender.patch(place, 1000, data[1000:], **checksum(data[1000:], "sha256")).status_code == 204
    assert stored(home) == {hashlib.sha256(data).hexdigest()}


def test_a_file_that_is_not_the_one_promised_starts_again(sender: Sender, home: Home) -> None:
    data = content(2000)
    place = sender.create(len(data), sha256=hashlib.sha256(data).hexdigest()).headers["location"]
    assert sender.patch(place, 0, data[:-1] + b"?").status_code == 460
    assert sender.head(place).headers["upload-offset"] == "0"
    assert stored(home) == set()
    assert sender.patch(place, 0, data).status_code == 204
    assert stored(home) == {hashlib.sha256(data).hexdigest()}
    assert sender.create(5, sha256="no hash").status_code == 400


def test_an_upload_that_is_given_up_is_gone(sender: Sender, home: Home) -> None:
    place = sender.create(10).headers["location"]
    sender.patch(place, 0, b"12345")
    assert sender.http.delete(place, headers=TUS).status_code == 204
    assert sender.head(place).status_code == 410
    assert sender.patch(place, 5, b"12345").status_code == 410
    assert sender.http.delete(place, headers=TUS).status_code == 410
    assert partial_files(home) == []


def test_an_upload_that_nobody_goes_on_with_expires(sender: Sender, home: Home) -> None:
    place = sender.create(10).headers["location"]
    name = place.rsplit("/", 1)[1]
    service = uploading.Uploads.of(home)
    assert service.expire() == 0
    with transaction(home.engine) as conn:
        uploads.advance(conn, name, 0, timedelta(seconds=-1))
    assert service.expire() == 1
    assert sender.head(place).status_code == 410
    assert partial_files(home) == []


def test_parts_become_one_file(sender: Sender, home: Home) -> None:
    data = content(200_000)
    places = []
    for start in range(0, len(data), 80_000):
        piece = data[start : start + 80_000]
        made = sender.http.post(
            "/uploads", headers={**TUS, "Upload-Length": str(len(piece)), "Upload-Concat": "partial"}
        )
        assert made.status_code == 201, made.text
        places.append(made.headers["location"])
        assert sender.head(places[-1]).headers["upload-concat"] == "partial"
    said = tus.metadata_header({"flight": "north", "filename": "whole.JPG"})
    final = {**TUS, "Upload-Concat": f"final;{' '.join(places)}", "Upload-Metadata": said}
    unfinished = sender.http.post("/uploads", headers=final)
    assert (unfinished.status_code, unfinished.json()["code"]) == (400, "unfinished-part")
    for place, start in zip(places, range(0, len(data), 80_000), strict=True):
        assert sender.patch(place, 0, data[start : start + 80_000]).status_code == 204
    assert jobs.recent(home.engine) == []  # a part is no file
    made = sender.http.post("/uploads", headers=final)
    assert (made.status_code, made.headers["upload-offset"]) == (201, "200000")
    assert stored(home) == {hashlib.sha256(data).hexdigest()}
    assert sender.files() == {"whole.JPG": "waiting"}
    head = sender.head(made.headers["location"])
    assert head.headers["upload-concat"] == final["Upload-Concat"]
    assert sender.patch(made.headers["location"], 200_000, b"x").status_code == 403
    assert [sender.head(place).status_code for place in places] == [410] * 3
    assert partial_files(home) == []
    assert sender.http.post("/uploads", headers=final).status_code == 410


def test_proxies_that_know_no_patch(sender: Sender) -> None:
    place = sender.create(4).headers["location"]
    override = {**BODY, "Upload-Offset": "0", "X-HTTP-Method-Override": "PATCH"}
    assert sender.http.post(place, headers=override, content=b"1234").headers["upload-offset"] == "4"
    assert sender.http.post(place, headers=TUS).status_code == 405


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("../../../etc/cron.d/evil.JPG", "etc/cron.d/evil.JPG"),
        ("C:\\fakepath\\DJI.JPG", "C_/fakepath/DJI.JPG"),
        ("航线/照片 1.JPG", "航线/照片 1.JPG"),
        ("null\x00byte\x1b[31m.JPG", "null_byte_[31m.JPG"),
        ("x" * 3000 + ".JPG", "x" * 236 + ".JPG"),
        ("", "unnamed"),
    ],
)
def test_hostile_names_are_labels_and_nothing_more(sender: Sender, home: Home, sent: str, kept: str) -> None:
    before = {path for path in home.settings.home.parent.rglob("*") if path.is_file()}
    assert sender.create(5, sent, b"bytes").status_code == 201
    assert list(sender.files()) == [kept]
    new = {path for path in home.settings.home.parent.rglob("*") if path.is_file()} - before
    assert {path.name for path in new} <= {
        hashlib.sha256(b"bytes").hexdigest(),
        "flyonce.sqlite-wal",
        "flyonce.sqlite-shm",
    }


@pytest.fixture
def photo(data: Path) -> bytes:
    return (data / "flights/brighton_beach/DJI_0024.JPG").read_bytes()


def taken_in(sender: Sender, home: Home, photo: bytes) -> str:
    """The photo as an item; its reference."""
    assert sender.create(len(photo), "first.JPG", photo).status_code == 201
    take(home, "north", nothing)
    look(home, "north", nothing)
    (item,) = home.catalog.search(Query(collections=("photos",))).items
    return f"photos/{item['id']}"


def test_what_is_here_and_may_be_seen_is_answered_before_a_byte_is_sent(
    sender: Sender, home: Home, photo: bytes
) -> None:
    item = taken_in(sender, home, photo)
    sha256 = hashlib.sha256(photo).hexdigest()
    again = sender.create(len(photo), "again.JPG", sha256=sha256)
    assert (again.status_code, again.headers["upload-offset"]) == (201, str(len(photo)))
    assert sender.head(again.headers["location"]).headers["upload-offset"] == str(len(photo))
    take(home, "north", nothing)
    assert sender.files() == {"first.JPG": "accepted", "again.JPG": "duplicate"}
    told = sender.http.get("/api/flights/north").json()["files"]
    assert {file["item"] for file in told} == {item}
    # Announced in bulk it is not asked for at all.
    named = {"name": "third.JPG", "size": len(photo), "sha256": sha256}
    answer = sender.http.post("/api/flights/north/files", json={"files": [named, {"name": "new.JPG", "size": 3}]})
    assert answer.json()["needed"] == ["new.JPG"]
    # A hash with another size is no knowledge of the file.
    assert sender.create(len(photo) + 1, "liar.JPG", sha256=sha256).headers["upload-offset"] == "0"


def test_whoever_may_not_see_it_sends_it_whole_and_joins_in_silence(
    sender: Sender, home: Home, photo: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    item = taken_in(sender, home, photo)

    def blind(principal: Principal, action: object, item: Any = None) -> Decision:
        right = Right.DENY if item is not None else Right.PIXELS
        return Decision(right, "may not see it", SecurityClass.INTERNAL)

    monkeypatch.setattr("catalog_api.uploading.decide", blind)
    monkeypatch.setattr("workers.taking.decide", blind)
    sender.http.post("/api/flights", json={"name": "south", "department": "ROADS", "security": "sensitive"})
    other = Sender(sender.http, "stranger")
    sha256 = hashlib.sha256(photo).hexdigest()
    said = tus.metadata_header({"flight": "south", "filename": "mine.JPG", "sha256": sha256})
    made = other.http.post("/uploads", headers={**TUS, "Upload-Length": str(len(photo)), "Upload-Metadata": said})
    assert made.headers["upload-offset"] == "0"  # nothing tells that it is here
    assert other.patch(made.headers["location"], 0, photo).status_code == 204
    take(home, "south", nothing)
    with home.engine.connect() as conn:
        (file,) = flight_queries.files_of(conn, "south")
    assert file.answer is not None
    assert (file.answer.outcome, file.answer.item) == ("accepted", item)
    (kept,) = home.catalog.search(Query(collections=("photos",))).items
    assert kept["properties"]["flyonce:owners"] == ["ROADS", "UAV"]
    assert kept["properties"]["flyonce:security"] == "sensitive"
    assert "thumbnail" in kept["assets"]


def test_two_clients_on_one_upload(sender: Sender, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second is told that it is locked while the first sends, and at which offset it is wrong afterwards."""
    place = sender.create(100).headers["location"]
    sent_half, go_on = threading.Event(), threading.Event()

    def slowly() -> Iterator[bytes]:
        yield b"a" * 50
        sent_half.set()
        assert go_on.wait(60)
        yield b"b" * 50

    answers: list[int] = []

    def first() -> None:
        headers = {**BODY, "Upload-Offset": "0", "Content-Length": "100"}
        answers.append(httpx.patch(url + place, headers=headers, content=slowly(), timeout=60).status_code)

    thread = threading.Thread(target=first)
    thread.start()
    assert sent_half.wait(30)
    deadline = time.monotonic() + 30
    # Until the first has arrived a wrong offset is all that is wrong, and nothing is taken.
    while sender.patch(place, 7, b"c").status_code == 409 and time.monotonic() < deadline:
        time.sleep(0.05)
    second = sender.patch(place, 0, b"c" * 100)
    assert second.status_code == 423
    assert second.headers["retry-after"]
    assert sender.http.delete(place, headers=TUS).status_code == 423
    go_on.set()
    thread.join()
    assert answers == [204]
    assert sender.patch(place, 0, b"c" * 100).status_code == 409


def send_a_part(url: str, place: str, length: int, part: bytes) -> socket.socket:
    """A PATCH that promises `length` bytes and sends some."""
    host, port = url.removeprefix("http://").split(":")
    line = socket.create_connection((host, int(port)))
    head = f"PATCH {place} HTTP/1.1\r\nHost: {host}\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\n"
    head += f"Content-Type: application/offset+octet-stream\r\nContent-Length: {length}\r\n\r\n"
    line.sendall(head.encode() + part)
    return line


def offset_reached(sender: Sender, place: str, wanted: int) -> bool:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if sender.head(place).headers["upload-offset"] == str(wanted):
            return True
        time.sleep(0.02)
    return False


def test_a_line_that_breaks_in_the_middle_keeps_what_has_come(sender: Sender, url: str, home: Home) -> None:
    data = content(3_000_000)
    place = sender.create(len(data)).headers["location"]
    line = send_a_part(url, place, len(data), data[:1_234_567])
    time.sleep(0.2)
    line.close()
    assert offset_reached(sender, place, 1_234_567)
    assert sender.patch(place, 1_234_567, data[1_234_567:]).status_code == 204
    assert stored(home) == {hashlib.sha256(data).hexdigest()}


def test_a_line_that_falls_silent_frees_the_upload(
    sender: Sender, url: str, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pouring, "SILENCE_SECONDS", 0.3)
    data = content(500_000)
    place = sender.create(len(data)).headers["location"]
    line = send_a_part(url, place, len(data), data[:200_000])  # and the laptop sleeps; nobody closes anything
    assert offset_reached(sender, place, 200_000)
    deadline = time.monotonic() + 30
    while (answer := sender.patch(place, 200_000, data[200_000:])).status_code == 423 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert answer.status_code == 204
    line.close()
    assert stored(home) == {hashlib.sha256(data).hexdigest()}


def test_a_full_disk_is_said_and_gone_on_from(sender: Sender, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    data = content(9 << 20)
    place = sender.create(len(data)).headers["location"]
    write, left = os.writev, 5_000_000

    def filling(handle: int, pieces: list[bytes]) -> int:
        nonlocal left
        if left <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        count = write(handle, [b"".join(pieces)[:left]])
        left -= count
        return count

    monkeypatch.setattr("records.spool.os.writev", filling)
    full = sender.patch(place, 0, data)
    assert (full.status_code, full.json()["code"]) == (507, "disk-full")
    monkeypatch.undo()
    offset = int(sender.head(place).headers["upload-offset"])
    assert 0 < offset <= 5_000_000  # the blocks that fitted
    assert sender.patch(place, offset, data[offset:]).status_code == 204
    assert stored(home) == {hashlib.sha256(data).hexdigest()}


def test_no_room_is_said_before_a_byte_is_sent(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    free = shutil.disk_usage("/")._replace(free=uploading.RESERVE + 10)
    monkeypatch.setattr("records.spool.shutil.disk_usage", lambda _: free)
    assert sender.create(11).status_code == 507
    assert sender.create(10).status_code == 201


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk")
def test_a_real_small_disk_that_fills_up(tmp_path: Path, serving: Callable[..., Any], monkeypatch: Any) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(disk)], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.strip()}")
    monkeypatch.setattr(uploading, "RESERVE", 0)
    try:
        with (
            Home.open(Settings(home=disk / "home")) as home,
            serving(create_app(home=home)) as url,
            httpx.Client(base_url=url, timeout=60) as http,
        ):
            sender = Sender(http, "north")
            data = content(14 << 20)
            place = sender.create(len(data)).headers["location"]
            (disk / "ballast").write_bytes(bytes(12 << 20))
            full = sender.patch(place, 0, data)
            assert full.status_code == 507
            assert sender.files() == {"a.JPG": "missing"}
            (disk / "ballast").unlink()
            offset = int(sender.head(place).headers["upload-offset"])
            assert offset < len(data)
            assert sender.patch(place, offset, data[offset:]).status_code == 204
            assert stored(home) == {hashlib.sha256(data).hexdigest()}
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_limits(home: Home, serving: Callable[..., Any]) -> None:
    settings = home.settings.model_copy(update={"upload_max_bytes": 100, "uploads_open": 2})
    small = Home(settings, home.engine, home.files, home.catalog, home._catalog_engine)
    with serving(create_app(settings, small)) as url, httpx.Client(base_url=url, timeout=60) as http:
        sender = Sender(http, "north")
        assert http.options("/uploads").headers["tus-max-size"] == "100"
        assert sender.create(101).status_code == 413
        first = sender.create(5)
        assert sender.create(5, "b.JPG").status_code == 201
        third = sender.create(5, "c.JPG")
        assert third.status_code == 429
        assert third.headers["retry-after"]
        sender.patch(first.headers["location"], 0, b"12345")
        assert sender.create(5, "c.JPG").status_code == 201


def test_a_closed_flight_takes_nothing_new(sender: Sender) -> None:
    sender.create(3, "a.JPG", b"abc")
    assert sender.http.post("/api/flights/north/close", json={}).status_code == 200
    late = sender.create(3, "b.JPG")
    assert (late.status_code, late.json()["code"]) == (409, "flight-closed")


def test_nobody_writes_without_the_key_or_from_another_site(home: Home, serving: Callable[..., Any]) -> None:
    settings = home.settings.model_copy(update={"api_key": SecretStr("s3cret")})
    with serving(create_app(settings, home)) as url, httpx.Client(base_url=url, timeout=60) as http:
        flight = {"name": "north", "department": "UAV"}
        assert http.post("/uploads", headers={**TUS, "Upload-Length": "1"}).status_code == 401
        assert http.options("/uploads").status_code == 401
        assert http.post("/api/flights", json=flight).status_code == 401
        key = {"authorization": "Bearer s3cret"}
        assert http.post("/api/flights", json=flight, headers=key).status_code == 201
        crossing = {**key, "sec-fetch-site": "cross-site"}
        assert http.post("/api/flights", json=flight, headers=crossing).status_code == 403
        assert http.post("/uploads", headers={**TUS, **crossing, "Upload-Length": "1"}).status_code == 403


def test_whole_but_not_acknowledged_before_a_crash_is_acknowledged_when_asked(sender: Sender, home: Home) -> None:
    """The server died between sealing the file and the transaction."""
    data = content(5000)
    place = sender.create(len(data)).headers["location"]
    service = uploading.Uploads.of(home)
    with service.spool.grow(place.rsplit("/", 1)[1]) as growing:
        growing.start(0)
        growing.write(data)
        growing.seal()
    assert sender.files() == {"a.JPG": "missing"}
    assert sender.head(place).headers["upload-offset"] == "5000"
    assert sender.files() == {"a.JPG": "waiting"}
    assert stored(home) == {hashlib.sha256(data).hexdigest()}
