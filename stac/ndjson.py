"""Items from lines of JSON, checked: what other processes do for a bulk load, and all that they import."""

from collections.abc import Sequence

from stac.assets import stored_sha256
from stac.jsons import loads
from stac.rows import ItemRow, rows_of
from stac.store import Item, ItemError


def checked(lines: Sequence[bytes]) -> list[ItemRow]:
    """Raises `ItemError` for one of those at fault."""
    return rows_of([item_of(line) for line in lines if line.strip()])


def item_of(line: bytes) -> Item:
    """Of our own files only. Raises `ItemError`."""
    try:
        item = loads(line)
    except (ValueError, RecursionError) as error:
        raise ItemError(f"not JSON: {error}", "body") from error
    if not isinstance(item, dict):
        raise ItemError("not a JSON object", "body")
    assets = item.get("assets")
    for key, asset in assets.items() if isinstance(assets, dict) else ():
        href = asset.get("href") if isinstance(asset, dict) else None
        if not isinstance(href, str) or stored_sha256(href) is None:
            raise ItemError(f"item {item.get('id')!r}: not a file of the store: {href!r}", f"assets.{key}.href")
    return item
