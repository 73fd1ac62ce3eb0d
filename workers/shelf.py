"""Model versions as items of `models`, so that every run's link to its model leads somewhere, also years later."""

import inspect
from datetime import UTC, datetime
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path

from detectors import registry, shelf
from detectors.base import ModelSpec
from stac.assets import Stored
from stac.collections import MODELS
from stac.items import Custody
from stac.runs import Model, model_item
from workers.home import Home

KEEPER = "flyonce"
"""Department of models that came with flyonce or with a plug-in."""


def model_of(spec: ModelSpec, gsd: float) -> Model:
    """How a run at `gsd` metres a pixel names the model."""
    return Model(
        name=spec.name,
        version=spec.version,
        classes=spec.classes,
        gsd=gsd,
        window=spec.core + 2 * spec.halo,
        batch=spec.batch,
        architecture=registry.shelved(spec.name).architecture or spec.name,
        licence=spec.licence,
    )


def shelve(home: Home, spec: ModelSpec) -> None:
    """Put this model version into the catalogue with its weights and code, unless it is there."""
    model = model_of(spec, spec.gsd)
    if home.catalog.get_item(MODELS, model.id) is not None:
        return
    found = registry.shelved(spec.name)
    item = model_item(
        model,
        custody=Custody(KEEPER),
        created=datetime.now(UTC),
        description=found.description or f"The plug-in detector {spec.name}.",
        metrics=found.metrics,
        weights=_keep(home, found.weights, "application/octet-stream") if found.weights else None,
        code=_keep(home, _code(spec.name), "text/x-python"),
    )
    home.catalog.put_items([item])


def _code(name: str) -> Path:
    """The file that the detector is written in."""
    plugged = next((point.module for point in entry_points(group=registry.GROUP, name=name)), None)
    module = "detectors.filemodels" if name in shelf.names() else plugged or f"detectors.{name}"
    source = inspect.getsourcefile(import_module(module))
    if source is None:
        raise RuntimeError(f"the detector {name} has no source file")
    return Path(source)


def _keep(home: Home, path: Path, media_type: str) -> Stored:
    kept = home.files.put(path)
    return Stored(path.name, kept.sha256, kept.size, media_type)
