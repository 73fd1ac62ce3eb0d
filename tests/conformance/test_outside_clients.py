"""Programs that others wrote, against both catalogues: odc-stac, and bare stac-fastapi-pgstac on our database."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import odc.stac
import pystac_client
import pytest
import rasterio
import stac_api_validator.validations as validations
from rasterio.transform import from_origin
from sqlalchemy.engine import make_url

from records.settings import Settings
from workers.home import Home
from workers.ingest import ingest


@pytest.fixture(scope="session")
def raster(served_home: Settings, served: str, tmp_path_factory: pytest.TempPathFactory) -> np.ndarray[Any, Any]:
    """Pixels of an orthophoto that was ingested into the served home."""
    path = tmp_path_factory.mktemp("raster") / "block.tif"
    pixels = np.random.default_rng(7).integers(1, 255, (3, 128, 160), dtype=np.uint8)
    profile = {"driver": "GTiff", "width": 160, "height": 128, "count": 3, "dtype": "uint8", "crs": "EPSG:32648"}
    with rasterio.open(path, "w", transform=from_origin(270_000, 2_767_000, 0.5, 0.5), **profile) as target:
        target.write(pixels)
    with Home.open(served_home) as home:
        report = ingest(home, [path], "for-odc", "D")
    assert len(report.accepted) == 1
    return pixels


@pytest.mark.filterwarnings("ignore")
def test_odc_stac_loads_what_was_put(served: str, raster: np.ndarray[Any, Any]) -> None:
    catalog = pystac_client.Client.open(f"{served}/stac")
    found = list(catalog.search(collections=["orthophotos"], filter="flyonce:flight = 'for-odc'").items())
    assert len(found) == 1
    loaded = odc.stac.load(found, bands=["cog"], crs="EPSG:32648", resolution=0.5)
    assert loaded.sizes["time"] == 1
    (band,) = loaded.data_vars
    values = loaded[band].isel(time=0).values
    assert values.shape == raster.shape[1:]
    assert (values == raster[0]).all()


@pytest.mark.filterwarnings("ignore")
def test_the_validator_writes_and_removes_an_item(served: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its item has an asset in somebody's bucket, which this service refuses: it is sent with a file of the store."""
    ours = httpx.get(f"{served}/stac/collections/photos/items/photo-0000").json()["assets"]
    template = httpx.get(f"{served}/stac/collections/photos").json()
    made = httpx.post(f"{served}/stac/collections", json={**template, "id": "validated", "links": []})
    assert made.status_code == 201, made.text
    ask = validations.retrieve

    def retrieve(*args: Any, **kwargs: Any) -> Any:
        body = kwargs.get("body")
        if isinstance(body, dict) and "assets" in body:
            kwargs["body"] = {**body, "assets": {"aot": ours["original"]}}
        return ask(*args, **kwargs)

    monkeypatch.setattr(validations, "retrieve", retrieve)
    monkeypatch.setattr(validations.time, "sleep", lambda _: None)
    errors, warnings = validations.Errors(), validations.Warnings()
    validations.validate_transaction(
        landing_page_body=httpx.get(f"{served}/stac/").json(),
        collection="validated",
        errors=errors,
        warnings=warnings,
        r_session=validations.Session(),
        context=validations.Context.TRANSACTION,
        transaction_collection="validated",
    )
    # It removes the item before it makes it, and takes 204 alone for that; here there was none.
    unexpected = [text for text in errors.as_list() if "404" not in text or "204" not in text]
    assert not unexpected, "\n".join(unexpected)
    assert httpx.delete(f"{served}/stac/collections/validated").status_code == 204


@pytest.fixture
def bare(pgstac_database: Callable[[], str], tmp_path: Path) -> Iterator[tuple[Settings, str]]:
    """stac-fastapi-pgstac as it comes, on a database of ours; its address, and our settings."""
    settings = Settings(home=tmp_path / "home", database_url=pgstac_database(), api_key=None)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = make_url(settings.database_url)
    env = {
        **os.environ,
        "PGHOST": str(url.host),
        "PGPORT": str(url.port),
        "PGUSER": str(url.username),
        "PGPASSWORD": "-",
        "PGDATABASE": str(url.database),
    }
    command = [sys.executable, "-m", "uvicorn", "--factory", "stac_fastapi.pgstac.app:create_app", "--port", str(port)]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, env=env, stdout=log, stderr=log)
    try:
        for _ in range(600):
            assert process.poll() is None, (tmp_path / "log").read_text()
            try:
                httpx.get(f"http://127.0.0.1:{port}/_mgmt/ping").raise_for_status()
            except httpx.TransportError:
                time.sleep(0.1)
            else:
                break
        yield settings, f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


def test_other_programs_of_pgstac_s_read_our_database(bare: tuple[Settings, str]) -> None:
    settings, address = bare
    stored = {
        "type": "Feature",
        "stac_version": "1.1.0",
        "stac_extensions": [],
        "id": "one",
        "collection": "photos",
        "geometry": {"type": "Point", "coordinates": [102.7, 25.0]},
        "bbox": [102.7, 25.0, 102.7, 25.0],
        "properties": {"datetime": "2026-05-01T00:00:00Z", "gsd": 0.05},
        "links": [],
        "assets": {},
    }
    with Home.open(settings) as home:
        home.catalog.put_items([stored])
    body = {
        "collections": ["photos"],
        "bbox": [102, 24, 103, 26],
        "filter": {"op": "<", "args": [{"property": "gsd"}, 1]},
    }
    (found,) = httpx.post(f"{address}/search", json=body, timeout=60).json()["features"]
    assert {key: found[key] for key in ("id", "collection", "properties", "assets", "stac_version")} == {
        key: stored[key] for key in ("id", "collection", "properties", "assets", "stac_version")
    }
    assert found["geometry"]["coordinates"] == [102.7, 25.0]
