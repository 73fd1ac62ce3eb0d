"""kill -9 of all that `flyonce change` started, once in each pass: no tile is lost, none that was done is redone."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from detectors import change
from records.settings import Settings
from tickets.codes import load_codes
from workers.change import compare
from workers.cluster import TASKS_A_WORKER, connect
from workers.inputs import open_input
from workers.labels import labels_of
from workers.results import change_to_files
from workers.testing import soil, write_raster

GSD = 0.1
SMALL = {"core": 64, "halo": 32}
"""Windows small enough for a test."""
LINK = 47 + 64
"""Bytes of an entry that names a window's pixels: an entry's head and a digest."""

PROGRAM = """
import os, sys, time
from dataclasses import replace
from pathlib import Path

from detectors import change

folder, stop = Path(os.environ["FOLDER"]), int(os.environ["STOP"])
change.spec = replace(change.spec, **SMALL)

def counted(name):
    work = getattr(change, name)

    def working(*args):
        log = folder / "worked"
        while stop and log.exists() and log.stat().st_size // 8 >= stop:
            time.sleep(60)  # until it is killed
        answer = work(*args)
        file = os.open(log, os.O_APPEND | os.O_CREAT | os.O_WRONLY)
        os.write(file, f"{name[-7:]:>7}\\n".encode())
        os.close(file)
        return answer

    return working

for name in ("observe_shift", "observe_light", "compare"):
    setattr(change, name, counted(name))

if __name__ == "__main__":
    from flyonce.cli import app

    app()
"""
"""`flyonce` with `SMALL` windows, whose passes log what they worked on and stand still after `STOP`."""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM.replace("SMALL", repr(SMALL)))
    before = soil(np.random.default_rng(5), 230, 300)
    after = np.clip(before * 0.9 + 8, 1, 255).astype(np.uint8)
    for row, col in ((50, 40), (110, 180), (170, 100)):  # each over a seam
        after[:, row : row + 30, col : col + 40] = [[[220]], [[110]], [[60]]]
    after[:, :, 280:] = 0
    for name, data in (("before", before), ("after", after)):
        write_raster(tmp_path / f"{name}.tif", data, gsd=GSD)
    return tmp_path


class Runs:
    """`flyonce change` over the two dates of a folder, with a cache and a log of what was worked on."""

    def __init__(self, folder):
        self.folder = folder

    def start(self, workers, stop=0):
        dates = [str(self.folder / f"{date}.tif") for date in ("before", "after")]
        outputs = ["--out", str(self.folder / "out.geojson"), "--mask", str(self.folder / "mask.tif"), "--json"]
        command = [sys.executable, str(self.folder / "program.py"), "change", *dates, *outputs]
        tiles = str(self.folder / "tiles")
        environment = {**os.environ, "FOLDER": str(self.folder), "STOP": str(stop), "FLYONCE_CACHE": tiles}
        return subprocess.Popen(
            [*command, "--workers", str(workers)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            text=True,
        )

    def finish(self, workers):
        with self.start(workers) as process:
            out, errors = process.communicate()
        assert process.returncode == 0, errors
        return json.loads(out)["runs"][0]

    def kill_after(self, stop, workers):
        with self.start(workers, stop) as process:
            while self.worked().total() < stop:
                assert process.poll() is None, process.stderr.read()
                time.sleep(0.02)
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()  # until the last of the group is gone and its end of the pipes with it

    def worked(self):
        """How many windows each pass has worked on, in all runs."""
        log = self.folder / "worked"
        return Counter(log.read_text().split()) if log.exists() else Counter()

    def kept(self):
        """Answers in the cache."""
        entries = (path for path in self.folder.glob("tiles/??/*") if not path.name.startswith("."))
        return sum(path.stat().st_size != LINK or not path.read_bytes()[-64:].isalnum() for path in entries)


@pytest.fixture
def expected(folder, monkeypatch):
    """Tiles, GeoJSON and mask of a run that nobody disturbs."""
    monkeypatch.setattr(change, "spec", replace(change.spec, **SMALL))
    dates = [open_input(folder / f"{date}.tif") for date in ("before", "after")]
    out, mask = folder / "expected.geojson", folder / "expected.tif"
    with connect(workers=1, processes=False) as alone:
        labels = labels_of(load_codes(Settings().codes))
        told = change_to_files(lambda raw: compare(alone, *dates, raw), labels, out, mask)
    assert told["found"] >= 3, "there is something to be lost"
    return told["runs"][0]["tiles"], out.read_bytes(), mask.read_bytes()


def test_a_comparison_killed_in_each_pass_ends_as_if_it_never_had_been(folder, expected):
    tiles, geojson, mask = expected
    runs, seed = Runs(folder), random.randrange(2**32)
    print("seed", seed)
    draw, in_flight = random.Random(seed), 0
    for workers, first, last in ((2, 1, 2 * tiles - 1), (1, 2 * tiles + 1, 3 * tiles - 1)):
        runs.kill_after(draw.randint(first, last), workers)  # the pair model is fitted at 2 * tiles
        in_flight += workers * TASKS_A_WORKER
    before, kept = runs.worked().total(), runs.kept()
    assert before - in_flight <= kept <= before
    told = runs.finish(workers=2)
    assert told["tiles"] == tiles
    assert runs.worked().total() == before + 3 * tiles - kept, "what was kept is not worked on, and all else is"
    assert min(runs.worked().values()) >= tiles
    assert (folder / "out.geojson").read_bytes() == geojson
    assert (folder / "mask.tif").read_bytes() == mask
