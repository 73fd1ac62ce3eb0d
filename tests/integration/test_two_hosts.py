"""Two hosts that share no file: a scheduler and server on one, workers on the other, in network namespaces."""

import json
import os
import subprocess
import sys
import time
from contextlib import ExitStack, suppress

import numpy as np
import pytest

from records.settings import Settings
from workers.home import Home
from workers.ingest import ingest
from workers.testing import patches, write_raster

pytestmark = pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")  # rasterio's own

CITY, FIELD = "10.77.31.1", "10.77.31.2"
KEY = "a key of this test alone, long enough"
PATIENCE = 240


def ip(*words):
    subprocess.run(["ip", *words], check=True, capture_output=True)


@pytest.fixture
def hosts(need_program, skip_lacking):
    """Names of two network namespaces with a cable between them: the city's and the field's."""
    need_program("ip")
    names = [f"flyonce-{os.getpid()}-{name}" for name in ("city", "field")]
    try:
        for name in names:
            ip("netns", "add", name)
        ip(
            "link",
            "add",
            f"fc{os.getpid()}",
            "netns",
            names[0],
            "type",
            "veth",
            "peer",
            "name",
            "e0",
            "netns",
            names[1],
        )
        ip("-n", names[0], "link", "set", f"fc{os.getpid()}", "name", "e0")
        for name, address in zip(names, (CITY, FIELD), strict=True):
            ip("-n", name, "addr", "add", f"{address}/24", "dev", "e0")
            for device in ("lo", "e0"):
                ip("-n", name, "link", "set", device, "up")
    except subprocess.CalledProcessError as error:
        for name in names:
            with suppress(subprocess.CalledProcessError):
                ip("netns", "del", name)
        skip_lacking(f"network namespaces cannot be made here: {error.stderr.decode().strip()}")
    yield names
    for name in names:
        ip("netns", "del", name)


def test_a_host_that_shares_no_file_fetches_the_source_once_and_answers_the_same(hosts, tmp_path):
    city, field = hosts
    settings = Settings(home=tmp_path / "city")
    picture = write_raster(tmp_path / "ortho.tif", patches(np.random.default_rng(1), 900, 900, 30), gsd=0.08)
    with Home.open(settings) as home:
        accepted = ingest(home, [picture], "flight", "UAV").to_dict()["accepted"]
    item = accepted[0]["item"]
    at_city = {**os.environ, "FLYONCE_HOME": str(tmp_path / "city"), "FLYONCE_CACHE": str(tmp_path / "city-tiles")}
    at_field = {
        **os.environ,
        "FLYONCE_HOME": str(tmp_path / "field"),
        "FLYONCE_CACHE": str(tmp_path / "field-tiles"),
        "FLYONCE_SERVER": f"http://{CITY}:8000",
        "FLYONCE_API_KEY": KEY,
    }
    flyonce = [sys.executable, "-m", "flyonce"]
    scheduler = f"tcp://{CITY}:8786"
    dask = [sys.executable, "-m", "dask", "scheduler", "--host", CITY, "--port", "8786", "--no-dashboard"]
    with ExitStack() as stack:

        def start(host, command, environment):
            log = stack.enter_context((tmp_path / f"{command[2]}-{command[3]}.log").open("wb"))
            quiet = {"stdout": log, "stderr": log, "env": environment, "cwd": tmp_path}
            process = stack.enter_context(subprocess.Popen(["ip", "netns", "exec", host, *command], **quiet))
            stack.callback(process.terminate)

        start(city, dask, at_city)
        start(city, [*flyonce, "serve", "--host", CITY, "--no-worker"], at_city | {"FLYONCE_API_KEY": KEY})
        start(field, [*flyonce, "node", scheduler, "--workers", "1", "--host", FIELD], at_field)
        command = [*flyonce, "detect", "debris", item, "--scheduler", scheduler, "--json"]
        deadline = time.monotonic() + PATIENCE
        while True:
            run = subprocess.run(
                ["ip", "netns", "exec", city, *command], env=at_city, cwd=tmp_path, capture_output=True, text=True
            )
            if run.returncode == 0 or ("no-workers" not in run.stderr and "no-scheduler" not in run.stderr):
                break
            assert time.monotonic() < deadline, run.stderr
            time.sleep(1)
        logs = "".join(path.read_text(errors="replace")[-2000:] for path in tmp_path.glob("*.log"))
        assert run.returncode == 0, run.stderr + logs
        (told,) = json.loads(run.stdout)["runs"]
        assert told["failed_tiles"] == [], told["failed_tiles"]
        fetched = [path for path in (tmp_path / "field-tiles" / "sources").glob("??/??/*") if path.is_file()]
        assert len(fetched) == 1
        assert not (tmp_path / "field").exists(), "nothing but the source came over"
    assert list((tmp_path / "field-tiles").glob("??/[0-9a-f]*")), "tiles are kept where they were computed"
