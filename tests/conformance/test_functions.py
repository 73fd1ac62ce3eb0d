"""Every function that the STAC API declares, over both catalogues: one suite, one behaviour."""

import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

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


@pytest.fixture(scope="session")
def api(served: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{served}/stac", timeout=60) as client:
        yield client


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


# Transactions.


@pytest.fixture
def scratch(api: httpx.Client) -> Any:
    """A collection of the test's own."""
    template = api.get("/collections/photos").json()
    body = {**template, "id": "scratch", "title": "Scratch", "links": []}
    made = api.post("/collections", json=body)
    assert made.status_code == 201, made.text
    yield "scratch"
    for item in api.get("/collections/scratch/items", params={"limit": 100}).json()["features"]:
        assert api.delete(f"/collections/scratch/items/{quote(item['id'])}").status_code == 204
    assert api.delete("/collections/scratch").status_code == 204


def an_item(api: httpx.Client, name: str = "new 一", **said: Any) -> dict[str, Any]:
    item: dict[str, Any] = api.get("/collections/photos/items/photo-0000").json()
    return {**item, "id": name, "collection": "scratch", "properties": {**item["properties"], **said}}


def test_an_item_s_life(api: httpx.Client, scratch: str) -> None:
    body = an_item(api, gsd=0.5)
    made = api.post(f"/collections/{scratch}/items", json=body)
    assert made.status_code == 201, made.text
    where = made.headers["location"]
    there = api.get(where)
    assert there.json() == made.json()
    assert there.headers["etag"] == made.headers["etag"]
    assert api.get(where, headers={"if-none-match": there.headers["etag"]}).status_code == 304
    assert api.post(f"/collections/{scratch}/items", json=body).status_code == 409
    assert names(api.get("/search", params={"filter": "gsd = 0.5", "collections": scratch})) == [body["id"]]

    changed = api.patch(
        where, json={"properties": {"gsd": 0.75, "title": None}}, headers={"if-match": made.headers["etag"]}
    )
    assert changed.status_code == 204, changed.text
    now = api.get(where)
    assert now.headers["etag"] == changed.headers["etag"] != made.headers["etag"]
    assert now.json()["properties"]["gsd"] == 0.75
    assert "title" not in now.json()["properties"]
    assert names(api.get("/search", params={"filter": "gsd = 0.5", "collections": scratch})) == []

    late = api.put(where, json=body, headers={"if-match": made.headers["etag"]})
    assert (late.status_code, late.json()["code"]) == (412, "Changed")
    assert api.delete(where, headers={"if-match": made.headers["etag"]}).status_code == 412
    assert api.put(where, json={**body, "id": "other"}).json()["field"] == "id"
    assert api.put(where, json=body, headers={"if-match": now.headers["etag"]}).status_code == 204
    assert api.get(where).json()["properties"]["gsd"] == 0.5
    assert api.get(where).headers["etag"] == made.headers["etag"]
    assert api.delete(where).status_code == 204
    assert api.get(where).status_code == 404
    assert api.delete(where).status_code == 404
    assert api.put(where, json=body).status_code == 404


def test_items_are_added_all_or_none(api: httpx.Client, scratch: str) -> None:
    path = f"/collections/{scratch}/items"
    good = [an_item(api, f"many-{number}") for number in range(3)]
    bad = {**an_item(api, "many-3"), "geometry": {"type": "Point", "coordinates": [300, 0]}}
    refused = api.post(path, json={"type": "FeatureCollection", "features": [*good, bad]})
    assert refused.status_code == 400
    assert api.get(path).json()["features"] == []
    assert api.post(path, json={"type": "FeatureCollection", "features": good}).status_code == 201
    assert sorted(names(api.get(path))) == ["many-0", "many-1", "many-2"]
    again = {"type": "FeatureCollection", "features": [an_item(api, "many-9"), good[0]]}
    assert api.post(path, json=again).status_code == 409
    assert len(names(api.get(path))) == 3


def test_a_collection_s_life(api: httpx.Client, scratch: str) -> None:
    here = f"/collections/{scratch}"
    there = api.get(here)
    assert api.post("/collections", json=there.json()).status_code == 409
    tag = {"if-match": there.headers["etag"]}
    assert api.patch(here, json={"title": "Later"}, headers=tag).status_code == 204
    assert api.get(here).json()["title"] == "Later"
    assert api.patch(here, json={"title": "Too late"}, headers=tag).status_code == 412
    assert api.put(here, json={**there.json(), "description": "Anew"}).status_code == 204
    assert api.get(here).json()["description"] == "Anew"
    assert api.put(here, json={**there.json(), "id": "other"}).json()["field"] == "id"
    assert api.post(f"{here}/items", json=an_item(api)).status_code == 201
    assert api.delete(here).status_code == 409
    assert api.delete("/collections/models").status_code == 409
    assert api.get(f"{here}/queryables").status_code == 200


# Bad bodies: refused on their field, and nothing changes.

Change = Callable[[dict[str, Any]], dict[str, Any]]


def with_asset(href: str) -> Change:
    return lambda item: {**item, "assets": {"original": {**item["assets"]["original"], "href": href}}}


def with_link(href: str) -> Change:
    return lambda item: {**item, "links": [{"rel": "via", "href": href, "title": "x"}]}


BAD: list[tuple[str, Change, str]] = [
    ("another collection", lambda item: {**item, "collection": "photos"}, "collection"),
    ("no id", lambda item: {key: value for key, value in item.items() if key != "id"}, "id"),
    ("an id with a slash", lambda item: {**item, "id": "../x"}, "id"),
    ("a NUL", lambda item: {**item, "properties": {**item["properties"], "title": "a\x00b"}}, "body"),
    ("no datetime", lambda item: {**item, "properties": {**item["properties"], "datetime": None}}, "properties"),
    (
        "a strange datetime",
        lambda item: {**item, "properties": {**item["properties"], "datetime": "May"}},
        "properties",
    ),
    ("no geometry", lambda item: {key: value for key, value in item.items() if key != "geometry"}, "geometry"),
    (
        "a bow tie",
        lambda item: {
            **item,
            "geometry": {"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]]]},
        },
        "geometry",
    ),
    ("off the Earth", lambda item: {**item, "geometry": {"type": "Point", "coordinates": [0, 91]}}, "geometry"),
    ("a point of words", lambda item: {**item, "geometry": {"type": "Point", "coordinates": ["a", "b"]}}, "geometry"),
    ("a short bbox", lambda item: {**item, "bbox": [1, 2, 3]}, "bbox"),
    ("no assets", lambda item: {**item, "assets": 3}, "assets"),
    ("another host", with_asset("https://elsewhere.example/x.tif"), "assets.original.href"),
    ("a file", with_asset("file:///etc/passwd"), "assets.original.href"),
    ("a way up", with_asset("/assets/../../flyonce.sqlite"), "assets.original.href"),
    ("what is not stored", with_asset(f"/assets/{'0' * 64}/x.tif"), "assets.original.href"),
    ("GDAL's own paths", with_asset("/vsicurl/http://169.254.169.254/latest"), "assets.original.href"),
    ("a link to a file", with_link("file:///etc/passwd"), "links.0.href"),
    ("a link that runs", with_link("javascript:alert(1)"), "links.0.href"),
    ("ten megabytes", lambda item: {**item, "properties": {**item["properties"], "x": "y" * 10_000_000}}, ""),
]


@pytest.mark.parametrize(
    ("change", "field"), [(change, field) for _, change, field in BAD], ids=[name for name, *_ in BAD]
)
def test_a_bad_item_is_refused_and_changes_nothing(api: httpx.Client, scratch: str, change: Change, field: str) -> None:
    good = an_item(api, "good")
    assert api.post(f"/collections/{scratch}/items", json=good).status_code == 201
    before = api.get(f"/collections/{scratch}/items").json()
    bad = change({**good, "id": "bad"})
    for answer in (
        api.post(f"/collections/{scratch}/items", json=bad),
        api.put(f"/collections/{scratch}/items/good", json=bad if field == "id" else {**bad, "id": "good"}),
    ):
        assert answer.status_code == (400 if field else 413), answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json().get("field", "").startswith(field)
    assert api.get(f"/collections/{scratch}/items").json() == before


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"3", b'"x"', b"{}", b"[" * 50_000, b'{"type": "FeatureCollection"}', b'{"a": NaN}', b"\xff"],
)
def test_what_is_no_item_is_refused(api: httpx.Client, scratch: str, body: bytes) -> None:
    answer = api.post(f"/collections/{scratch}/items", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400, answer.text
    assert answer.json()["field"]


def test_an_item_of_the_house_says_whose_it_is(api: httpx.Client) -> None:
    item = {**an_item(api), "collection": "photos"}
    del item["properties"]["flyonce:department"]
    answer = api.post("/collections/photos/items", json=item)
    assert (answer.status_code, answer.json()["field"]) == (400, "properties")
    assert "flyonce:department" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"id": "a/b"}, "body"),
        ({"extent": {}}, "extent"),
        ({"license": None}, "license"),
        ({"type": "Catalog"}, "type"),
    ],
)
def test_a_bad_collection_is_refused(api: httpx.Client, change: dict[str, Any], field: str) -> None:
    body = {**api.get("/collections/photos").json(), "id": "bad", **change}
    answer = api.post("/collections", json=body)
    assert answer.status_code in (400, 409), answer.text
    assert api.get("/collections/bad").status_code == 404


def test_a_token_made_up_is_refused(api: httpx.Client) -> None:
    for token in ("next:70686f746f73:61", "next:photos:photo-0001", "x", "", "\x00", "' OR 1=1 --"):
        answer = api.post("/search", json={"token": token})
        assert answer.status_code == 400, (token, answer.text)
        assert answer.json()["field"] == "token"
