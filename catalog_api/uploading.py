"""Uploads from their first byte to the acknowledged file: what the tus routes do to the books and to the disk.

Everything here blocks (disk, database) and is called in a thread. Offsets are told only when they are safe: the bytes
are synced, then the row moves. A file is acknowledged in one transaction with its row in the flight and the job that
will read it.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from catalog_api.tus import CHECKSUM_MISMATCH, Concat, TusError
from imagery.errors import Refused
from records import receipts, uploads
from records.engine import transaction
from records.spool import BusyError, Growing, Spool
from records.uploads import State, Upload
from sharing.policy import Action, Principal, decide
from stac import flights
from stac.flight_tables import Sender
from stac.flight_values import Announced, file_name, flight_id, is_sha256
from workers.home import Home
from workers.receiving import receive

ORPHAN_SECONDS = 3600.0
"""A partial file without a row may be that of an upload that is just being created."""
RESERVE = 256 * 2**20
"""Bytes of disk that uploads leave to the books."""
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Uploads:
    """The uploads of one home."""

    home: Home
    spool: Spool

    @classmethod
    def of(cls, home: Home) -> "Uploads":
        return cls(home, Spool(home.files, home.files.root))

    @property
    def most_bytes(self) -> int:
        return self.home.settings.upload_max_bytes

    @property
    def _keep(self) -> timedelta:
        return timedelta(days=self.home.settings.upload_days)

    def create(self, by: Principal, length: int, said: dict[str, str], header: str, concat: Concat | None) -> Upload:
        """Open an upload; finished at once where the sender may see that its content is here already.

        Raises `TusError` (429, 507), and `Refused` as `stac.flights.announce` does.
        """
        partial = concat is not None and concat.partial
        flight, name, declared = _described(said, needed=not partial)
        if self.spool.free() - length < RESERVE:
            raise TusError(507, "disk-full", f"The server has no room for {length:,} bytes. 服务器磁盘空间不足。")
        sender = Sender(by.name, by.role)
        kind = "" if concat is None else "partial" if partial else "final;" + " ".join(concat.parts or ())
        with transaction(self.home.engine) as conn:
            if uploads.count_open(conn) >= self.home.settings.uploads_open:
                raise TusError(429, "too-many-uploads", "Too many uploads are under way: finish some of them first.")
            if not partial:
                flights.announce(conn, flight, [Announced(name, length, declared)], sender)
            known = None if partial else declared
            upload = uploads.add(
                conn,
                flight=flight,
                name=name,
                length=length,
                metadata=header,
                concat=kind,
                declared=declared,
                sender=by.name,
                sender_role=by.role,
                keep=self._keep,
            )
            if known is not None and self.may_skip(by, known, length):
                uploads.finish(conn, upload.id, known)
                receive(conn, flight, name, known, length, sender)
            else:
                self.spool.create(upload.id)
        return self._fresh(upload.id)

    def may_skip(self, by: Principal, sha256: str, size: int) -> bool:
        """Whether content is here as an item's original that `by` may see. To anybody else it is not known."""
        with self.home.engine.connect() as conn:
            reference = receipts.item_of_file(conn, sha256)
        collection, _, name = (reference or "").partition("/")
        item = self.home.catalog.get_item(collection, name)
        if item is None:
            return False
        own = item["assets"].get("original") or item["assets"]["telemetry"]
        if own["file:size"] != size:
            return False
        return decide(by, Action.READ, item).allowed

    def get(self, upload: str) -> Upload:
        """The upload as it stands; one that is whole but was not acknowledged before a crash is acknowledged now.

        Raises `TusError` (404, 410).
        """
        found = self._fresh(upload)
        if found.state in (State.TERMINATED, State.EXPIRED):
            raise TusError(410, "gone", f"This upload has {'expired' if found.state is State.EXPIRED else 'ended'}.")
        if found.state is State.OPEN and self.spool.is_sealed(upload):
            try:
                with self.spool.grow(upload) as growing:
                    growing.start(0)
                    return self._finish(found, growing.sha256())
            except BusyError:  # whoever holds it is doing just that
                return self._fresh(upload)
        return found

    @contextmanager
    def growing(self, upload: str, offset: int, room: int | None) -> Iterator[tuple[Upload, Growing]]:
        """Hold an upload to append `room` bytes (None: not known) at `offset`. Raises `TusError`: 403 (a final upload),
        404, 409 (another offset), 410, 413, 423 (held by somebody else)."""
        found = self.get(upload)
        if found.concat.startswith("final"):
            raise TusError(403, "final", "A concatenated upload takes no bytes of its own.")
        if found.state is State.FINISHED:
            if offset != found.length:
                raise TusError(409, "wrong-offset", f"The upload is at {found.length}, not at {offset}.")
            raise TusError(403, "finished", "The upload is finished.")
        try:
            with self.spool.grow(upload) as growing:
                found = self._fresh(upload)  # it may have moved before we held it
                if growing.sealed or found.state is not State.OPEN or offset != found.offset:
                    raise TusError(409, "wrong-offset", f"The upload is at {found.offset}, not at {offset}.")
                if room is not None and offset + room > found.length:
                    raise TusError(413, "too-long", f"The upload has {found.length} bytes; these would go beyond.")
                growing.start(offset)
                yield found, growing
        except BusyError as error:
            raise TusError(423, "locked", "Somebody else is sending to this upload. Try again in a moment.") from error
        except FileNotFoundError as error:
            raise TusError(410, "gone", "The bytes of this upload are gone: start again.") from error

    def checkpoint(self, upload: Upload, growing: Growing) -> Upload:
        """Make what has come safe, and say so in the books."""
        growing.sync()
        with transaction(self.home.engine) as conn:
            found = uploads.advance(conn, upload.id, growing.offset, self._keep)
        if found is None:
            raise TusError(410, "gone", "This upload has ended.")
        return found

    def settle(self, upload: Upload, growing: Growing) -> Upload:
        """After a request: safe and, where all bytes are there, acknowledged.

        Raises `TusError` (460) where they are not what the sender said they would be; the upload is empty again then.
        """
        if growing.offset < upload.length:
            return self.checkpoint(upload, growing)
        sha256 = growing.sha256()
        if upload.declared is not None and sha256 != upload.declared:
            growing.start(0)
            self.checkpoint(upload, growing)
            detail = f"The bytes have SHA-256 {sha256}, not the one that was declared: send them again."
            raise TusError(CHECKSUM_MISMATCH, "content-differs", detail)
        growing.seal()
        return self._finish(upload, sha256)

    def concatenate(self, by: Principal, parts: tuple[str, ...], said: dict[str, str], header: str) -> Upload:
        """One file of finished partial uploads, which end with it. Raises `TusError`."""
        found = []
        for part in parts:
            upload = self.get(part)
            if not upload.partial:
                raise TusError(400, "not-a-part", f"The upload {part} is not a partial one.")
            if upload.state is not State.FINISHED:
                raise TusError(400, "unfinished-part", f"The part {part} has {upload.offset} of {upload.length} bytes.")
            if (upload.sender, upload.sender_role) != (by.name, by.role):
                raise TusError(403, "not-yours", f"The part {part} was sent by somebody else.")
            found.append(upload)
        length = sum(upload.length for upload in found)
        if length > self.most_bytes:
            raise TusError(413, "too-large", f"{length:,} bytes together; this server takes {self.most_bytes:,}.")
        whole = self.create(by, length, said, header, Concat(parts))
        if whole.state is State.OPEN:
            with self.spool.grow(whole.id) as growing, disk():
                growing.start(0)
                for upload in found:
                    for piece in self.spool.read(upload.id):
                        growing.write(piece)
                whole = self.settle(whole, growing)
        for upload in found:
            self.terminate(upload.id)
        return whole

    def terminate(self, upload: str) -> None:
        """End an upload for good. Raises `TusError`: 403 for a finished one, 404, 410, 423."""
        found = self.get(upload)
        try:
            if found.state is State.OPEN:
                with self.spool.grow(upload):
                    pass  # nobody is writing
        except BusyError as error:
            raise TusError(423, "locked", "Somebody is sending to this upload.") from error
        except FileNotFoundError:
            pass
        with transaction(self.home.engine) as conn:
            if not uploads.terminate(conn, upload):
                raise TusError(403, "finished", "The upload is finished: its file is kept and cannot be taken back.")
        self.spool.remove(upload)

    def expire(self, orphans_after: float = ORPHAN_SECONDS) -> int:
        """End what has waited for too long, and remove its bytes; how many. What a killed server left behind goes too:
        partial files of ended uploads, and those older than `orphans_after` seconds that no row knows."""
        with transaction(self.home.engine) as conn:
            ended = uploads.expire(conn)
        with self.home.engine.connect() as conn:
            for name in self.spool.names(time.time() - orphans_after):
                found = uploads.get(conn, name)
                if found is None or not (
                    found.state is State.OPEN or (found.partial and found.state is State.FINISHED)
                ):
                    self.spool.remove(name)
        for upload in ended:
            self.spool.remove(upload)
        return len(ended)

    def _fresh(self, upload: str) -> Upload:
        with self.home.engine.connect() as conn:
            found = uploads.get(conn, upload)
        if found is None:
            raise TusError(404, "no-such-upload", "There is no such upload.")
        return found

    def _finish(self, upload: Upload, sha256: str) -> Upload:
        """Acknowledge a sealed file: an object of the store, a row in its flight, a job, in this order."""
        if not upload.partial:
            self.spool.keep(upload.id, sha256)
        with transaction(self.home.engine) as conn:
            if uploads.finish(conn, upload.id, sha256) and not upload.partial:
                sender = Sender(upload.sender, upload.sender_role)
                receive(conn, upload.flight, upload.name, sha256, upload.length, sender)
        if not upload.partial:
            self.spool.remove(upload.id)
        return self._fresh(upload.id)


@contextmanager
def disk() -> Iterator[None]:
    """A full disk, said so that a sender waits and tries again. Nothing acknowledged is lost by it."""
    try:
        yield
    except OSError as error:
        log.error("an upload could not be written: %s", error)
        raise TusError(507, "disk-full", f"The server cannot write: {error.strerror}. 服务器无法写入。") from error


def _described(said: dict[str, str], *, needed: bool) -> tuple[str, str, str | None]:
    """Flight id, plain file name and declared SHA-256. Raises `TusError`, and `Refused` (no-flight)."""
    flight, sent = said.get("flight", ""), said.get("filename") or said.get("name") or ""
    if needed and not flight.strip():
        raise Refused(
            "no-flight",
            "Upload-Metadata names no flight (未指明架次).",
            "Create one with POST /api/flights and send its name as `flight`.",
        )
    declared = said.get("sha256") or None
    if declared is not None and not is_sha256(declared):
        raise TusError(400, "bad-metadata", "Upload-Metadata: sha256 is not 64 lower-case hexadecimal digits.")
    return flight_id(flight) if flight else "", file_name(sent), declared
