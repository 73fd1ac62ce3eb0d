"""The STAC API over HTTP: what is found, how pages and fields come, and what is said to bad questions."""

from typing import Any
from urllib.parse import quote

import httpx
import pytest
import shapely.geometry
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog_api.routes import browse

ALL = [f"照片-{number:02}" for number in range(12)]
NEWEST = ALL[::-1]


def names(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/geo+json"
    return [feature["id"] for feature in answer.json()["features"]]


def links(document: dict[str, Any], rel: str) -> list[dict[str, Any]]:
    return [link for link in document["links"] if link["rel"] == rel]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({}, NEWEST),
        ({"collections": "photos"}, NEWEST),
        ({"collections": "flights,models"}, []),
        ({"ids": f"{ALL[1]},{ALL[3]}"}, [ALL[3], ALL[1]]),
        ({"bbox": "102.6995,24.9,102.7015,25.1"}, [ALL[1], ALL[0]]),
        ({"bbox": "102.6995,24.9,0,102.7015,25.1,100"}, [ALL[1], ALL[0]]),
        ({"bbox": "102.7105,24.9,-170,25.1"}, [ALL[11]]),
        ({"datetime": "2026-05-01T02:00:00Z"}, [ALL[2]]),
        ({"datetime": "2026-05-01T10:00:00+00:00/.."}, [ALL[11], ALL[10]]),
        ({"datetime": "../2026-05-01T00:59:59.999Z"}, [ALL[0]]),
        ({"filter": "gsd <= 0.02"}, [ALL[1], ALL[0]]),
        ({"filter": "flyonce:footprint_method = 'pose'"}, []),
        ({"filter": '{"op":"<=","args":[{"property":"gsd"},0.01]}', "filter-lang": "cql2-json"}, [ALL[0]]),
        ({"filter": "title LIKE 'DJI%' AND gsd > 0.11"}, [ALL[11]]),
        ({"sortby": "gsd", "limit": "2"}, ALL[:2]),
        ({"sortby": "-properties.gsd", "limit": "2"}, NEWEST[:2]),
        ({"intersects": '{"type":"Point","coordinates":[102.7,25.0]}'}, [ALL[0]]),
    ],
)
def test_get_search(client: httpx.Client, asked: dict[str, str], found: list[str]) -> None:
    assert names(client.get("/stac/search", params={"limit": "50", **asked})) == found


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({}, NEWEST),
        ({"bbox": [102.6995, 24.9, 102.7015, 25.1]}, [ALL[1], ALL[0]]),
        ({"bbox": [102.7105, 24.9, -170, 25.1]}, [ALL[11]]),
        ({"intersects": {"type": "Point", "coordinates": [102.7, 25.0]}}, [ALL[0]]),
        ({"filter": {"op": "<=", "args": [{"property": "gsd"}, 0.01]}}, [ALL[0]]),
        ({"filter": "gsd <= 0.01", "filter-lang": "cql2-text"}, [ALL[0]]),
        ({"sortby": [{"field": "properties.gsd", "direction": "asc"}], "limit": 1}, [ALL[0]]),
        ({"collections": ["photos"], "ids": [ALL[5]]}, [ALL[5]]),
    ],
)
def test_post_search(client: httpx.Client, asked: dict[str, Any], found: list[str]) -> None:
    assert names(client.post("/stac/search", json={"limit": 50, **asked})) == found


@pytest.mark.parametrize("method", ["GET", "POST", "items"])
def test_pages_lead_through_everything_and_back(client: httpx.Client, method: str) -> None:
    asked: dict[str, Any] = {"limit": 5, "sortby": "-gsd"} if method != "POST" else {"limit": 5}
    path = "/stac/collections/photos/items" if method == "items" else "/stac/search"
    answer = client.post(path, json=asked) if method == "POST" else client.get(path, params=asked)
    seen, pages = names(answer), 1
    while following := links(answer.json(), "next"):
        link = following[0]
        assert link["title"]
        answer = client.request(link["method"], link["href"], json=link.get("body"))
        seen += names(answer)
        pages += 1
    assert (seen, pages) == (NEWEST, 3)
    back = links(answer.json(), "prev")[0]
    assert names(client.request(back["method"], back["href"], json=back.get("body"))) == NEWEST[5:10]


def test_a_page_says_how_many_only_where_it_knows(client: httpx.Client) -> None:
    whole = client.get("/stac/search", params={"limit": 50}).json()
    assert (whole["numberMatched"], whole["numberReturned"]) == (12, 12)
    assert "numberMatched" not in client.get("/stac/search", params={"limit": 5}).json()


def test_an_item_is_served_with_its_addresses(client: httpx.Client, address: str) -> None:
    item = client.get(f"/stac/collections/photos/items/{quote(ALL[0])}").json()
    assert item["assets"]["original"]["href"].startswith(f"{address}/assets/")
    assert item["stac_extensions"][0] == f"{address}/schemas/flyonce-v1.0.0.json"
    assert client.get(item["stac_extensions"][0]).json()["$id"] == item["stac_extensions"][0]
    assert {link["rel"] for link in item["links"]} == {"self", "root", "parent", "collection", "derived_from"}
    assert all(link["href"].startswith(address) and link["title"] for link in item["links"])
    assert client.get(links(item, "self")[0]["href"]).json() == item


def test_the_landing_page_leads_to_everything(client: httpx.Client) -> None:
    assert client.get("/stac").headers["location"] == f"{client.base_url}/stac/"
    page = client.get("/stac/").json()
    for link in page["links"]:
        assert link["title"]
        if link.get("method", "GET") == "GET":
            assert client.get(link["href"]).status_code == 200, link
    assert page["conformsTo"] == client.get("/stac/conformance").json()["conformsTo"]
    assert page["conformsTo"] == sorted(set(page["conformsTo"]))
    assert {link["href"].rsplit("/", 1)[1] for link in links(page, "child")} == {
        collection["id"] for collection in client.get("/stac/collections").json()["collections"]
    }


def test_a_collection_leads_to_its_items_and_queryables(client: httpx.Client) -> None:
    found = client.get("/stac/collections/photos").json()
    assert names(client.get(links(found, "items")[0]["href"], params={"limit": 50})) == NEWEST
    queryables = client.get(links(found, "http://www.opengis.net/def/rel/ogc/1.0/queryables")[0]["href"]).json()
    assert {"gsd", "flyonce:footprint_method", "datetime"} <= set(queryables["properties"])
    assert found["extent"]["temporal"]["interval"] == [["2026-05-01T00:00:00Z", "2026-05-01T11:00:00Z"]]


@pytest.mark.parametrize(
    ("fields", "members", "properties"),
    [
        ("id,properties.gsd", {"type", "id", "collection", "properties"}, {"gsd"}),
        ("+geometry", {"type", "id", "collection", "geometry"}, None),
        ("-assets,-properties.gsd", None, "no gsd"),
        ("properties,-properties.gsd", {"type", "id", "collection", "properties"}, "no gsd"),
        ("-properties,+properties.gsd", {"type", "id", "collection", "properties"}, {"gsd"}),
        ("+geometry,-geometry", {"type", "id", "collection", "geometry"}, None),
        ("-id", None, None),
        ("properties.nothing", {"type", "id", "collection"}, None),
    ],
)
def test_fields_choose_members(client: httpx.Client, fields: str, members: Any, properties: Any) -> None:
    feature = client.get("/stac/search", params={"fields": fields, "limit": 1}).json()["features"][0]
    whole = client.get("/stac/search", params={"limit": 1}).json()["features"][0]
    if members is not None:
        assert set(feature) - {"properties"} == members - {"properties"}
    if fields.startswith("-assets"):
        assert "assets" not in feature
    if properties == "no gsd":
        assert set(whole["properties"]) - set(feature["properties"]) == {"gsd"}
    elif properties is not None:
        assert set(feature["properties"]) == properties
    assert feature["id"] == ALL[11]


def test_fields_of_a_post(client: httpx.Client) -> None:
    asked = {"fields": {"include": ["properties.gsd"], "exclude": ["geometry"]}, "limit": 1}
    feature = client.post("/stac/search", json=asked).json()["features"][0]
    assert feature["properties"] == {"gsd": 0.12}
    assert "geometry" not in feature


BAD = [
    ({"bbox": "1,2,3"}, "bbox"),
    ({"bbox": "1,2,3,x"}, "bbox"),
    ({"bbox": "0,10,1,5"}, "bbox"),
    ({"bbox": "0,0,200,5"}, "bbox"),
    ({"bbox": "nan,0,1,5"}, "bbox"),
    ({"bbox": "0,0,inf,5"}, "bbox"),
    ({"datetime": "yesterday"}, "datetime"),
    ({"datetime": "2026-05-01"}, "datetime"),
    ({"datetime": "2026-02-30T00:00:00Z"}, "datetime"),
    ({"datetime": "../.."}, "datetime"),
    ({"datetime": "2026-05-02T00:00:00Z/2026-05-01T00:00:00Z"}, "datetime"),
    ({"datetime": "a/b/c"}, "datetime"),
    ({"filter": "a b"}, "filter"),
    ({"filter": "gsd = " + "(" * 5000}, "filter"),
    ({"filter": "nonsense(gsd) = 1"}, "filter"),
    ({"filter": "{", "filter-lang": "cql2-json"}, "filter"),
    ({"filter": "3", "filter-lang": "cql2-json"}, "filter"),
    ({"filter": "gsd = 1", "filter-lang": "sql"}, "filter-lang"),
    ({"filter": "gsd = 1", "filter-crs": "EPSG:4547"}, "filter-crs"),
    ({"intersects": "nowhere"}, "intersects"),
    ({"intersects": "[1]"}, "intersects"),
    ({"intersects": '{"type":"Point","coordinates":[1]}'}, "intersects"),
    ({"intersects": '{"type":"Point","coordinates":[1,2]}', "bbox": "0,0,1,1"}, "bbox"),
    ({"limit": "0"}, "limit"),
    ({"limit": "-1"}, "limit"),
    ({"limit": "many"}, "limit"),
    ({"token": "next:photos:1"}, "token"),
    ({"token": "' OR 1=1 --"}, "token"),
    ({"sortby": "x\"'; DROP TABLE catalog_items"}, "sortby"),
    ({"sortby": "-"}, "sortby"),
]


ITEMS = "/stac/collections/photos/items"
BAD_OF_ITEMS = [(ITEMS, asked, field) for asked, field in BAD if "intersects" not in asked]


@pytest.mark.parametrize(("path", "asked", "field"), [*(("/stac/search", *bad) for bad in BAD), *BAD_OF_ITEMS])
def test_bad_questions_are_answered_on_their_field(client: httpx.Client, path: str, asked: Any, field: str) -> None:
    answer = client.get(path, params=asked)
    refused(answer, 400)
    assert answer.json()["field"] == field, answer.text


def refused(answer: httpx.Response, status: int) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    said = answer.json()
    assert said["status"] == status
    assert said["detail"]
    assert said["code"]
    assert "Traceback" not in answer.text


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"x"',
        b'{"bbox": [1, 2]}',
        b'{"bbox": [0, 0, 1e999, 1]}',
        b'{"bbox": "1,2,3,4"}',
        b'{"intersects": {"type": "Polygon", "coordinates": [[[0, 0], [1, 1]]]}}',
        b'{"intersects": {"type": "Polygon", "coordinates": [[[0,0],[1,1],[1,0],[0,1],[0,0]]]}}',
        b'{"intersects": {"type": "Point", "coordinates": [1, 2]}, "bbox": [0, 0, 1, 1]}',
        b'{"filter": {"op": "="}}',
        b'{"filter": 3}',
        b'{"filter": {"op": "not", "args": [true]}, "filter-lang": "cql2-text"}',
        b'{"filter": "gsd = 1", "filter-lang": "cql2-json"}',
        b'{"sortby": [{"field": "", "direction": "asc"}]}',
        b'{"sortby": [{"field": "gsd", "direction": "up"}]}',
        b'{"limit": {}}',
        b'{"datetime": 5}',
        b'{"filter": ' + b'{"op":"not","args":[' * 500 + b"true" + b"]}" * 500 + b"}",
        b"[" * 20_000,
    ],
)
def test_bad_bodies_are_refused(client: httpx.Client, body: bytes) -> None:
    refused(client.post("/stac/search", content=body, headers={"content-type": "application/json"}), 400)


@pytest.mark.parametrize(
    "path",
    [
        "/stac/collections/nowhere",
        "/stac/collections/nowhere/items",
        "/stac/collections/nowhere/queryables",
        "/stac/collections/photos/items/nothing",
        "/stac/collections/photos/items/..%2F..%2Fetc%2Fpasswd",
        "/stac/collections/%27%20OR%201=1/items",
        "/stac/nothing",
    ],
)
def test_what_is_not_there_is_not_found(client: httpx.Client, path: str) -> None:
    refused(client.get(path), 404)


@settings(max_examples=80, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(
            ["bbox", "datetime", "filter", "token", "sortby", "ids", "collections", "limit", "fields", "intersects"]
        ),
        st.text(max_size=20),
        max_size=3,
    )
)
def test_no_question_makes_the_server_fail(client: httpx.Client, asked: dict[str, str]) -> None:
    answer = client.get("/stac/search", params=asked)
    assert answer.status_code in (200, 400), answer.text
    if answer.status_code == 400:
        refused(answer, 400)


def test_every_geometry_that_is_served_is_one(client: httpx.Client) -> None:
    for feature in client.get("/stac/search", params={"limit": 50}).json()["features"]:
        assert shapely.geometry.shape(feature["geometry"]).is_valid


def test_a_collection_is_browsed_by_months_days_and_items(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(browse, "MOST_ITEMS", 5)
    months = client.get(links(client.get("/stac/collections/photos").json(), "child")[0]["href"]).json()
    assert [link["title"] for link in links(months, "child")] == ["2026-05 (12)"]
    days = client.get(links(months, "child")[0]["href"]).json()
    assert [link["title"] for link in links(days, "child")] == ["2026-05-01 (12)"]
    seen, following, sizes = [], links(days, "child"), []
    while following:
        page = client.get(following[0]["href"]).json()
        assert page["type"] == "Catalog"
        assert links(page, "self")[0]["href"] == following[0]["href"]
        seen += [client.get(link["href"]).json()["id"] for link in links(page, "item")]
        sizes.append(len(links(page, "item")))
        following = links(page, "child")
    assert (seen, sizes) == (NEWEST, [5, 5, 2])


@pytest.mark.parametrize("period", ["2026-13", "2026-02-30", "2026", "0000-01", "x", "2026-05-01T00", "2026-05-"])
def test_what_is_no_period_is_not_found(client: httpx.Client, period: str) -> None:
    assert client.get(f"/stac/collections/photos/periods/{period}").status_code == 404
