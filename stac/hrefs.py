"""Addresses inside items. The catalogue keeps those of its own service relative to the root (`/assets/…`, `/stac/…`,
`/schemas/…`), so that a deployment can move; what leaves the service carries them absolute."""

from typing import Any

from stac.store import Collection, Item

OWN = ("/assets/", "/stac/", "/schemas/")


def absolute(document: Item | Collection, root: str) -> Item | Collection:
    """A copy of an item or a collection with its own addresses under `root` (`https://host/prefix`).

    Parts without addresses are shared with the original, so treat both as read-only.
    """
    out = dict(document)
    if "stac_extensions" in out:
        out["stac_extensions"] = [_absolute(address, root) for address in out["stac_extensions"]]
    if "links" in out:
        out["links"] = [_with_href(link, root) for link in out["links"]]
    if "assets" in out:
        out["assets"] = {key: _with_href(asset, root) for key, asset in out["assets"].items()}
    return out


def _with_href(part: dict[str, Any], root: str) -> dict[str, Any]:
    return {**part, "href": _absolute(part["href"], root)} if "href" in part else part


def _absolute(address: str, root: str) -> str:
    return root + address if address.startswith(OWN) else address
