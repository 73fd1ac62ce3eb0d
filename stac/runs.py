"""Items for runs of models, with where they come from, and for the models themselves."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from stac import extensions, times
from stac.assets import Stored, asset
from stac.collections import CHANGES, DETECTIONS, MODELS
from stac.items import Custody, item_link, item_of
from stac.store import Item

CLEAN, NOT_ANALYSED = 0, 255
"""Mask values beside 1..N for the classes."""


@dataclass(frozen=True, slots=True)
class Model:
    """One model version, as a run names it and as `models` describes it."""

    name: str
    version: str
    classes: tuple[str, ...]
    gsd: float
    """Metres on the ground per pixel that the model sees."""
    window: int
    """Side in pixels of what it is given."""
    batch: int
    architecture: str
    licence: str
    """SPDX identifier of the weights."""
    task: str = "semantic-segmentation"

    @property
    def id(self) -> str:
        return f"{self.name}-{self.version}"


@dataclass(frozen=True, slots=True)
class RunFiles:
    """What a run wrote."""

    features: Stored
    mask: Stored
    thumbnail: Stored | None = None
    crops: tuple[tuple[str, Stored], ...] = ()
    """Evidence: asset key and file."""


def run_item(
    item_id: str,
    *,
    model: Model,
    inputs: Sequence[Item],
    input_hashes: Sequence[str],
    geometry: dict[str, Any],
    custody: Custody,
    started: datetime,
    finished: datetime,
    software: Mapping[str, str],
    parameters: Mapping[str, Any],
    found: Mapping[str, int],
    analysed_m2: float,
    files: RunFiles,
    notes: Sequence[str] = (),
) -> Item:
    """An item of `changes` for two inputs (before, after), of `detections` for one.

    Its time is that of its inputs, not of the computing, so that a search for what was seen in May finds it;
    `geometry` is the ground that was analysed. `software` is name and version of what computed it.
    """
    if not 1 <= len(inputs) <= 2:
        raise ValueError(f"run {item_id} has {len(inputs)} inputs; a detection has one, a change two")
    moments = [times.parse(source["properties"]["datetime"]) for source in inputs]
    names = [source["properties"].get("title", source["id"]) for source in inputs]
    item = item_of(
        CHANGES if len(inputs) == 2 else DETECTIONS,
        item_id,
        geometry=geometry,
        properties={
            "title": f"{model.name} {model.version}: {' → '.join(names)}",
            "datetime": times.rfc3339(max(moments)),
            "start_datetime": times.rfc3339(min(moments)),
            "end_datetime": times.rfc3339(max(moments)),
            "created": times.rfc3339(finished),
            **custody.properties(finished),
            "flyonce:model": f"{model.name}@{model.version}",
            "flyonce:inputs": list(input_hashes),
            "flyonce:parameters": dict(parameters),
            "flyonce:classes": list(model.classes),
            "flyonce:found": dict(found),
            "flyonce:analysed_m2": round(analysed_m2, 2),
            **({"flyonce:notes": list(notes)} if notes else {}),
            "processing:lineage": f"{model.name} {model.version} over {', '.join(names)}",
            "processing:datetime": times.rfc3339(started),
            "processing:software": dict(software),
            "gsd": model.gsd,
        },
    )
    item["stac_extensions"] += [extensions.PROCESSING, extensions.CLASSIFICATION]
    item["links"] += [
        *(
            item_link("derived_from", source["collection"], source["id"], name)
            for source, name in zip(inputs, names, strict=True)
        ),
        item_link("derived_from", MODELS, model.id, f"{model.name} {model.version}"),
    ]
    classes = mask_classes(model.classes)
    item["assets"] = {
        "features": asset(files.features, "检出图斑 Findings", "data"),
        "mask": asset(
            files.mask,
            "分类栅格 Mask",
            "data",
            "labels-raster",
            **{"data_type": "uint8", "nodata": NOT_ANALYSED, "classification:classes": classes},
        ),
        **({} if files.thumbnail is None else {"thumbnail": asset(files.thumbnail, "缩略图 Thumbnail", "thumbnail")}),
    }
    return with_crops(item, files.crops)


def with_crops(run: Item, crops: Iterable[tuple[str, Stored]]) -> Item:
    """The run with these crops, asset key and file, among its assets."""
    evidence = {key: asset(crop, f"证据截图 Evidence {key}", "overview") for key, crop in crops}
    return {**run, "assets": {**run["assets"], **evidence}}


def model_item(
    model: Model,
    *,
    custody: Custody,
    created: datetime,
    description: str,
    metrics: Mapping[str, Any],
    weights: Stored | None,
    code: Stored,
) -> Item:
    """An item of `models` with the MLM extension. Without weights (a classical model) its code is the artifact."""
    pixels = {"shape": [-1, 3, model.window, model.window], "dim_order": ["batch", "bands", "height", "width"]}
    scores = {
        "shape": [-1, len(model.classes), model.window, model.window],
        "dim_order": ["batch", "class", "height", "width"],
    }
    item = item_of(
        MODELS,
        model.id,
        geometry=None,
        properties={
            "title": f"{model.name} {model.version}",
            "description": description,
            "datetime": times.rfc3339(created),
            "created": times.rfc3339(created),
            "license": model.licence,
            "version": model.version,
            **custody.properties(created),
            "gsd": model.gsd,
            "bands": [{"name": name} for name in ("red", "green", "blue")],
            "flyonce:classes": list(model.classes),
            "flyonce:metrics": dict(metrics),
            "mlm:name": model.name,
            "mlm:architecture": model.architecture,
            "mlm:tasks": [model.task],
            "mlm:framework": "PyTorch",
            "mlm:batch_size_suggestion": model.batch,
            "mlm:accelerator_constrained": False,
            "mlm:input": [
                {
                    "name": "RGB",
                    "bands": ["red", "green", "blue"],
                    "input": {**pixels, "data_type": "uint8"},
                    "value_scaling": None,
                    "resize_type": "interpolation-area",
                }
            ],
            "mlm:output": [
                {
                    "name": "scores",
                    "tasks": [model.task],
                    "result": {**scores, "data_type": "uint8"},
                    "classification:classes": mask_classes(model.classes)[1:-1],
                }
            ],
        },
    )
    item["stac_extensions"] += [extensions.MLM, extensions.VERSION]
    # Core STAC allows bands in properties only where an asset has them too; MLM wants them in properties.
    artifact = {
        "mlm:artifact_type": "safetensors.torch.save_file" if weights else "python",
        "bands": item["properties"]["bands"],
    }
    item["assets"] = {"weights": asset(weights or code, "模型权重 Weights", "mlm:model", **artifact)}
    if weights is not None:
        item["assets"]["code"] = asset(code, "模型代码 Code", "code")
    return item


def mask_classes(classes: Sequence[str]) -> list[dict[str, Any]]:
    """What the values of a mask mean (classification extension)."""
    return [
        {"value": CLEAN, "name": "clean", "description": "Looked at, nothing found"},
        *({"value": k, "name": name, "description": name.replace("_", " ")} for k, name in enumerate(classes, 1)),
        {"value": NOT_ANALYSED, "name": "not_analysed", "description": "Not analysed or not comparable"},
    ]
