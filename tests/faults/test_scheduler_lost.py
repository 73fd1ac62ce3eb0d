"""The Dask scheduler is killed in mid-run: told by name, and the next run goes on from the tiles that were done."""

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
from workers.run import SchedulerLostError
from workers.testing import SPEC, load, patches, write_raster
from workers.tilecache import CacheAt


def test_a_scheduler_killed_in_mid_run_is_told_and_nothing_done_is_lost(tmp_path):
    source = open_input(write_raster(tmp_path / "a.tif", patches(np.random.default_rng(8), 150, 200)))
    cache = CacheAt(str(tmp_path / "tiles"))
    file = tmp_path / "scheduler.json"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": tmp_path}
    loopback = ["--host", "127.0.0.1", "--scheduler-file", str(file)]
    dask = [sys.executable, "-m", "dask"]
    scheduler = subprocess.Popen([*dask, "scheduler", "--port", "0", "--no-dashboard", *loopback], **quiet)
    worker = None
    try:
        deadline = time.monotonic() + 120
        while not file.exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        worker = subprocess.Popen(
            [*dask, "worker", "--nthreads", "1", "--no-nanny", "--no-dashboard", *loopback], **quiet
        )
        with connect(scheduler=json.loads(file.read_text())["address"]) as client:
            client.wait_for_workers(1, timeout=120)

            def kill(_stage, done, total):
                if done == total // 3:
                    os.kill(scheduler.pid, signal.SIGKILL)

            with pytest.raises(SchedulerLostError, match="run it again"):
                detect(client, SPEC, source, tmp_path / "m.tif", load=load, cache=cache, chunk=1, progress=kill)
    finally:
        for process in filter(None, (worker, scheduler)):
            process.kill()
            process.wait()
    with connect(workers=1, processes=False) as alone:
        found = detect(alone, SPEC, source, tmp_path / "m.tif", load=load, cache=cache)
        fresh = detect(alone, SPEC, source, tmp_path / "n.tif", load=load)
    assert found.analysis.kept >= found.analysis.tiles // 3
    assert list(found.analysis.regions) == list(fresh.analysis.regions)
