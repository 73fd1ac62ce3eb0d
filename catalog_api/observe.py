"""What a service tells about itself: Prometheus metrics, and one line of log for each request."""

import logging
import time
import uuid
from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

access = logging.getLogger("flyonce.access")

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
Counts = Callable[[], Mapping[str, Mapping[str, float]]]
"""Gauge → label value → number, asked when metrics are read."""


class Metrics:
    """The numbers of one application. Routes are counted by their pattern, so that no path becomes a label."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "flyonce_http_requests", "Requests answered", ("method", "route", "status"), registry=self.registry
        )
        self.seconds = Histogram(
            "flyonce_http_request_seconds",
            "Time until the last byte of an answer was handed over",
            ("method", "route"),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.bytes = Counter(
            "flyonce_http_bytes", "Bytes of bodies, received and sent", ("direction",), registry=self.registry
        )

    def gauge(self, counts: Counts) -> None:
        """Add numbers that are read from the books when asked for."""
        self.registry.register(_Gauges(counts))


_GAUGES = {
    "flyonce_jobs": ("Jobs in the books", "state"),
    "flyonce_outbox": ("Messages to other systems", "state"),
    "flyonce_items": ("Items in the catalogue", "collection"),
    "flyonce_events": ("Events", "state"),
}


class _Gauges(Collector):
    def __init__(self, counts: Counts) -> None:
        self._counts = counts

    def describe(self) -> list[GaugeMetricFamily]:
        return [GaugeMetricFamily(name, text, labels=[label]) for name, (text, label) in _GAUGES.items()]

    def collect(self) -> Iterator[GaugeMetricFamily]:
        found = self._counts()
        for family in self.describe():
            for label, number in found.get(family.name, {}).items():
                family.add_metric([label], number)
            yield family


class Observed:
    """ASGI middleware, outermost. A line names who asked and the path, never the query, where tokens may stand."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started, status, taken, sent = time.perf_counter(), 500, 0, 0
        name = uuid.uuid4().hex

        async def receiving() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            return message

        async def sending(message: Message) -> None:
            nonlocal status, sent
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["x-request-id"] = name
            sent += len(message.get("body", b""))
            await send(message)

        try:
            await self.app(scope, receiving, sending)
        finally:
            self._told(scope, name, status, time.perf_counter() - started, taken, sent)

    def _told(self, scope: Scope, name: str, status: int, seconds: float, taken: int, sent: int) -> None:
        method, route = _method(scope), _route(scope)
        self._metrics.requests.labels(method, route, str(status)).inc()
        self._metrics.seconds.labels(method, route).observe(seconds)
        self._metrics.bytes.labels("in").inc(taken)
        self._metrics.bytes.labels("out").inc(sent)
        principal = scope.get("state", {}).get("principal")
        fields = {
            "request": name,
            "method": method,
            "route": route,
            "path": scope["path"],
            "status": status,
            "ms": round(seconds * 1000, 1),
            "bytes": sent,
            "principal": None if principal is None else principal.name,
        }
        access.info("%s %s %d", method, scope["path"], status, extra={"fields": fields})


def _method(scope: Scope) -> str:
    known = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
    return scope["method"] if scope["method"] in known else "other"


def _route(scope: Scope) -> str:
    route = scope.get("route")
    return str(getattr(route, "path", "other"))
