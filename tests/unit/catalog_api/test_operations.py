"""What keeps a service running: readiness, metrics, logs without secrets, limits, CORS; and kill -9."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr

from catalog_api.app import create_app
from catalog_api.limits import Buckets
from records.settings import Settings
from stac.store import Query
from workers.home import Home

KEY = "correct-horse-battery-staple"


@pytest.fixture
def own_home(tmp_path: Path) -> Iterator[Home]:
    with Home.open(Settings(home=tmp_path / "home", database_url="", store_url="", api_key=None)) as home:
        yield home


@contextmanager
def asking(serve: Callable[..., Any], home: Home, **changed: Any) -> Iterator[httpx.Client]:
    settings = home.settings.model_copy(update=changed)
    with serve(create_app(settings, home)) as where, httpx.Client(base_url=where, timeout=30) as client:
        yield client


def numbers(client: httpx.Client, name: str) -> dict[tuple[str, ...], float]:
    families = text_string_to_metric_families(client.get("/metrics").text)
    samples = (sample for family in families for sample in family.samples if sample.name == name)
    return {tuple(value for _, value in sorted(sample.labels.items())): sample.value for sample in samples}


def test_ready_means_that_books_catalogue_and_files_work(serve: Any, own_home: Home) -> None:
    with asking(serve, own_home, api_key=SecretStr(KEY)) as client:
        assert client.get("/readyz").json() == {"status": "ok", "checked": ["books", "catalogue", "files"]}
        incoming = own_home.files.root / "incoming"
        incoming.rename(own_home.files.root / "gone")
        answer = client.get("/readyz")
        assert (answer.status_code, answer.json()["failed"]) == (503, ["files"])
        assert str(own_home.files.root) not in answer.text
        assert client.get("/healthz").status_code == 200


def test_a_bucket_that_is_gone_is_not_ready(serve: Any, tmp_path: Path, seaweed: dict[str, Any]) -> None:
    settings = Settings(home=tmp_path, database_url="", api_key=None, **(seaweed | {"store_url": "s3://gone"}))
    with Home.open(settings) as home, asking(serve, home) as client:
        assert client.get("/readyz").json()["failed"] == ["files"]


def test_metrics_count_by_route_and_tell_of_the_books(serve: Any, own_home: Home, photo_of: Any) -> None:
    own_home.catalog.put_items([photo_of(own_home, number) for number in range(3)])
    (item,) = own_home.catalog.search(Query(limit=1)).items
    href = item["assets"]["original"]["href"]
    with asking(serve, own_home) as client:
        size = len(client.get(href).content)
        for number in range(3):
            assert client.get(f"/stac/collections/photos/items/none{number}").status_code == 404
        client.post("/stac/search", json={"limit": 1})
        client.get("/no/such/place")
        client.request("BREW", "/healthz")
        counted = numbers(client, "flyonce_http_requests_total")
        assert counted["GET", "/assets/{sha256}/{name}", "200"] == 1
        assert counted["GET", "/stac/collections/{collection_id}/items/{item_id}", "404"] == 3
        assert counted["POST", "/stac/search", "200"] == 1
        assert counted["GET", "other", "404"] == 1
        assert ("BREW", "other", "405") not in counted
        assert numbers(client, "flyonce_http_bytes_total")["out",] > size
        assert numbers(client, "flyonce_http_bytes_total")["in",] == len(b'{"limit":1}')
        assert numbers(client, "flyonce_items")["photos",] == 3
        assert numbers(client, "flyonce_outbox") == {("pending",): 0}
        assert numbers(client, "flyonce_http_request_seconds_count")["POST", "/stac/search"] == 1


def test_metrics_want_the_key(serve: Any, own_home: Home) -> None:
    with asking(serve, own_home, api_key=SecretStr(KEY)) as client:
        assert client.get("/metrics").status_code == 401
        assert client.get("/metrics", headers={"authorization": f"Bearer {KEY}"}).status_code == 200


def chunks(size: int) -> Iterator[bytes]:
    yield b'{"limit": 1, "x": "'
    for _ in range(size // 1000):
        yield b"x" * 1000
    yield b'"}'


@pytest.mark.parametrize("declared", [True, False])
def test_large_bodies_are_refused_whether_declared_or_not(serve: Any, own_home: Home, declared: bool) -> None:
    with asking(serve, own_home, max_body=20_000) as client:
        body = b"".join(chunks(50_000)) if declared else chunks(50_000)
        answer = client.post("/stac/search", content=body, headers={"content-type": "application/json"})
        assert (answer.status_code, answer.headers["content-type"]) == (413, "application/problem+json")
        assert answer.headers["x-content-type-options"] == "nosniff"
        small = client.post("/stac/search", content=chunks(1000), headers={"content-type": "application/json"})
        assert small.status_code == 200


def test_ten_megabytes_are_too_much_by_default(serve: Any, own_home: Home) -> None:
    with asking(serve, own_home) as client:
        answer = client.post("/stac/search", content=b"[" * 10_000_001, headers={"content-type": "application/json"})
        assert answer.status_code == 413


def test_whoever_asks_too_often_is_told_when_to_come_back(serve: Any, own_home: Home) -> None:
    with asking(serve, own_home, rate=1.0) as client:
        answers = [client.get("/api/stats") for _ in range(30)]
        assert 19 <= sum(answer.status_code == 200 for answer in answers) <= 25
        last = answers[-1]
        assert (last.status_code, last.json()["code"], int(last.headers["retry-after"])) == (429, "TooManyRequests", 1)
        assert client.get("/healthz").status_code == 200


@given(st.lists(st.floats(0, 5), min_size=1, max_size=80), st.floats(0.5, 50))
def test_never_more_than_a_burst_and_the_rate_pass(pauses: list[float], rate: float) -> None:
    buckets, now, passed = Buckets(rate), 100.0, 0
    for pause in pauses:
        now += pause
        wait = buckets.take("a", now)
        if not wait:
            passed += 1
        else:
            assert Buckets(rate).take("b", now) == 0
            assert wait <= 1 / rate + 1e-9
    assert passed <= buckets.burst + (now - 100.0) * rate + 1


def test_many_clients_do_not_fill_the_memory() -> None:
    buckets = Buckets(1.0)
    for number in range(25_000):
        assert buckets.take(str(number), number / 1000) == 0
    assert len(buckets._buckets) <= 10_000


def test_pages_of_named_origins_may_read(serve: Any, own_home: Home) -> None:
    with asking(serve, own_home, cors_origins="https://gis.example, https://other.example") as client:
        asked = {
            "origin": "https://gis.example",
            "access-control-request-method": "GET",
            "access-control-request-headers": "authorization,range",
        }
        answer = client.options("/stac/search", headers=asked)
        assert answer.headers["access-control-allow-origin"] == "https://gis.example"
        assert "authorization" in answer.headers["access-control-allow-headers"]
        found = client.get("/stac/", headers={"origin": "https://gis.example"})
        assert found.headers["access-control-allow-origin"] == "https://gis.example"
        assert "access-control-allow-credentials" not in found.headers
        assert (
            "access-control-allow-origin"
            not in client.get("/stac/", headers={"origin": "https://evil.example"}).headers
        )
    with asking(serve, own_home) as client:
        assert (
            "access-control-allow-origin" not in client.get("/stac/", headers={"origin": "https://gis.example"}).headers
        )


class Served:
    """`flyonce serve` as a process of its own, with JSON logs."""

    def __init__(self, folder: Path, **settings: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port = listener.getsockname()[1]
        self.where = f"http://127.0.0.1:{self.port}"
        self.log = folder / "serve.log"
        environment = os.environ | {"FLYONCE_HOME": str(folder / "home"), "FLYONCE_LOG": "json", **settings}
        command = [sys.executable, "-m", "flyonce", "serve", "--no-worker", "--port", str(self.port)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        for _ in range(900):
            assert self.process.poll() is None, self.log.read_text()
            try:
                httpx.get(f"{self.where}/healthz")
            except httpx.TransportError:
                time.sleep(0.1)
            else:
                return
        pytest.fail(self.log.read_text())

    def stop(self, how: int = signal.SIGTERM) -> None:
        self.process.send_signal(how)
        self.process.wait(60)


def test_no_secret_reaches_the_log(tmp_path: Path, photo_of: Any) -> None:
    with Home.open(Settings(home=tmp_path / "home", database_url="", store_url="")) as home:
        home.catalog.put_items([photo_of(home, 1)])
        href = home.catalog.search(Query(limit=1)).items[0]["assets"]["original"]["href"]
    served = Served(tmp_path, FLYONCE_API_KEY=KEY)
    try:
        bearer = {"authorization": f"Bearer {KEY}"}
        link = httpx.post(f"{served.where}/api/links", json={"href": href}, headers=bearer).json()["href"]
        token = link.partition("token=")[2]
        assert httpx.get(link).status_code == 200
        assert httpx.get(link + "x").status_code == 403
        httpx.get(f"{served.where}/stac/search", params={"api_key": KEY, "limit": "x"}, headers={"x-api-key": KEY})
        httpx.get(f"{served.where}/stac/", auth=("user", KEY))
        httpx.get(f"{served.where}/stac/", headers={"authorization": "Bearer wrong-but-secret-as-well"})
        (tmp_path / "home" / "files").rename(tmp_path / "home" / "lost")  # makes /readyz fail, with a traceback
        httpx.get(f"{served.where}/readyz?token={token}")
    finally:
        served.stop()
    text = served.log.read_text()
    for secret in (KEY, token, token.rpartition(".")[2], "wrong-but-secret", "?", "api_key"):
        assert secret not in text, secret
    lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    told = [line for line in lines if line["logger"] == "flyonce.access"]
    assert {(line["route"], line["status"], line["principal"]) for line in told} >= {
        ("/assets/{sha256}/{name}", 200, "api-key"),
        ("/api/links", 200, "api-key"),
        ("/readyz", 503, "anonymous"),
    }
    assert any("error" in line for line in lines)


def test_a_server_killed_amid_requests_leaves_everything_whole(tmp_path: Path, photo_of: Any) -> None:
    """kill -9 while links are made and files are read; then the next one serves the same, with the same key."""
    with Home.open(Settings(home=tmp_path / "home", database_url="", store_url="")) as home:
        home.catalog.put_items([photo_of(home, number) for number in range(50)])
        href = home.catalog.search(Query(limit=1)).items[0]["assets"]["original"]["href"]
    links: list[str] = []
    served = Served(tmp_path, FLYONCE_API_KEY=KEY)

    def ask() -> None:
        with httpx.Client(headers={"x-api-key": KEY}) as client:
            while True:
                try:
                    links.append(client.post(f"{served.where}/api/links", json={"href": href}).json()["href"])
                    client.get(served.where + href)
                except httpx.HTTPError:
                    return

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    while len(links) < 5:
        time.sleep(0.01)
    served.stop(signal.SIGKILL)
    for thread in threads:
        thread.join()
    again = Served(tmp_path, FLYONCE_API_KEY=KEY)
    try:
        path = links[-1].partition("/assets/")[2]
        assert httpx.get(f"{again.where}/assets/{path}").status_code == 200
        assert httpx.get(f"{again.where}/api/stats", headers={"x-api-key": KEY}).json()["items"]["photos"] == 50
    finally:
        again.stop()
    with Home.open(Settings(home=tmp_path / "home", database_url="", store_url="")) as home:
        for item in home.catalog.search(Query(collections=("photos",), limit=100)).items:
            asset = item["assets"]["original"]
            assert home.asset_path(asset["href"]).stat().st_size == asset["file:size"]
        assert list((home.files.root / "incoming").iterdir()) == []
