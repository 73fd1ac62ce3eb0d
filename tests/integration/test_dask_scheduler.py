"""Rule 5 against a scheduler and workers that run as programs of their own, one of which is killed in mid-run."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from workers.cluster import connect
from workers.detect import detect
from workers.inputs import open_input
from workers.outputs import about_detection, detection_features, write_mask
from workers.testing import SPEC, label, load, patches, write_raster
from workers.vectors import encode

WORKERS = 2


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory):
    """Address of a scheduler on loopback and the process ids of its workers."""
    folder = tmp_path_factory.mktemp("dask")
    file = folder / "scheduler.json"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": folder}
    dask = [sys.executable, "-m", "dask"]
    loopback = ["--host", "127.0.0.1", "--dashboard-address", "127.0.0.1:0", "--scheduler-file", str(file)]
    started = [subprocess.Popen([*dask, "scheduler", "--port", "0", *loopback], **quiet)]
    try:
        deadline = time.monotonic() + 120
        while not file.exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        worker = [*dask, "worker", "--nthreads", "1", "--no-nanny", *loopback]
        started += [subprocess.Popen(worker, **quiet) for _ in range(WORKERS)]
        address = json.loads(file.read_text())["address"]
        with connect(scheduler=address) as client:
            client.wait_for_workers(WORKERS, timeout=120)
        yield address, [process.pid for process in started[1:]]
    finally:
        for process in reversed(started):
            process.terminate()
        for process in started:
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@pytest.fixture(scope="module")
def raster(tmp_path_factory):
    path = tmp_path_factory.mktemp("raster") / "a.tif"
    return write_raster(path, patches(np.random.default_rng(8), 400, 500))


def answer(client, raster, folder, **options):
    source = open_input(raster)
    found = detect(client, SPEC, source, folder / "raw.tif", load=load, **options)
    write_mask(folder / "raw.tif", folder / "mask.tif", source, found.grid, found.extent)
    return encode(detection_features(found, label), about_detection(found)), (folder / "mask.tif").read_bytes()


def test_a_worker_lost_in_mid_run_changes_no_byte(scheduler, raster, tmp_path):
    with connect(workers=1, processes=False) as alone:
        expected = answer(alone, raster, tmp_path, chunk=1)
    address, pids = scheduler
    with connect(scheduler=address) as client:
        assert answer(client, raster, tmp_path, chunk=5) == expected

        def kill_one(_stage, done, total):
            if done == total // 3 and pids:
                os.kill(pids.pop(), signal.SIGKILL)

        assert answer(client, raster, tmp_path, chunk=2, progress=kill_one) == expected
        assert len(pids) == WORKERS - 1
        assert len(client.scheduler_info()["workers"]) == WORKERS - 1
