"""pystac-client, as a department's notebook would use it."""

from datetime import UTC, datetime

import pystac_client
import pytest
import shapely
import shapely.geometry

from stac.times import parse


@pytest.fixture(scope="module")
def catalog(served: str) -> pystac_client.Client:
    return pystac_client.Client.open(f"{served}/stac")


def test_it_finds_what_the_api_says_it_can(catalog: pystac_client.Client) -> None:
    for what in ("ITEM_SEARCH", "FILTER", "FIELDS", "SORT", "FEATURES", "COLLECTIONS"):
        assert catalog.conforms_to(what), what
    assert {found.id for found in catalog.get_collections()} == {
        "flights",
        "photos",
        "orthophotos",
        "detections",
        "changes",
        "models",
        "videos",
        "frames",
        "elevation",
    }


def test_it_pages_through_everything_once(catalog: pystac_client.Client) -> None:
    for method in ("GET", "POST"):
        found = [item.id for item in catalog.search(collections=["photos"], limit=40, method=method).items()]
        assert len(found) == len(set(found)) == 150, method


def test_it_searches_by_box(catalog: pystac_client.Client) -> None:
    box = shapely.box(102.7005, 25.0, 102.7015, 25.0004)
    found = list(catalog.search(collections=["photos"], bbox=box.bounds).items())
    assert [item.id for item in found] == [f"photo-000{number}" for number in (2, 1, 0)]
    assert all(shapely.geometry.shape(item.geometry).intersects(box) for item in found)


def test_it_searches_by_time(catalog: pystac_client.Client) -> None:
    found = catalog.search(
        collections=["photos"], datetime="2026-05-01T00:00:00Z/2026-05-01T00:00:10Z"
    ).item_collection()
    assert [item.id for item in found] == [f"photo-000{number}" for number in range(5, -1, -1)]
    assert found[0].datetime == datetime(2026, 5, 1, 0, 0, 10, tzinfo=UTC)


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    "condition",
    [
        "gsd < 0.0175 AND flyonce:footprint_method = 'pose'",
        {
            "op": "and",
            "args": [
                {"op": "<", "args": [{"property": "gsd"}, 0.0175]},
                {"op": "=", "args": [{"property": "flyonce:footprint_method"}, "pose"]},
            ],
        },
    ],
    ids=["text", "json"],
)
def test_it_searches_by_cql2(catalog: pystac_client.Client, method: str, condition: object) -> None:
    language = "cql2-text" if isinstance(condition, str) else "cql2-json"
    search = catalog.search(filter=condition, filter_lang=language, method=method, sortby="properties.gsd")  # type: ignore[arg-type]
    assert [item.id for item in search.items()] == [f"photo-000{number}" for number in range(5)]


def test_an_item_leads_to_its_parents_and_its_files(catalog: pystac_client.Client, served: str) -> None:
    item = next(catalog.search(collections=["changes"]).items())
    assert item.get_collection().id == "changes"
    assert item.assets["mask"].href.startswith(f"{served}/assets/")
    sources = [link.href.rsplit("/", 2)[0].rsplit("/", 1)[1] for link in item.links if link.rel == "derived_from"]
    assert sources == ["orthophotos", "orthophotos", "models"]
    assert parse(item.properties["start_datetime"]) < item.datetime


def test_queryables_are_offered(catalog: pystac_client.Client) -> None:
    assert "gsd" in catalog.get_queryables()["properties"]
