"""What stands before every request: the key, the host it was meant for, and the headers of every answer."""

import base64
import hmac
import ipaddress
import time
from collections.abc import Iterable

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from catalog_api.errors import problem
from catalog_api.links import speaker, token_in
from imagery.errors import Refused
from records.settings import Settings
from records.tokens import Signer, TokenError
from sharing.policy import ANONYMOUS, KEY_HOLDER, LOCAL_OPERATOR, Principal

OPEN = ("/healthz", "/readyz", "/schemas/")
"""Paths that need no key: they say nothing about what is kept here."""


LOOPBACK = frozenset(("localhost", "127.0.0.1", "::1"))

HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    # MapLibre runs its worker from a blob and draws images from blobs; everything else comes from here alone.
    "content-security-policy": "default-src 'self'; img-src 'self' data: blob:; worker-src 'self' blob:; "
    "object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
}


def check_address(host: str, settings: Settings) -> None:
    """Raises `Refused` (`open-to-all`) where `host` would be reachable by others and no key is asked of them."""
    if settings.api_key is None and not is_loopback(host):
        raise Refused(
            "open-to-all",
            f"Serving on {host} without a key would open everything to whoever reaches it.",
            "Set FLYONCE_API_KEY to a long random text, or serve on 127.0.0.1. "
            "请设置 FLYONCE_API_KEY（一长串随机字符），或只在 127.0.0.1 上提供服务。",
        )


def is_loopback(host: str) -> bool:
    if host in LOOPBACK:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Guard:
    """ASGI middleware. With a key it is asked of every request, as a bearer token or as a browser's password; without
    one only this machine is answered, under its own names (a page elsewhere cannot borrow the browser by DNS). A signed
    link stands in for the key where it leads."""

    def __init__(self, app: ASGIApp, key: str | None, signer: Signer) -> None:
        self.app = app
        self._key = None if key is None else key.encode()
        self._signer = signer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        found = self._who(scope)
        if isinstance(found, Response):
            await found(scope, receive, with_headers(send))
            return
        scope.setdefault("state", {})["principal"] = found
        await self.app(scope, receive, with_headers(send))

    def _who(self, scope: Scope) -> Principal | Response:
        """Who asks, or why nobody is answered."""
        headers = Headers(scope=scope)
        if self._key is None and not _from_here(scope, headers):
            detail = "Without FLYONCE_API_KEY only this machine is answered, at localhost or 127.0.0.1."
            return problem(403, detail, code="NotThisMachine")
        if self._key is not None and any(hmac.compare_digest(given, self._key) for given in _keys_in(headers)):
            return KEY_HOLDER
        if (token := token_in(scope)) is not None:
            return self._linked(token, scope["path"])
        if self._key is None:
            return LOCAL_OPERATOR
        if scope["path"].startswith(OPEN):
            return ANONYMOUS
        answer = problem(401, "The API key is missing or wrong: send `Authorization: Bearer KEY`.", code="Unauthorized")
        for scheme in ('Basic realm="flyonce", charset="UTF-8"', 'Bearer realm="flyonce"'):
            answer.headers.append("www-authenticate", scheme)  # one line each: browsers read only the first of one
        return answer

    def _linked(self, token: str, path: str) -> Principal | Response:
        try:
            principal = speaker(self._signer, token, path, time.time())
        except TokenError as error:
            return problem(403, str(error), code="LinkRefused", field="token")
        return principal or problem(403, "Whoever made this link is gone.", code="LinkRefused", field="token")


def principal_of(scope: Scope) -> Principal:
    """Who asks, as the guard found."""
    principal: Principal = scope["state"]["principal"]
    return principal


def _keys_in(headers: Headers) -> Iterable[bytes]:
    """What could be the key: a bearer token, X-API-Key, or the password of Basic, whatever the user's name.

    As the bytes that were sent; starlette reads headers as Latin-1.
    """
    scheme, _, value = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        yield value.strip().encode("latin-1")
    elif scheme.lower() == "basic":
        try:
            yield base64.b64decode(value.strip(), validate=True).partition(b":")[2]
        except ValueError:
            return
    if "x-api-key" in headers:
        yield headers["x-api-key"].encode("latin-1")


def _from_here(scope: Scope, headers: Headers) -> bool:
    name = headers.get("host", "")
    host = name[1 : name.find("]")] if name.startswith("[") else name.partition(":")[0]
    client = scope.get("client")
    return host.lower() in LOOPBACK and (client is None or not _is_other_machine(client[0]))


def _is_other_machine(address: str) -> bool:
    try:
        return not ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False  # a socket file, or a test client


def with_headers(send: Send) -> Send:
    """`send` that gives every answer the headers that keep browsers safe."""

    async def add(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return add
