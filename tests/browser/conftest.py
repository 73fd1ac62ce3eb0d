"""The real application on a loopback port, and Chromium looking at it."""

import io
import math
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uvicorn
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, sync_playwright
from pydantic import SecretStr

from imagery.cog import write_cog
from imagery.inspect import inspect
from imagery.values import Capture, Footprint, Georeference, Position
from records.engine import transaction
from records.settings import Settings
from stac.assets import COG, Stored
from stac.items import Custody, flight_item, orthophoto_item, photo_item
from stac.runs import Model, RunFiles, run_item
from tickets import store
from tickets.codes import load_codes
from tickets.filing import file_approved
from tickets.gateways.file import FileGateway
from tickets.states import Action
from tickets.values import Evidence, Sighting
from workers.home import Home
from workers.testing import write_raster

ASSETS = Path(__file__).parents[2] / "catalog_api" / "console" / "static" / "assets"
FLAGS = [
    "--no-sandbox",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SOFTWARE_GL = ["--enable-unsafe-swiftshader", "--use-angle=swiftshader"]


@pytest.fixture(scope="session")
def bundle() -> Path:
    """The folder of the bundled console; `make setup` makes it."""
    if not (ASSETS / "console.js").is_file():
        pytest.fail(f"the console is not bundled: {ASSETS} holds no console.js; run `make setup`")
    return ASSETS


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as driver:
        yield driver


@pytest.fixture(scope="session")
def launch(playwright: Playwright, need_program: Callable[..., str]) -> Callable[[list[str]], Browser]:
    """`launch(flags)` starts Chromium with these flags besides the ones that keep it from calling home."""
    chromium = need_program("chromium", "chromium-browser", "google-chrome")
    return lambda flags: playwright.chromium.launch(executable_path=chromium, headless=True, args=[*FLAGS, *flags])


@pytest.fixture(scope="session")
def browser(launch: Callable[[list[str]], Browser]) -> Iterator[Browser]:
    browser = launch(SOFTWARE_GL)
    yield browser
    browser.close()


@contextmanager
def serving(home: Home) -> Iterator[str]:
    """Address of the real application over `home`, while the block runs."""
    from catalog_api.app import create_app

    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(create_app(home=home), log_level="warning", ws="none", lifespan="on"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    deadline = time.monotonic() + 30
    while not server.started and thread.is_alive() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert server.started, "the application did not start"
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(30)


class Watched:
    """Opens pages, and keeps what must not happen on them: errors on the console, requests to anywhere else."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._contexts: list[BrowserContext] = []
        self.errors: list[str] = []
        self.requests: list[str] = []

    def open(self, url: str, *, width: int = 1200, height: int = 720, **options: Any) -> Page:
        """The console of the server at `url`, read and drawn."""
        context = self._browser.new_context(
            viewport={"width": width, "height": height},
            locale="zh-CN",
            timezone_id="Asia/Shanghai",
            reduced_motion="reduce",
            **options,
        )
        self._contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: self._said(message.type, message.text))
        page.on("pageerror", lambda error: self._said("error", str(error)))
        page.on("request", lambda request: self.requests.append(request.url))
        page.goto(f"{url}/console/")
        page.wait_for_selector("body[data-ready]")
        page.wait_for_selector('#map[aria-busy="false"]')
        return page

    def _said(self, kind: str, text: str) -> None:
        if kind in {"error", "warning"}:
            self.errors.append(text)

    def close(self) -> None:
        for context in self._contexts:
            context.close()


@pytest.fixture
def watched(browser: Browser, bundle: Path) -> Iterator[Watched]:
    """Pages whose consoles must stay silent and that must ask nothing of any other host."""
    watched = Watched(browser)
    yield watched
    watched.close()
    assert watched.errors == []
    strangers = [
        url for url in watched.requests if not url.startswith(("http://127.0.0.1:", "data:", "blob:http://127.0.0.1:"))
    ]
    assert strangers == []


TAKEN = datetime(2026, 11, 15, 2, 30, tzinfo=UTC)
LON, LAT = 114.0572, 22.5431  # south-west corner of the block
WIDTH_M, HEIGHT_M = 100.0, 80.0
GSD = 0.05
PHOTOS = 205
QUADRANTS = {"nw": "#c83232", "ne": "#32a032", "sw": "#3250c8", "se": "#c8b432"}
HOSTILE = "<script>window.pwned = 1</script>"
HOSTILE_FILE = '<img src=x onerror="window.pwned=1">.tif'


@dataclass(frozen=True)
class Known:
    """What the console should say of one event."""

    id: str
    kind: str
    code: str
    name_zh: str
    name_en: str
    state: str
    score: float
    area_m2: float
    lon: float
    lat: float
    ticket: str | None


@dataclass(frozen=True)
class Scene:
    """A served home, and what was put into it."""

    url: str
    orthophoto: str
    crops: dict[str, bytes]
    events: dict[str, Known] = field(default_factory=dict)
    quadrants: dict[str, str] = field(default_factory=dict)
    """Event to the colour that the orthophoto's preview has around it."""
    crop_size: tuple[int, int] = (96, 72)
    photos: int = PHOTOS
    hostile_flight: str = HOSTILE
    hostile_file: str = HOSTILE_FILE

    def in_state(self, state: str) -> Known:
        return next(event for event in self.events.values() if event.state == state)


def lonlat(east: float, north: float) -> list[float]:
    """Degrees of a place in metres from the block's corner; good to a centimetre over a hundred metres."""
    metres = 111_320.0
    return [LON + east / (metres * math.cos(math.radians(LAT))), LAT + north / metres]


def box(west: float, south: float, east: float, north: float) -> dict[str, Any]:
    """A polygon, anticlockwise, from metres."""
    corners = [(west, south), (east, south), (east, north), (west, north), (west, south)]
    return {"type": "Polygon", "coordinates": [[lonlat(*corner) for corner in corners]]}


def jpeg(size: tuple[int, int], colours: dict[str, str]) -> bytes:
    """A picture of four quadrants."""
    image = Image.new("RGB", size)
    half = (size[0] // 2, size[1] // 2)
    for name, at in {"nw": (0, 0), "ne": (half[0], 0), "sw": (0, half[1]), "se": half}.items():
        image.paste(colours[name], (*at, at[0] + half[0], at[1] + half[1]))
    out = io.BytesIO()
    image.save(out, "JPEG", quality=95)
    return out.getvalue()


def keep(home: Home, name: str, data: bytes, media_type: str = "image/jpeg") -> Stored:
    kept = home.files.put_bytes(data)
    return Stored(name, kept.sha256, kept.size, media_type)


def captured(kind: Any, geometry: dict[str, Any], method: Any, gsd: float, taken: datetime, **more: Any) -> Capture:
    width, height = (round(WIDTH_M / GSD), round(HEIGHT_M / GSD)) if kind == "orthophoto" else (4000, 3000)
    media = "image/tiff; application=geotiff" if kind == "orthophoto" else "image/jpeg"
    return Capture(
        kind, media, width, height, 3, "uint8", Footprint(geometry, method, 0.5), taken, "offset", gsd, **more
    )


def fill(home: Home) -> tuple[dict[str, str], dict[str, bytes]]:
    """Two orthophotos and many photos of one block, a run over them, and six events in three states.

    Returns event ids by where they lie (`nw`, …; `rejected`, `filed` for their state) and the bytes of the crops.
    """
    custody, created = Custody("330100"), TAKEN + timedelta(hours=1)
    original = keep(home, HOSTILE_FILE, b"II*\0 not read by the console", "image/tiff; application=geotiff")
    preview = keep(home, "thumbnail.jpg", jpeg((512, 410), QUADRANTS))
    block = box(0, 0, WIDTH_M, HEIGHT_M)
    frame = Georeference("EPSG:4547", (GSD, 0.0, 503_000.0, 0.0, -GSD, 2_494_000.0))
    ortho = captured("orthophoto", block, "georeference", GSD, TAKEN, georeference=frame)
    # The same pixels with a footprint half as wide: where its frame lies cannot be told from the item.
    part = captured(
        "orthophoto",
        box(0, 0, WIDTH_M / 2, HEIGHT_M),
        "georeference",
        GSD,
        TAKEN - timedelta(days=14),
        georeference=frame,
    )
    common: dict[str, Any] = {"custody": custody, "flight": "after", "created": created}
    orthos = [
        orthophoto_item(capture, name, **common, original=original, thumbnail=preview)
        for name, capture in (("ortho-after", ortho), ("ortho-part", part))
    ]
    photos = []
    for k in range(PHOTOS):
        east, north = 8 * (k % 10), 3.0 * (k // 10)
        shot = captured(
            "photo",
            box(east, north, east + 30, north + 22),
            "pose",
            0.01,
            TAKEN + timedelta(seconds=2 * k),
            position=Position(*lonlat(east + 15, north + 11)),
        )
        name = f"DJI_{k:04d}.JPG"
        photos.append(photo_item(shot, f"photo-{k:04d}", **common, original=keep(home, name, f"photo {k}".encode())))
    flight = flight_item("after", title=HOSTILE, custody=custody, captures=[*orthos, *photos], created=created)

    turned = dict(zip(QUADRANTS, reversed(QUADRANTS.values()), strict=True))
    crops = {
        "before": jpeg((96, 72), QUADRANTS),
        "after": jpeg((96, 72), turned),
    }
    kept = {name: keep(home, f"{name}.jpg", data) for name, data in crops.items()}
    nothing = keep(home, "findings.geojson", b'{"type": "FeatureCollection", "features": []}', "application/geo+json")
    run = run_item(
        "run-1",
        model=Model("change", "1", ("change",), 0.1, 512, 1, "classical", "Apache-2.0"),
        inputs=[orthos[1], orthos[0]],
        input_hashes=[original.sha256] * 2,
        geometry=block,
        custody=custody,
        started=created,
        finished=created,
        software={"flyonce": "0.1.0"},
        parameters={},
        found={"change": 5},
        analysed_m2=8000.0,
        files=RunFiles(nothing, nothing, crops=tuple(kept.items())),
    )
    home.catalog.put_items([flight, *orthos, *photos, run])

    evidence = Evidence(kept["before"].href, kept["after"].href, (original.sha256,), "change@1")
    at = {"nw": (25, 60), "ne": (75, 60), "sw": (25, 20), "se": (75, 20), "rejected": (50, 70), "filed": (50, 10)}
    kinds = ["spoil_heap", "debris", "construction_material"]
    sightings = [
        Sighting(
            f"run-1/{n}",
            kinds[n % 3],
            box(x - 1, y - 1, x + 1, y + 1),
            0.6 + 0.05 * n,
            4.0 + n,
            0.5,
            TAKEN,
            "changes/run-1",
            HOSTILE,
            evidence,
        )
        for n, (x, y) in enumerate(at.values())
    ]
    codes = load_codes()
    with transaction(home.engine) as conn:
        ids = dict(zip(at, store.record(conn, sightings), strict=True))
        store.decide(conn, codes, ids["rejected"], Action.REJECT, "Li Na", "moved car")
        store.decide(conn, codes, ids["filed"], Action.APPROVE, "Li Na")
    file_approved(home.engine, codes, FileGateway(home.settings.outbox_dir, home.files))
    return ids, crops


@pytest.fixture(scope="session")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """A served home with a block that was flown, looked at, and reviewed."""
    home = Home.open(Settings(home=tmp_path_factory.mktemp("console") / "home"))
    ids, crops = fill(home)
    codes = load_codes()
    with home.engine.connect() as conn:
        found = store.find(conn)
    events = {}
    for event in found:
        matter = codes.of_class(event.class_)
        assert matter is not None
        events[event.id] = Known(
            event.id,
            event.class_,
            matter.code,
            matter.name_zh,
            matter.name_en,
            event.state.value,
            event.score,
            event.area_m2,
            event.lon,
            event.lat,
            event.ticket,
        )
    quadrants = {ids[name]: colour for name, colour in QUADRANTS.items()}
    with serving(home) as url:
        yield Scene(url, "ortho-after", crops, events, quadrants)
    home.close()


@pytest.fixture
def empty(home: Home) -> Iterator[str]:
    """Address of a home that holds nothing yet."""
    with serving(home) as url:
        yield url


@pytest.fixture
def with_cog(home: Home, tmp_path: Path) -> Iterator[str]:
    """Address of a home with one orthophoto, all green, with its COG."""
    data = np.zeros((3, 800, 1000), dtype=np.uint8)
    data[1] = 200
    raster = write_raster(tmp_path / "green.tif", data, gsd=0.1)
    write_cog(raster, tmp_path / "cog.tif")
    original = keep(home, "green.tif", (tmp_path / "cog.tif").read_bytes(), COG)
    common: dict[str, Any] = {"custody": Custody("330100"), "flight": "f", "created": TAKEN}
    home.catalog.put_items([orthophoto_item(inspect(tmp_path / "cog.tif"), "green", **common, original=original)])
    with serving(home) as url:
        yield url


@pytest.fixture
def keyed(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """Address of an empty home that asks for a key, and the key."""
    key = "a key of some length"
    with Home.open(Settings(home=tmp_path / "keyed", api_key=SecretStr(key))) as home, serving(home) as url:
        yield url, key
