"""The queue from ingest to a filed ticket: jobs run once, say how they ended, and can be repeated."""

import json

import numpy as np
import pytest

from records import jobs
from records.engine import transaction
from stac.store import Query
from tickets import store
from tickets.codes import load_codes
from workers.captures import get_item
from workers.jobs import ChangeJob, DetectJob, IngestJob
from workers.loop import Engine, Heartbeat, LeaseLostError, perform, work
from workers.testing import write_raster

pytestmark = pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")  # rasterio's own


class Local(Engine):
    """Uses the cluster of threads that the tests share."""

    def __init__(self, client):
        super().__init__("", 1)
        self._shared = client

    def client(self, *, on_cores=False):
        return self._shared


def put(home, *wanted):
    with transaction(home.engine) as conn:
        return [jobs.enqueue(conn, job.kind, job.to_payload()) for job in wanted]


def run_one(home, client):
    row = jobs.lease(home.engine, "test", 60)
    perform(home, Local(client), load_codes(), row)
    return jobs.get(home.engine, row.id)


@pytest.fixture
def flights(tmp_path):
    """Two orthophotos of 20 m x 20 m at 5 cm; a patch of the second is new."""
    rng = np.random.default_rng(4)
    ground = np.clip(rng.normal(110, 25, (3, 100, 100)).repeat(4, 1).repeat(4, 2), 1, 255)
    folders = []
    for name in ("before", "after"):
        folder = tmp_path / name
        folder.mkdir()
        data = np.clip(ground + rng.normal(0, 3, ground.shape), 1, 255).astype(np.uint8)
        if name == "after":
            data[:, 150:230, 120:220] = np.array([230, 60, 60], dtype=np.uint8)[:, None, None]
        write_raster(folder / "ortho.tif", data, gsd=0.05)
        folders.append(str(folder))
    return folders


def test_two_flights_are_compared_and_the_run_is_an_item_with_its_lineage(home, clusters, flights):
    put(home, *(IngestJob((folder,), f"flight-{n}", "UAV") for n, folder in enumerate(flights)))
    reports = [run_one(home, clusters[2]) for _ in flights]
    assert [row.state for row in reports] == [jobs.State.DONE] * 2
    before, after = (row.result["accepted"][0]["item"] for row in reports)
    put(home, ChangeJob(before, after))
    row = run_one(home, clusters[2])
    assert row.state is jobs.State.DONE, row.error
    item = get_item(home, row.result["item"])
    derived = [link["href"] for link in item["links"] if link["rel"] == "derived_from"]
    assert [href.rsplit("/", 1)[1] for href in derived[:2]] == [before.split("/")[1], after.split("/")[1]]
    features = json.loads(home.asset_path(item["assets"]["features"]["href"]).read_text("utf-8"))["features"]
    assert features
    for number in range(1, len(features) + 1):
        for date in ("before", "after"):
            picture = home.asset_path(item["assets"][f"{date}-{number:04d}"]["href"]).read_bytes()
            assert picture.startswith(b"\xff\xd8")
    assert {"features", "mask", "thumbnail"} <= set(item["assets"])
    stored = sum(1 for path in home.settings.files_dir.rglob("*") if path.is_file())
    put(home, ChangeJob(before, after))
    again = run_one(home, clusters[2])
    assert again.result["item"] == row.result["item"]
    assert len(home.catalog.search(Query(collections=("changes",))).items) == 1
    assert sum(1 for path in home.settings.files_dir.rglob("*") if path.is_file()) == stored

    put(home, DetectJob("debris", after, change=row.result["item"]))
    found = run_one(home, clusters[2])
    assert found.state is jobs.State.DONE, found.error
    put(home, DetectJob("debris", after, change=row.result["item"]))
    repeated = run_one(home, clusters[2])
    effort = repeated.result.pop("effort")
    assert effort["tiles"] == 0 < found.result.pop("effort")["tiles"], "the run is in the catalogue already"
    assert repeated.result == found.result
    with home.engine.connect() as conn:
        events = store.find(conn)
    assert sorted(event.id for event in events) == sorted(set(found.result["events"]))


def test_a_refused_job_fails_at_once_and_says_why(home, clusters):
    put(home, DetectJob("debris", "orthophotos/none"))
    row = run_one(home, clusters[1])
    assert row.state is jobs.State.FAILED
    assert "orthophotos/none" in row.error


def test_findings_in_a_photo_without_pose_are_kept_though_nothing_can_be_proposed(home, clusters, data):
    put(home, IngestJob((str(data / "flights/caliterra_east/IMG_9361.jpg"),), "east", "UAV"))
    photo = run_one(home, clusters[1]).result["accepted"][0]["item"]
    put(home, DetectJob("debris", photo))
    row = run_one(home, clusters[2])
    assert row.state is jobs.State.DONE, row.error
    assert row.result["events"] == []
    assert "pose" in row.result["notes"][0]
    effort = row.result["effort"]
    assert effort["tiles"] > 0 == effort["tiles_kept"] == effort["seconds_saved"]
    assert effort["seconds_spent"] > 0
    assert get_item(home, row.result["item"])["properties"]["flyonce:inputs"] == [
        get_item(home, photo)["assets"]["original"]["file:checksum"].removeprefix("1220")
    ]


def test_a_payload_of_another_version_fails_with_its_reason(home, clusters):
    with transaction(home.engine) as conn:
        jobs.enqueue(conn, "detect", {"detector": "debris", "source": "photos/1", "colour": "red"})
    row = run_one(home, clusters[1])
    assert row.state is jobs.State.FAILED
    assert "colour" in row.error


def test_once_ends_when_the_queue_is_empty(home):
    put(home, IngestJob(("/nowhere/at/all",), "f", "UAV"))
    assert work(home, once=True) == 0
    (row,) = jobs.recent(home.engine)
    assert row.state is jobs.State.FAILED
    assert "nowhere" in row.error


def test_a_lost_lease_stops_the_work(home, monkeypatch):
    monkeypatch.setattr("workers.loop.BEAT_SECONDS", 0.01)
    put(home, IngestJob(("a",), "f", "UAV"))
    row = jobs.lease(home.engine, "first", 0)
    second = jobs.lease(home.engine, "second", 60)
    assert second.id == row.id
    with Heartbeat(home, row) as heart:
        assert heart._lost.wait(20)
        with pytest.raises(LeaseLostError):
            heart.progress("x", 1, 2)
    assert jobs.get(home.engine, row.id).worker == "second"


def test_a_job_cancelled_in_mid_run_stops_and_writes_nothing(home, clusters, flights, monkeypatch):
    monkeypatch.setattr("workers.loop.BEAT_SECONDS", 0.01)
    put(home, IngestJob((flights[0],), "flight", "UAV"))
    item = run_one(home, clusters[1]).result["accepted"][0]["item"]
    put(home, DetectJob("debris", item))
    row = jobs.lease(home.engine, "test", 60)
    told = []

    def cancelled_at_first_progress(self, what, done, total):
        told.append(done)
        jobs.cancel(home.engine, row.id)
        self._lost.wait(20)
        progress(self, what, done, total)

    progress = Heartbeat.progress
    monkeypatch.setattr(Heartbeat, "progress", cancelled_at_first_progress)
    assert not perform(home, Local(clusters[1]), load_codes(), row)
    assert told == [0]
    ended = jobs.get(home.engine, row.id)
    assert (ended.state, ended.result, ended.error) == (jobs.State.CANCELLED, None, None)
    assert not home.catalog.search(Query(collections=("detections",))).items
