"""Map tiles through flyonce (key, catalogue, access decision, preset) against bare titiler on the same COG.

    make bench            or: .venv/bin/python benchmarks/tiles.py --tiles 300 --items 1000

Both servers run as processes of their own for the whole time; each tile is asked of one and then of the other, in turn
first, so that a noisy machine is noisy for both. Same tile, format and resampling; what counts is the ratio.
"""

import argparse
import contextlib
import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import morecantile
import numpy as np
import rasterio

from imagery.cog import write_cog
from imagery.inspect import inspect
from records.settings import Settings
from stac.assets import COG, Stored
from stac.items import Custody, orthophoto_item
from workers.home import Home

KEY = "a key for the benchmark"
START = datetime(2026, 5, 1, tzinfo=UTC)

BARE = """
import sys, uvicorn
from fastapi import FastAPI
from titiler.core.factory import TilerFactory
app = FastAPI()
app.include_router(TilerFactory().router)
uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="error")
"""


def cog_of(folder: Path, side: int) -> Path:
    """An RGB COG of textured ground, 5 cm: patches of colour with noise, so that it compresses as imagery does."""
    rng = np.random.default_rng(7)
    coarse = rng.integers(60, 200, (3, side // 64 + 1, side // 64 + 1), dtype=np.int16)
    data = np.kron(coarse, np.ones((1, 64, 64), dtype=np.int16))[:, :side, :side]
    data += rng.integers(-25, 25, data.shape, dtype=np.int16)
    plain = folder / "plain.tif"
    transform = rasterio.Affine(0.05, 0, 500_000, 0, -0.05, 3_400_000)
    with rasterio.open(plain, "w", "GTiff", side, side, 3, "EPSG:32650", transform, "uint8", tiled=True) as file:
        file.write(data.clip(0, 255).astype(np.uint8))
    write_cog(plain, folder / "cog.tif")
    return folder / "cog.tif"


def fill(home: Home, cog: Path, items: int) -> None:
    """The orthophoto that is asked for, among others of a city."""
    kept = home.files.put(cog)
    stored = Stored("ortho.tif", kept.sha256, kept.size, COG)
    capture = inspect(cog)
    item = orthophoto_item(capture, "o0", custody=Custody("bench"), flight="f", created=START, original=stored)
    others = []
    for number in range(1, items):
        moment = (START + timedelta(minutes=number)).isoformat().replace("+00:00", "Z")
        others.append({**item, "id": f"o{number}", "properties": {**item["properties"], "datetime": moment}})
    home.catalog.put_items([item, *others])


@contextlib.contextmanager
def process(command: list[str], port: int, **environment: str) -> Iterator[str]:
    running = subprocess.Popen(command, env=os.environ | environment)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(1200):
            try:
                httpx.get(f"{address}/healthz")
                break
            except httpx.TransportError:
                time.sleep(0.1)
        yield address
    finally:
        running.terminate()
        running.wait()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def p95(seconds: list[float]) -> float:
    return statistics.quantiles(seconds, n=20)[-1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiles", type=int, default=300)
    parser.add_argument("--items", type=int, default=1000)
    parser.add_argument("--side", type=int, default=6000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cog = cog_of(folder, asked.side)
        with Home.open(Settings(home=folder / "home", database_url="", store_url="")) as home:
            fill(home, cog, asked.items)
        measure(folder, cog, asked.tiles)


def measure(folder: Path, cog: Path, tiles: int) -> None:
    matrices = morecantile.tms.get("WebMercatorQuad")
    ours_port, bare_port = free_port(), free_port()
    serve = [sys.executable, "-m", "flyonce", "serve", "--no-worker", "--port", str(ours_port)]
    settings = {
        "FLYONCE_HOME": str(folder / "home"),
        "FLYONCE_API_KEY": KEY,
        "FLYONCE_DATABASE_URL": "",
        "FLYONCE_STORE_URL": "",
        "PYTHONPATH": str(Path(__file__).parents[1]),
        "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    }
    with (
        process(serve, ours_port, **settings) as ours,
        process([sys.executable, "-c", BARE, str(bare_port)], bare_port, **settings) as bare,
        httpx.Client(headers={"authorization": f"Bearer {KEY}"}, timeout=60) as client,
    ):
        base = f"{ours}/tiles/collections/orthophotos/items/o0/assets/original"
        west, south, east, north = (
            client.get(f"{base}/WebMercatorQuad/tilejson.json").raise_for_status().json()["bounds"]
        )
        choose = random.Random(1)
        seconds: dict[str, list[float]] = {"flyonce": [], "titiler": []}
        for number in range(-20, tiles):  # the first twenty warm both up
            place = choose.uniform(west, east), choose.uniform(south, north)
            tile = matrices.tile(*place, choose.choice((18, 19, 20, 21)))
            path = f"tiles/WebMercatorQuad/{tile.z}/{tile.x}/{tile.y}.png"
            how = {"url": str(cog), "resampling": "bilinear", "reproject": "bilinear"}
            both = [("flyonce", f"{base}/{path}", {}), ("titiler", f"{bare}/{path}", how)]
            found = {}
            for who, address, parameters in both if number % 2 else both[::-1]:
                started = time.perf_counter()
                answer = client.get(address, params=parameters)
                took = time.perf_counter() - started
                found[who] = answer.raise_for_status().content
                if number >= 0:
                    seconds[who].append(took)
            if found["flyonce"] != found["titiler"]:
                raise SystemExit(f"{path}: the two tiles differ")
    for who, took in seconds.items():
        print(f"{who}: p50 {statistics.median(took) * 1000:.1f} ms, p95 {p95(took) * 1000:.1f} ms")
    print(f"ratio of p95: {p95(seconds['flyonce']) / p95(seconds['titiler']):.2f} (goal: at most 1.15)")
    print(f"ratio of p50: {statistics.median(seconds['flyonce']) / statistics.median(seconds['titiler']):.2f}")


if __name__ == "__main__":
    main()
