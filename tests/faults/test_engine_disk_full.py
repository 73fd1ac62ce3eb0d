"""A disk without room is named, nothing half-written stays, and the next run goes on from the tiles that were done."""

import os
import subprocess

import numpy as np
import pytest

from imagery.errors import Refused
from workers.cluster import connect
from workers.detect import detect
from workers.inputs import open_input
from workers.outputs import detection_features
from workers.results import detect_to_files
from workers.testing import SPEC, label, load, patches, write_raster
from workers.tilecache import CacheAt


@pytest.fixture
def small_disk(tmp_path, skip_lacking):
    """A file system of 200 KiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        skip_lacking("a file system of its own cannot be mounted here")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


@pytest.fixture
def client():
    with connect(workers=2, processes=False) as client:
        yield client


def test_a_full_disk_is_named_and_the_next_run_goes_on(client, small_disk, tmp_path):
    rng = np.random.default_rng(1)
    noise = np.repeat(rng.integers(0, 256, (1, 330, 400), dtype=np.uint8), 3, axis=0)
    source = open_input(write_raster(tmp_path / "a.tif", noise // 2 + patches(rng, 330, 400, 9) // 2))
    cache = CacheAt(str(tmp_path / "tiles"))
    runs = []

    def run(one, raw):
        runs.append(detect(client, SPEC, one, raw, load=load, cache=cache))
        return runs[-1]

    with (small_disk / "fill").open("wb") as fill:
        fill.write(bytes(125 << 10))
    with pytest.raises(Refused) as refusal:
        detect_to_files(run, [source], label, small_disk / "out.geojson", small_disk / "mask.tif")
    assert refusal.value.reason == "disk-full"
    assert str(small_disk) in refusal.value.message
    assert sorted(path.name for path in small_disk.iterdir()) == ["fill"]
    (tmp_path / "results").mkdir()
    summary = detect_to_files(run, [source], label, tmp_path / "out.geojson", tmp_path / "mask.tif")
    (told,) = summary["runs"]
    assert told["tiles_kept"] > 0
    assert told["failed_tiles"] == []
    fresh = detect(client, SPEC, source, tmp_path / "raw.tif", load=load)
    assert summary["found"] == len(list(detection_features(fresh, label)))


def test_a_cache_on_a_full_disk_costs_time_and_no_result(client, small_disk, tmp_path):
    source = open_input(write_raster(tmp_path / "a.tif", patches(np.random.default_rng(2), 150, 200)))
    cached = detect(client, SPEC, source, tmp_path / "a-mask.tif", load=load, cache=CacheAt(str(small_disk / "tiles")))
    plain = detect(client, SPEC, source, tmp_path / "b-mask.tif", load=load)
    assert cached.analysis.failed == ()
    assert list(cached.analysis.regions) == list(plain.analysis.regions)
    assert cached.analysis.cells == plain.analysis.cells
