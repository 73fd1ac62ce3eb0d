"""The file store on S3, with copies on this machine of what is read whole (docs/adr/0009)."""

import errno
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import S3Store as Bucket

from records.files import DirectoryStore, FileStore, StoredFile, StoreError, key_of
from records.settings import Settings

if TYPE_CHECKING:
    from obstore.store import S3Config  # there for type checkers alone

CONDITIONAL = 16 << 20
"""Bytes up to which an object goes up in one conditional request; larger ones go up in parts of this size, and appear
when the last part is there."""
_PIECE = 4 << 20
_SIGNED_FOR, _RENEWED_AFTER = timedelta(days=2), 86_400.0
_REQUEST = "120 seconds"


def open_files(settings: Settings) -> FileStore:
    """The store that the settings name: `FLYONCE_STORE_URL`, else a folder of the home.

    Raises ValueError for an address that is neither a folder nor `s3://bucket/prefix`.
    """
    address = settings.store_url
    if not address:
        return DirectoryStore(settings.files_dir)
    parts = urlsplit(address)
    if parts.scheme == "s3" and parts.netloc and not parts.query:
        return ObjectStore(_bucket(settings, parts.netloc, parts.path.strip("/")), settings.home / "near")
    if parts.scheme in ("", "file") and not parts.netloc and parts.path.startswith("/"):
        return DirectoryStore(Path(parts.path))
    raise ValueError("FLYONCE_STORE_URL takes s3://bucket, s3://bucket/prefix or the absolute path of a folder")


def _bucket(settings: Settings, name: str, prefix: str) -> Bucket:
    """Credentials that the settings do not give are looked for where AWS tools look (AWS_*, the machine's role)."""
    config: S3Config = {
        "region": settings.store_region,
        "virtual_hosted_style_request": settings.store_virtual_hosts,
        "conditional_put": "etag",
    }
    if settings.store_endpoint:
        config["endpoint"] = settings.store_endpoint
    if settings.store_key_id and settings.store_key:
        config["access_key_id"] = settings.store_key_id
        config["secret_access_key"] = settings.store_key.get_secret_value()
    return Bucket(
        name,
        prefix=prefix or None,
        config=config,
        client_options={"allow_http": settings.store_endpoint.startswith("http://"), "timeout": _REQUEST},
        retry_config={"max_retries": 5, "retry_timeout": timedelta(seconds=60)},
    )


@dataclass(frozen=True, slots=True)
class _Signed:
    url: str
    made: float


class ObjectStore:
    """A bucket: objects under `ab/cd/abcd…`, written once. An object appears whole or not at all.

    What comes in is hashed into `near` on this machine first and goes up from there, so that the bytes kept are the
    bytes hashed; what is read whole is brought there, checked against its hash. Copies there may be lost at any time.
    """

    def __init__(self, bucket: Bucket, near: Path) -> None:
        self._bucket = bucket
        self._near = DirectoryStore(near)
        self._signed: dict[str, _Signed] = {}
        self._signing = threading.Lock()
        self.root = near

    def put(self, path: Path) -> StoredFile:
        return self._send(self._near.put(path))

    def put_bytes(self, data: bytes) -> StoredFile:
        return self._send(self._near.put_bytes(data))

    def exists(self, sha256: str) -> bool:
        try:
            self.size(sha256)
        except FileNotFoundError:
            return False
        return True

    def size(self, sha256: str) -> int:
        with _talking():
            return int(obstore.head(self._bucket, key_of(sha256))["size"])

    def names(self) -> Iterator[str]:
        with _talking():
            for listed in obstore.list(self._bucket):
                names = (found["path"].rpartition("/")[2] for found in listed)
                yield from (name for name in names if len(name) == 64)

    def read(self, sha256: str, start: int, stop: int) -> Iterator[bytes]:
        """Asks piece by piece, so that a slow reader holds no connection that the bucket would cut."""
        return self._pieces(key_of(sha256), start, min(stop, self.size(sha256)))

    def path(self, sha256: str) -> Path:
        place = self._near.place(sha256)
        try:
            os.utime(place)  # used just now: `sweep` leaves it
        except FileNotFoundError:
            self._bring(sha256)
        return place

    def url(self, sha256: str) -> str:
        """The same address for a day, so that what programs cache of it stays of use."""
        key, now = key_of(sha256), time.monotonic()
        with self._signing:
            known = self._signed.get(key)
            if known is None or now - known.made > _RENEWED_AFTER:
                self._signed = {k: old for k, old in self._signed.items() if now - old.made <= _RENEWED_AFTER}
                with _talking():
                    known = _Signed(obstore.sign(self._bucket, "GET", key, _SIGNED_FOR), now)
                self._signed[key] = known
            return known.url

    def check(self) -> None:
        """Lists where nothing lies: the bucket is there, answers, and takes the credentials."""
        try:
            with _talking():
                next(iter(obstore.list(self._bucket, prefix="nothing", chunk_size=1)), None)
        except FileNotFoundError as error:
            raise StoreError(errno.ENOENT, "there is no such bucket") from error
        self._near.check()

    def sweep(self, older_than: float) -> int:
        """Copies not read lately go too. Parts of uploads that were never finished are removed by the bucket's own
        lifecycle rule (AbortIncompleteMultipartUpload; docs/deploy.md)."""
        return self._near.sweep(older_than) + self._near.forget(older_than)

    def _send(self, kept: StoredFile) -> StoredFile:
        source, key = self.path(kept.sha256), key_of(kept.sha256)
        if self.exists(kept.sha256):
            return StoredFile(kept.sha256, kept.size, new=False)
        with _talking():
            if kept.size > CONDITIONAL:
                obstore.put(self._bucket, key, source, use_multipart=True, chunk_size=CONDITIONAL, max_concurrency=4)
                return StoredFile(kept.sha256, kept.size)
            try:
                obstore.put(self._bucket, key, source.read_bytes(), mode="create")
            except AlreadyExistsError:  # by another process, with these very bytes
                return StoredFile(kept.sha256, kept.size, new=False)
        return StoredFile(kept.sha256, kept.size)

    def _pieces(self, key: str, start: int, stop: int) -> Iterator[bytes]:
        for at in range(start, stop, _PIECE):
            with _talking():
                piece = obstore.get_range(self._bucket, key, start=at, end=min(at + _PIECE, stop))
            yield bytes(piece)

    def _bring(self, sha256: str) -> None:
        brought = self._near.keep(self.read(sha256, 0, self.size(sha256)))
        if brought.sha256 != sha256:
            self._near.place(brought.sha256).unlink()
            raise StoreError(errno.EIO, f"the bucket's object {sha256} holds other bytes than it was stored with")


@contextmanager
def _talking() -> Iterator[None]:
    """Trouble with the bucket as an OSError; what the client said about it is the cause."""
    try:
        yield
    except FileNotFoundError as error:
        raise FileNotFoundError(errno.ENOENT, "the bucket holds no such object") from error
    except (BaseError, OSError) as error:
        raise StoreError(errno.EIO, f"the bucket does not do as asked ({type(error).__name__})") from error
