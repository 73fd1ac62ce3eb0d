"""The STAC extensions that flyonce's items use, by the address of their schema."""

import json
from importlib.resources import files
from typing import Any

_PUBLISHED = "https://stac-extensions.github.io"

FILE = f"{_PUBLISHED}/file/v2.1.0/schema.json"
PROJECTION = f"{_PUBLISHED}/projection/v2.0.0/schema.json"
RASTER = f"{_PUBLISHED}/raster/v2.0.0/schema.json"
VIEW = f"{_PUBLISHED}/view/v1.1.0/schema.json"
PROCESSING = f"{_PUBLISHED}/processing/v1.2.0/schema.json"
PERSPECTIVE = f"{_PUBLISHED}/perspective-imagery/v1.0.0/schema.json"
CLASSIFICATION = f"{_PUBLISHED}/classification/v1.1.0/schema.json"
MLM = f"{_PUBLISHED}/mlm/v1.5.2/schema.json"
VERSION = f"{_PUBLISHED}/version/v1.2.0/schema.json"

FLYONCE = "/schemas/flyonce-v1.0.0.json"
"""What none of the published ones covers. Kept relative to the service's root, as assets are: each deployment serves
the schema itself, and its responses name it by its own address."""


def flyonce_schema() -> dict[str, Any]:
    schema: dict[str, Any] = json.loads(files("stac").joinpath("schemas", "flyonce-v1.0.0.json").read_text("utf-8"))
    return schema
