"""The same answers on one to four real worker processes, and when one of them is killed in mid-run."""

import os
import signal
import time

import numpy as np
import pytest

from imagery.errors import Refused
from workers.cluster import connect
from workers.detect import detect
from workers.environment import WORKER_ENVIRONMENT
from workers.inputs import open_input
from workers.outputs import about_detection, detection_features, write_mask
from workers.run import Done, Failed, spread
from workers.testing import SPEC, label, load, patches, write_raster
from workers.vectors import encode


@pytest.fixture(scope="module")
def client():
    with connect(workers=2, on_cores=True) as client:
        yield client


def test_threads_and_memory_are_set_before_the_process_starts(client):
    def environment():
        import os

        return dict(os.environ)

    for seen in client.run(environment).values():
        assert {name: seen.get(name) for name in WORKER_ENVIRONMENT} == WORKER_ENVIRONMENT


def test_no_worker_looks_at_the_stacks_of_its_threads(client):
    """Which may wait for ever (python/cpython#106883)."""

    def looks(dask_worker):
        return "profile" in dask_worker.periodic_callbacks

    with connect(workers=1, processes=False) as in_threads:
        assert [*client.run(looks).values(), *in_threads.run(looks).values()] == [False, False, False]


def test_a_worker_killed_in_mid_run_loses_no_item(client):
    def slow_squares(items):
        import time

        time.sleep(0.05)
        return [item * item for item in items]

    answers = spread(client, slow_squares, range(60), chunk=3)
    first = [next(answers) for _ in range(6)]
    os.kill(next(iter(client.run(os.getpid).values())), signal.SIGKILL)
    everything = first + list(answers)
    assert sorted((done.item, done.answer) for done in everything) == [(n, n * n) for n in range(60)]


def test_an_item_that_kills_its_worker_is_isolated(client):
    def deadly(items):
        import os
        import signal

        if 7 in items:
            os.kill(os.getpid(), signal.SIGKILL)
        return list(items)

    answers = list(spread(client, deadly, range(16), chunk=4))
    assert [(type(a), a.item) for a in answers if isinstance(a, Failed)] == [(Failed, 7)]
    assert sorted(a.item for a in answers if isinstance(a, Done)) == [n for n in range(16) if n != 7]


def test_a_scheduler_that_is_not_there_is_refused_by_its_address():
    start = time.monotonic()
    with pytest.raises(Refused, match=r"127\.0\.0\.1:9") as refusal, connect(scheduler="tcp://127.0.0.1:9"):
        pass
    assert refusal.value.reason == "no-scheduler"
    assert time.monotonic() - start < 60


def test_one_to_four_processes_give_the_same_bytes(client, tmp_path):
    """The whole raster, on as many processes as the cluster has at the time."""
    source = open_input(write_raster(tmp_path / "a.tif", patches(np.random.default_rng(8), 100, 120)))

    def answer(client, **options):
        found = detect(client, SPEC, source, tmp_path / "raw.tif", load=load, **options)
        write_mask(tmp_path / "raw.tif", tmp_path / "mask.tif", source, found.grid, found.extent)
        return encode(detection_features(found, label), about_detection(found)), (tmp_path / "mask.tif").read_bytes()

    def scale(workers):
        client.cluster.scale(workers)
        deadline = time.monotonic() + 300
        while len(client.nthreads()) != workers:
            assert time.monotonic() < deadline, f"the cluster did not come to {workers} workers"
            time.sleep(0.05)

    with connect(workers=1, processes=False) as alone:
        expected = answer(alone, chunk=1)
    for workers, chunk in ((4, 1), (3, 2), (2, 7), (1, 5)):
        scale(workers)
        assert answer(client, chunk=chunk) == expected, workers
