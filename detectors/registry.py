"""Which detectors there are: ours, those that other packages bring by the entry point group `flyonce.detectors`, and
model files that a person put on the shelf (`detectors.shelf`).

An entry point names a function without arguments that returns a `Shelved`; ours come first, and neither a plug-in nor a
file can take one of their names.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from detectors import change, checkpoint, debris
from detectors.base import Detector, ModelSpec
from imagery.errors import Refused

GROUP = "flyonce.detectors"


@dataclass(frozen=True, slots=True)
class Shelved:
    """A detector that can be loaded: its specification, and how to get it onto a device (`cpu`, `cuda:0`, …)."""

    spec: ModelSpec
    load: Callable[[str], Detector]
    weights: Path | None = None
    """The file that holds them."""
    architecture: str = ""
    description: str = ""
    metrics: Mapping[str, Any] = field(default_factory=dict)


def _shipped(spec: ModelSpec) -> Path | None:
    path = checkpoint.FOLDER / f"{spec.name}-{spec.version}.safetensors"
    return path if spec.weights_sha256 and path.is_file() else None


@cache
def _measured() -> dict[str, dict[str, Any]]:
    """What docs/models says of each version of ours."""
    kept: dict[str, dict[str, Any]] = json.loads((checkpoint.FOLDER / "metrics.json").read_text("utf-8"))
    return kept


def _sam() -> Shelved:
    from detectors import sam

    return sam.shelved()


def _debris() -> Shelved:
    spec = debris.spec
    return Shelved(
        spec,
        debris.Debris.load,
        _shipped(spec),
        "U-Net",
        "Outlines spoil heaps, construction material and scattered debris in RGB pictures.",
        _measured().get(f"{spec.name}-{spec.version}", {}),
    )


_OURS: dict[str, Callable[[], Shelved]] = {debris.spec.name: _debris, "sam": _sam}


def comparer() -> Shelved:
    """Change, which takes two dates and is run by `flyonce change`, as the shelf shows it."""
    spec = change.spec

    def refuse(_: str) -> Detector:
        raise Refused("two-dates", "change compares two dates.", "Run `flyonce change BEFORE AFTER`.")

    return Shelved(
        spec,
        refuse,
        change.WEIGHTS,
        "change vector analysis and a Siamese network",
        "Compares two dates: shift field, fitted light, what no longer fits, and a small network of our own.",
        _measured().get(f"{spec.name}-{spec.version}", {}),
    )


def names() -> tuple[str, ...]:
    """Names of all detectors, sorted. Plug-ins and files are listed without being opened."""
    from detectors import shelf

    return tuple(sorted({*_OURS, *(point.name for point in entry_points(group=GROUP)), *shelf.names()}))


def spec(name: str) -> ModelSpec:
    """What the detector is and what it expects. Refused: `no-such-detector`."""
    return shelved(name).spec


def load(name: str, device: str = "cpu") -> Detector:
    """The detector, ready on `device`. Refused: `no-such-detector`, and what its weights are refused for."""
    return shelved(name).load(device)


def about(name: str) -> dict[str, str]:
    """What the header of the detector's weights says, such as the frames they were trained on; empty without one."""
    weights = shelved(name).weights
    return checkpoint.about(weights) if weights is not None and weights.suffix == ".safetensors" else {}


def shelved(name: str) -> Shelved:
    """All that is known of a detector. Refused: `no-such-detector`, `broken-plug-in`, and as `shelf.read` does."""
    from detectors import shelf

    if name in _OURS:
        return _OURS[name]()
    if name == change.spec.name:
        return comparer()
    for point in entry_points(group=GROUP, name=name):
        found = point.load()()
        if not isinstance(found, Shelved) or found.spec.name != name:
            raise Refused(
                "broken-plug-in",
                f"The plug-in {point.value} does not give a detector named {name}.",
                f"Its function must return a detectors.registry.Shelved whose spec is named {name}.",
            )
        return found
    if name in shelf.names():
        return shelf.read(shelf.path_of(name))
    raise Refused("no-such-detector", f"There is no detector named {name}.", f"Choose one of: {', '.join(names())}.")
