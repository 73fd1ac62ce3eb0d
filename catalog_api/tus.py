"""The tus 1.0 protocol for resumable uploads (https://tus.io/protocols/resumable-upload): its headers as values. Pure.

Core and the extensions creation, creation-with-upload, expiration, checksum, termination and concatenation.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime

VERSION = "1.0.0"
EXTENSIONS = ("creation", "creation-with-upload", "expiration", "checksum", "termination", "concatenation")
ALGORITHMS = ("sha256", "sha1", "md5")
MEDIA_TYPE = "application/offset+octet-stream"
CHECKSUM_MISMATCH = 460
MOST_METADATA = 8192
MOST_PARTS = 64
_NUMBER = re.compile(r"[0-9]{1,18}", re.ASCII)
_KEY = re.compile(r"[!-+\--~]{1,128}", re.ASCII)  # visible ASCII but for the comma
_UPLOAD = re.compile(r"(?:https?://[^/\s]+)?/uploads/([0-9a-f]{32})", re.ASCII)


class TusError(Exception):
    """A request that the protocol does not allow: status, a stable word, and a sentence."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Concat:
    """What `Upload-Concat` says: a part, or the whole made of these parts (ids of uploads)."""

    parts: tuple[str, ...] | None = None

    @property
    def partial(self) -> bool:
        return self.parts is None


@dataclass(frozen=True, slots=True)
class Checksum:
    """What the bytes of one request must come to."""

    algorithm: str
    digest: bytes

    def hasher(self) -> "hashlib._Hash":
        # MD5 and SHA-1 find damage on a line here; who a file is, is said by SHA-256.
        return hashlib.new(self.algorithm, usedforsecurity=False)


def check_version(headers: Mapping[str, str]) -> None:
    """Raises `TusError` (412) for another version of the protocol."""
    if headers.get("tus-resumable") != VERSION:
        raise TusError(412, "wrong-version", f"This server speaks tus {VERSION}: send `Tus-Resumable: {VERSION}`.")


def length_of(headers: Mapping[str, str], most: int) -> int:
    """`Upload-Length` in bytes. Raises `TusError`: 400, and 413 for more than `most`."""
    if "upload-defer-length" in headers:
        raise TusError(400, "no-deferred-length", "The length must be known when the upload is created.")
    length = _number(headers, "upload-length")
    if length > most:
        raise TusError(413, "too-large", f"{length:,} bytes; this server takes at most {most:,} in one file.")
    return length


def offset_of(headers: Mapping[str, str]) -> int:
    """`Upload-Offset` in bytes."""
    return _number(headers, "upload-offset")


def body_length(headers: Mapping[str, str]) -> int | None:
    """`Content-Length`, or None where the body is sent in chunks."""
    return _number(headers, "content-length") if "content-length" in headers else None


def check_body(headers: Mapping[str, str]) -> None:
    """Raises `TusError` (415) for a body that is not marked as a piece of an upload."""
    if headers.get("content-type", "").partition(";")[0].strip().lower() != MEDIA_TYPE:
        raise TusError(415, "wrong-media-type", f"Send the bytes as Content-Type: {MEDIA_TYPE}.")


def metadata_of(headers: Mapping[str, str]) -> dict[str, str]:
    """`Upload-Metadata`: keys to texts. Raises `TusError` (400) for what is not key and base64 of UTF-8."""
    header = headers.get("upload-metadata", "")
    if len(header) > MOST_METADATA:
        raise TusError(400, "bad-metadata", f"Upload-Metadata is longer than {MOST_METADATA} characters.")
    found: dict[str, str] = {}
    for pair in filter(None, (part.strip() for part in header.split(","))):
        key, _, value = pair.partition(" ")
        if not _KEY.fullmatch(key) or key in found:
            raise TusError(400, "bad-metadata", f"Upload-Metadata: the key {key[:40]!r} is not ASCII, or there twice.")
        try:
            found[key] = base64.b64decode(value.strip(), validate=True).decode("utf-8")
        except (binascii.Error, ValueError) as error:
            raise TusError(400, "bad-metadata", f"Upload-Metadata: {key} is not base64 of UTF-8.") from error
    return found


def metadata_header(values: Mapping[str, str]) -> str:
    """`Upload-Metadata` for these texts."""
    return ",".join(f"{key} {base64.b64encode(value.encode()).decode()}".strip() for key, value in values.items())


def checksum_of(headers: Mapping[str, str]) -> Checksum | None:
    """`Upload-Checksum`, or None. Raises `TusError` (400)."""
    header = headers.get("upload-checksum")
    if header is None:
        return None
    algorithm, _, value = header.partition(" ")
    if algorithm not in ALGORITHMS:
        raise TusError(400, "unknown-algorithm", f"Upload-Checksum: {' '.join(ALGORITHMS)}, not {algorithm[:40]!r}.")
    try:
        digest = base64.b64decode(value.strip(), validate=True)
    except (binascii.Error, ValueError) as error:
        raise TusError(400, "bad-checksum", "Upload-Checksum is not base64.") from error
    found = Checksum(algorithm, digest)
    if len(digest) != found.hasher().digest_size:
        raise TusError(400, "bad-checksum", f"Upload-Checksum has {len(digest)} bytes, which no {algorithm} has.")
    return found


def concat_of(headers: Mapping[str, str]) -> Concat | None:
    """`Upload-Concat`, or None. Raises `TusError` (400)."""
    header = headers.get("upload-concat")
    if header is None:
        return None
    if header.strip() == "partial":
        return Concat()
    kind, separator, rest = header.partition(";")
    parts = [_UPLOAD.fullmatch(url) for url in rest.split()]
    if kind.strip() != "final" or not separator or not parts or len(parts) > MOST_PARTS or None in parts:
        raise TusError(400, "bad-concat", f"Upload-Concat: `partial`, or `final;` and 1 to {MOST_PARTS} upload URLs.")
    ids = tuple(part[1] for part in parts if part is not None)
    if len(set(ids)) != len(ids):
        raise TusError(400, "bad-concat", "Upload-Concat names a part twice.")
    return Concat(ids)


def expires(moment: datetime) -> str:
    """`Upload-Expires`, an HTTP date."""
    return format_datetime(moment.astimezone(UTC), usegmt=True)


def options(most: int) -> dict[str, str]:
    """What the server can do, as OPTIONS answers it."""
    return {
        "Tus-Resumable": VERSION,
        "Tus-Version": VERSION,
        "Tus-Extension": ",".join(EXTENSIONS),
        "Tus-Max-Size": str(most),
        "Tus-Checksum-Algorithm": ",".join(ALGORITHMS),
    }


def _number(headers: Mapping[str, str], name: str) -> int:
    value = headers.get(name, "")
    if not _NUMBER.fullmatch(value):
        raise TusError(400, "bad-number", f"{name} must be a whole number of bytes, not {value[:40]!r}.")
    return int(value)
