"""Which detectors there are: ours, and those that other packages bring by the entry point group `flyonce.detectors`.

An entry point names a function without arguments that returns a `Shelved`; ours come first, and a plug-in cannot take
one of their names.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import entry_points

from detectors import debris
from detectors.base import Detector, ModelSpec
from imagery.errors import Refused

GROUP = "flyonce.detectors"


@dataclass(frozen=True, slots=True)
class Shelved:
    """A detector that can be loaded: its specification, and how to get it onto a device (`cpu`, `cuda:0`, …)."""

    spec: ModelSpec
    load: Callable[[str], Detector]


_OURS = {debris.spec.name: Shelved(debris.spec, debris.Debris.load)}


def names() -> tuple[str, ...]:
    """Names of all detectors, sorted. Plug-ins are listed without being imported."""
    return tuple(sorted({*_OURS, *(point.name for point in entry_points(group=GROUP))}))


def spec(name: str) -> ModelSpec:
    """What the detector is and what it expects. Refused: `no-such-detector`."""
    return _shelved(name).spec


def load(name: str, device: str = "cpu") -> Detector:
    """The detector, ready on `device`. Refused: `no-such-detector`, and what its weights are refused for."""
    return _shelved(name).load(device)


def _shelved(name: str) -> Shelved:
    if name in _OURS:
        return _OURS[name]
    for point in entry_points(group=GROUP, name=name):
        found = point.load()()
        if not isinstance(found, Shelved) or found.spec.name != name:
            raise Refused(
                "broken-plug-in",
                f"The plug-in {point.value} does not give a detector named {name}.",
                f"Its function must return a detectors.registry.Shelved whose spec is named {name}.",
            )
        return found
    raise Refused("no-such-detector", f"There is no detector named {name}.", f"Choose one of: {', '.join(names())}.")
