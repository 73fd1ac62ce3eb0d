"""A flight's photos through a NodeODM server (one of ours that speaks its API), driven by pyodm over loopback."""

import gc
import hashlib
import io
import json
import os
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import rasterio.warp
from PIL import Image
from pydantic import SecretStr
from rio_cogeo.cogeo import cog_validate
from shapely.geometry import Point, shape

from imagery.errors import Refused
from records import outside
from records.settings import Settings
from stac.store import Item, Query
from workers.home import Home
from workers.ingest import ingest
from workers.nodeodm import DSM, ORTHOPHOTO, OdmServer
from workers.photogrammetry import Pace, StoppedError, full_items

# pyodm leaves a download that ends early to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")

LON, LAT = 113.93, 30.94
EAST, NORTH = 780_000.0, 3_426_000.0
QUICK = Pace(every=0.02, patience=20.0, retry=0.0)
AT_ONCE = Pace(every=0.02, patience=0.0, retry=0.0)


def nothing(*_: object) -> None:
    return


def photo(number: int) -> bytes:
    exif = Image.Exif()
    exif[0x8825] = {1: "N", 2: (30.0, (LAT - 30) * 60 + number / 100, 0.0), 3: "E", 4: (113.0, 55.8, 0.0)}
    exif.get_ifd(0x8769)[0x9003] = f"2026:05:01 10:00:{number:02d}"
    pixels = np.random.default_rng(number).integers(0, 255, (60, 80, 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", exif=exif)
    return out.getvalue()


def raster(bands: int, dtype: str) -> bytes:
    """A GeoTIFF as ODM makes them: UTM, an alpha band beside colours, heights as float32."""
    place = rasterio.Affine(0.1, 0, EAST, 0, -0.1, NORTH)
    pixels = np.random.default_rng(7).integers(20, 90, (bands, 60, 80)).astype(dtype)
    with rasterio.MemoryFile() as memory:
        with memory.open(
            driver="GTiff", width=80, height=60, count=bands, crs=32649, transform=place, dtype=dtype
        ) as ds:
            ds.write(pixels)
            if bands == 4:
                ds.colorinterp = [rasterio.enums.ColorInterp[name] for name in ("red", "green", "blue", "alpha")]
        return bytes(memory.read())


def archive(**members: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as zipped:
        for name, content in {ORTHOPHOTO: raster(4, "uint8"), DSM: raster(1, "float32"), **members}.items():
            if content:
                zipped.writestr(name, content)
    return out.getvalue()


@pytest.fixture
def photos(tmp_path: Path) -> list[bytes]:
    """Three photos, two of one name, on two cards."""
    content = [photo(number) for number in range(3)]
    for number, name in enumerate(("a/DJI_1.JPG", "b/DJI_1.JPG", "b/DJI_2.JPG")):
        (path := tmp_path / "cards" / name).parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content[number])
    return content


@pytest.fixture
def odm(nodeodm: Any) -> Iterator[Any]:
    nodeodm.archive = archive()
    yield nodeodm
    gc.collect()


@pytest.fixture
def flown(tmp_path: Path, odm: Any, photos: list[bytes]) -> Iterator[Home]:
    """A home with the flight 北路 and the address of the server."""
    with Home.open(Settings(home=tmp_path / "home", nodeodm_url=SecretStr(odm.url))) as home:
        report = ingest(home, [tmp_path / "cards"], "north", "UAV")
        assert len(report.accepted) == len(photos), report
        yield home


def key(home: Home) -> outside.Outside | None:
    with home.engine.connect() as conn:
        found = conn.execute(outside.outside_tasks.select()).mappings().one_or_none()
    return None if found is None else outside.Outside(found["service"], found["task"])


def refused(run: Callable[[], object]) -> Refused:
    with pytest.raises(Refused) as error:
        run()
    assert error.value.remedy
    return error.value


def test_a_flight_becomes_an_orthophoto_and_a_surface_model(
    flown: Home, odm: Any, photos: list[bytes], tmp_path: Path
) -> None:
    steps: list[tuple[str, int, int]] = []
    sent: dict[str, Any] = {}

    def note(what: str, done: int, total: int) -> None:
        steps.append((what, done, total))
        sent.update(odm.tasks)

    ortho, dsm = full_items(flown, "north", note, resolution=2.5, pace=QUICK)
    (task,) = sent.values()
    assert sorted(content for _, content in task.photos) == sorted(photos)  # every byte, and none twice
    assert len({name for name, _ in task.photos}) == 3
    said = {option["name"]: option["value"] for option in task.options}
    assert said == {"dsm": True, "orthophoto-resolution": "2.5"}
    assert (ortho["collection"], dsm["collection"]) == ("orthophotos", "elevation")
    assert dsm["properties"]["flyonce:elevation"] == "dsm"
    for item in (ortho, dsm):
        said = item["properties"]
        assert said["flyonce:quality"] == "full"
        assert said["processing:software"] == {"NodeODM": "2.2.4", "odm": "3.5.6"}
        assert said["flyonce:footprint_error_m"] >= 5.0  # no better than the photos' own places
        assert said["flyonce:flight"] == "north"
        assert said["datetime"].startswith("2026-05-01")
        assert sum(link["rel"] == "derived_from" for link in item["links"]) == 1 + len(photos)
        path = flown.asset_path(item["assets"]["original"]["href"])
        assert cog_validate(str(path), quiet=True)[0]
        assert "thumbnail" in item["assets"]
        assert flown.catalog.get_item(item["collection"], item["id"]) == item
    with rasterio.open(flown.asset_path(ortho["assets"]["original"]["href"])) as made:
        assert made.crs.to_epsg() == 32649
    lon, lat = rasterio.warp.transform(32649, 4326, [EAST + 4], [NORTH - 3])
    assert shape(dsm["geometry"]).contains(Point(lon[0], lat[0]))
    assert {what.split()[0] for what, _, _ in steps} == {"发送照片", "三维重建", "处理完成", "下载结果"}
    assert odm.removed == list(sent)
    assert key(flown) is None
    before = dict(odm.asked)
    assert full_items(flown, "north", nothing, resolution=2.5, pace=AT_ONCE) == [ortho, dsm]
    assert odm.asked == before  # nothing is asked of the server again


def test_items_are_found_by_their_quality_and_valid(flown: Home, odm: Any, validate: Callable[[Item], None]) -> None:
    full_items(flown, "north", nothing, pace=QUICK)
    full = {"op": "=", "args": [{"property": "flyonce:quality"}, "full"]}
    found: list[Item] = list(flown.catalog.search(Query(("orthophotos", "elevation"), filter=full)).items)
    assert len(found) == 2
    for item in found:
        validate(item)


def test_a_wait_that_was_stopped_goes_on_with_the_same_task(flown: Home, odm: Any) -> None:
    odm.after = "running"
    stop = threading.Event()

    def until_running(what: str, *_: int) -> None:
        if "(running)" in what:
            stop.set()

    with pytest.raises(StoppedError):
        full_items(flown, "north", until_running, stop=stop, pace=QUICK)
    (task,) = odm.tasks
    assert key(flown) == outside.Outside(odm.url, task)
    odm.after = odm.tasks[task].state = "done"
    assert len(full_items(flown, "north", nothing, pace=QUICK)) == 2
    assert (odm.asked["init"], odm.asked["upload"], odm.removed) == (1, 3, [task])


def test_photos_whose_sending_broke_off_are_sent_anew_and_none_twice(
    flown: Home, odm: Any, photos: list[bytes]
) -> None:
    class KilledError(Exception):
        """Stands for the process that ends."""

    def die(what: str, *_: int) -> None:
        if "sending" in what:
            raise KilledError

    with pytest.raises(KilledError):
        full_items(flown, "north", die, pace=QUICK)
    first = key(flown)
    assert first is not None
    assert odm.tasks == {}
    sent: dict[str, Any] = {}
    full_items(flown, "north", lambda *_: sent.update(odm.tasks), pace=QUICK)
    (task,) = sent.items()
    assert task[0] != first.task
    assert sorted(content for _, content in task[1].photos) == sorted(photos)


@pytest.mark.parametrize("kind", ["about", "upload", "commit", "info", "download", "remove"])
def test_a_line_that_breaks_once_costs_nothing_but_time(flown: Home, odm: Any, kind: str) -> None:
    odm.cut[kind] = 1
    assert len(full_items(flown, "north", nothing, pace=QUICK)) == 2
    assert odm.cut[kind] == 0
    assert odm.asked["init"] == 1


def test_a_line_that_breaks_while_a_task_is_begun_is_said(flown: Home, odm: Any) -> None:
    odm.cut["init"] = 1
    assert refused(lambda: full_items(flown, "north", nothing, pace=QUICK)).reason == "nodeodm-unreachable"
    assert len(full_items(flown, "north", nothing, pace=QUICK)) == 2


def test_a_task_that_the_server_has_lost_is_sent_anew(flown: Home, odm: Any) -> None:
    odm.after = "running"

    def lose(what: str, *_: int) -> None:
        if "(running)" in what:
            odm.tasks.clear()

    told = refused(lambda: full_items(flown, "north", lose, pace=QUICK))
    assert told.reason == "processing-cancelled"
    assert "forgotten" in told.message
    odm.after = "done"
    assert len(full_items(flown, "north", nothing, pace=QUICK)) == 2
    assert odm.asked["init"] == 2


@pytest.mark.parametrize(("state", "reason"), [("failed", "processing-failed"), ("cancelled", "processing-cancelled")])
def test_a_task_that_failed_says_why_and_may_be_asked_for_again(flown: Home, odm: Any, state: str, reason: str) -> None:
    odm.after = state
    told = refused(lambda: full_items(flown, "north", nothing, pace=QUICK))
    assert told.reason == reason
    assert ("not enough features" in told.message) == (state == "failed")
    assert key(flown) is None
    odm.after = "done"
    assert len(full_items(flown, "north", nothing, pace=QUICK)) == 2


def test_a_token_is_used_and_never_shown(flown: Home, odm: Any, tmp_path: Path) -> None:
    odm.token = "secret-token"
    told = refused(lambda: full_items(flown, "north", nothing, pace=QUICK))
    assert told.reason == "nodeodm-forbidden"
    url = SecretStr(f"{odm.url}/?token=secret-token")
    assert "secret-token" not in repr(OdmServer(url.get_secret_value()))
    with Home.open(Settings(home=tmp_path / "home", nodeodm_url=url)) as home:
        odm.cut["about"] = 100
        told = refused(lambda: full_items(home, "north", nothing, pace=AT_ONCE))
        assert told.reason == "nodeodm-unreachable"
        assert "secret-token" not in str(told)
        odm.cut.clear()
        assert len(full_items(home, "north", nothing, pace=QUICK)) == 2


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (archive(**{ORTHOPHOTO: b""}), "no-orthophoto"),
        (archive(**{ORTHOPHOTO: b"not a picture at all"}), "not-a-geotiff"),
        (archive(**{ORTHOPHOTO: raster(3, "uint8")[:900]}), "not-a-geotiff"),
        (archive(**{DSM: raster(3, "uint8")}), "not-a-geotiff"),
        (archive()[:-600], "nodeodm-unreachable"),
        (b"<html>a proxy's page</html>", "nodeodm-unreachable"),
    ],
)
def test_a_result_that_is_none_is_refused_by_name(flown: Home, odm: Any, made: bytes, reason: str) -> None:
    odm.archive = made
    told = refused(lambda: full_items(flown, "north", nothing, pace=AT_ONCE))
    assert told.reason == reason
    assert str(flown.settings.home) not in told.message
    assert not flown.catalog.search(Query(("orthophotos", "elevation"))).items
    odm.archive = archive()  # the task is still there: its result is fetched again, nothing is sent again
    assert len(full_items(flown, "north", nothing, pace=QUICK)) == 2
    assert odm.asked["init"] == 1


def test_a_surface_model_may_be_missing(flown: Home, odm: Any) -> None:
    odm.archive = archive(**{DSM: b""})
    assert [item["collection"] for item in full_items(flown, "north", nothing, pace=QUICK)] == ["orthophotos"]


def test_a_full_disk_is_named_and_the_result_waits(flown: Home, odm: Any, skip_lacking: Any, tmp_path: Path) -> None:
    """A file system of 64 MiB, and an archive that is larger; then one that fits, whose content would not."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        skip_lacking("a file system of its own cannot be mounted here")
    try:
        with Home.open(Settings(home=disk / "home", nodeodm_url=SecretStr(odm.url))) as home:
            ingest(home, [tmp_path / "cards"], "north", "UAV")
            for content in (archive(large=os.urandom(1 << 20) * 80), archive()):
                odm.archive = content
                told = refused(lambda: full_items(home, "north", nothing, pace=QUICK))
                assert told.reason == "disk-full"
                assert str(home.settings.home) in told.message
            assert list((disk / "home").glob("full-*")) == []
            assert odm.asked["init"] == 1
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_what_cannot_be_asked_for_is_said(flown: Home, odm: Any, tmp_path: Path) -> None:
    odm.most_photos = 2
    told = refused(lambda: full_items(flown, "north", nothing, pace=QUICK))
    assert told.reason == "too-many-photos"
    assert "2 photos" in told.message
    assert odm.asked["init"] == 0
    assert refused(lambda: full_items(flown, "nowhere", nothing)).reason == "no-such-flight"
    with Home.open(Settings(home=tmp_path / "home")) as without:
        assert refused(lambda: full_items(without, "north", nothing)).reason == "no-nodeodm"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "node:3000",
        "ftp://node",
        "http://",
        "http://node/odm",
        "https://node:3000",
        "http://u:p@node",
        "http://n:99999",
    ],
)
def test_an_address_that_is_none_is_refused(url: str) -> None:
    assert refused(lambda: OdmServer(url)).reason == "bad-nodeodm-url"


def test_what_answers_otherwise_is_no_nodeodm(odm: Any, serving: Any, flown: Home) -> None:
    from fastapi import FastAPI

    app = FastAPI()
    app.get("/info")(lambda: ["a list"])
    with serving(app) as url:
        assert refused(OdmServer(url).about).reason == "not-nodeodm"


def test_the_command_is_killed_and_given_again(flown: Home, odm: Any, tmp_path: Path) -> None:
    """A real process ended by SIGKILL while the server works; the next one goes on with the same task."""
    odm.after = "running"
    environment = {**os.environ, "FLYONCE_HOME": str(flown.settings.home), "FLYONCE_NODEODM_URL": odm.url}
    command = [sys.executable, "-m", "flyonce", "mosaic", "north", "--full", "--json"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 120
    while not odm.asked["info"] and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    process.kill()
    assert process.stderr is not None
    told = process.stderr.read().decode()
    process.stderr.close()
    process.wait()
    assert odm.asked["info"], told
    (task,) = odm.tasks.values()
    odm.after = task.state = "done"
    again = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert again.returncode == 0, again.stderr
    assert [item["collection"] for item in json.loads(again.stdout)] == ["orthophotos", "elevation"]
    assert odm.asked["init"] == 1
    digests = {hashlib.sha256(content).hexdigest() for _, content in task.photos}
    assert len(digests) == 3
