"""Files of one flight into store, catalogue and receipts.

Each file goes through the same steps, every one of which may be the last before a crash: its bytes are stored under
their SHA-256; they are read; an item whose id follows from the hash is put into the catalogue; a receipt is written. A
run after a crash repeats what has no receipt and finds the same hash, the same id and the same item, so that nothing is
lost and nothing is there twice. The flight's own item is built last, from its receipts.
"""

import errno
import hashlib
import re
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from imagery.cog import write_cog, write_thumbnail
from imagery.errors import Refused
from imagery.inspect import inspect
from imagery.values import Capture
from records import receipts
from records.engine import transaction
from records.files import StoreError
from records.receipts import Outcome, Receipt
from stac.assets import COG, Stored
from stac.collections import FLIGHTS
from stac.items import Custody, flight_item, orthophoto_item, photo_item
from stac.store import Item
from workers.home import Home
from workers.intake import Candidate, Ignored, walk

ID_DIGITS = 20
"""Of the SHA-256, in an item's id: 80 bits."""
THUMBNAIL_SIDE = 512
STORE_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE, errno.ENFILE})

Progress = Callable[[str, int, int], None]
"""Called with the file at hand, the files done and the files in all."""


@dataclass(frozen=True, slots=True)
class Accepted:
    file: str
    item: str
    """`collection/id`."""
    footprint: str
    """How its place is known: georeference, pose or position."""
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Duplicate:
    file: str
    item: str


@dataclass(frozen=True, slots=True)
class Quarantined:
    file: str
    reason: str
    message: str
    remedy: str
    sha256: str | None
    """Under which it is kept; None where there was nothing that could be kept."""


@dataclass(frozen=True, slots=True)
class Report:
    """The answer for every file that was sent."""

    flight: str
    """Id of the item in `flights`."""
    department: str
    accepted: tuple[Accepted, ...]
    duplicate: tuple[Duplicate, ...]
    quarantined: tuple[Quarantined, ...]
    ignored: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, with the counts."""
        answers = {
            "accepted": [asdict(one) for one in self.accepted],
            "duplicate": [asdict(one) for one in self.duplicate],
            "quarantined": [asdict(one) for one in self.quarantined],
            "ignored": [{"file": one} for one in self.ignored],
        }
        counts = {word: len(files) for word, files in answers.items()}
        return {"flight": self.flight, "department": self.department, **answers, "counts": counts}


def ingest(
    home: Home, paths: Sequence[Path], flight: str, department: str, *, progress: Progress | None = None
) -> Report:
    """Take in files and folders as one flight of a department.

    Raises `Refused` where nothing at all could be received: nothing-there (no file under these paths),
    flight-of-another-department.
    """
    if not flight.strip() or not department.strip():
        raise Refused("no-name", "A batch needs the name of its flight and of its department.", "Give both.")
    flight_id = _flight_id(flight)
    known = home.catalog.get_item(FLIGHTS, flight_id)
    if known is not None and known["properties"]["flyonce:department"] != department:
        raise Refused(
            "flight-of-another-department",
            f"Flight {flight} belongs to {known['properties']['flyonce:department']}, not to {department}.",
            "Choose another name for this flight.",
        )
    found = list(walk(paths))
    candidates = [one for one in found if isinstance(one, Candidate)]
    if not any(one.path.exists() for one in candidates):
        listed = ", ".join(map(str, paths))
        raise Refused("nothing-there", f"There is no photo or orthophoto under {listed}.", "Check the path.")
    batch = _Batch(home, flight_id, Custody(department))
    answers = []
    for done, one in enumerate(candidates):
        if progress:
            progress(one.name, done, len(candidates))
        answers.append(batch.take(one))
    batch.put_flight(flight)
    if progress:
        progress(flight, len(candidates), len(candidates))
    return Report(
        flight_id,
        department,
        tuple(answer for answer in answers if isinstance(answer, Accepted)),
        tuple(answer for answer in answers if isinstance(answer, Duplicate)),
        tuple(answer for answer in answers if isinstance(answer, Quarantined)),
        tuple(str(one.path) for one in found if isinstance(one, Ignored)),
    )


@dataclass(frozen=True, slots=True)
class _Batch:
    home: Home
    flight: str
    custody: Custody

    def take(self, sent: Candidate) -> Accepted | Duplicate | Quarantined:
        """One file, from its arrival to its receipt."""
        try:
            kept = self.home.files.put(sent.path)
        except OSError as error:
            if self._is_about_the_store(error):
                raise
            refused = Refused(
                "unreadable", f"{sent.path}: {error.strerror or error}.", "Check the path and its rights."
            )
            return self._quarantine(sent, refused, None, 0)
        if known := self._known(kept.sha256):
            self._receipt(sent, kept.sha256, kept.size, Outcome.DUPLICATE, item=known)
            return Duplicate(str(sent.path), known)
        path = self.home.files.path(kept.sha256)
        try:
            capture = inspect(path)
            item = self._item(sent, capture, kept.sha256, kept.size)
        except Refused as refused:
            told = Refused(refused.reason, refused.message.replace(str(path), str(sent.path)), refused.remedy)
            return self._quarantine(sent, told, kept.sha256, kept.size)
        self.home.catalog.put_items([item])
        reference = f"{item['collection']}/{item['id']}"
        self._receipt(sent, kept.sha256, kept.size, Outcome.ACCEPTED, item=reference)
        return Accepted(str(sent.path), reference, capture.footprint.method, capture.notes)

    def put_flight(self, title: str) -> None:
        """The flight's item over all that was ever accepted for it; left alone where nothing is new."""
        with self.home.engine.connect() as conn:
            named = dict.fromkeys(receipt.item for receipt in receipts.of_flight(conn, self.flight) if receipt.item)
        captures = [item for item in (self._get(reference) for reference in named) if item is not None]
        if not captures:
            return
        known = self.home.catalog.get_item(FLIGHTS, self.flight)
        created = datetime.now(UTC) if known is None else datetime.fromisoformat(known["properties"]["created"])
        tally = Counter(str(capture["collection"]) for capture in captures)
        item = flight_item(
            self.flight,
            title=title,
            custody=self.custody,
            captures=captures,
            created=created,
            notes=[f"{count} {kind}" for kind, count in sorted(tally.items())],
        )
        if item != known:
            self.home.catalog.put_items([item])

    def _known(self, sha256: str) -> str | None:
        """The item that this content became; None while no receipt says that it was accepted."""
        with self.home.engine.connect() as conn:
            earlier = receipts.of_file(conn, sha256)
        return next((receipt.item for receipt in earlier if receipt.outcome is Outcome.ACCEPTED), None)

    def _is_about_the_store(self, error: OSError) -> bool:
        """Whether the disk is full or the store cannot be written to, which is not the fault of the file sent."""
        place = error.filename2 or error.filename
        in_store = isinstance(place, str) and Path(place).is_relative_to(self.home.files.root)
        return in_store or isinstance(error, StoreError) or error.errno in STORE_ERRORS

    def _get(self, reference: str) -> Item | None:
        collection, _, item = reference.partition("/")
        return self.home.catalog.get_item(collection, item)

    def _item(self, sent: Candidate, capture: Capture, sha256: str, size: int) -> Item:
        """The capture's item, with its derived files stored."""
        original = Stored(sent.path.name, sha256, size, capture.media_type)
        path, item_id, now = self.home.files.path(sha256), sha256[:ID_DIGITS], datetime.now(UTC)
        with tempfile.TemporaryDirectory(prefix="ingest-", dir=self.home.settings.home) as folder:
            small = Path(folder, "thumbnail.jpg")
            write_thumbnail(path, small, THUMBNAIL_SIDE)
            thumbnail = self._derived(small, f"{sent.path.stem}-thumbnail.jpg", "image/jpeg")
            if capture.kind == "photo":
                return photo_item(
                    capture,
                    item_id,
                    custody=self.custody,
                    flight=self.flight,
                    created=now,
                    original=original,
                    thumbnail=thumbnail,
                )
            cog = Path(folder, "cog.tif")
            write_cog(path, cog)
            return orthophoto_item(
                capture,
                item_id,
                custody=self.custody,
                flight=self.flight,
                created=now,
                original=original,
                cog=self._derived(cog, f"{sent.path.stem}.cog.tif", COG),
                thumbnail=thumbnail,
            )

    def _derived(self, path: Path, name: str, media_type: str) -> Stored:
        kept = self.home.files.put(path)
        return Stored(name, kept.sha256, kept.size, media_type)

    def _quarantine(self, sent: Candidate, refused: Refused, sha256: str | None, size: int) -> Quarantined:
        self._receipt(sent, sha256 or "", size, Outcome.QUARANTINED, reason=refused.reason, message=str(refused))
        return Quarantined(str(sent.path), refused.reason, refused.message, refused.remedy, sha256)

    def _receipt(
        self,
        sent: Candidate,
        sha256: str,
        size: int,
        outcome: Outcome,
        *,
        reason: str = "",
        message: str = "",
        item: str | None = None,
    ) -> None:
        with transaction(self.home.engine) as conn:
            receipts.add(conn, Receipt(self.flight, sent.name, sha256, size, outcome, reason, message, item))


def _flight_id(name: str) -> str:
    """The name itself where it can stand in an address, else its readable part and a hash of the whole."""
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name):
        return name
    readable = re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")[:40]
    digest = hashlib.sha256(name.encode()).hexdigest()[:12]
    return f"{readable}-{digest}" if readable else f"flight-{digest}"
