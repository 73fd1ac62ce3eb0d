"""The MLM item beside weights that were taught here, by which the shelf knows and runs them."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from detectors.base import ModelSpec
from detectors.shelf import SHA256


def item_of(
    spec: ModelSpec,
    *,
    architecture: str,
    description: str,
    weights: str,
    metrics: Mapping[str, Any],
    training: Mapping[str, Any],
) -> dict[str, Any]:
    """A STAC item. `weights`: the file's name beside the item; `training`: what the run depended on."""
    side, count = spec.core + 2 * spec.halo, len(spec.classes)
    shape = {"shape": [-1, 3, side, side], "dim_order": ["batch", "bands", "height", "width"], "data_type": "uint8"}
    result = {
        "shape": [-1, count, side, side], "dim_order": ["batch", "class", "height", "width"], "data_type": "uint8",
    }  # fmt: skip
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "stac_extensions": ["https://stac-extensions.github.io/mlm/v1.5.2/schema.json"],
        "id": f"{spec.name}-{spec.version}",
        "geometry": None,
        "properties": {
            "datetime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "description": description,
            "license": spec.licence,
            "version": spec.version,
            "gsd": spec.gsd,
            "mlm:name": spec.name,
            "mlm:architecture": architecture,
            "mlm:framework": "PyTorch",
            "mlm:tasks": ["semantic-segmentation"],
            "mlm:input": [{"name": "RGB", "bands": ["red", "green", "blue"], "input": shape, "value_scaling": None}],
            "mlm:output": [
                {
                    "name": "scores",
                    "tasks": ["semantic-segmentation"],
                    "result": result,
                    "classification:classes": [
                        {"value": index, "name": name} for index, name in enumerate(spec.classes, start=1)
                    ],
                }
            ],
            "flyonce:halo": spec.halo,
            "flyonce:thresholds": list(spec.thresholds),
            "flyonce:min_area": spec.min_area,
            "flyonce:metrics": dict(metrics),
            "flyonce:training": dict(training),
        },
        "links": [],
        "assets": {
            "weights": {
                "href": f"./{weights}",
                "roles": ["mlm:model"],
                "mlm:artifact_type": "safetensors.torch.save_file",
                "file:checksum": SHA256 + spec.weights_sha256,
            }
        },
    }
