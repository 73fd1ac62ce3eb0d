"""How much one client may ask: the size of a body, and requests a second."""

import math
import time
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from catalog_api.errors import problem
from catalog_api.guard import with_headers

UPLOADS = "/uploads"
"""Takes files by parts and has a limit of its own."""
FREE = ("/healthz", "/readyz")
_SECONDS, _LEAST_BURST = 10.0, 20.0
_MOST_CLIENTS = 10_000


@dataclass(slots=True)
class _Bucket:
    left: float
    seen: float


class Buckets:
    """A token bucket for each client: `rate` requests a second, and what ten seconds would bring at once."""

    def __init__(self, rate: float) -> None:
        self.rate, self.burst = rate, max(rate * _SECONDS, _LEAST_BURST)
        self._buckets: dict[str, _Bucket] = {}

    def take(self, client: str, now: float) -> float:
        """Seconds to wait before the next try; 0 where this request may pass."""
        bucket = self._buckets.get(client)
        if bucket is None:
            if len(self._buckets) >= _MOST_CLIENTS:
                self._forget(now)
            bucket = self._buckets[client] = _Bucket(self.burst, now)
        bucket.left = min(self.burst, bucket.left + (now - bucket.seen) * self.rate)
        bucket.seen = now
        if bucket.left < 1:
            return (1 - bucket.left) / self.rate
        bucket.left -= 1
        return 0.0

    def _forget(self, now: float) -> None:
        """Drop those that are full again; should that not help, all: one burst too many rather than endless memory."""
        full = self.burst / self.rate
        self._buckets = {name: bucket for name, bucket in self._buckets.items() if now - bucket.seen < full}
        if len(self._buckets) >= _MOST_CLIENTS:
            self._buckets.clear()


class Limits:
    """ASGI middleware: 429 for a client in too great a hurry, 413 for a body over `most` bytes, declared or not."""

    def __init__(self, app: ASGIApp, most: int, rate: float) -> None:
        self.app = app
        self._most = most
        self._buckets = Buckets(rate) if rate else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if self._buckets is not None and scope["path"] not in FREE:
            client = scope["client"][0] if scope.get("client") else ""
            if wait := self._buckets.take(client, time.monotonic()):
                told = problem(429, "Too many requests at once.", code="TooManyRequests")
                told.headers["retry-after"] = str(math.ceil(wait))
                await told(scope, receive, with_headers(send))
                return
        if scope["path"].startswith(UPLOADS):
            await self.app(scope, receive, send)
            return
        declared = Headers(scope=scope).get("content-length", "")
        if declared.isdecimal() and int(declared) > self._most:
            told = problem(413, self._too_large, code="RequestEntityTooLarge", field="body")
            await told(scope, receive, with_headers(send))
            return
        taken = 0

        async def counted() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > self._most:
                raise HTTPException(413, self._too_large)
            return message

        await self.app(scope, counted, send)

    @property
    def _too_large(self) -> str:
        return f"The body is larger than the {self._most} bytes that are taken here."
