"""A network that breaks off in the middle of an answer: asked again; what never comes is not analysed, and told."""

import hashlib
import logging
import subprocess
import sys
import urllib.request
from dataclasses import replace

import numpy as np
import pytest
import rasterio

from imagery.cog import write_cog
from workers.cluster import connect
from workers.detect import detect
from workers.inputs import open_input
from workers.outputs import about_detection
from workers.testing import WIDE, Wide, write_raster

pytestmark = pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")  # rasterio's own

SMALL = replace(WIDE, name="small", core=256, halo=32)
SIDE = 1100

SERVER = """
import sys, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

body = Path(sys.argv[1]).read_bytes()
first_bad, end_bad = (int(float(part) * len(body)) for part in sys.argv[2:4])
times, broken, guard = int(sys.argv[4]), 0, threading.Lock()

class Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        global times, broken
        if self.path == "/heal":
            times = 0
            self.answer(200, str(broken).encode())
            return
        size, asked = len(body), self.headers.get("range")  # none where GDAL asks for the size alone and hangs up
        first, _, last = (asked or f"bytes=0-{size - 1}").removeprefix("bytes=").partition("-")
        first, last = int(first), min(int(last), size - 1)
        with guard:
            breaks = bool(asked) and first < end_bad and last >= first_bad and broken < times
            broken += breaks
        self.close_connection = breaks
        part = body[first : last + 1]
        until = max(0, first_bad - first) if breaks else None
        self.answer(206 if asked else 200, part, until, f"bytes {first}-{last}/{size}")

    def answer(self, status, content, until=None, range=None):
        self.send_response(status)
        self.send_header("content-length", str(len(content)))
        if range:
            self.send_header("content-range", range)
        self.end_headers()
        self.wfile.write(content[:until])

    def log_message(self, *_):
        pass

class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        pass  # that GDAL gives up a connection is no news

server = Server(("127.0.0.1", 0), Answer)
print(server.server_port, flush=True)
server.serve_forever()
"""
"""Serves one file by ranges, and breaks off before the bad part where an answer reaches into it, so often. A process of
its own: GDAL may hold the interpreter's lock while it waits for an answer."""


class Small(Wide):
    spec = SMALL


def load(name, device="cpu"):
    return Small()


@pytest.fixture(scope="module")
def client():
    with connect(workers=2, processes=False) as client:
        yield client


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """A COG that lies here; noise, so that its blocks are many bytes."""
    folder = tmp_path_factory.mktemp("network")
    noise = np.random.default_rng(4).integers(100, 150, (3, SIDE, SIDE), dtype=np.uint8)
    noise[:, 300:420, 500:700] = 250
    write_cog(write_raster(folder / "plain.tif", noise, gsd=SMALL.gsd), folder / "a.tif")
    return folder / "a.tif"


@pytest.fixture
def far(here, monkeypatch):
    """`far(begin, end, times)`: the same source behind such a server, and a function that heals it and tells how often
    it broke off."""
    monkeypatch.setattr("workers.windows.PAUSE_SECONDS", 0.01)
    servers = []

    def serve(begin, end, times):
        command = [sys.executable, "-c", SERVER, str(here), str(begin), str(end), str(times)]
        servers.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        address = f"http://127.0.0.1:{int(servers[-1].stdout.readline())}"

        def heal():
            with urllib.request.urlopen(f"{address}/heal", timeout=60) as answer:
                return int(answer.read())

        # Named by its content, as the store's files are: it cannot change under the run.
        name = hashlib.sha256(here.read_bytes()).hexdigest()
        near = open_input(here)
        return replace(near, source=replace(near.source, path=f"{address}/{name}?X-Signature=s3cret")), heal

    yield serve
    for server in servers:
        server.kill()
        server.communicate()


def answer(client, source, folder):
    found = detect(client, SMALL, source, folder / "m.tif", load=load)
    with rasterio.open(folder / "m.tif") as ds:
        return found, ds.read(1)


def test_an_answer_that_breaks_off_is_asked_for_again(client, here, far, tmp_path):
    expected, mask = answer(client, open_input(here), tmp_path)
    source, heal = far(0.5, 0.9, times=2)
    found, seen = answer(client, source, tmp_path)
    assert heal() == 2
    assert found.analysis.failed == ()
    assert (seen == mask).all()
    assert list(found.analysis.regions) == list(expected.analysis.regions)


def test_what_never_comes_is_not_analysed_and_the_rest_is(client, here, far, tmp_path, caplog):
    _, mask = answer(client, open_input(here), tmp_path)
    source, heal = far(0.97, 0.98, times=10**9)
    found, seen = answer(client, source, tmp_path)
    assert heal() > 0
    assert 0 < len(found.analysis.failed) < found.analysis.tiles
    told = {failure.error for failure in found.analysis.failed}
    assert {error.split(":")[0] for error in told} == {"unreadable"}
    assert "s3cret" not in caplog.text + repr(told)
    for failure in found.analysis.failed:
        assert (seen[failure.item.core.intersect(found.extent).slices_in(found.extent)] == 255).all()
    assert ((seen == 255) | (seen == mask)).all()
    assert about_detection(found)["not_analysed_m2"]["failed"] > 0
    # And nothing of it stays behind: now that the network is whole, so is the answer.
    again, whole = answer(client, source, tmp_path)
    assert again.analysis.failed == ()
    assert (whole == mask).all()


def test_gdal_s_warnings_are_logged_without_signatures(caplog):
    """Whether GDAL warns at all depends on who opened what before, in this process."""
    logging.getLogger("rasterio._env").warning("CPLE_HttpResponse in %s: 500", "http://h/assets/1/a.tif?token=s3cret")
    assert "http://h/assets/1/a.tif" in caplog.text
    assert "s3cret" not in caplog.text
