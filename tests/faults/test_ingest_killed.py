"""kill -9 in mid-ingest, as often as it takes: nothing is lost, nothing is there twice."""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter

import numpy as np
import pytest

from records import receipts
from records.objects import open_files
from records.receipts import Outcome
from records.settings import Settings
from stac.store import Query
from workers.home import Home
from workers.testing import patches, write_raster

FILES = 8


@pytest.fixture
def card(tmp_path):
    folder = tmp_path / "card"
    folder.mkdir()
    for number in range(FILES):
        data = patches(np.random.default_rng(number), 300, 400)
        write_raster(folder / f"{number:02d}.tif", data, left=500_000 + 300 * number, gsd=0.5)
    (folder / "bad.tif").write_text("no picture")
    return folder


@pytest.fixture(params=["directory", "s3"])
def stored(request, tmp_path):
    """Settings of each kind of store."""
    if request.param == "directory":
        return {"store_url": ""}
    return request.getfixturevalue("seaweed") | {"store_url": f"s3://flyonce/{tmp_path.name}"}


def test_an_ingest_killed_again_and_again_ends_as_if_it_never_had_been(card, tmp_path, stored):
    folder = tmp_path / "home"
    settings = Settings(home=folder, **stored)
    Home.open(settings).close()
    files = open_files(settings)
    command = [sys.executable, "-m", "flyonce", "ingest", str(card), "--flight", "killed", "--department", "UAV"]
    variables = {f"FLYONCE_{name.upper()}": value for name, value in stored.items()}
    environment = {**os.environ, **variables, "FLYONCE_HOME": str(folder)}
    seed = random.randrange(2**32)
    print("seed", seed)
    pauses = random.Random(seed)
    killed = 0
    for _ in range(40):
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        seen = sum(1 for _ in files.names())
        deadline = time.monotonic() + 60
        # Let it come into the middle of the work: one more file in the store, then a moment.
        while process.poll() is None and sum(1 for _ in files.names()) <= seen and time.monotonic() < deadline:
            time.sleep(0.005)
        time.sleep(pauses.uniform(0, 0.1))
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            killed += 1
        error = process.communicate()[1]
        if process.returncode == 0:
            break
        assert process.returncode == -signal.SIGKILL, error.decode()
    assert process.returncode == 0
    assert killed >= 2
    with Home.open(Settings(home=folder, **stored)) as home:
        items = home.catalog.search(Query(collections=("orthophotos",), limit=100)).items
        (flight,) = home.catalog.search(Query(collections=("flights",))).items
        with home.engine.connect() as conn:
            kept = receipts.of_flight(conn, "killed")
        for item in items:
            for asset in item["assets"].values():
                assert home.asset_path(asset["href"]).stat().st_size == asset["file:size"]
    assert Counter(item["properties"]["title"] for item in items) == {f"{n:02d}.tif": 1 for n in range(FILES)}
    assert flight["properties"]["flyonce:captures"] == FILES
    accepted_names = Counter(receipt.name for receipt in kept if receipt.outcome is Outcome.ACCEPTED)
    assert accepted_names == {f"{n:02d}.tif": 1 for n in range(FILES)}
    assert {receipt.reason for receipt in kept if receipt.outcome is Outcome.QUARANTINED} == {"not-an-image"}
