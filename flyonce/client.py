"""flyonce from Python: the same questions to a home on this machine or to a server."""

import json
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import httpx

from flyonce.server import AskedWrongError, Server

__all__ = ["AskedWrongError", "Client", "LocalClient", "RemoteClient", "connect", "open_home"]

if TYPE_CHECKING:
    from catalog_api.access import Reader
    from workers.home import Home

Item = dict[str, Any]

PAGE = 500
_TOLD = ("id", "kind", "progress", "pace", "result", "error", "attempts")


class Client(Protocol):
    """What both kinds of client answer. Items are STAC dictionaries whose asset hrefs can be opened as they are."""

    def search(
        self,
        collections: Iterable[str] = (),
        *,
        bbox: Sequence[float] | None = None,
        datetime: str | None = None,
        filter: str | None = None,  # noqa: A002 - the standard's own word
        limit: int = 100,
    ) -> list[Item]:
        """At most `limit` items, newest first.

        `bbox`: west, south, east, north in degrees (west > east crosses the antimeridian). `datetime`: an instant or
        `A/B`, `..` for an open end. `filter`: CQL2 text. Raises `AskedWrongError`.
        """
        ...

    def visible(self, lon: float, lat: float) -> list[dict[str, Any]]:
        """Captures that show a place, the newest first, with the seconds of videos and the side it is seen from."""
        ...

    def events(self, *states: str) -> list[dict[str, Any]]:
        """Events, the highest score first, with class, code, place, area and evidence; only these `states`, if any."""
        ...

    def follow(self, job: str) -> Iterator[dict[str, Any]]:
        """The job whenever something of it changed, until it ends: `state`, `progress` (0 to 1), `pace` (stage, done,
        total, per_second, seconds_left), `result`, `error`. Raises `AskedWrongError` where there is none of that id."""
        ...


def watch(client: Client, job: str) -> dict[str, Any]:
    """Show a job's progress, rate and time left in this terminal or notebook until it ends; the job as it then is."""
    from flyonce.cli.progress import bar

    told: dict[str, Any] = {}
    with bar() as progress:
        for told in client.follow(job):
            if told["pace"]:
                progress(told["pace"]["stage"], told["pace"]["done"], told["pace"]["total"])
    return told


def connect(url: str, token: str | None = None) -> "RemoteClient":
    """A client of the server at `url`, such as http://127.0.0.1:8000. `token` is its API key."""
    return RemoteClient(url.rstrip("/"), token)


def open_home(home: str | os.PathLike[str] | None = None) -> "LocalClient":
    """A client of the embedded home in this folder (default: FLYONCE_HOME, else ~/.flyonce). `flyonce.open`.

    Raises `imagery.errors.Refused` (`no-home`) where there is none.
    """
    from records.settings import Settings
    from workers.home import Home

    return LocalClient(Home.open(Settings() if home is None else Settings(home=Path(home)), create=False))


@dataclass(frozen=True)
class LocalClient:
    """Asks a home on this machine, as its operator. Assets are `file://` addresses, or signed ones of the bucket."""

    home: "Home"

    def search(
        self,
        collections: Iterable[str] = (),
        *,
        bbox: Sequence[float] | None = None,
        datetime: str | None = None,
        filter: str | None = None,  # noqa: A002
        limit: int = 100,
    ) -> list[Item]:
        from catalog_api.stac_query import query_of
        from stac.store import QueryError

        items: list[Item] = []
        try:
            query = query_of(
                collections=list(collections),
                bbox=bbox,
                datetime=datetime,
                limit=min(limit, PAGE),
                filter_expr=filter,
                filter_lang="cql2-text",
            )
            while len(items) < limit:
                page = self.home.catalog.search(query)
                items.extend(page.items)
                if page.next is None:
                    break
                query = replace(query, token=page.next)
        except QueryError as error:
            raise AskedWrongError(f"{error.field}: {error.message}") from error
        return [self._openable(item) for item in items[:limit]]

    def visible(self, lon: float, lat: float) -> list[dict[str, Any]]:
        return self._reader().views(lon, lat, limit=10_000)

    def events(self, *states: str) -> list[dict[str, Any]]:
        from tickets.states import State

        return self._reader().events([State(state) for state in states], limit=1_000_000)

    def _reader(self) -> "Reader":
        from catalog_api.access import Reader
        from sharing.policy import LOCAL_OPERATOR
        from tickets.codes import load_codes

        return Reader(self.home, load_codes(self.home.settings.codes), LOCAL_OPERATOR)

    def follow(self, job: str) -> Iterator[dict[str, Any]]:
        from records import jobs

        last: dict[str, Any] = {}
        while True:
            row = jobs.get(self.home.engine, job)
            if row is None:
                raise AskedWrongError(f"there is no job {job}")
            told = {name: getattr(row, name) for name in _TOLD} | {"state": str(row.state)}
            if told != last:
                yield told
            if row.state in jobs.ENDED:
                return
            last = told
            time.sleep(0.5)

    def _openable(self, item: Item) -> Item:
        """Assets of the store as files; links that only a server could follow are left out."""
        from stac.assets import stored_sha256

        assets = {
            key: {**asset, "href": self.home.asset_url(asset["href"])} if stored_sha256(asset["href"]) else asset
            for key, asset in item["assets"].items()
        }
        links = [link for link in item["links"] if not link["href"].startswith("/")]
        return {**item, "assets": assets, "links": links}


@dataclass(frozen=True, repr=False)
class RemoteClient:
    """Asks a server. Assets are its addresses."""

    url: str
    token: str | None = None

    def __repr__(self) -> str:
        return f"RemoteClient({self.url!r})"  # never the token

    def search(
        self,
        collections: Iterable[str] = (),
        *,
        bbox: Sequence[float] | None = None,
        datetime: str | None = None,
        filter: str | None = None,  # noqa: A002
        limit: int = 100,
    ) -> list[Item]:
        asked: dict[str, Any] | None = {
            "limit": min(limit, PAGE),
            **({"bbox": list(bbox)} if bbox else {}),
            **({"datetime": datetime} if datetime else {}),
            **({"collections": list(collections)} if collections else {}),
            **({"filter": filter, "filter-lang": "cql2-text"} if filter else {}),
        }
        items: list[Item] = []
        while asked is not None and len(items) < limit:
            page = self._ask("POST", "/stac/search", json=asked)
            items.extend(page["features"])
            asked = next((link["body"] for link in page["links"] if link["rel"] == "next"), None)
        return items[:limit]

    def visible(self, lon: float, lat: float) -> list[dict[str, Any]]:
        views: list[dict[str, Any]] = self._ask("GET", "/api/visible", params={"lon": lon, "lat": lat})["views"]
        return views

    def events(self, *states: str) -> list[dict[str, Any]]:
        events: list[dict[str, Any]] = self._ask("GET", "/api/events", params={"state": states})["events"]
        return events

    def follow(self, job: str) -> Iterator[dict[str, Any]]:
        self._ask("GET", f"/api/jobs/{job}")
        headers = {"authorization": f"Bearer {self.token}"} if self.token else {}
        address = f"{self.url}/api/jobs/{job}/events"
        try:
            with httpx.stream("GET", address, headers=headers, timeout=httpx.Timeout(10, read=60)) as answer:
                for line in answer.iter_lines():
                    if line.startswith("data: "):
                        yield json.loads(line.removeprefix("data: "))
        except httpx.HTTPError as error:
            raise AskedWrongError(f"{address} broke off: {error}. The job goes on; follow it again.") from error

    def _ask(self, method: str, path: str, **what: Any) -> dict[str, Any]:
        with Server(self.url, self.token) as server:
            return server.ask(method, path, **what)
