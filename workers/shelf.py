"""Model versions as items of `models`, so that every run's link to its model leads somewhere, also years later."""

import inspect
from datetime import UTC, datetime
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path

from detectors import checkpoint
from detectors.base import ModelSpec
from detectors.registry import GROUP
from stac.assets import Stored
from stac.collections import MODELS
from stac.items import Custody
from stac.runs import Model, model_item
from workers.home import Home

KEEPER = "flyonce"
"""Department of models that came with flyonce or with a plug-in."""

_ABOUT = {
    "change": (
        "change vector analysis",
        "Compares two dates without trained weights: shift field, fitted light, colour and texture that no longer fit.",
    ),
    "debris": ("U-Net", "Outlines spoil heaps, construction material and scattered debris in RGB pictures."),
}


def model_of(spec: ModelSpec, gsd: float) -> Model:
    """How a run at `gsd` metres a pixel names the model."""
    return Model(
        name=spec.name,
        version=spec.version,
        classes=spec.classes,
        gsd=gsd,
        window=spec.core + 2 * spec.halo,
        batch=spec.batch,
        architecture=_ABOUT[spec.name][0] if spec.name in _ABOUT else spec.name,
        licence=spec.licence,
    )


def shelve(home: Home, spec: ModelSpec) -> None:
    """Put this model version into the catalogue with its weights and code, unless it is there."""
    model = model_of(spec, spec.gsd)
    if home.catalog.get_item(MODELS, model.id) is not None:
        return
    code = _code(spec.name)
    weights = checkpoint.FOLDER / f"{model.id}.safetensors"
    item = model_item(
        model,
        custody=Custody(KEEPER),
        created=datetime.now(UTC),
        description=_ABOUT[spec.name][1] if spec.name in _ABOUT else f"The plug-in detector {spec.name}.",
        metrics={},
        weights=_keep(home, weights, "application/octet-stream") if weights.is_file() else None,
        code=_keep(home, code, "text/x-python"),
    )
    home.catalog.put_items([item])


def _code(name: str) -> Path:
    """The file that the detector is written in."""
    plugged = next((point.module for point in entry_points(group=GROUP, name=name)), None)
    source = inspect.getsourcefile(import_module(f"detectors.{name}" if name in _ABOUT or not plugged else plugged))
    if source is None:
        raise RuntimeError(f"the detector {name} has no source file")
    return Path(source)


def _keep(home: Home, path: Path, media_type: str) -> Stored:
    kept = home.files.put(path)
    return Stored(path.name, kept.sha256, kept.size, media_type)
