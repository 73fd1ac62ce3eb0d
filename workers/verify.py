"""Whether catalogue, files and books agree: every difference by name."""

import hashlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import select

from records import history
from records.receipts import Outcome, receipts
from stac.assets import MULTIHASH_SHA256, stored_sha256
from stac.rows import row_of
from stac.store import Item, ItemError
from workers.home import Home


class Kind(StrEnum):
    MISSING = "missing"
    """An item names a file that the store does not hold."""
    DAMAGED = "damaged"
    """A stored file's bytes are not those of its name."""
    SIZE = "size"
    """A file is not as large as its item says."""
    CHECKSUM = "checksum"
    """An item states another checksum than that of the file it names."""
    UNREFERENCED = "unreferenced"
    """No item and no receipt knows of a stored file."""
    LOST = "lost"
    """A receipt says that a file became an item which the catalogue does not have."""
    ITEM = "item"
    """An item that the catalogue would not take today."""
    DATABASE = "database"
    """The database found itself inconsistent."""
    HISTORY = "history"
    """The chained history was altered."""


@dataclass(frozen=True, slots=True)
class Difference:
    kind: Kind
    what: str
    """`collection/id`, a SHA-256, or a table."""
    message: str


@dataclass(frozen=True, slots=True)
class Verified:
    items: int
    files: int
    bytes: int
    """Read and hashed."""
    differences: tuple[Difference, ...]

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "differences": [asdict(one) for one in self.differences]}


def verify(home: Home, *, hashing: bool = True) -> Verified:
    """Without `hashing` files are only looked for, and their sizes compared."""
    found: list[Difference] = []
    named: set[str] = set()
    count = 0
    for item in home.catalog.items():
        count += 1
        found += _of_item(home, item, named)
    read = files = 0
    for sha256 in home.files.names():
        files += 1
        if hashing:
            size, digest = _digest(home, sha256)
            read += size
            if digest != sha256:
                found.append(Difference(Kind.DAMAGED, sha256, f"its bytes have the SHA-256 {digest}"))
    found += _of_books(home, named)
    found += [Difference(Kind.DATABASE, "catalogue", fault) for fault in home.catalog.faults()]
    found += [Difference(Kind.HISTORY, subject, message) for subject, message in _of_history(home)]
    return Verified(count, files, read, tuple(found))


def _of_item(home: Home, item: Item, named: set[str]) -> Iterator[Difference]:
    name = f"{item['collection']}/{item['id']}"
    try:
        row_of(item)
    except ItemError as error:
        yield Difference(Kind.ITEM, name, f"{error.field}: {error}")
    for key, asset in item["assets"].items():
        sha256 = stored_sha256(asset.get("href", ""))
        if sha256 is None:
            yield Difference(Kind.MISSING, name, f"{key}: {asset.get('href')} is not in this store")
            continue
        named.add(sha256)
        if "file:checksum" in asset and asset["file:checksum"] != MULTIHASH_SHA256 + sha256:
            yield Difference(Kind.CHECKSUM, name, f"{key}: states {asset['file:checksum']}, names {sha256}")
        if not home.files.exists(sha256):
            yield Difference(Kind.MISSING, name, f"{key}: the store has no {sha256}")
        elif "file:size" in asset and (size := home.files.size(sha256)) != asset["file:size"]:
            yield Difference(Kind.SIZE, name, f"{key}: {size} bytes, its item says {asset['file:size']}")


def _of_books(home: Home, named: set[str]) -> Iterator[Difference]:
    with home.engine.connect() as conn:
        rows = conn.execute(select(receipts.c.sha256, receipts.c.outcome, receipts.c.item, receipts.c.name)).all()
    for sha256, outcome, item, name in rows:
        if sha256:
            named.add(sha256)
        if outcome == Outcome.ACCEPTED and item is not None:
            collection, _, item_id = item.partition("/")
            if home.catalog.get_item(collection, item_id) is None:
                yield Difference(Kind.LOST, item, f"the receipt of {name} says it became this item")
    for sha256 in home.files.names():
        if sha256 not in named:
            yield Difference(Kind.UNREFERENCED, sha256, "no item and no receipt knows this file")


def _of_history(home: Home) -> Iterator[tuple[str, str]]:
    with home.engine.connect() as conn:
        for broken in history.verify(conn):
            yield "history", str(broken)


def _digest(home: Home, sha256: str) -> tuple[int, str]:
    digest, size = hashlib.sha256(), 0
    for chunk in home.files.read(sha256, 0, home.files.size(sha256)):
        digest.update(chunk)
        size += len(chunk)
    return size, digest.hexdigest()
