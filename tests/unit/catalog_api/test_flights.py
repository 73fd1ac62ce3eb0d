"""Flights over HTTP: created, announced, closed, reported on."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from catalog_api.app import create_app
from workers.home import Home


@pytest.fixture
def http(home: Home, serving: Callable[..., Any]) -> Iterator[httpx.Client]:
    with serving(create_app(home=home)) as url, httpx.Client(base_url=url, timeout=60) as client:
        yield client


NEW = {
    "name": "北路 五月",
    "department": "UAV",
    "purpose": "roadworks",
    "platform": "M350 RTK",
    "pilot": "王",
    "operator_licence": "UAOC-1",
    "airspace_approval": "空-7",
    "security": "sensitive",
    "retain_until": "2030-01-31",
    "files": [{"name": "a.JPG", "size": 3}, {"name": "b.JPG"}],
}


def test_a_flight_is_created_with_what_is_known_of_it_and_taken_up_again(http: httpx.Client) -> None:
    made = http.post("/api/flights", json=NEW)
    assert made.status_code == 201
    assert made.json()["needed"] == ["a.JPG", "b.JPG"]
    place = f"/api/flights/{made.json()['flight']}"
    told = http.get(place).json()
    for key in ("name", "department", "purpose", "platform", "pilot", "operator_licence", "airspace_approval"):
        assert told[key] == NEW[key]
    assert (told["security"], told["retain_until"], told["state"]) == ("sensitive", "2030-01-31", "receiving")
    assert {file["file"]: file["state"] for file in told["files"]} == {"a.JPG": "missing", "b.JPG": "missing"}
    assert http.post("/api/flights", json=NEW).json() == made.json()
    more = http.post(f"{place}/files", json={"files": [{"name": "c.JPG"}]})
    assert more.json()["needed"] == ["c.JPG"]
    (listed,) = http.get("/api/flights").json()["flights"]
    assert (listed["flight"], listed["missing"]) == (told["flight"], 3)


@pytest.mark.parametrize(
    ("wrong", "status"),
    [
        ({"department": "ROADS"}, 409),
        ({"security": "public"}, 409),
        ({"security": "secret"}, 400),
        ({"name": ""}, 400),
        ({"name": "a\nb"}, 400),
        ({"retain_until": "soon"}, 400),
        ({"files": [{"name": "../a.JPG"}]}, 400),
        ({"files": [{"name": "a.JPG", "size": -1}]}, 400),
        ({"files": [{"name": "a.JPG", "sha256": "AB"}]}, 400),
        ({"colour": "red"}, 400),
    ],
)
def test_what_is_wrong_is_said(http: httpx.Client, wrong: dict[str, Any], status: int) -> None:
    http.post("/api/flights", json=NEW)
    answer = http.post("/api/flights", json=NEW | wrong)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert len(answer.json()["detail"]) > 10


def test_closing_early_and_opening_late_are_said_openly(http: httpx.Client) -> None:
    place = f"/api/flights/{http.post('/api/flights', json=NEW).json()['flight']}"
    answer = http.post(f"{place}/close", json={})
    assert (answer.status_code, answer.json()["code"]) == (409, "files-missing")
    answer = http.post(f"{place}/close", json={"early": True})
    assert (answer.status_code, answer.json()["code"]) == (400, "no-reason")
    answer = http.post(f"{place}/close", json={"early": True, "reason": "card broke"})
    assert answer.json()["state"] == "processed"
    late = {"files": [{"name": "late.JPG"}]}
    assert http.post(f"{place}/files", json=late).json()["code"] == "flight-closed"
    assert http.post(f"{place}/reopen", json={"reason": ""}).status_code == 400
    assert http.post(f"{place}/reopen", json={"reason": "second card"}).json()["state"] == "receiving"
    assert http.post(f"{place}/files", json=late).json()["needed"] == ["late.JPG"]
    for path in ("", "/close", "/reopen", "/files", "/report"):
        missing = http.request(
            "POST" if path in ("/close", "/reopen", "/files") else "GET",
            f"/api/flights/nothing{path}",
            json={"reason": "x"} if path == "/reopen" else {"files": []} if path == "/files" else {},
        )
        assert missing.status_code == 404, path


def test_the_report_is_a_page_that_a_browser_may_show_and_nothing_in_it_may_run(http: httpx.Client) -> None:
    place = http.post("/api/flights", json=NEW | {"name": "<script>x</script>"}).json()["flight"]
    page = http.get(f"/api/flights/{place}/report")
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "<script>" not in page.text
    assert "未收到" in page.text


def test_what_a_sender_cannot_send_is_in_the_report(http: httpx.Client) -> None:
    refused = {"reason": "unreadable", "message": "a.JPG: no such file.", "remedy": "Check the card."}
    made = http.post("/api/flights", json=NEW | {"files": [{"name": "a.JPG", "refused": refused}]}).json()
    assert (made["needed"], made["state"]) == ([], "processed")
    (file,) = http.get(f"/api/flights/{made['flight']}").json()["files"]
    assert {key: file[key] for key in refused} == refused
