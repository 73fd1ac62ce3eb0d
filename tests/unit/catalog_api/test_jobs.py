"""Jobs over HTTP: told as they go on, and taken back."""

import json

import httpx
import pytest
from pydantic import SecretStr
from starlette.testclient import TestClient

from catalog_api.app import create_app
from records import jobs
from records.engine import transaction
from workers.jobs import ChangeJob, DetectJob, from_row


@pytest.fixture
def client(home):
    with TestClient(create_app(home=home), base_url="http://127.0.0.1") as client:
        yield client


@pytest.fixture
def job(home):
    with transaction(home.engine) as conn:
        return jobs.enqueue(conn, "detect", {"detector": "debris", "source": "photos/1"})


def test_a_job_tells_of_every_change_until_it_ends(home, job, serve, monkeypatch):
    monkeypatch.setattr("catalog_api.routes.jobs.LOOK_SECONDS", 0.01)

    def work():
        leased = jobs.lease(home.engine, "test", 60)
        yield
        for done in (1, 2):
            pace = {"stage": "debris", "done": done, "total": 2, "per_second": 3.0, "seconds_left": 1.0}
            jobs.heartbeat(home.engine, leased, done / 2, pace=pace)
            yield
        jobs.finish(home.engine, leased, {"found": 1})

    steps, told = work(), []
    with serve(create_app(home=home)) as address, httpx.stream("GET", f"{address}/api/jobs/{job}/events") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        for line in answer.iter_lines():
            if line.startswith("data: "):
                told.append(json.loads(line.removeprefix("data: ")))
                next(steps, None)  # the next change once this one was told
            else:
                assert line in ("", "event: job")
    assert [one["progress"] for one in told] == [None, None, 0.5, 1.0, 1.0]
    assert [one["state"] for one in told] == ["queued", "running", "running", "running", "done"]
    assert told[-1]["result"] == {"found": 1}
    assert all("lease" not in one for one in told)


def test_a_job_is_cancelled_once_and_for_all(client, home, job):
    answer = client.post(f"/api/jobs/{job}/cancel")
    assert answer.json()["state"] == "cancelled"
    assert jobs.lease(home.engine, "test", 60) is None
    assert client.get(f"/api/jobs/{job}").json()["state"] == "cancelled"
    with client.stream("GET", f"/api/jobs/{job}/events") as stream:
        assert sum(line.startswith("data: ") for line in stream.iter_lines()) == 1


@pytest.mark.parametrize("address", ["/api/jobs/none/cancel", "/api/jobs/none/events"])
def test_a_job_that_is_not_there_is_not_found(client, address):
    answer = client.post(address) if address.endswith("cancel") else client.get(address)
    assert answer.status_code == 404


@pytest.fixture
def captures(home, photo_of):
    """Two photos whose pixels may be seen."""
    items = [photo_of(home, number) for number in (1, 2)]
    home.catalog.put_items(items)
    return [f"photos/{item['id']}" for item in items]


def test_a_job_that_is_asked_for_waits_is_listed_and_can_be_followed(client, home, captures):
    one, other = captures
    orders = [
        {"kind": "detect", "detector": "debris", "source": one, "dtype": "bfloat16", "propose": False},
        {"kind": "change", "before": one, "after": other, "gsd": 0.05},
    ]
    answers = [client.post("/api/jobs", json=order) for order in orders]
    assert [answer.status_code for answer in answers] == [201, 201]
    put = [from_row(row.kind, row.payload) for row in reversed(jobs.recent(home.engine))]
    assert put == [DetectJob("debris", one, propose=False, dtype="bfloat16"), ChangeJob(one, other, 0.05)]
    for answer in answers:
        assert answer.json()["state"] == "queued"
        assert client.get(answer.headers["location"]).json() == answer.json()
        client.post(answer.headers["location"] + "/cancel")
        with client.stream("GET", answer.headers["location"] + "/events") as stream:
            assert any("cancelled" in line for line in stream.iter_lines())
    assert {job["id"] for job in client.get("/api/jobs").json()["jobs"]} == {each.json()["id"] for each in answers}


GOOD = {"kind": "detect", "detector": "debris", "source": "photos/1"}


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"kind": "ingest", "paths": ["/etc"]}, 400),
        ({"kind": None}, 400),
        ({"detector": "../x"}, 400),
        ({"detector": ""}, 400),
        ({"source": "/etc/passwd"}, 400),
        ({"source": "models/debris-2"}, 400),
        ({"source": "photos/a b"}, 400),
        ({"source": "photos/none"}, 404),
        ({"source": "videos/none"}, 404),
        ({"change": "changes/none"}, 404),
        ({"change": "photos/1"}, 400),
        ({"gsd": 0}, 400),
        ({"gsd": 1e9}, 400),
        ({"gsd": "NaN"}, 400),
        ({"dtype": "int8"}, 400),
        ({"more": 1}, 400),
    ],
)
def test_an_order_that_cannot_be_carried_out_is_a_problem_and_no_job(client, home, captures, change, status):
    answer = client.post("/api/jobs", json={**GOOD, "source": captures[0], **change})
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert jobs.recent(home.engine) == []


def test_bodies_that_are_no_order_are_problems(client, home):
    for content in (b"", b"[]", b"null", b'"detect"', b"{", b"\xff"):
        answer = client.post("/api/jobs", content=content, headers={"content-type": "application/json"})
        assert answer.status_code == 400, content
        assert answer.headers["content-type"] == "application/problem+json"
    assert jobs.recent(home.engine) == []


def test_only_who_may_write_asks_for_jobs_or_takes_them_back(home, job, captures):
    settings = home.settings.model_copy(update={"api_key": SecretStr("secret")})
    with TestClient(create_app(settings, home), base_url="http://127.0.0.1") as client:
        order, key = {**GOOD, "source": captures[0]}, {"authorization": "Bearer secret"}
        assert client.post("/api/jobs", json=order).status_code == 401
        assert client.post(f"/api/jobs/{job}/cancel").status_code == 401
        elsewhere = key | {"sec-fetch-site": "cross-site"}
        for answer in (
            client.post("/api/jobs", json=order, headers=elsewhere),
            client.post(f"/api/jobs/{job}/cancel", headers=elsewhere),
        ):
            assert (answer.status_code, answer.json()["code"]) == (403, "not-allowed")
        assert client.post("/api/jobs", json=order, headers=key).status_code == 201
    assert [row.state for row in jobs.recent(home.engine)] == [jobs.State.QUEUED] * 2
