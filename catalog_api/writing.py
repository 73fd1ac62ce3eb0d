"""The one way in which this service's STAC API writes: checked, decided by `sharing.policy`, and only over the version
that the writer has seen where it names one (`If-Match`)."""

import hashlib
import json
from collections.abc import Callable, Sequence
from typing import Any

import jsonschema
from pydantic import ValidationError
from stac_fastapi.types.errors import NotFoundError
from stac_pydantic import Collection as CollectionModel
from stac_pydantic import Item as ItemModel

from imagery.errors import Refused
from sharing.policy import Action, Principal, decide
from stac import extensions
from stac.assets import stored_sha256
from stac.collections import all_collections
from stac.hrefs import OWN, absolute
from stac.store import Collection, Item
from workers.home import Home

HOUSE = frozenset(collection["id"] for collection in all_collections())
"""Collections that every home has; the programs write their items."""

_OURS = frozenset(("self", "root", "parent", "collection", "items"))
_SCHEMA = jsonschema.Draft7Validator(extensions.flyonce_schema())


class BodyError(ValueError):
    """A body that cannot be taken; `field` says where in it."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class ConflictError(Exception):
    """What is to be made is there already, or in use."""


class ChangedError(Exception):
    """What the writer has seen is not what is there."""


class ForbiddenError(Exception):
    """The policy's reason."""


def etag(document: Item | Collection) -> str:
    """Of an item or a collection as it is kept, whatever the address it is served at."""
    text = json.dumps(_plain(document), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'


def _plain(value: Any) -> Any:
    """With 2.0 as 2: PostgreSQL gives coordinates back so."""
    match value:
        case dict():
            return {key: _plain(one) for key, one in value.items()}
        case list():
            return [_plain(one) for one in value]
        case float() if value.is_integer():
            return int(value)
    return value


def merged(document: Any, patch: Any) -> Any:
    """A JSON merge patch (RFC 7396) applied."""
    if not isinstance(patch, dict):
        return patch
    out = dict(document) if isinstance(document, dict) else {}
    for key, value in patch.items():
        if value is None:
            out.pop(key, None)
        else:
            out[key] = merged(out.get(key), value)
    return out


class Writer:
    """What one principal may write. `root` is the service's own address, under which bodies may name its files."""

    def __init__(self, home: Home, principal: Principal, root: str) -> None:
        self._home = home
        self._principal = principal
        self._root = root

    def create_items(self, collection: str, bodies: Sequence[Any]) -> list[Item]:
        """All or none. Raises `NotFoundError`, `BodyError`, `ConflictError`, `ForbiddenError`."""
        self._collection(collection)
        items = [
            self._item(body, collection, None, f"features.{n}." if len(bodies) > 1 else "")
            for n, body in enumerate(bodies)
        ]
        for item in items:
            self._may_write(item)
            if self._home.catalog.get_item(collection, item["id"]) is not None:
                raise ConflictError(f"There is an item {item['id']} in {collection} already: PUT replaces it.")
        if len(items) == 1:
            self._home.catalog.change_item(collection, items[0]["id"], lambda now: self._new(now, items[0]))
        else:
            self._home.catalog.put_items(items)
        return items

    def change_item(self, collection: str, name: str, if_match: str | None, make: Callable[[Item], Any]) -> Item:
        """Put what `make` makes of the item. Raises as `create_items`, and `ChangedError`."""

        def change(now: Item | None) -> Item:
            seen = self._seen(now, collection, name, if_match)
            after = self._item(make(absolute(seen, self._root)), collection, name, "")
            self._may_write(after)
            return after

        after = self._home.catalog.change_item(collection, name, change)
        if after is None:
            raise NotFoundError(f"There is no item {name} in {collection}.")
        return after

    def delete_item(self, collection: str, name: str, if_match: str | None) -> None:
        def change(now: Item | None) -> None:
            self._seen(now, collection, name, if_match)

        self._home.catalog.change_item(collection, name, change)

    def create_collection(self, body: Any) -> Collection:
        collection = self._checked_collection(body, None)
        if self._home.catalog.get_collection(collection["id"]) is not None:
            raise ConflictError(f"There is a collection {collection['id']} already: PUT replaces it.")
        self._home.catalog.put_collection(collection)
        return collection

    def change_collection(self, name: str, if_match: str | None, make: Callable[[Collection], Any]) -> Collection:
        now = self._collection(name)
        _check_match(now, if_match)
        collection = self._checked_collection(make(absolute(now, self._root)), name)
        self._home.catalog.put_collection(collection)
        return collection

    def delete_collection(self, name: str, if_match: str | None) -> None:
        _check_match(self._collection(name), if_match)
        if name in HOUSE:
            raise ConflictError(f"{name} is one of flyonce's own collections.")
        self._home.catalog.delete_collection(name)

    def _collection(self, name: str) -> Collection:
        self._may_write(None)
        found = self._home.catalog.get_collection(name)
        if found is None:
            raise NotFoundError(f"There is no collection {name}.")
        return found

    def _seen(self, now: Item | None, collection: str, name: str, if_match: str | None) -> Item:
        if now is None or not decide(self._principal, Action.SEARCH, now).allowed:
            raise NotFoundError(f"There is no item {name} in {collection}.")
        self._may_write(now)
        _check_match(now, if_match)
        return now

    def _new(self, now: Item | None, item: Item) -> Item:
        if now is not None:
            raise ConflictError(f"There is an item {item['id']} in {item['collection']} already: PUT replaces it.")
        return item

    def _may_write(self, item: Item | None) -> None:
        decision = decide(self._principal, Action.WRITE, item)
        if not decision.allowed:
            raise ForbiddenError(decision.why)

    def _item(self, body: Any, collection: str, name: str | None, prefix: str) -> Item:
        if not isinstance(body, dict):
            raise BodyError(prefix or "body", "an item is a JSON object")
        item = {**body, "collection": body.get("collection", collection)}
        _check_model(ItemModel, item, prefix)
        if item["collection"] != collection:
            raise BodyError(f"{prefix}collection", f"the address says {collection}")
        if name is not None and item["id"] != name:
            raise BodyError(f"{prefix}id", f"the address says {name}")
        item = self._own(item, prefix)
        if collection in HOUSE:
            for fault in _SCHEMA.iter_errors(item):
                raise BodyError(prefix + ".".join(map(str, fault.absolute_path)), fault.message[:300])
        return item

    def _checked_collection(self, body: Any, name: str | None) -> Collection:
        self._may_write(None)
        if not isinstance(body, dict):
            raise BodyError("body", "a collection is a JSON object")
        _check_model(CollectionModel, body, "")
        if name is not None and body["id"] != name:
            raise BodyError("id", f"the address says {name}")
        return self._own(body, "")

    def _own(self, document: dict[str, Any], prefix: str) -> dict[str, Any]:
        """With addresses of this service relative to it, as they are kept. Raises `BodyError` for any that must not be:
        an asset elsewhere would be fetched by whoever follows it, and by our own programs."""
        out = dict(document)
        out["links"] = [
            {**link, "href": self._link(link["href"], f"{prefix}links.{number}.href")}
            for number, link in enumerate(document.get("links", []))
            if link["rel"] not in _OURS and not str(link["href"]).startswith(f"{self._root}/tiles/")
        ]
        if "stac_extensions" in out:
            out["stac_extensions"] = [self._relative(str(address)) for address in out["stac_extensions"] or []]
        if "assets" in out:
            out["assets"] = {
                key: {**asset, "href": self._file(asset["href"], f"{prefix}assets.{key}.href")}
                for key, asset in document["assets"].items()
            }
        return out

    def _link(self, href: str, field: str) -> str:
        address = self._relative(href)
        if not address.startswith((*OWN, "https://", "http://")):
            raise BodyError(field, f"not an http address: {href[:100]!r}")
        return address

    def _file(self, href: str, field: str) -> str:
        address = self._relative(href)
        sha256 = stored_sha256(address)
        if sha256 is None:
            raise BodyError(field, f"not a file of this store (/assets/<sha256>/<name>): {href[:100]!r}")
        try:
            there = self._home.files.exists(sha256)
        except (OSError, Refused) as error:
            raise BodyError(field, f"the store does not answer for {sha256}: {error}") from error
        if not there:
            raise BodyError(field, f"the store has no file {sha256}; send it first")
        return address

    def _relative(self, address: str) -> str:
        own = address.removeprefix(self._root)
        return own if own.startswith(OWN) else address


def _check_match(now: Item | Collection, if_match: str | None) -> None:
    if if_match is None or if_match.strip() == "*":
        return
    if etag(now) not in [tag.strip() for tag in if_match.split(",")]:
        raise ChangedError(f"It is {etag(now)} now: read it again, and change that.")


def _check_model(model: type[ItemModel | CollectionModel], body: dict[str, Any], prefix: str) -> None:
    try:
        model.model_validate(body)
    except (ValidationError, ValueError, TypeError, AttributeError, KeyError) as error:
        if isinstance(error, ValidationError):
            fault = error.errors(include_url=False, include_context=False, include_input=False)[0]
            place = ".".join(str(part) for part in fault["loc"] if not str(part).startswith(("function-", "tagged-")))
            raise BodyError(prefix + (place or "body"), fault["msg"]) from error
        raise BodyError(prefix + "body", str(error)[:300]) from error
