"""How fast files come in, each against the plain thing on the same machine, one after the other in one run.

    make bench            or: .venv/bin/python benchmarks/ingest.py --rounds 3 --photos 1000

- ingest: a flight's files until acknowledged and catalogued (stored, synced, read, receipts written; previews and
  quality flags are later jobs), against SHA-256 plus copy of the same files, and against the same with copies synced;
- a COG by `imagery.cog.write_cog` against GDAL's COG driver with the same profile;
- tus over loopback until acknowledged, sent by a bare socket (what it costs is the server), against a plain copy, and
  against a copy with SHA-256 and a sync, which is what the server promises;
- the floor under all of it: SHA-256 of what is in memory, a plain copy, and a copy that is synced;
- memory while so many simulated photos are ingested: its peak after a tenth of them and at the end.

What counts are ratios; `--only` takes some of them. Files are read once before, so that both sides find them in memory.
"""

import argparse
import hashlib
import io
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import httpx
import numpy as np
import rasterio
import rasterio.shutil
from PIL import Image

from catalog_api import tus
from imagery.cog import GDALS, write_cog
from imagery.simulator.simulate import draw
from records.settings import Settings
from stac.flight_values import Plan
from workers.home import Home
from workers.ingest import catalogue
from workers.intake import walk

ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.get("FLYONCE_DATA", ROOT.parent / "shared" / "data"))


def timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def plain(files: list[Path], folder: Path, *, synced: bool) -> None:
    """SHA-256 plus copy."""
    folder.mkdir()
    for number, path in enumerate(files):
        with path.open("rb") as source:
            hashlib.file_digest(source, "sha256")
        shutil.copyfile(path, folder / str(number))
        if synced:
            sync(folder / str(number))


def ingest_round(files: list[Path], folder: Path) -> tuple[float, float, float]:
    """Seconds of ingest, of SHA-256 plus copy, and of the same with every copy synced."""
    with Home.open(Settings(home=folder / "home", database_url="", api_key=None)) as home:
        taken = timed(lambda: catalogue(home, list(walk(files)), Plan("bench", "UAV")))
    return (
        taken,
        timed(lambda: plain(files, folder / "a", synced=False)),
        timed(lambda: plain(files, folder / "b", synced=True)),
    )


def bench_ingest(rounds: int) -> None:
    files = sorted(path for path in (DATA / "flights").rglob("*") if path.suffix.lower() == ".jpg")
    size = sum(len(path.read_bytes()) for path in files)
    ratios, durable = [], []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory(dir=ROOT) as name:
            taken, copied, synced = ingest_round(files, Path(name))
        ratios.append(copied / taken)
        durable.append(synced / taken)
        print(
            f"ingest {len(files)} files, {size / 1e6:.0f} MB: {size / taken / 1e6:.0f} MB/s; SHA-256 + copy "
            f"{size / copied / 1e6:.0f} MB/s, synced {size / synced / 1e6:.0f} MB/s; "
            f"ratio {ratios[-1]:.2f}, to synced {durable[-1]:.2f}"
        )
    print(f"ingest: median ratio {median(ratios):.2f} (goal 0.7), to synced {median(durable):.2f}")


def bench_cog(rounds: int, side: int) -> None:
    block = draw(1, gsd=0.05, size_m=(60.0, 60.0)).after
    repeats = (1, -(-side // block.shape[1]), -(-side // block.shape[2]))
    data = np.tile(block, repeats)[:, :side, :side]
    ratios = []
    with tempfile.TemporaryDirectory(dir=ROOT) as name:
        source = Path(name, "plain.tif")
        profile = {"driver": "GTiff", "width": side, "height": side, "count": 3, "dtype": "uint8", "crs": "EPSG:4547"}
        profile |= {"transform": rasterio.Affine(0.05, 0, 500_000, 0, -0.05, 3_400_000), "tiled": True}
        with rasterio.open(source, "w", **profile) as file:
            file.write(data)
        for number in range(rounds):
            ours = timed(lambda: write_cog(source, Path(name, f"ours-{number}.tif")))  # noqa: B023 - called at once
            theirs = timed(
                lambda: rasterio.shutil.copy(source, Path(name, f"gdal-{number}.tif"), driver="COG", **GDALS)  # noqa: B023
            )
            ratios.append(theirs / ours)
            print(f"COG {side}²: ours {ours:.2f} s, GDAL's COG driver {theirs:.2f} s, ratio {ratios[-1]:.2f}")
    print(f"COG: median ratio {median(ratios):.2f} (goal 0.95)")


@contextmanager
def served(home: Path) -> Iterator[str]:
    """Address of a `flyonce serve` without a worker."""
    environment = {**os.environ, "FLYONCE_HOME": str(home), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "flyonce", "serve", "--no-worker", "--port", "0"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        address = re.search(r"http://\S+?:\d+", process.stdout.readline()) if process.stdout else None
        if address is None:
            raise RuntimeError("the server did not start")
        try:
            yield address[0]
        finally:
            process.terminate()


def send(http: httpx.Client, path: Path, name: str) -> None:
    """Create an upload and fill it by one PATCH, whose body the system sends from the file by itself."""
    size = path.stat().st_size
    headers = {"Tus-Resumable": tus.VERSION, "Upload-Length": str(size)}
    headers["Upload-Metadata"] = tus.metadata_header({"flight": "bench", "filename": name})
    place = http.post("/uploads", headers=headers).headers["location"]
    said = {"Host": http.base_url.netloc.decode(), "Content-Length": str(size), "Content-Type": tus.MEDIA_TYPE}
    said |= {"Tus-Resumable": tus.VERSION, "Upload-Offset": "0", "Connection": "close"}
    head = "".join(f"{key}: {value}\r\n" for key, value in said.items())
    with socket.create_connection((http.base_url.host, http.base_url.port or 80)) as line, path.open("rb") as file:
        line.sendall(f"PATCH {place} HTTP/1.1\r\n{head}\r\n".encode())
        line.sendfile(file)
        answer = line.makefile("rb").readline()
    if b" 204 " not in answer:
        raise RuntimeError(answer.decode())


def bench_floor(rounds: int, megabytes: int) -> None:
    with tempfile.TemporaryDirectory(dir=ROOT) as name:
        path, size = Path(name, "sent"), megabytes << 20
        path.write_bytes(os.urandom(1 << 20) * megabytes)
        sync(path)
        for number in range(rounds):
            content = path.read_bytes()
            hashed = timed(lambda: hashlib.sha256(content))  # noqa: B023 - called at once
            copied = timed(lambda: shutil.copyfile(path, Path(name, f"a{number}")))  # noqa: B023 - called at once
            start = time.perf_counter()
            shutil.copyfile(path, Path(name, f"b{number}"))
            sync(Path(name, f"b{number}"))
            synced = time.perf_counter() - start
            rates = ", ".join(f"{size / seconds / 1e6:.0f}" for seconds in (hashed, copied, synced))
            print(f"floor: SHA-256, copy, copy + sync of {megabytes} MiB: {rates} MB/s")


def bench_tus(rounds: int, megabytes: int) -> None:
    ratios, durable = [], []
    with (
        tempfile.TemporaryDirectory(dir=ROOT) as name,
        served(Path(name, "home")) as url,
        httpx.Client(base_url=url, timeout=600) as http,
    ):
        http.post("/api/flights", json={"name": "bench", "department": "UAV", "open_ended": True})
        for number in range(rounds):
            path = Path(name, f"{number}.bin")
            path.write_bytes(os.urandom(1 << 20) * megabytes + os.urandom(8))
            size = path.stat().st_size
            sync(path)
            sent = timed(lambda: send(http, path, f"{number}.bin"))  # noqa: B023 - called at once
            copied = timed(lambda: shutil.copyfile(path, path.with_suffix(".copy")))  # noqa: B023
            synced = timed(lambda: plain([path], path.with_suffix(".synced"), synced=True))  # noqa: B023
            ratios.append(copied / sent)
            durable.append(synced / sent)
            print(
                f"tus {size / 1e6:.0f} MB: {size / sent / 1e6:.0f} MB/s; copy {size / copied / 1e6:.0f} MB/s, "
                f"SHA-256 + copy + sync {size / synced / 1e6:.0f} MB/s; ratio {ratios[-1]:.2f}, {durable[-1]:.2f}"
            )
            for left in (path, path.with_suffix(".copy")):
                left.unlink()
    print(f"tus: median ratio {median(ratios):.2f} (goal 0.6), to synced {median(durable):.2f}")


def photos(folder: Path, count: int) -> list[Path]:
    """Distinct photos with a position: one simulated picture, a different stamp of noise in each."""
    block = np.moveaxis(draw(1, gsd=0.05, size_m=(60.0, 45.0)).after, 0, 2)
    picture = np.tile(block, (2, 2, 1))[:1200, :1600]
    folder.mkdir()
    made = []
    for number in range(count):
        exif = Image.Exif()
        exif[0x8825] = {1: "N", 2: (30.0, 57.0, number / 100), 3: "E", 4: (113.0, 55.0, number / 100)}
        exif[0x9003] = "2026:05:01 10:00:00"
        out = io.BytesIO()
        stamped = picture.copy()
        stamped[:16, :16] = np.random.default_rng(number).integers(0, 255, (16, 16, 3), dtype=np.uint8)
        Image.fromarray(stamped).save(out, "JPEG", quality=70, exif=exif)
        made.append(folder / f"SIM_{number:05d}.JPG")
        made[-1].write_bytes(out.getvalue())
    return made


def peak_mib() -> float:
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) / 1024 if found else 0.0


def bench_memory(count: int) -> None:
    with tempfile.TemporaryDirectory(dir=ROOT) as name:
        made = photos(Path(name, "card"), count)
        size = sum(path.stat().st_size for path in made)
        Path("/proc/self/clear_refs").write_text("5")  # the peak from here on
        with Home.open(Settings(home=Path(name, "home"), database_url="", api_key=None)) as home:
            early = made[: max(1, count // 10)]
            catalogue(home, list(walk(early)), Plan("bench", "UAV", open_ended=True))
            before = peak_mib()
            seconds = timed(lambda: catalogue(home, list(walk(made)), Plan("bench", "UAV", open_ended=True)))
            after = peak_mib()
    print(
        f"{count} simulated photos, {size / 1e6:.0f} MB: {seconds:.1f} s; peak {before:.0f} MiB after {len(early)}, "
        f"{after:.0f} MiB after all: {after - before:+.1f} MiB"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--photos", type=int, default=1000, help="simulated photos for the memory")
    parser.add_argument("--side", type=int, default=6000, help="pixels of the raster that becomes a COG")
    parser.add_argument("--megabytes", type=int, default=500, help="size of the file that is uploaded")
    parts: dict[str, Callable[[argparse.Namespace], None]] = {
        "floor": lambda given: bench_floor(given.rounds, given.megabytes),
        "ingest": lambda given: bench_ingest(given.rounds),
        "tus": lambda given: bench_tus(given.rounds, given.megabytes),
        "cog": lambda given: bench_cog(given.rounds, given.side),
        "memory": lambda given: bench_memory(given.photos),
    }
    parser.add_argument("--only", default=",".join(parts), help="some of " + ",".join(parts))
    given = parser.parse_args()
    for part in given.only.split(","):
        parts[part](given)


if __name__ == "__main__":
    main()
