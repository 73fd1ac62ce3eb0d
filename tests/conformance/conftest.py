"""A catalogue over one city, served by a real uvicorn in a process of its own, and every schema offline."""

import hashlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from imagery.values import Attitude, Capture, Footprint, Georeference, Lens, Position
from records.settings import Settings
from stac.assets import COG, Stored
from stac.items import Custody, flight_item, orthophoto_item, photo_item
from stac.runs import Model, RunFiles, model_item, run_item
from workers.home import Home

START = datetime(2026, 5, 1, tzinfo=UTC)
PHOTOS = 150
CUSTODY = Custody("transport")
CATALOGUES = ("sqlite", "pgstac")


def square(number: int) -> dict[str, Any]:
    lon, lat = 102.7 + (number % 15) * 0.0007, 25.0 + (number // 15) * 0.0007
    ring = [[lon, lat], [lon + 0.001, lat], [lon + 0.001, lat + 0.001], [lon, lat + 0.001], [lon, lat]]
    return {"type": "Polygon", "coordinates": [ring]}


def photo(number: int, original: Stored, thumbnail: Stored) -> dict[str, Any]:
    ring = square(number)["coordinates"][0]
    lon, lat = ring[0][0] + 0.0005, ring[0][1] + 0.0005
    capture = Capture(
        kind="photo",
        media_type="image/jpeg",
        width=4000,
        height=2250,
        bands=3,
        dtype="uint8",
        footprint=Footprint(square(number), "pose", 4.0),
        taken=START + timedelta(seconds=2 * number),
        taken_zone="gps",
        gsd=0.017 + number / 10_000,
        position=Position(lon, lat, 1930.0, 40.0),
        attitude=Attitude(12.0, -90.0, 0.0),
        lens=Lens(4000, 2250, 2222.2, 2000.0, 1125.0, "35mm-equivalent"),
        make="DJI",
        model="FC300S",
    )
    return photo_item(
        capture,
        f"photo-{number:04}",
        custody=CUSTODY,
        flight="flight-1",
        created=START,
        original=original,
        thumbnail=thumbnail,
    )


def everything(home: Home) -> Iterator[dict[str, Any]]:
    """At least one item of every collection."""

    def kept(name: str, content: bytes, media_type: str) -> Stored:
        file = home.files.put_bytes(content)
        assert file.sha256 == hashlib.sha256(content).hexdigest()
        return Stored(name, file.sha256, file.size, media_type)

    jpeg, tiff = kept("a.jpg", b"jpeg", "image/jpeg"), kept("o.tif", b"tiff", COG)
    features = kept("f.geojson", b'{"type":"FeatureCollection","features":[]}', "application/geo+json")
    photos = [photo(number, jpeg, jpeg) for number in range(PHOTOS)]
    yield from photos
    yield flight_item("flight-1", title="五月 May", custody=CUSTODY, captures=photos, created=START, thumbnail=jpeg)
    orthos = [
        orthophoto_item(
            Capture(
                kind="orthophoto",
                media_type=COG,
                width=3000,
                height=3500,
                bands=3,
                dtype="uint8",
                footprint=Footprint(square(20), "georeference", 1.0),
                taken=START + timedelta(days=day),
                taken_zone="tag",
                gsd=0.03,
                georeference=Georeference("EPSG:4547", (0.03, 0.0, 369000.0, 0.0, -0.03, 2766000.0)),
            ),
            f"ortho-{day}",
            custody=CUSTODY,
            flight="flight-1",
            created=START,
            original=tiff,
            cog=tiff,
            thumbnail=jpeg,
        )
        for day in (0, 30)
    ]
    yield from orthos
    model = Model("debris", "1.0.0", ("spoil_heap", "debris"), 0.05, 512, 4, "U-Net", "Apache-2.0")
    for name, inputs in (("detection-1", orthos[:1]), ("change-1", orthos)):
        yield run_item(
            name,
            model=model,
            inputs=inputs,
            input_hashes=[tiff.sha256],
            geometry=square(20),
            custody=CUSTODY,
            started=START,
            finished=START,
            software={"flyonce": "0.1.0"},
            parameters={},
            found={"spoil_heap": 1},
            analysed_m2=100.0,
            files=RunFiles(features, tiff, jpeg),
        )
    weights = kept("debris.safetensors", b"weights", "application/octet-stream")
    code = kept("debris.py", b"code", "text/x-python")
    yield model_item(
        model, custody=CUSTODY, created=START, description="starter", metrics={}, weights=weights, code=code
    )


@pytest.fixture(scope="session", params=CATALOGUES)
def catalogue(request: pytest.FixtureRequest) -> str:
    """Address of the database of books and catalogue; empty: SQLite in the home. Everything here runs on both."""
    return "" if request.param == "sqlite" else str(request.getfixturevalue("pgstac_database")())


@pytest.fixture(scope="session")
def served_home(catalogue: str, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A home with at least one item of every collection, which a server process serves."""
    settings = Settings(home=tmp_path_factory.mktemp("served") / "home", database_url=catalogue, api_key=None)
    with Home.open(settings) as home:
        home.catalog.put_items(list(everything(home)))
    return settings


@pytest.fixture(scope="session")
def served(served_home: Settings) -> Iterator[str]:
    """The address of a server process over such a catalogue."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("FLYONCE_")}
    settings = {"FLYONCE_HOME": str(served_home.home), "FLYONCE_DATABASE_URL": served_home.database_url}
    log_path = served_home.home.parent / "log"
    with socket.socket() as listening, log_path.open("wb") as log:
        listening.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "uvicorn",
                "--factory",
                "catalog_api.app:create_app",
                "--fd",
                str(listening.fileno()),
            ],
            env={**clean, **settings},
            pass_fds=[listening.fileno()],
            stdout=log,
            stderr=log,
        )
    try:
        wait_for(address, process, log_path)
        yield address
    finally:
        process.terminate()
        process.wait(30)


def wait_for(address: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    for _ in range(600):
        assert process.poll() is None, log.read_text()
        try:
            httpx.get(f"{address}/healthz").raise_for_status()
        except httpx.TransportError:
            time.sleep(0.1)
        else:
            return
    pytest.fail(f"the server did not answer: {log.read_text()}")


@pytest.fixture(scope="session")
def api(served: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{served}/stac", timeout=60) as client:
        yield client
