"""Memory of the server while a large file is uploaded: flat, whatever its size."""

import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from catalog_api import tus

PIECE = 1 << 20
TUS = {"Tus-Resumable": "1.0.0"}
BODY = {**TUS, "Content-Type": "application/offset+octet-stream"}


@contextmanager
def served(home: Path) -> Iterator[tuple[str, int]]:
    """Address and pid of a `flyonce serve` without a worker."""
    command = [sys.executable, "-m", "flyonce", "serve", "--no-worker", "--port", "0"]
    environment = {**os.environ, "FLYONCE_HOME": str(home)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        address = re.search(r"http://\S+?:\d+", process.stdout.readline())
        assert address
        try:
            yield address[0], process.pid
        finally:
            process.terminate()


def peak_mib(pid: int) -> float:
    """Most memory that the process ever held, in MiB."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found[1]) / 1024


def send(http: httpx.Client, name: str, size: int) -> str:
    """Upload `size` bytes in one request; their SHA-256."""
    block, digest = os.urandom(PIECE), hashlib.sha256()
    said = tus.metadata_header({"flight": "north", "filename": name})
    made = http.post("/uploads", headers={**TUS, "Upload-Length": str(size), "Upload-Metadata": said})

    def pieces() -> Iterator[bytes]:
        for start in range(0, size, PIECE):
            piece = block[: min(PIECE, size - start)]
            digest.update(piece)
            yield piece

    headers = {**BODY, "Upload-Offset": "0", "Content-Length": str(size)}
    answer = http.patch(made.headers["location"], headers=headers, content=pieces())
    assert answer.status_code == 204, answer.text
    return digest.hexdigest()


def check_flat(home: Path, size: int) -> None:
    with served(home) as (url, pid), httpx.Client(base_url=url, timeout=600) as http:
        http.post("/api/flights", json={"name": "north", "department": "UAV", "open_ended": True})
        send(http, "small.bin", 20 * PIECE)
        before = peak_mib(pid)
        sha256 = send(http, "large.bin", size)
        grown = peak_mib(pid) - before
    print(f"{size / 1e9:.1f} GB: peak {before:.0f} MiB before, {grown:.1f} MiB more")
    assert grown < 40
    kept = home / "files" / sha256[:2] / sha256[2:4] / sha256
    assert kept.stat().st_size == size


def test_200_mb_in_flat_memory(tmp_path: Path) -> None:
    check_flat(tmp_path / "home", 200 * PIECE)


@pytest.mark.soak
def test_5_gb_in_flat_memory(tmp_path: Path) -> None:
    check_flat(tmp_path / "home", 5000 * PIECE)
