"""Where flights are handed in: the home on this machine, or a server. The same calls for both."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from flyonce.server import Server

if TYPE_CHECKING:
    from pathlib import Path

    from flyonce.watching import Found
    from stac.flight_values import Plan
    from workers.home import Home

Progress = Callable[[str, int, int], None]


class Desk(Protocol):
    """Raises `AskedWrongError` where a server does not answer or refuses, `imagery.errors.Refused` at home."""

    def send(
        self, found: "Sequence[Found]", plan: "Plan", progress: Progress, late: str, offset: float | None
    ) -> dict[str, Any]:
        """Hand in files; what became of each of them. `offset`: of the logs beside videos."""
        ...

    def nothing(self, plan: "Plan") -> dict[str, Any]:
        """The report of a run that had no file."""
        ...

    def report(self, flight: str) -> dict[str, Any]:
        """The whole report of a flight (`stac.flight_report`)."""
        ...

    def flights(self) -> list[dict[str, Any]]: ...

    def close(self, flight: str, *, early: bool, reason: str) -> None: ...

    def reopen(self, flight: str, reason: str) -> None: ...


@contextmanager
def open_desk(url: str | None, key: str | None, *, terrain: "Path | None" = None) -> Iterator[Desk]:
    """The server at `url`, or the home that the settings name (made if it is not there). `terrain`: an elevation model
    in the place of the settings' or the server's own. Raises `AskedWrongError`."""
    if url is not None:
        with Server(url, key) as server:
            yield RemoteDesk(server, terrain)
        return
    from records.settings import Settings
    from workers.home import Home

    settings = Settings() if terrain is None else Settings(terrain=terrain)
    with Home.open(settings) as home:
        yield LocalDesk(home)


class RemoteDesk:
    def __init__(self, server: Server, terrain: "Path | None" = None) -> None:
        self._server, self._terrain = server, terrain

    def send(
        self, found: "Sequence[Found]", plan: "Plan", progress: Progress, late: str, offset: float | None
    ) -> dict[str, Any]:
        from flyonce.sending import send

        return send(self._server, found, plan, progress, late=late, offset=offset, terrain=self._terrain)

    def nothing(self, plan: "Plan") -> dict[str, Any]:
        from flyonce.sending import as_run

        self._server.ask("POST", "/api/flights", json=plan.to_json())
        return as_run(self.report(plan.id), {}, [])

    def report(self, flight: str) -> dict[str, Any]:
        return self._server.ask("GET", f"/api/flights/{flight}")

    def flights(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._server.ask("GET", "/api/flights")["flights"]
        return found

    def close(self, flight: str, *, early: bool, reason: str) -> None:
        self._server.ask("POST", f"/api/flights/{flight}/close", json={"early": early, "reason": reason})

    def reopen(self, flight: str, reason: str) -> None:
        self._server.ask("POST", f"/api/flights/{flight}/reopen", json={"reason": reason})


class LocalDesk:
    def __init__(self, home: "Home") -> None:
        self._home = home

    def send(
        self, found: "Sequence[Found]", plan: "Plan", progress: Progress, late: str, offset: float | None
    ) -> dict[str, Any]:
        from workers.ingest import ingest_found

        return ingest_found(self._home, found, plan, late=late, offset=offset, progress=progress).to_dict()

    def nothing(self, plan: "Plan") -> dict[str, Any]:
        from flyonce.sending import as_run
        from records.engine import transaction
        from sharing.policy import LOCAL_OPERATOR
        from stac import flights
        from stac.flight_tables import Sender

        with transaction(self._home.engine) as conn:
            flights.open_flight(conn, plan, Sender(LOCAL_OPERATOR.name, LOCAL_OPERATOR.role))
        return as_run(self.report(plan.id), {}, [])

    def report(self, flight: str) -> dict[str, Any]:
        from workers.flights import report_of

        return report_of(self._home, flight)

    def flights(self) -> list[dict[str, Any]]:
        from workers.flights import list_flights

        return list_flights(self._home, 50)

    def close(self, flight: str, *, early: bool, reason: str) -> None:
        from records.engine import transaction
        from sharing.policy import LOCAL_OPERATOR
        from stac import flights
        from workers.flights import put_flight

        with transaction(self._home.engine) as conn:
            closed = flights.close(conn, flight, LOCAL_OPERATOR.name, early=early, reason=reason)
        put_flight(self._home, closed)

    def reopen(self, flight: str, reason: str) -> None:
        from records.engine import transaction
        from sharing.policy import LOCAL_OPERATOR
        from stac import flights

        with transaction(self._home.engine) as conn:
            flights.reopen(conn, flight, reason, LOCAL_OPERATOR.name)
