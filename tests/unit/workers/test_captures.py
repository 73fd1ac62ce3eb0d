"""Captures in a bucket are read by parts, through an address that needs no key."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from imagery.cog import write_cog
from imagery.errors import Refused
from imagery.inspect import inspect
from imagery.reader import reader
from imagery.remote import location, shown
from imagery.sources import dataset, open_source
from records.settings import Settings
from stac.assets import COG, Stored
from stac.items import Custody, orthophoto_item
from workers.captures import open_captured
from workers.home import Home
from workers.testing import patches, write_raster

NOW = datetime(2026, 5, 1, tzinfo=UTC)


def catalogued(home: Home, folder: Path) -> Path:
    raster = write_raster(folder / "plain.tif", patches(np.random.default_rng(3), 700, 900), gsd=0.1)
    write_cog(raster, folder / "cog.tif")
    kept = home.files.put(folder / "cog.tif")
    stored = Stored("ortho.tif", kept.sha256, kept.size, COG)
    capture = inspect(folder / "cog.tif")
    item = orthophoto_item(capture, "o1", custody=Custody("transport"), flight="f1", created=NOW, original=stored)
    home.catalog.put_items([item])
    return folder / "cog.tif"


@pytest.mark.parametrize("kind", ["directory", "s3"])
def test_both_stores_give_the_same_source_and_pixels(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    given: dict[str, Any] = {}
    if kind == "s3":
        given = request.getfixturevalue("seaweed") | {"store_url": f"s3://flyonce/{tmp_path.name}"}
    with Home.open(Settings(home=tmp_path / "home", **given)) as home:
        path = catalogued(home, tmp_path)
        captured = open_captured(home, "orthophotos/o1")
        here = open_source(path)
        assert captured.input.source.path.startswith("http://127.0.0.1:" if kind == "s3" else "/")
        grid = here.grid(0.1)
        window = here.extent(grid)
        with reader(here) as near, reader(captured.input.source) as far:
            expected, found = near.read(grid, window), far.read(grid, window)
        np.testing.assert_array_equal(found.data, expected.data)
        np.testing.assert_array_equal(found.valid, expected.valid)


def test_an_address_that_cannot_be_read_is_told_without_its_signature() -> None:
    with (
        pytest.raises(Refused, match="cannot be read") as refused,
        dataset("http://127.0.0.1:1/bucket/abc?X-Amz-Signature=s3cret"),
    ):
        pass
    assert "http://127.0.0.1:1/bucket/abc" in str(refused.value)
    assert "s3cret" not in str(refused.value)


def test_a_lost_file_is_said_to_be_lost(tmp_path: Path) -> None:
    with Home.open(Settings(home=tmp_path / "home")) as home:
        catalogued(home, tmp_path)
        asset = home.catalog.get_item("orthophotos", "o1")["assets"]["original"]  # type: ignore[index]
        home.asset_path(asset["href"]).unlink()
        with pytest.raises(Refused) as refused:
            open_captured(home, "orthophotos/o1")
        assert refused.value.reason == "lost-file"


def test_names_for_gdal_and_for_people(tmp_path: Path) -> None:
    place = tmp_path / "空 格.tif"
    assert location(place.as_uri()) == str(place)
    assert location(place) == str(place)
    assert shown("https://s3/b/k?X-Amz-Signature=x#y") == "https://s3/b/k"
