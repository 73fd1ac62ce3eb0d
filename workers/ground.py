"""A file read over the ground that the settings name: an elevation model where it reaches, a plane elsewhere."""

from pathlib import Path

from imagery.inspect import inspect
from imagery.terrain import Elevation
from imagery.values import Capture
from workers.home import Home


def terrain_of(home: Home) -> Elevation | None:
    """The elevation model of `FLYONCE_TERRAIN`; `Home.open` has seen that it can be used."""
    path = home.settings.terrain
    return None if path is None else Elevation(path)


def inspected(
    home: Home, path: Path, *, decode: bool = True, sent: Path | None = None, offset: float | None = None
) -> Capture:
    """`imagery.inspect.inspect` over the home's ground."""
    return inspect(path, terrain_of(home), decode=decode, sent=sent, offset=offset)
