"""Schemathesis over the addresses of files and tiles: whatever is sent, never a 5xx, and problems as problem+json."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings

from catalog_api.app import create_app
from imagery.cog import write_cog
from imagery.inspect import inspect
from records.settings import Settings
from stac.assets import COG, Stored
from stac.items import Custody, orthophoto_item
from workers.home import Home
from workers.testing import patches, write_raster

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 5, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> Iterator[schemathesis.BaseSchema]:
    folder = tmp_path_factory.mktemp("fuzzed")
    raster = write_raster(folder / "plain.tif", patches(np.random.default_rng(3), 300, 400), gsd=0.1)
    write_cog(raster, folder / "cog.tif")
    with Home.open(Settings(home=folder / "home", database_url="", store_url="", api_key=None)) as home:
        kept = home.files.put(folder / "cog.tif")
        stored = Stored("a.tif", kept.sha256, kept.size, COG)
        capture = inspect(folder / "cog.tif")
        item = orthophoto_item(capture, "o1", custody=Custody("a"), flight="f", created=NOW, original=stored)
        home.catalog.put_items([item])
        yield schemathesis.openapi.from_asgi("/openapi.json", create_app(home=home), headers={"host": "127.0.0.1"})


KNOWN = {"collection_id": "orthophotos", "item_id": "o1", "asset": "original", "tileMatrixSetId": "WebMercatorQuad"}
OPERATIONS = [
    (path, method)
    for path, methods in json.loads((ROOT / "docs" / "openapi.json").read_text("utf-8"))["paths"].items()
    for method in methods
    if path.startswith(("/tiles", "/assets", "/api/links"))
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_nothing_that_is_sent_breaks_the_server(document: schemathesis.BaseSchema, path: str, method: str) -> None:
    @settings(max_examples=12, suppress_health_check=list(HealthCheck), deadline=None)
    @given(case=document[path][method.upper()].as_strategy())
    def ask(case: schemathesis.Case) -> None:
        for name in set(case.path_parameters or {}) & set(KNOWN):
            case.path_parameters[name] = KNOWN[name]  # else nearly all of it would end at the first 404
        answer = case.call(headers={"host": "127.0.0.1"})
        assert answer.status_code < 500, answer.text
        if answer.status_code >= 400:
            assert answer.headers["content-type"] == ["application/problem+json"], answer.text

    ask()
