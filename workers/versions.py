"""Which versions a result depends on, and workers that have others: refused by name before they compute anything."""

import platform
from functools import cache
from importlib.metadata import version

import distributed
import rasterio
import shapely

from imagery.errors import Refused

_PACKAGES = ("flyonce", "numpy", "rasterio", "shapely", "torch")


@cache
def here() -> tuple[tuple[str, str], ...]:
    """Name and version of everything whose version may show in a result, of this process."""
    found = [(name, version(name)) for name in _PACKAGES]
    found += [("GDAL", str(rasterio.__gdal_version__)), ("GEOS", shapely.geos_version_string)]
    return (*found, ("Python", ".".join(platform.python_version_tuple()[:2])))


def check(expected: tuple[tuple[str, str], ...], who: str = "this worker") -> None:
    """Raises `Refused` (other-versions) where this process differs from what the run was started with."""
    _refuse(who, here(), expected)


def check_workers(client: distributed.Client) -> None:
    """Ask every worker that is there. Raises `Refused`: no-workers, other-versions for the first that differs."""
    found = client.run(here)
    if not found:
        raise Refused(
            "no-workers", "The Dask scheduler has no workers yet.", "Start some: `flyonce node tcp://host:8786`."
        )
    for address, theirs in found.items():
        _refuse(f"the worker {address}", theirs, here())


def _refuse(who: str, theirs: tuple[tuple[str, str], ...], ours: tuple[tuple[str, str], ...]) -> None:
    if theirs == ours:
        return
    has = dict(theirs)
    differ = [f"{name} {has.get(name, 'none')} (here {own})" for name, own in ours if has.get(name) != own]
    raise Refused(
        "other-versions",
        f"{who} has {', '.join(differ) or 'other packages'}.",
        "Install the same lock (requirements.lock) on every host.",
    )
