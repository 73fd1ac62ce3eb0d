"""Files over HTTP, the same from a folder and from a bucket; signed links; GDAL as a client."""

import base64
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from rasterio.errors import RasterioIOError

from catalog_api.app import create_app
from catalog_api.ranges import RangeError, part_of
from imagery.cog import write_cog
from imagery.inspect import inspect
from records.settings import Settings
from records.tokens import Leave
from stac.assets import COG, Stored
from stac.items import Custody, orthophoto_item
from workers.home import Home
from workers.testing import patches, write_raster

KEY = "a key that nobody knows"
BEARER = {"authorization": f"Bearer {KEY}"}


@pytest.fixture(scope="module", params=["directory", "s3"])
def kept_home(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, photo_of: Any
) -> Iterator[Home]:
    """A photo and a COG, in each kind of store, behind a key."""
    folder = tmp_path_factory.mktemp("kept")
    given = request.getfixturevalue("seaweed") | {"store_url": f"s3://flyonce/{folder.name}"}
    given = given if request.param == "s3" else {"store_url": ""}
    with Home.open(Settings(home=folder / "home", database_url="", api_key=SecretStr(KEY), **given)) as home:
        home.catalog.put_items([photo_of(home, 1)])
        raster = write_raster(folder / "plain.tif", patches(np.random.default_rng(3), 1100, 1500), gsd=0.1)
        write_cog(raster, folder / "cog.tif")
        kept = home.files.put(folder / "cog.tif")
        item = orthophoto_item(
            inspect(folder / "cog.tif"),
            "o1",
            custody=Custody("transport"),
            flight="f1",
            created=photo_of.start,
            original=Stored("正射.tif", kept.sha256, kept.size, COG),
        )
        home.catalog.put_items([item])
        yield home


@pytest.fixture(scope="module")
def where(kept_home: Home, serve: Callable[..., Any]) -> Iterator[str]:
    with serve(create_app(home=kept_home)) as found:
        yield found


@pytest.fixture(scope="module")
def files(where: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=where, headers=BEARER, timeout=30) as client:
        yield client


@pytest.fixture(scope="module")
def nobody(where: str) -> Iterator[httpx.Client]:
    """Somebody without the key."""
    with httpx.Client(base_url=where, timeout=30) as client:
        yield client


@pytest.fixture(scope="module")
def cog(files: httpx.Client, kept_home: Home) -> tuple[str, Path]:
    """Its address, and the same bytes as a file."""
    (item,) = files.get("/stac/search", params={"collections": "orthophotos"}).json()["features"]
    href = item["assets"]["original"]["href"]
    return href, kept_home.asset_path(urlsplit(href).path)


def test_a_file_is_served_whole_with_its_type_and_hash(files: httpx.Client, kept: Any) -> None:
    answer = files.get(kept.path)
    assert answer.content == kept.content
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["etag"] == f'"{kept.sha256}"'
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"].startswith("sandbox")
    assert "inline" in answer.headers["content-disposition"]


def test_the_file_is_the_one_that_items_point_to(files: httpx.Client, kept: Any) -> None:
    item = files.get("/stac/search", params={"collections": "photos"}).json()["features"][0]
    assert files.get(item["assets"]["original"]["href"]).content == kept.content


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [("bytes=0-9", 0, 10), ("bytes=100-", 100, None), ("bytes=-7", -7, None), ("bytes=5-5", 5, 6)],
)
def test_ranges(files: httpx.Client, kept: Any, asked: str, first: int, last: int | None) -> None:
    answer = files.get(kept.path, headers={"range": asked})
    assert answer.status_code == 206
    assert answer.content == kept.content[first:last]
    start = first % len(kept.content)
    assert answer.headers["content-range"] == f"bytes {start}-{start + len(answer.content) - 1}/{len(kept.content)}"


def test_a_range_behind_the_end(files: httpx.Client, kept: Any) -> None:
    assert files.get(kept.path, headers={"range": f"bytes={len(kept.content)}-"}).status_code == 416


def test_a_range_of_another_version_gives_the_whole(files: httpx.Client, kept: Any) -> None:
    other = files.get(kept.path, headers={"range": "bytes=0-9", "if-range": '"other"'})
    same = files.get(kept.path, headers={"range": "bytes=0-9", "if-range": f'"{kept.sha256}"'})
    assert (other.status_code, same.status_code) == (200, 206)


@pytest.mark.parametrize("tag", ['"{}"', 'W/"{}"', '"x", "{}"', "*"])
def test_what_is_known_already_is_not_sent_again(files: httpx.Client, kept: Any, tag: str) -> None:
    answer = files.get(kept.path, headers={"if-none-match": tag.format(kept.sha256)})
    assert (answer.status_code, answer.content) == (304, b"")
    assert files.get(kept.path, headers={"if-none-match": '"other"'}).status_code == 200


def test_head_tells_the_size_and_sends_nothing(files: httpx.Client, kept: Any) -> None:
    answer = files.head(kept.path)
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-length"] == str(len(kept.content))
    assert answer.headers["accept-ranges"] == "bytes"


@pytest.mark.parametrize(
    "path",
    [
        "/assets/{sha}/other.jpg",
        "/assets/{sha}/",
        "/assets/{other}/DJI%200001.JPG",
        "/assets/{sha}/..%2f..%2fflyonce.sqlite",
        "/assets/..%2f..%2fflyonce.sqlite/x",
        "/assets/%2e%2e/%2e%2e/flyonce.sqlite",
        "/assets/{upper}/DJI%200001.JPG",
        "/assets/' OR 1=1 --/x",
        "/assets/{sha}/DJI%200001.JPG%00",
        "/console/..%2f..%2fapp.py",
        "/console/%2e%2e/%2e%2e/app.py",
    ],
)
def test_no_path_leads_out_of_the_store(files: httpx.Client, kept: Any, path: str) -> None:
    path = path.format(sha=kept.sha256, other="0" * 64, upper=kept.sha256.upper())
    answer = files.get(path)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_file_that_no_item_names_is_not_served(files: httpx.Client, kept_home: Home) -> None:
    quarantined = kept_home.files.put_bytes(b"<script>alert(1)</script>")
    assert files.get(f"/assets/{quarantined.sha256}/x.html").status_code == 404


@pytest.mark.parametrize("asked", ["bytes=0-1,4-5", "bytes=0-0, -1", "bytes=0-,0-,0-,0-,0-,0-"])
def test_several_ranges_at_once_are_refused(files: httpx.Client, kept: Any, asked: str) -> None:
    answer = files.get(kept.path, headers={"range": asked})
    assert (answer.status_code, answer.json()["field"]) == (416, "Range")
    assert answer.headers["content-range"] == f"bytes */{len(kept.content)}"


@given(st.binary(min_size=1, max_size=50), st.integers(0, 60), st.integers(0, 60))
def test_a_part_is_what_python_slices(content: bytes, first: int, last: int) -> None:
    size = len(content)
    for header, expected in (
        (f"bytes={first}-{last}", content[first : last + 1] if first <= last else None),
        (f"bytes={first}-", content[first:]),
        (f"bytes=-{last}", content[-last:] if last else b""),
    ):
        if expected is None:
            assert part_of(header, None, "", size) is None
        elif not expected:
            with pytest.raises(RangeError):
                part_of(header, None, "", size)
        else:
            part = part_of(header, None, "", size)
            assert part is not None
            assert content[part.start : part.stop] == expected


@given(st.text(max_size=40))
def test_what_is_no_range_asks_for_the_whole(text: str) -> None:
    for header in (text, f"bytes{text}", f"bytes={text}"):
        try:
            part = part_of(header, None, "", 10)
        except RangeError:
            continue
        assert part is None or 0 <= part.start < part.stop <= 10


def link(files: httpx.Client, href: str, **more: Any) -> str:
    answer = files.post("/api/links", json={"href": href, **more})
    assert answer.status_code == 200, answer.text
    found: str = answer.json()["href"]
    return found


def test_a_link_opens_one_file_without_a_key(files: httpx.Client, nobody: httpx.Client, kept: Any) -> None:
    assert nobody.get(kept.path).status_code == 401
    opened = link(files, kept.path)
    assert nobody.get(opened).content == kept.content
    assert nobody.head(opened).headers["content-length"] == str(len(kept.content))
    assert nobody.get(opened, headers={"range": "bytes=3-5"}).content == kept.content[3:6]
    assert nobody.get(link(files, f"{files.base_url}{kept.path}".replace("//assets", "/assets"))).status_code == 200


def test_a_link_opens_nothing_besides(files: httpx.Client, nobody: httpx.Client, kept: Any, cog: Any) -> None:
    query = urlsplit(link(files, kept.path)).query
    other = urlsplit(cog[0]).path
    for path in (
        other,
        f"/assets/{kept.sha256}/",
        f"/assets/{kept.sha256}/other.jpg",
        "/stac/search",
        "/api/jobs",
        "/stac/collections/photos",
        f"{kept.path}/",
        "/console/",
        "/metrics",
        "/tiles/collections/photos",
    ):
        answer = nobody.get(f"{path}?{query}")
        assert answer.status_code in (401, 403, 404), path
        assert answer.headers["content-type"] == "application/problem+json"
    assert nobody.post(f"/api/links?{query}", json={"href": kept.path}).status_code == 401
    assert nobody.put(f"{kept.path}?{query}").status_code == 401
    tiles = urlsplit(link(files, "/tiles/collections/orthophotos/items/o1")).query
    assert nobody.get(f"{other}?{tiles}").status_code == 403


def test_a_link_ends_and_cannot_be_forged(
    kept_home: Home, files: httpx.Client, nobody: httpx.Client, kept: Any, where: str
) -> None:
    opened = link(files, kept.path)
    assert nobody.get(opened[:-3] + "AAA").status_code == 403
    assert nobody.get(f"{kept.path}?token=").json()["code"] == "LinkRefused"
    signer = create_app(home=kept_home).state.signer
    late = signer.sign(Leave("file", f"/assets/{kept.sha256}/{kept.name}", "api-key", int(time.time()) - 1))
    assert "expired" in nobody.get(f"{kept.path}?token={late}").json()["detail"]
    gone = signer.sign(Leave("file", f"/assets/{kept.sha256}/{kept.name}", "whoever", int(time.time()) + 60))
    assert nobody.get(f"{kept.path}?token={gone}").status_code == 403


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"href": "https://elsewhere.example/assets/x"}, 400),
        ({"href": "file:///etc/passwd"}, 400),
        ({"href": "/stac/collections/photos"}, 400),
        ({"href": "/tiles/collections/orthophotos"}, 400),
        ({"href": "/tiles/collections/orthophotos/items/none"}, 404),
        ({"href": "/assets/{sha}/other.jpg"}, 404),
        ({"href": "/assets/{sha}/DJI%200001.JPG", "expires_in": 10}, 400),
        ({"href": "/assets/{sha}/DJI%200001.JPG", "expires_in": 10**9}, 400),
        ({}, 400),
    ],
)
def test_links_to_anything_else_are_refused(files: httpx.Client, kept: Any, body: dict[str, Any], status: int) -> None:
    body = {key: value.format(sha=kept.sha256) if isinstance(value, str) else value for key, value in body.items()}
    answer = files.post("/api/links", json=body)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")


@pytest.mark.parametrize("way", ["bearer", "basic", "link"])
def test_gdal_reads_a_cog_over_http(files: httpx.Client, cog: Any, way: str) -> None:
    href, path = cog
    options = {"GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR", "CPL_VSIL_CURL_NON_CACHED": f"/vsicurl/{files.base_url}"}
    if way == "bearer":
        options["GDAL_HTTP_HEADERS"] = f"Authorization: Bearer {KEY}"
    elif way == "basic":
        options["GDAL_HTTP_HEADERS"] = "Authorization: Basic " + base64.b64encode(f"qgis:{KEY}".encode()).decode()
    else:
        href = link(files, href)
    with rasterio.open(path) as expected, rasterio.Env(**options), rasterio.open(f"/vsicurl/{href}") as found:
        assert found.profile == expected.profile
        window = rasterio.windows.Window(400, 300, 600, 500)
        np.testing.assert_array_equal(found.read(window=window), expected.read(window=window))
        assert found.overviews(1) == expected.overviews(1)


def test_gdal_without_a_key_is_told_no(cog: Any) -> None:
    with rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR"), pytest.raises(RasterioIOError, match="401"):
        rasterio.open(f"/vsicurl/{cog[0]}?nobody")


def test_many_readers_at_once_each_get_their_part(files: httpx.Client, kept: Any) -> None:
    wrong: list[int] = []

    def ask(start: int) -> None:
        answer = files.get(kept.path, headers={"range": f"bytes={start}-{start + 99}"})
        if answer.content != kept.content[start : start + 100]:
            wrong.append(start)

    threads = [threading.Thread(target=ask, args=(97 * number,)) for number in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
