"""Signed links: a file, or the map tiles of one item, opened for a while to whoever holds the address.

A link speaks for whoever asked for it, as far as they may see the thing when it is used (`sharing.policy`), and opens
that one thing: neither what holds it, nor what it holds besides, nor anything by another method than GET.
"""

import re
from dataclasses import dataclass
from urllib.parse import quote

from starlette.datastructures import QueryParams
from starlette.types import Scope

from records.settings import Settings
from records.tokens import Signer, kept_key
from sharing.policy import KEY_HOLDER, LOCAL_OPERATOR, Principal

FILE, TILES = "file", "tiles"
PARAMETER = "token"

_FILE = re.compile(r"/assets/[0-9a-f]{64}/[^/]+")
_TILES = re.compile(r"(/tiles/collections/[^/]+/items/[^/]+)(?:/.*)?")
_ISSUERS = {principal.name: principal for principal in (LOCAL_OPERATOR, KEY_HOLDER)}


@dataclass(frozen=True, slots=True)
class Target:
    """What a link can open: the purpose and the object of its token. `subject` is a decoded path."""

    purpose: str
    subject: str

    @property
    def href(self) -> str:
        return quote(self.subject)


def target_of(path: str) -> Target | None:
    """What a link to this decoded path would open; None for everything that links do not open."""
    if _FILE.fullmatch(path):
        return Target(FILE, path)
    found = _TILES.fullmatch(path)
    return Target(TILES, found[1]) if found else None


def signer_of(settings: Settings) -> Signer:
    """With the deployment's key, else with the home's own (`signing.key`)."""
    given = settings.signing_key
    return Signer(kept_key(settings.home / "signing.key") if given is None else given.get_secret_value().encode())


def token_in(scope: Scope) -> str | None:
    """The token of a request that links could open."""
    if scope["method"] not in ("GET", "HEAD") or target_of(scope["path"]) is None:
        return None
    return QueryParams(scope["query_string"]).get(PARAMETER)


def speaker(signer: Signer, token: str, path: str, now: float) -> Principal | None:
    """On whose behalf the token opens `path`; None where the issuer is gone. Raises `TokenError`."""
    target = target_of(path)
    if target is None:
        return None
    return _ISSUERS.get(signer.check(token, target.purpose, target.subject, now).issuer)
