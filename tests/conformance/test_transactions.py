"""Items and collections written through the STAC API, over both catalogues: whole or not at all, and never unseen."""

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import httpx
import pytest


def ids_in(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [feature["id"] for feature in answer.json()["features"]]


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
    assert ids_in(api.get("/search", params={"filter": "gsd = 0.5", "collections": scratch})) == [body["id"]]

    changed = api.patch(
        where, json={"properties": {"gsd": 0.75, "title": None}}, headers={"if-match": made.headers["etag"]}
    )
    assert changed.status_code == 204, changed.text
    now = api.get(where)
    assert now.headers["etag"] == changed.headers["etag"] != made.headers["etag"]
    assert now.json()["properties"]["gsd"] == 0.75
    assert "title" not in now.json()["properties"]
    assert ids_in(api.get("/search", params={"filter": "gsd = 0.5", "collections": scratch})) == []

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
    assert sorted(ids_in(api.get(path))) == ["many-0", "many-1", "many-2"]
    again = {"type": "FeatureCollection", "features": [an_item(api, "many-9"), good[0]]}
    assert api.post(path, json=again).status_code == 409
    assert len(ids_in(api.get(path))) == 3


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
