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
