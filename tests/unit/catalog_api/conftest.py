"""A home with a few items, and the real server over it on a loopback port."""

import contextlib
import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from pydantic import SecretStr

from catalog_api.app import create_app
from imagery.values import Capture, Footprint, Position
from records.settings import Settings
from stac.assets import Stored
from stac.items import Custody, photo_item
from workers.home import Home

START = datetime(2026, 5, 1, tzinfo=UTC)
BYTES = bytes(range(256)) * 40
NAME = "DJI 0001.JPG"
SHA = hashlib.sha256(BYTES).hexdigest()


@contextlib.contextmanager
def serving(app: FastAPI) -> Iterator[str]:
    """The address of a uvicorn that runs the application in a thread."""
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", ws="none"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the server ended while it started"
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


def photo(number: int, original: Stored) -> dict[str, Any]:
    lon, lat = 102.7 + number / 1000, 25.0
    return photo_item(
        Capture(
            kind="photo",
            media_type="image/jpeg",
            width=400,
            height=300,
            bands=3,
            dtype="uint8",
            footprint=Footprint({"type": "Point", "coordinates": [lon, lat]}, "position", 5.0),
            taken=START + timedelta(hours=number),
            gsd=0.01 * (number + 1),
            position=Position(lon, lat),
        ),
        f"照片-{number:02}",
        custody=Custody("transport"),
        flight="f1",
        created=START,
        original=original,
    )


class PhotoOf:
    """`photo_of(home, number)`: an item whose original is the one kept file, stored there."""

    start = START

    def __call__(self, home: Home, number: int) -> dict[str, Any]:
        stored = home.files.put_bytes(BYTES)
        return photo(number, Stored(NAME, stored.sha256, stored.size, "image/jpeg"))


@pytest.fixture(scope="session")
def photo_of() -> PhotoOf:
    return PhotoOf()


@pytest.fixture(scope="session")
def serve() -> Callable[[FastAPI], contextlib.AbstractContextManager[str]]:
    return serving


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """Twelve photos, one file. Read only."""
    with Home.open(Settings(home=tmp_path_factory.mktemp("home"), database_url="", api_key=None)) as home:
        stored = home.files.put_bytes(BYTES)
        original = Stored(NAME, stored.sha256, stored.size, "image/jpeg")
        home.catalog.put_items([photo(number, original) for number in range(12)])
        yield home


@dataclass(frozen=True)
class Kept:
    """The one file in the home."""

    content: bytes = BYTES
    name: str = NAME
    sha256: str = SHA
    path: str = f"/assets/{SHA}/DJI%200001.JPG"


@pytest.fixture(scope="session")
def kept() -> Kept:
    return Kept()


@pytest.fixture(scope="session")
def address(filled: Home) -> Iterator[str]:
    with serving(create_app(home=filled)) as found:
        yield found


@pytest.fixture(scope="session")
def client(address: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=address, timeout=30) as client:
        yield client


@pytest.fixture
def locked(filled: Home) -> Iterator[Callable[..., httpx.Response]]:
    """Ask a server that wants the key `s3cret é`."""
    settings = filled.settings.model_copy(update={"api_key": SecretStr("s3cret é")})
    with serving(create_app(settings, filled)) as found, httpx.Client(base_url=found, timeout=30) as client:
        yield client.get
