"""A file read over the ground its flight or the settings name: an elevation model where it reaches, or a plane."""

from dataclasses import dataclass
from pathlib import Path

from imagery.errors import Refused
from imagery.footprints import Terrain
from imagery.inspect import inspect
from imagery.terrain import Elevation, LocalRelief
from imagery.values import Capture, Position
from stac import flight_queries
from stac.flight_tables import Flight
from workers.home import Home


@dataclass(frozen=True, slots=True)
class Lacking:
    """The elevation model that a flight names and that cannot be used: its captures lie on flat ground and say so."""

    why: str

    def below(self, _position: Position, _reach: float) -> tuple[LocalRelief, float]:
        raise Refused("no-elevation", self.why)


def terrain_of(home: Home, flight: Flight) -> Terrain | None:
    """The flight's own elevation model, one of its files; else the one of `FLYONCE_TERRAIN`, of which `Home.open` has
    seen that it can be used.

    What a flight names counts only once it is a file of the flight: nobody reads heights out of what he may not see.
    """
    named = flight.plan.terrain
    if named is None:
        path = home.settings.terrain
        return None if path is None else Elevation(path)
    with home.engine.connect() as conn:
        if not flight_queries.holds(conn, flight.id, named):
            return Lacking("the flight's elevation model had not come when this was read")
    try:
        (model := Elevation(home.files.path(named))).check()
    except Refused as refused:
        return Lacking(f"the flight's elevation model cannot be used ({refused.reason})")
    return model


def inspected(
    home: Home,
    flight: Flight,
    path: Path,
    *,
    decode: bool = True,
    sent: Path | None = None,
    offset: float | None = None,
) -> Capture:
    """`imagery.inspect.inspect` over the flight's ground."""
    return inspect(path, terrain_of(home, flight), decode=decode, sent=sent, offset=offset)
