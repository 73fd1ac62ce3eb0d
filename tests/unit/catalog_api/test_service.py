"""Files, events, jobs, and what stands before them all."""

import base64
import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from catalog_api import docs
from catalog_api.guard import check_address
from imagery.errors import Refused
from records import jobs
from records.engine import transaction
from records.settings import Settings
from tickets import store
from tickets.values import Evidence, Sighting
from workers.home import Home

ROOT = Path(__file__).parents[3]
Ask = Callable[..., httpx.Response]


def test_a_file_is_served_whole_with_its_type_and_hash(client: httpx.Client, kept: Any) -> None:
    answer = client.get(kept.path)
    assert answer.content == kept.content
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["etag"] == f'"{kept.sha256}"'
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"].startswith("sandbox")
    assert "inline" in answer.headers["content-disposition"]


def test_the_file_is_the_one_that_items_point_to(client: httpx.Client, kept: Any) -> None:
    item = client.get("/stac/search", params={"limit": 1}).json()["features"][0]
    assert client.get(item["assets"]["original"]["href"]).content == kept.content


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [("bytes=0-9", 0, 10), ("bytes=100-", 100, None), ("bytes=-7", -7, None), ("bytes=5-5", 5, 6)],
)
def test_ranges(client: httpx.Client, kept: Any, asked: str, first: int, last: int | None) -> None:
    answer = client.get(kept.path, headers={"range": asked})
    assert answer.status_code == 206
    assert answer.content == kept.content[first:last]
    start = first % len(kept.content)
    assert answer.headers["content-range"] == f"bytes {start}-{start + len(answer.content) - 1}/{len(kept.content)}"


def test_a_range_behind_the_end(client: httpx.Client, kept: Any) -> None:
    assert client.get(kept.path, headers={"range": f"bytes={len(kept.content)}-"}).status_code == 416


def test_a_range_of_another_version_gives_the_whole(client: httpx.Client, kept: Any) -> None:
    other = client.get(kept.path, headers={"range": "bytes=0-9", "if-range": '"other"'})
    same = client.get(kept.path, headers={"range": "bytes=0-9", "if-range": f'"{kept.sha256}"'})
    assert (other.status_code, same.status_code) == (200, 206)


@pytest.mark.parametrize("tag", ['"{}"', 'W/"{}"', '"x", "{}"', "*"])
def test_what_is_known_already_is_not_sent_again(client: httpx.Client, kept: Any, tag: str) -> None:
    answer = client.get(kept.path, headers={"if-none-match": tag.format(kept.sha256)})
    assert (answer.status_code, answer.content) == (304, b"")
    assert client.get(kept.path, headers={"if-none-match": '"other"'}).status_code == 200


def test_head_tells_the_size_and_sends_nothing(client: httpx.Client, kept: Any) -> None:
    answer = client.head(kept.path)
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-length"] == str(len(kept.content))
    assert answer.headers["accept-ranges"] == "bytes"


@pytest.mark.parametrize(
    "path",
    [
        "/assets/{sha}/other.jpg",
        "/assets/{sha}/",
        "/assets/{other}/DJI%200001.JPG",
        "/assets/{sha}/..%2f..%2fflyonce.sqlite",
        "/assets/..%2f..%2fflyonce.sqlite/x",
        "/assets/%2e%2e/%2e%2e/flyonce.sqlite",
        "/assets/{upper}/DJI%200001.JPG",
        "/assets/' OR 1=1 --/x",
        "/assets/{sha}/DJI%200001.JPG%00",
        "/console/..%2f..%2fapp.py",
        "/console/%2e%2e/%2e%2e/app.py",
    ],
)
def test_no_path_leads_out_of_the_store(client: httpx.Client, kept: Any, path: str) -> None:
    path = path.format(sha=kept.sha256, other="0" * 64, upper=kept.sha256.upper())
    answer = client.get(path)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_file_that_no_item_names_is_not_served(client: httpx.Client, filled: Home) -> None:
    quarantined = filled.files.put_bytes(b"<script>alert(1)</script>")
    assert client.get(f"/assets/{quarantined.sha256}/x.html").status_code == 404


def test_jobs_are_told_without_the_secret_of_their_lease(client: httpx.Client, filled: Home) -> None:
    with transaction(filled.engine) as conn:
        name = jobs.enqueue(conn, "ingest", {"paths": ["/x"]})
    assert jobs.lease(filled.engine, "w", 60) is not None
    found = client.get("/api/jobs").json()["jobs"]
    assert [job["id"] for job in found] == [name]
    assert found[0]["state"] == "running"
    assert client.get(f"/api/jobs/{name}").json() == found[0]
    assert "lease" not in json.dumps(found)
    assert client.get("/api/jobs/nothing").status_code == 404
    assert client.get("/api/jobs", params={"limit": 0}).json()["field"] == "limit"


def test_events_are_told_with_their_evidence_and_history(client: httpx.Client, filled: Home) -> None:
    sighting = Sighting(
        id="changes/r1/1",
        class_="spoil_heap",
        geometry={"type": "Polygon", "coordinates": [[[102.7, 25], [102.7001, 25], [102.7001, 25.0001], [102.7, 25]]]},
        score=0.9,
        area_m2=50.0,
        error_m=1.0,
        seen=datetime(2026, 5, 1, tzinfo=UTC),
        run="changes/r1",
        flight="f1",
        evidence=Evidence(before="/assets/a/b.jpg", after="/assets/c/d.jpg"),
    )
    with transaction(filled.engine) as conn:
        (name,) = store.record(conn, [sighting])
    (event,) = client.get("/api/events", params={"state": "candidate"}).json()["events"]
    assert (event["id"], event["class"], event["code"]) == (name, "spoil_heap", "06011")
    assert event["evidence"]["after"] == "/assets/c/d.jpg"
    assert client.get("/api/events", params=[("state", "filed"), ("state", "closed")]).json() == {"events": []}
    assert len(client.get("/api/events", params=[("state", "filed"), ("state", "candidate")]).json()["events"]) == 1
    one = client.get(f"/api/events/{name}").json()
    assert [seen["id"] for seen in one["sightings"]] == ["changes/r1/1"]
    assert one["history"]
    assert client.get("/api/stats").json()["events"] == {"candidate": 1}
    assert client.get("/api/stats").json()["items"]["photos"] == 12
    assert client.get("/api/events/nothing").status_code == 404
    assert client.get("/api/events", params={"state": "lost"}).json()["field"].startswith("state")


def test_the_root_leads_to_the_console(client: httpx.Client) -> None:
    assert client.get("/").headers["location"] == "/console/"
    page = client.get("/console/")
    assert page.headers["content-type"].startswith("text/html")
    assert "worker-src 'self' blob:" in page.headers["content-security-policy"]
    assert client.get("/docs").text.count("<dt>") > 10


def test_only_this_machine_is_answered_without_a_key(client: httpx.Client) -> None:
    port = client.base_url.port
    for name in (f"localhost:{port}", f"127.0.0.1:{port}", f"[::1]:{port}", "LOCALHOST"):
        assert client.get("/healthz", headers={"host": name}).status_code == 200, name
    for name in ("flyonce.example", "127.0.0.1.evil.example", "localhost.evil.example:8000", "", "[::2]", "10.0.0.1"):
        answer = client.get("/stac", headers={"host": name})
        assert answer.status_code in (400, 403), name


def basic(password: str, user: str = "") -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def test_with_a_key_nothing_is_told_without_it(locked: Ask, kept: Any) -> None:
    for path in ("/stac/", "/stac/search", kept.path, "/api/events", "/api/jobs", "/console/", "/", "/openapi.json"):
        answer = locked(path)
        assert answer.status_code == 401, path
        assert "Bearer" in answer.headers["www-authenticate"]
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert locked("/healthz").json() == {"status": "ok"}
    assert locked("/schemas/flyonce-v1.0.0.json").status_code == 200


def test_the_key_opens(locked: Ask, kept: Any) -> None:
    key = "s3cret é".encode()
    for headers in ({"authorization": b"Bearer " + key}, basic("s3cret é", "anyone"), {"x-api-key": key}):
        answer = locked(kept.path, headers=headers)
        assert answer.content == kept.content, headers
        assert locked("/stac/search", headers={**headers, "host": "flyonce.example"}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": "Bearer wrong"},
        {"authorization": "Bearer s3cret"},
        {"authorization": "bearer"},
        {"authorization": "Basic !!!"},
        {"authorization": "Digest s3cret"},
        {"x-api-key": "wrong"},
        basic("wrong"),
        basic("", "s3cret é"),
    ],
)
def test_a_wrong_key_does_not_open(locked: Ask, headers: dict[str, str]) -> None:
    assert locked("/stac", headers=headers).status_code == 401


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "flyonce.example", ""])
def test_serving_to_others_wants_a_key(host: str) -> None:
    settings = Settings(api_key=None)
    with pytest.raises(Refused) as refused:
        check_address(host, settings)
    assert "FLYONCE_API_KEY" in refused.value.remedy
    check_address(host, settings.model_copy(update={"api_key": SecretStr("long")}))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.8.8.8"])
def test_serving_to_this_machine_needs_none(host: str) -> None:
    check_address(host, Settings(api_key=None))


def test_the_service_never_loads_torch_or_dask() -> None:
    code = "import catalog_api.app, sys; print([m for m in ('torch', 'dask', 'distributed') if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert found.stdout.strip() == "[]"


def test_the_kept_openapi_document_is_the_one_that_is_served(client: httpx.Client) -> None:
    """`python -m catalog_api.docs > docs/openapi.json` writes it anew; look at what changed before you do."""
    assert (ROOT / "docs" / "openapi.json").read_text("utf-8") == docs.text()
    assert client.get("/openapi.json").json() == docs.document()
