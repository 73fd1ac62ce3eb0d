"""Jobs over HTTP: told as they go on, and taken back."""

import json
import threading
import time

import pytest
from starlette.testclient import TestClient

from catalog_api.app import create_app
from records import jobs
from records.engine import transaction


@pytest.fixture
def client(home):
    with TestClient(create_app(home=home), base_url="http://127.0.0.1") as client:
        yield client


@pytest.fixture
def job(home):
    with transaction(home.engine) as conn:
        return jobs.enqueue(conn, "detect", {"detector": "debris", "source": "photos/1"})


def test_a_job_tells_of_every_change_until_it_ends(client, home, job, monkeypatch):
    monkeypatch.setattr("catalog_api.routes.jobs.LOOK_SECONDS", 0.01)

    def work():
        leased = jobs.lease(home.engine, "test", 60)
        for done in (1, 2):
            time.sleep(0.3)
            pace = {"stage": "debris", "done": done, "total": 2, "per_second": 3.0, "seconds_left": 1.0}
            jobs.heartbeat(home.engine, leased, done / 2, pace=pace)
        time.sleep(0.3)
        jobs.finish(home.engine, leased, {"found": 1})

    worker = threading.Thread(target=work)
    worker.start()
    with client.stream("GET", f"/api/jobs/{job}/events") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = list(answer.iter_lines())
    worker.join()
    told = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]
    assert lines.count("event: job") == len(told)
    assert [one["progress"] for one in told if one["pace"]] == [0.5, 1.0, 1.0]
    assert told[-1]["state"] == "done"
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
