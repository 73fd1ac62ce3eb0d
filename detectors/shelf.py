"""Models from files: a STAC item with the MLM extension beside the weights that it names.

The shelf is a folder (`FLYONCE_SHELF`, else `shelf` in the home); every `NAME.json` in it is a detector NAME. An item
says what flyonce must know to run a model that it has never seen:

    properties  version, license, gsd, mlm:name, mlm:architecture, mlm:framework, mlm:tasks,
                mlm:input[0]   shape [-1, 3, H, W], bands red, green, blue, value_scaling (per band, or one for all)
                mlm:output[0]  classification:classes, in the order of the model's outputs (a class named `background`,
                               where there is one, is no finding)
                flyonce:halo (cells), flyonce:thresholds (0 to 255), flyonce:min_area (square metres): optional
    assets      one with the role mlm:model: href (beside the item), mlm:artifact_type, file:checksum (SHA-256)

Artifacts: `torch.jit.save` (TorchScript), `onnx`, `torch.save` of a state dict (for architectures torchvision/NAME),
`safetensors.torch.save_file` (the same, few-shot heads, and debris networks taught anew). A pickled module is refused:
reading one runs its code.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from detectors.base import ModelSpec
from detectors.registry import Shelved
from imagery.errors import Refused

Kind = Literal["torchscript", "onnx", "torchvision", "few-shot", "debris"]
SHA256 = "1220"
"""Multihash prefix (file extension)."""
BACKGROUND = ("background", "clean", "__background__")


@dataclass(frozen=True, slots=True)
class Scale:
    """x becomes (x - offset) / by, per band."""

    offset: tuple[float, float, float] = (0.0, 0.0, 0.0)
    by: tuple[float, float, float] = (1.0, 1.0, 1.0)


@dataclass(frozen=True, slots=True)
class FileModel:
    """What an item tells of a model file."""

    kind: Kind
    spec: ModelSpec
    weights: Path
    outputs: tuple[str, ...]
    """Names of the model's outputs in their order, the background among them."""
    scale: Scale
    architecture: str
    task: str


def folder() -> Path:
    """Where models from files lie."""
    named = os.environ.get("FLYONCE_SHELF")
    home = os.environ.get("FLYONCE_HOME")
    return Path(named) if named else (Path(home) if home else Path.home() / ".flyonce") / "shelf"


def names() -> tuple[str, ...]:
    """Detectors that are files, by the names of their items."""
    return tuple(sorted(path.stem for path in folder().glob("*.json"))) if folder().is_dir() else ()


def path_of(name: str) -> Path:
    """The item of a detector."""
    return folder() / f"{name}.json"


def add(item: Path) -> Shelved:
    """Check an item and its weights, and put both on the shelf. Raises `Refused`: see `read`; name-taken."""
    from detectors import registry

    found = described(item)
    name = found.spec.name
    if name in registry.names() or name == "change":
        raise Refused("name-taken", f"There is a detector named {name} already.", "Give the model another mlm:name.")
    read(item).load("cpu")  # what does not load now would not load in a run
    folder().mkdir(parents=True, exist_ok=True)
    shutil.copyfile(found.weights, folder() / found.weights.name)
    shutil.copyfile(item, path_of(name))
    return read(path_of(name))


def read(item: Path) -> Shelved:
    """A detector from its item. Raises `Refused`: no-model-item, not-mlm, unknown-artifact, no-weights,
    wrong-checksum; and when loading: pickled, other-network, not-torchscript, not-onnx."""
    found = described(item)

    def load(device: str) -> Any:
        from detectors.filemodels import ready

        return ready(found, device)

    properties = _item(item)["properties"]
    return Shelved(
        found.spec,
        load,
        found.weights,
        found.architecture,
        str(properties.get("description", f"The model file {found.weights.name}.")),
        properties.get("flyonce:metrics", {}),
    )


def described(path: Path) -> FileModel:
    """What the item says, and that the weights are the ones it means."""
    item = _item(path)
    said = item["properties"]
    try:
        name, architecture = str(said["mlm:name"]), str(said["mlm:architecture"])
        taken, given = said["mlm:input"][0], said["mlm:output"][0]
        shape, order = taken["input"]["shape"], taken["input"].get("dim_order", ["batch", "bands", "height", "width"])
        side, gsd, licence = int(shape[order.index("height")]), float(said["gsd"]), str(said["license"])
        outputs = tuple(str(one["name"]) for one in given["classification:classes"])
        (asset,) = (one for one in item["assets"].values() if "mlm:model" in one.get("roles", []))
        artifact, checksum = str(asset["mlm:artifact_type"]), str(asset["file:checksum"])
        weights = path.parent / Path(str(asset["href"])).name
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise Refused(
            "not-mlm",
            f"{path} does not tell what a model item must: {type(error).__name__} {error}.",
            "docs/models/shelf.md has an example to follow.",
        ) from error
    sha256 = checksum.removeprefix(SHA256)
    _check(weights, sha256)
    classes = tuple(one for one in outputs if one not in BACKGROUND)
    halo = int(said.get("flyonce:halo", side // 8))
    thresholds = tuple(int(value) for value in said.get("flyonce:thresholds", [128] * len(classes)))
    if len(thresholds) != len(classes) or not classes or side <= 2 * halo:
        raise Refused(
            "not-mlm", f"{path} has classes, thresholds or a halo that do not fit together.", "Mend the item."
        )
    spec = ModelSpec(
        name=name,
        version=str(said.get("version", "1")),
        classes=classes,
        gsd=gsd,
        core=side - 2 * halo,
        halo=halo,
        batch=max(1, int(said.get("mlm:batch_size_suggestion", 1))),
        thresholds=thresholds,
        min_area=float(said.get("flyonce:min_area", 1.0)),
        licence=licence,
        weights_sha256=sha256,
    )
    task = str((given.get("tasks") or said.get("mlm:tasks") or ["semantic-segmentation"])[0])
    return FileModel(
        _kind(path, architecture, artifact), spec, weights, outputs, _scale(path, taken), architecture, task
    )


def _item(path: Path) -> dict[str, Any]:
    try:
        item = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise Refused("no-model-item", f"{path} is no item of a model: {error}.", "Name its JSON file.") from error
    if not isinstance(item, dict) or not {"properties", "assets"} <= item.keys():
        raise Refused("no-model-item", f"{path} is no STAC item.", "docs/models/shelf.md has an example to follow.")
    return item


def _kind(path: Path, architecture: str, artifact: str) -> Kind:
    match artifact:
        case "torch.jit.save":
            return "torchscript"
        case "onnx":
            return "onnx"
        case "safetensors.torch.save_file" if architecture == "flyonce/few-shot":
            return "few-shot"
        case "safetensors.torch.save_file" if architecture == "flyonce/debris":
            return "debris"
        case "torch.save" | "safetensors.torch.save_file" if architecture.startswith("torchvision/"):
            return "torchvision"
    raise Refused(
        "unknown-artifact",
        f"{path}: flyonce does not run {architecture!r} kept as {artifact!r}.",
        "Export it as TorchScript or ONNX, or as the state dict of a torchvision model.",
    )


def _check(weights: Path, sha256: str) -> None:
    if not weights.is_file():
        raise Refused("no-weights", f"There are no weights at {weights}.", "Put them beside the item.")
    found = hashlib.sha256(weights.read_bytes()).hexdigest()
    if found != sha256:
        raise Refused(
            "wrong-checksum",
            f"{weights} is not the file that the item means: its SHA-256 is {found}, expected {sha256}.",
            "Restore the file, or give the item the checksum of the file you trust.",
        )


def _scale(path: Path, taken: Mapping[str, Any]) -> Scale:
    entries: Sequence[Mapping[str, Any]] = taken.get("value_scaling") or []
    if not entries:
        return Scale()
    each = [_one_scale(path, entry) for entry in entries]
    each = each * 3 if len(each) == 1 else each
    if len(each) != 3:
        raise Refused("not-mlm", f"{path} scales {len(each)} bands, not three.", "Give one scaling, or one per band.")
    (a, b), (c, d), (e, f) = each
    return Scale((a, c, e), (b, d, f))


def _one_scale(path: Path, entry: Mapping[str, Any]) -> tuple[float, float]:
    match entry.get("type"):
        case "min-max":
            return float(entry["minimum"]), float(entry["maximum"]) - float(entry["minimum"])
        case "z-score":
            return float(entry["mean"]), float(entry["stddev"])
        case "scale":
            return 0.0, float(entry["value"])
        case "offset":
            return float(entry["value"]), 1.0
    raise Refused(
        "not-mlm",
        f"{path} asks for the scaling {entry.get('type')!r}.",
        "flyonce does min-max, z-score, scale and offset; put others into the model.",
    )
