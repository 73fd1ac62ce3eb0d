"""Signed tokens: leave to do one thing with one object until a moment, checked without a database.

HMAC-SHA-256 (RFC 2104) over version, purpose, object, issuer and expiry. A token carries only what the request does not
tell; purpose and object are named by whoever checks, so that a token cannot be turned to another.
"""

import base64
import hashlib
import hmac
import json
import os
import secrets
import stat
import uuid
from dataclasses import dataclass
from pathlib import Path

from records.files import sync_folder

LEAST_KEY = 32
"""Bytes: as long as the digest."""
_VERSION = "flyonce-1"


class TokenError(ValueError):
    """A token that opens nothing; the message says why, in words for whoever used it."""


@dataclass(frozen=True, slots=True)
class Leave:
    """What a token allows: `purpose` (`file`, `tiles`, …) with the object called `subject`, on behalf of `issuer`,
    before the POSIX second `expires`."""

    purpose: str
    subject: str
    issuer: str
    expires: int


class Signer:
    """Makes and checks tokens with one key. Raises ValueError for a key under `LEAST_KEY` bytes."""

    def __init__(self, key: bytes) -> None:
        if len(key) < LEAST_KEY:
            raise ValueError(f"a signing key has at least {LEAST_KEY} bytes, not {len(key)}")
        self._key = key

    def sign(self, leave: Leave) -> str:
        """Letters, digits, `-`, `_` and `.`, fit for an address."""
        return f"{leave.expires}.{_text(leave.issuer.encode())}.{_text(self._mac(leave))}"

    def check(self, token: str, purpose: str, subject: str, now: float) -> Leave:
        """What `token` allows, if it is for this purpose and object and `now` is before its end. Raises TokenError."""
        try:
            expires, issuer, mac = token.split(".")
            leave = Leave(purpose, subject, _bytes(issuer).decode(), int(expires))
            given = _bytes(mac)
        except ValueError as error:
            raise TokenError("This link is not whole: copy all of it.") from error
        if not hmac.compare_digest(given, self._mac(leave)) or token != self.sign(leave):
            raise TokenError("This link was not made here, or is for another file.")
        if now >= leave.expires:
            raise TokenError("This link has expired: ask for a new one.")
        return leave

    def _mac(self, leave: Leave) -> bytes:
        said = json.dumps([_VERSION, leave.purpose, leave.subject, leave.issuer, leave.expires])
        return hmac.digest(self._key, said.encode(), hashlib.sha256)


def kept_key(path: Path) -> bytes:
    """The key in this file, made at random the first time, readable by its owner alone; the same to every process.

    Raises PermissionError where others may read it.
    """
    if not path.exists():
        part = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as target:
            target.write(secrets.token_bytes(LEAST_KEY))
            target.flush()
            os.fsync(target.fileno())
        try:
            path.hardlink_to(part)  # whoever comes second keeps the first one's key
        except FileExistsError:
            pass
        finally:
            part.unlink()
        sync_folder(path.parent)
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise PermissionError(f"{path} may be read by others: `chmod 600 {path}`, or remove it for a new one")
    return path.read_bytes()


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
