"""The one way in which this service reads: everything it hands out has passed `sharing.policy.decide`."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import func, select
from stac_fastapi.types.errors import NotFoundError

from imagery.errors import Refused
from records.jobs import jobs
from records.outbox import outbox
from sharing.policy import Action, Principal, Right, decide
from stac import visible
from stac.aggregations import Aggregation
from stac.store import Collection, Item, Page, Query
from tickets import store, wire
from tickets.codes import Codes
from tickets.states import State
from tickets.tables import events
from workers.flights import list_flights, report_of
from workers.home import Home

PAGE = 500


@dataclass(frozen=True, slots=True)
class File:
    """A file to hand out: the asset that names it, its bytes, and `read(start, stop)`, which gives them in pieces."""

    asset: dict[str, Any]
    size: int
    read: Callable[[int, int], Iterator[bytes]]


class Reader:
    """What one principal may read of a home. What is there but not for this principal is answered as not there."""

    def __init__(self, home: Home, codes: Codes, principal: Principal) -> None:
        self._home = home
        self._codes = codes
        self._principal = principal

    def search(self, query: Query) -> Page:
        page = self._home.catalog.search(query)
        return Page(tuple(self._seen(page.items)), page.next, page.matched, page.prev)

    def aggregate(self, query: Query, names: Sequence[str]) -> list[Aggregation]:
        """Figures over what this principal may find."""
        return self._home.catalog.aggregate(query, names) if self._sees() else []

    def collections(self) -> Sequence[Collection]:
        """Collections say what kinds of things there are, and what ground they cover."""
        return self._home.catalog.collections() if self._sees() else []

    def collection(self, collection: str) -> Collection:
        """Raises `NotFoundError`."""
        found = self._home.catalog.get_collection(collection) if self._sees() else None
        if found is None:
            raise NotFoundError(f"There is no collection {collection}.")
        return found

    def item(self, collection: str, item_id: str) -> Item:
        """Raises `NotFoundError`."""
        found = self._home.catalog.get_item(collection, item_id)
        if found is None or not self._sees(found):
            raise NotFoundError(f"There is no item {item_id} in {collection}.")
        return found

    def file(self, href: str, sha256: str) -> File:
        """The file of a stored href, with the asset that hands it out. Raises `NotFoundError`."""
        for item in self._home.catalog.items_of_file(sha256):
            if decide(self._principal, Action.READ, item).right is Right.PIXELS:
                for asset in item["assets"].values():
                    if asset["href"] == href:
                        return self._open(asset, sha256)
        raise NotFoundError("There is no such file.")

    def pixels(self, collection: str, item_id: str) -> Item:
        """An item whose files may be read. Raises `NotFoundError`."""
        item = self.item(collection, item_id)
        if decide(self._principal, Action.READ, item).right is not Right.PIXELS:
            raise NotFoundError(f"There is no item {item_id} in {collection} whose pixels you may see.")
        return item

    def seen_pixels(self, query: Query) -> list[Item]:
        """The first items of a search whose files may be read."""
        found = self._home.catalog.search(query).items
        return [item for item in found if decide(self._principal, Action.READ, item).right is Right.PIXELS]

    def address(self, asset: dict[str, Any]) -> str:
        """Where GDAL reads an asset of an item that `pixels` or `seen_pixels` gave. Raises `Refused` (not-in-store) for
        what lies elsewhere: nothing is fetched from an address that somebody wrote into an item."""
        return self._home.asset_url(asset["href"])

    def path(self, asset: dict[str, Any]) -> Path:
        """A file on this machine with an asset of such an item. Raises `Refused`: not-in-store, lost-file."""
        return self._home.asset_path(asset["href"])

    def _open(self, asset: dict[str, Any], sha256: str) -> File:
        files = self._home.files
        try:
            return File(asset, files.size(sha256), partial(files.read, sha256))
        except FileNotFoundError as error:
            raise NotFoundError("The store has lost this file.") from error

    def events(self, states: Sequence[State], limit: int) -> list[dict[str, Any]]:
        with self._home.engine.connect() as conn:
            found = [wire.event_json(event, self._codes) for event in store.find(conn, states, limit=limit)]
        return [event for event in found if self._sees(event)]

    def event(self, name: str) -> dict[str, Any]:
        """An event with its sightings and its history. Raises `NotFoundError`."""
        with self._home.engine.connect() as conn:
            event = store.get(conn, name)
            if event is None or not self._sees(wire.event_json(event, self._codes)):
                raise NotFoundError(f"There is no event {name[:40]}.")
            return {
                **wire.event_json(event, self._codes),
                "sightings": [wire.sighting_json(sighting) for sighting in store.sightings_of(conn, event.id)],
                "history": [wire.entry_json(entry) for entry in store.history_of(conn, event.id)],
            }

    def counts(self) -> dict[str, dict[str, int]]:
        """Items by collection and events by state."""
        if not self._sees():
            return {"items": {}, "events": {}}
        with self._home.engine.connect() as conn:
            by_state = select(events.c.state, func.count()).group_by(events.c.state).order_by(events.c.state)
            found = {row[0]: row[1] for row in conn.execute(by_state)}
        return {"items": self._home.catalog.counts(), "events": found}

    def views(self, lon: float, lat: float, limit: int) -> list[dict[str, Any]]:
        """What shows a place, the newest first; JSON-ready. Looks at no more than `limit` items."""
        place = {"type": "Point", "coordinates": [lon, lat]}
        query, items = Query(visible.COLLECTIONS, intersects=place, limit=min(limit, PAGE)), list[Item]()
        while len(items) < limit:
            page = self._home.catalog.search(query)
            items.extend(self._seen(page.items))
            if page.next is None:
                break
            query = replace(query, token=page.next)
        return [asdict(view) for view in visible.views(items[:limit], lon, lat, self._moments)]

    def _moments(self, href: str) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = json.loads(self._home.asset_path(href).read_text("utf-8"))
        except Refused:  # a lost file tells no moments; `flyonce admin verify` tells that it is lost
            return None
        return found

    def flights(self, limit: int) -> list[dict[str, Any]]:
        """The newest flights."""
        return list_flights(self._home, limit) if self._sees() else []

    def flight(self, flight: str) -> dict[str, Any]:
        """The report of a flight. Raises `NotFoundError`."""
        if not self._sees():
            raise NotFoundError(f"There is no flight {flight[:80]}.")
        try:
            return report_of(self._home, flight)
        except Refused as refused:
            raise NotFoundError(refused.message) from refused

    def _sees(self, item: Item | None = None) -> bool:
        return decide(self._principal, Action.SEARCH, item).allowed

    def _seen(self, items: Iterable[Item]) -> Iterable[Item]:
        return filter(self._sees, items)


def operation_counts(home: Home) -> dict[str, dict[str, float]]:
    """How much stands in the books, for whoever keeps the service running: numbers, whatever may be seen of it."""
    grouped = {"flyonce_jobs": jobs.c.state, "flyonce_events": events.c.state}
    with home.engine.connect() as conn:
        found = {
            name: {str(state): float(count) for state, count in conn.execute(select(by, func.count()).group_by(by))}
            for name, by in grouped.items()
        }
        waiting = outbox.c.delivered.is_(None)
        pending = conn.execute(select(func.count()).select_from(outbox).where(waiting)).scalar_one()
    counted = {name: float(count) for name, count in home.catalog.counts().items()}
    return {**found, "flyonce_outbox": {"pending": float(pending)}, "flyonce_items": counted}
