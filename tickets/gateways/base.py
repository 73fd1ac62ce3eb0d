"""What every way out of the house is: it takes a ticket, once or again, and says what became of it."""

from typing import Any, Protocol


class Gateway(Protocol):
    """Hands tickets to whoever dispatches them: a folder, a city's 12345 platform, an Open311 server."""

    name: str
    """Who is named in the history as having filed a ticket."""

    def file(self, ticket: dict[str, Any]) -> dict[str, Any]:
        """Hand over `tickets.wire.ticket_json`; what is worth keeping of the answer, JSON-ready.

        The same ticket may come again after a crash, possibly while the first call still runs, and must then be one
        ticket all the same. Raises `records.outbox.DeliveryError` or OSError where it was not taken: it is tried again.
        """
        ...
