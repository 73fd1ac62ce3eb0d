"""Every function that the STAC API declares, over both catalogues: one suite, one behaviour."""

import json
from typing import Any

import httpx
import pystac
import pytest

PHOTOS = 150
HOUSE = {"flights", "photos", "orthophotos", "detections", "changes", "models"}
CITY = "102.6,24.9,102.8,25.1"
CQL2 = "http://www.opengis.net/spec/cql2/1.0/conf"

# What is declared, by the tests that hold it. A class without a test, or one catalogue's alone, fails below.
HELD = {
    "https://api.stacspec.org/v1.0.0/core": "landing page, test_everything_is_reached_by_links",
    "https://api.stacspec.org/v1.0.0/collections": "test_collections_are_searched",
    "https://api.stacspec.org/v1.0.0/ogcapi-features": "test_items_of_a_collection",
    "https://api.stacspec.org/v1.0.0/item-search": "test_a_search_by_each_parameter",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/core": "test_items_of_a_collection",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/geojson": "test_items_of_a_collection",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/oas30": "test_everything_is_reached_by_links",
    "http://www.opengis.net/spec/ogcapi-features-3/1.0/conf/filter": "test_a_filter_of_each_class",
    "http://www.opengis.net/spec/ogcapi-features-3/1.0/conf/features-filter": "test_items_of_a_collection",
    "https://api.stacspec.org/v1.0.0-rc.2/item-search#filter": "test_a_filter_of_each_class",
    "https://api.stacspec.org/v1.1.0/item-search#sort": "test_order_and_fields",
    "https://api.stacspec.org/v1.1.0/ogcapi-features#sort": "test_order_and_fields",
    "https://api.stacspec.org/v1.0.0/item-search#sort": "test_order_and_fields",
    "https://api.stacspec.org/v1.0.0/ogcapi-features#sort": "test_order_and_fields",
    "https://api.stacspec.org/v1.0.0/item-search#fields": "test_order_and_fields",
    "https://api.stacspec.org/v1.0.0/ogcapi-features#fields": "test_order_and_fields",
    "https://api.stacspec.org/v1.0.0-rc.1/item-search#free-text": "test_free_text",
    "https://api.stacspec.org/v1.0.0-rc.1/ogcapi-features#free-text": "test_free_text",
    "https://api.stacspec.org/v1.0.0-rc.1/collection-search": "test_collections_are_searched",
    "http://www.opengis.net/spec/ogcapi-common-2/1.0/conf/simple-query": "test_collections_are_searched",
    **{
        f"https://api.stacspec.org/v1.0.0-rc.1/collection-search#{part}": "test_collections_are_searched"
        for part in ("free-text", "filter", "sort", "fields")
    },
    "https://api.stacspec.org/v1.0.0/ogcapi-features/extensions/transaction": "test_an_item_s_life",
    "https://api.stacspec.org/v1.0.0/collections/extensions/transaction": "test_a_collection_s_life",
    "https://api.stacspec.org/v0.3.0/aggregation": "test_aggregation",
    "https://api.stacspec.org/v1.0.0-rc.2/children": "test_everything_is_reached_by_links",
    "https://api.stacspec.org/v1.0.0-rc.2/browseable": "test_every_item_is_reached_by_child_and_item",
    **{
        f"{CQL2}/{name}": "test_a_filter_of_each_class"
        for name in (
            *("cql2-text", "cql2-json", "basic-cql2", "advanced-comparison-operators", "case-insensitive-comparison"),
            *("accent-insensitive-comparison", "basic-spatial-functions", "basic-spatial-functions-plus"),
            *("spatial-functions", "temporal-functions", "array-functions", "property-property"),
        )
    },
}


def names(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [feature["id"] for feature in answer.json()["features"]]


def link(document: dict[str, Any], rel: str) -> str:
    return str(next(one["href"] for one in document["links"] if one["rel"] == rel))


def photo_names(*numbers: int) -> list[str]:
    return [f"photo-{number:04}" for number in numbers]


def test_both_catalogues_declare_the_same(api: httpx.Client) -> None:
    assert set(api.get("/conformance").json()["conformsTo"]) == set(HELD)


def test_everything_is_reached_by_links(api: httpx.Client) -> None:
    page = api.get("/").json()
    children = api.get(link(page, "children")).json()["children"]
    assert {child["id"] for child in children} >= HOUSE
    assert {link(child, "self") for child in children} == {
        one["href"] for one in page["links"] if one["rel"] == "child"
    }
    assert api.get(link(page, "service-desc")).json()["openapi"].startswith("3.")
    for child in children:
        assert api.get(link(child, "self")).json() == child
        for item in api.get(link(child, "items"), params={"limit": 2}).json()["features"]:
            assert api.get(link(item, "self")).json() == item
            assert link(item, "parent") == link(child, "self")


def test_every_item_is_reached_by_child_and_item(api: httpx.Client, served: str) -> None:
    """As pystac does it with a catalogue of files: it follows `child` and `item` and knows of no API."""
    catalog = pystac.Catalog.from_file(f"{served}/stac/")
    browsed = [(one.collection_id, one.id) for one in catalog.get_items(recursive=True)]
    found = api.get("/search", params={"limit": 1000}).json()
    assert [one for one in found["links"] if one["rel"] == "next"] == []
    assert sorted(browsed) == sorted((one["collection"], one["id"]) for one in found["features"])


@pytest.mark.parametrize(
    ("asked", "count", "first"),
    [
        ({"limit": 200, "collections": "photos"}, PHOTOS, "photo-0149"),
        ({"limit": 3, "bbox": CITY, "collections": "photos"}, 3, "photo-0149"),
        ({"bbox": "102.7005,25.0,102.7015,25.0004", "collections": "photos"}, 3, "photo-0002"),
        ({"bbox": "102.7,24.9,-170,25.1", "collections": "photos", "limit": 200}, PHOTOS, "photo-0149"),
        ({"ids": "photo-0003,photo-0005"}, 2, "photo-0005"),
        ({"datetime": "2026-05-01T00:00:00Z/2026-05-01T00:00:10Z", "collections": "photos"}, 6, "photo-0005"),
        ({"datetime": "2026-05-31T00:00:00Z/..", "collections": "orthophotos,changes"}, 2, "change-1"),
        (
            {"intersects": '{"type":"Point","coordinates":[102.7002,25.0002]}', "collections": "photos"},
            1,
            "photo-0000",
        ),
        ({"collections": "models"}, 1, "debris-1.0.0"),
        ({"collections": "nowhere"}, 0, None),
    ],
)
def test_a_search_by_each_parameter(api: httpx.Client, asked: dict[str, Any], count: int, first: str | None) -> None:
    found = names(api.get("/search", params=asked))
    assert len(found) == count
    assert found[:1] == ([] if first is None else [first])


def test_items_of_a_collection(api: httpx.Client) -> None:
    path = "/collections/photos/items"
    assert names(api.get(path, params={"filter": "gsd < 0.0173", "sortby": "gsd"})) == photo_names(0, 1, 2)
    seen: list[str] = []
    answer = api.get(path, params={"limit": 40})
    while True:
        assert answer.headers["content-type"] == "application/geo+json"
        seen += names(answer)
        following = [one for one in answer.json()["links"] if one["rel"] == "next"]
        if not following:
            break
        answer = api.get(following[0]["href"])
    assert seen == photo_names(*reversed(range(PHOTOS)))


def rectangle(west: float, south: float, east: float, north: float) -> dict[str, Any]:
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {"type": "Polygon", "coordinates": [ring]}


BOX = rectangle(102.69, 24.99, 102.7012, 25.0004)
COLUMN = rectangle(102.69, 24.99, 102.7015, 25.5)
NEWEST = photo_names(149, 148, 147, 146)
GEOMETRY = {"property": "geometry"}


def spatial(op: str, other: dict[str, Any] = BOX) -> dict[str, Any]:
    return {"op": op, "args": [GEOMETRY, other]}


def temporal(op: str, first: str, last: str) -> dict[str, Any]:
    return {"op": op, "args": [{"property": "datetime"}, {"interval": [first, last]}]}


FILTERS: list[tuple[str, Any, list[str]]] = [
    ("cql2-text", "gsd < 0.0172", photo_names(1, 0)),
    ("cql2-json", {"op": "<", "args": [{"property": "gsd"}, 0.0172]}, photo_names(1, 0)),
    ("basic-cql2", "gsd >= 0.0170 AND NOT gsd > 0.0171 AND flyonce:security <> 'public'", photo_names(1, 0)),
    ("basic-cql2", "datetime < TIMESTAMP('2026-05-01T00:00:02Z') AND collection = 'photos'", photo_names(0)),
    ("basic-cql2", "datetime = DATE('2026-05-01') AND gsd = 0.017", photo_names(0)),
    ("basic-cql2", "nothing IS NULL AND gsd = 0.017", photo_names(0)),
    ("basic-cql2", "NOT nothing = 1 AND gsd = 0.017", []),
    ("advanced-comparison-operators", "title LIKE 'a.jp_' AND gsd BETWEEN 0.0170 AND 0.01705", photo_names(0)),
    ("advanced-comparison-operators", "id IN ('photo-0004', 'photo-0002', 'x')", photo_names(4, 2)),
    ("case-insensitive-comparison", "CASEI(title) = CASEI('A.JPG') AND gsd < 0.0171", photo_names(0)),
    ("accent-insensitive-comparison", "ACCENTI(title) = ACCENTI('á.jpg') AND gsd < 0.0171", photo_names(0)),
    ("basic-spatial-functions", "S_INTERSECTS(geometry, BBOX(102.69, 24.99, 102.7005, 25.0004))", photo_names(0)),
    ("basic-spatial-functions-plus", spatial("s_intersects"), photo_names(1, 0)),
    ("spatial-functions", spatial("s_within", COLUMN), photo_names(*range(135, -1, -15))),
    ("spatial-functions", spatial("s_contains", {"type": "Point", "coordinates": [102.7002, 25.0002]}), photo_names(0)),
    ("temporal-functions", temporal("t_during", "2026-05-01T00:00:01Z", "2026-05-01T00:00:05Z"), photo_names(2, 1)),
    ("temporal-functions", temporal("t_intersects", "..", "2026-05-01T00:00:02Z"), photo_names(1, 0)),
    ("array-functions", {"op": "a_contains", "args": [{"property": "instruments"}, ["FC300S"]]}, NEWEST),
    ("property-property", {"op": "<", "args": [{"property": "created"}, {"property": "flyonce:flight"}]}, NEWEST),
]


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(("kind", "asked", "found"), FILTERS)
def test_a_filter_of_each_class(api: httpx.Client, kind: str, asked: Any, found: list[str], method: str) -> None:
    language = "cql2-text" if isinstance(asked, str) else "cql2-json"
    body = {"filter": asked, "filter-lang": language, "limit": 4 if len(found) == 4 else 50, "collections": ["photos"]}
    if method == "POST":
        answer = api.post("/search", json=body)
    else:
        text = asked if isinstance(asked, str) else json.dumps(asked)
        answer = api.get("/search", params={**body, "filter": text, "collections": "photos"})
    assert names(answer) == found


def test_every_class_of_filters_is_asked() -> None:
    assert {f"{CQL2}/{kind}" for kind, *_ in FILTERS} == {name for name in HELD if name.startswith(CQL2)}


def test_order_and_fields(api: httpx.Client) -> None:
    asked = {"collections": "photos", "sortby": "-gsd,id", "limit": 2, "fields": "id,properties.gsd"}
    features = api.get("/search", params=asked).json()["features"]
    assert [feature["properties"] for feature in features] == [
        {"gsd": pytest.approx(0.0319)},
        {"gsd": pytest.approx(0.0318)},
    ]
    assert names(api.get("/collections/photos/items", params={"sortby": "+id", "limit": 1})) == photo_names(0)
    body = {"collections": ["photos"], "limit": 1, "fields": {"exclude": ["geometry"]}}
    (whole,) = api.post("/search", json=body).json()["features"]
    assert whole["properties"]["gsd"] > 0
    body["fields"] = {"exclude": ["geometry"], "include": []}
    (recommended,) = api.post("/search", json=body).json()["features"]
    assert set(recommended) == set(whole) - {"stac_extensions"}
    assert set(recommended["properties"]) == {"datetime"}
    mixed = names(api.get("/search", params={"sortby": "mlm:name,id", "limit": 2}))
    assert mixed[0] == "debris-1.0.0"
    assert mixed[1] == "change-1"


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"q": "五月"}, ["flight-1"]),
        ({"q": "MAY"}, ["flight-1"]),
        ({"q": "máy"}, ["flight-1"]),
        ({"q": "nothing of the kind"}, []),
        ({"q": "五,photo-0007"}, ["photo-0007", "flight-1"]),
        ({"q": "100%"}, []),
        ({"q": "a_jpg", "collections": "photos"}, []),
        ({"q": '"; DROP TABLE x --'}, []),
    ],
)
def test_free_text(api: httpx.Client, asked: dict[str, str], found: list[str]) -> None:
    assert names(api.get("/search", params=asked)) == found
    body = {
        **asked,
        "q": asked["q"].split(","),
        "collections": [asked["collections"]] if "collections" in asked else None,
    }
    assert names(api.post("/search", json={key: value for key, value in body.items() if value})) == found
    assert len(names(api.get("/collections/photos/items", params={"q": "a.jpg", "limit": 200}))) == PHOTOS


def test_aggregation(api: httpx.Client) -> None:
    listed = {one["name"] for one in api.get("/aggregations").json()["aggregations"]}
    asked = {"aggregations": ",".join(sorted(listed)), "collections": "photos,orthophotos", "filter": "gsd < 1"}
    found = {one["name"]: one for one in api.get("/aggregate", params=asked).json()["aggregations"]}
    assert set(found) == listed
    assert found["total_count"]["value"] == PHOTOS + 2  # and the orthophotos
    assert found["datetime_min"]["value"] == "2026-05-01T00:00:00Z"
    assert found["datetime_max"]["value"] == "2026-05-31T00:00:00Z"
    frequencies = {one["key"]: one["frequency"] for one in found["collection_frequency"]["buckets"]}
    assert frequencies == {"photos": PHOTOS, "orthophotos": 2}
    assert found["datetime_frequency"]["buckets"] == [
        {"key": "2026-05-01T00:00:00Z", "data_type": "datetime", "frequency": PHOTOS + 2}
    ]
    assert found["platform_frequency"]["buckets"][0]["key"] == "DJI FC300S"
    body = {"aggregations": ["total_count"], "bbox": [102.7005, 25.0, 102.7015, 25.0004], "collections": ["photos"]}
    assert api.post("/aggregate", json=body).json()["aggregations"][0]["value"] == 3
    only = api.get("/collections/models/aggregate", params={"aggregations": "total_count"}).json()
    assert only["aggregations"][0]["value"] == 1
    assert api.get("/collections/models/aggregations").status_code == 200
    refused = api.get("/aggregate", params={"aggregations": "nothing"})
    assert (refused.status_code, refused.json()["field"]) == (400, "aggregations")


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"q": "flight"}, {"flights"}),
        ({"q": "正射"}, {"orthophotos"}),
        ({"filter": "id = 'photos' OR title LIKE '%Models'"}, {"photos", "models"}),
        (
            {"filter": '{"op":"a_contains","args":[{"property":"keywords"},["mlm"]]}', "filter-lang": "cql2-json"},
            {"models"},
        ),
        ({"bbox": "102.6,24.9,102.8,25.1", "filter": "id <> 'models'"}, HOUSE - {"models"}),
        ({"bbox": "0,0,1,1", "filter": "id <> 'models'"}, set()),
        ({"datetime": "2026-05-31T00:00:00Z/..", "filter": "id LIKE '%photos'"}, {"orthophotos"}),
    ],
)
def test_collections_are_searched(api: httpx.Client, asked: dict[str, str], found: set[str]) -> None:
    answer = api.get("/collections", params=asked).json()
    assert {one["id"] for one in answer["collections"]} & HOUSE == found
    assert answer["numberMatched"] == answer["numberReturned"]


def test_collections_come_in_order_in_part_and_in_pages(api: httpx.Client) -> None:
    asked = {"sortby": "-title", "fields": "title", "limit": 2, "filter": "license = 'other'"}
    first = api.get("/collections", params=asked).json()
    assert [set(one) for one in first["collections"]] == [{"type", "id", "title"}] * 2
    second = api.get(link(first, "next")).json()
    titles = [one["title"] for one in (*first["collections"], *second["collections"])]
    assert titles == sorted(titles, reverse=True)
    assert len(set(titles)) == 4
    assert [one["id"] for one in api.get(link(second, "prev")).json()["collections"]] == [
        one["id"] for one in first["collections"]
    ]


def test_queryables_of_each_collection(api: httpx.Client) -> None:
    every = set(api.get("/queryables").json()["properties"])
    assert {"id", "datetime", "geometry", "gsd", "flyonce:department"} <= every
    for collection in HOUSE:
        found = api.get(f"/collections/{collection}/queryables")
        assert found.headers["content-type"] == "application/schema+json"
        assert set(found.json()["properties"]) >= every
    assert api.get("/collections/nowhere/queryables").status_code == 404


def test_a_token_made_up_is_refused(api: httpx.Client) -> None:
    for token in ("next:70686f746f73:61", "next:photos:photo-0001", "x", "", "\x00", "' OR 1=1 --"):
        answer = api.post("/search", json={"token": token})
        assert answer.status_code == 400, (token, answer.text)
        assert answer.json()["field"] == "token"
