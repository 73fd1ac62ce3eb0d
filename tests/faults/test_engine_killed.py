"""kill -9 of driver, scheduler and workers together, again and again: no tile is lost, none that was done is redone."""

import os
import random
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

LINK_BYTES = 111
"""An entry that names a window's pixels; larger ones are tiles' answers."""

PROGRAM = """
import os, sys, time
from pathlib import Path

from workers.cluster import connect
from workers.detect import detect
from workers.inputs import open_input
from workers.outputs import about_detection, detection_features, write_mask
from workers.testing import SPEC, Bright, label
from workers.tilecache import CacheAt
from workers.vectors import encode

folder = Path(sys.argv[1])

class Slow(Bright):
    def scores(self, pixels, valid):
        found = super().scores(pixels, valid)
        time.sleep(0.03)
        log = os.open(folder / "scored", os.O_APPEND | os.O_CREAT | os.O_WRONLY)
        os.write(log, b"." * int(valid.flatten(1).any(1).sum()))
        os.close(log)
        return found

def load(name, device="cpu"):
    return Slow()

if __name__ == "__main__":
    source = open_input(folder / "a.tif")
    with connect(workers=2) as client:
        found = detect(
            client, SPEC, source, folder / "raw.tif", load=load, cache=CacheAt(str(folder / "tiles")),
            progress=lambda _stage, done, _total: print(done, flush=True),
        )
    write_mask(folder / "raw.tif", folder / "mask.tif", source, found.grid, found.extent)
    (folder / "out.geojson").write_bytes(encode(detection_features(found, label), about_detection(found)))
    (folder / "kept").write_text(str(found.analysis.kept))
"""


def answers_kept(folder):
    return sum(path.stat().st_size != LINK_BYTES for path in folder.glob("tiles/??/[0-9a-f]*"))


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM)
    write_raster(tmp_path / "a.tif", patches(np.random.default_rng(8), 160, 200))
    return tmp_path


def test_a_run_killed_again_and_again_ends_as_if_it_never_had_been(folder):
    source = open_input(folder / "a.tif")
    with connect(workers=1, processes=False) as alone:
        whole = detect(alone, SPEC, source, folder / "whole.tif", load=load)
    write_mask(folder / "whole.tif", folder / "expected.tif", source, whole.grid, whole.extent)
    expected = encode(detection_features(whole, label), about_detection(whole))

    command = [sys.executable, str(folder / "program.py"), str(folder)]
    seed = random.randrange(2**32)
    print("seed", seed)
    pauses, kills = random.Random(seed), 0
    for attempt in range(3):
        before = answers_kept(folder)
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True, text=True
        )
        with process:
            if attempt < 2:
                goal = min(whole.analysis.tiles - 30, before + 30)
                for line in process.stdout:
                    if int(line) >= goal:
                        break
                time.sleep(pauses.uniform(0, 0.1))
                os.killpg(process.pid, signal.SIGKILL)
                kills += 1
            process.communicate()
    assert process.returncode == 0
    assert (folder / "out.geojson").read_bytes() == expected
    assert (folder / "mask.tif").read_bytes() == (folder / "expected.tif").read_bytes()
    assert int((folder / "kept").read_text()) == before > 0, "all that was kept was used"
    scored = (folder / "scored").stat().st_size
    in_flight = 2 * 2 * 4 * SPEC.batch  # two workers of two tasks with a few batches between their stages
    assert answers_kept(folder) <= scored <= whole.analysis.tiles + kills * in_flight
