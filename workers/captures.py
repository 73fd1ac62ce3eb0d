"""Captures of the catalogue, opened for analysis."""

from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import unquote

import distributed

from imagery.errors import Refused
from imagery.mosaic import Mosaic
from imagery.remote import is_remote
from stac.assets import MULTIHASH_SHA256
from stac.store import Item
from workers.cluster import shares_files
from workers.home import Home
from workers.inputs import Input, open_input
from workers.located import address


@dataclass(frozen=True, slots=True)
class Captured:
    """An item and the file of it that is read."""

    item: Item
    path: Path
    """On this machine."""
    sha256: str
    """Of the original, whatever derived file is read."""
    input: Input

    @property
    def reference(self) -> str:
        return reference(self.item)


def for_workers(client: distributed.Client, captured: Captured) -> Input:
    """The input as the client's workers can read it: by its address in the store where they are on other hosts."""
    own = captured.input.source
    if shares_files(client) or isinstance(own, Mosaic) or is_remote(own.path):
        return captured.input  # a signed address is read from anywhere
    assets = captured.item["assets"]
    sha256, name = assets.get("cog", assets["original"])["href"].rsplit("/", 2)[-2:]
    return replace(captured.input, source=replace(own, path=address(sha256, unquote(name))))


def reference(item: Item) -> str:
    """`collection/id`."""
    return f"{item['collection']}/{item['id']}"


def get_item(home: Home, name: str) -> Item:
    """The item called `collection/id`. Raises `Refused` (no-such-item)."""
    collection, _, item_id = name.partition("/")
    item = home.catalog.get_item(collection, item_id)
    if item is None:
        raise Refused(
            "no-such-item", f"The catalogue has no {name}.", "`flyonce search` lists what there is, as collection/id."
        )
    return item


def open_captured(home: Home, name: str, *, pixels: bool = False, gsd: float | None = None) -> Captured:
    """Open an item's imagery: the COG where it has one. Raises `Refused`: no-such-item, no-imagery, and as
    `Home.asset_path` and `imagery.sources.open_source` do."""
    item = get_item(home, name)
    assets = item["assets"]
    if "original" not in assets:
        raise Refused(
            "no-imagery", f"{name} is no capture: it has no imagery of its own.", "Name a photo or orthophoto."
        )
    href = assets.get("cog", assets["original"])["href"]
    path = home.asset_path(href)
    title = str(item["properties"].get("title", name))
    sha256 = str(assets["original"]["file:checksum"]).removeprefix(MULTIHASH_SHA256)
    opened = _posed(open_input(path, pixels=pixels, gsd=gsd, name=title), item)
    if is_remote(url := home.asset_url(href)) and not isinstance(opened.source, Mosaic):
        # Whoever computes may be on another machine and holds no key of the store: it reads by the signed address.
        opened = replace(opened, source=replace(opened.source, path=url))
    return Captured(item, path, sha256, opened)


def _posed(opened: Input, item: Item) -> Input:
    """The input with the GSD that its item tells where the file tells none: a video's frames have their pose there."""
    told = item["properties"].get("gsd")
    if opened.gsd_origin != "model" or told is None or isinstance(opened.source, Mosaic):
        return opened
    return Input(replace(opened.source, gsd=told, gsd_from="pose"), opened.name, told, "pose")
