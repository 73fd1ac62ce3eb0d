"""The published STAC schemas, kept offline."""

import json
from pathlib import Path
from typing import Any

import pyproj.datadir
import pystac
import pytest


@pytest.fixture(scope="session")
def schemas(data: Path) -> dict[str, dict[str, Any]]:
    """Every published schema that an item can name, by address. Nothing here asks the web."""
    folder = data / "schemas"
    found = {address: _read(folder / name) for address, name in _read(folder / "index.json").items()}
    core = Path(pystac.__file__).parent / "validation" / "jsonschemas"
    for path in (core / "geojson").glob("*.json"):
        found[f"https://geojson.org/schema/{path.name}"] = _read(path)
    for path in (core / "stac-spec" / "v1.1.0").glob("*.json"):
        part = path.stem if path.stem in ("catalog", "collection") else "item"
        found[f"https://schemas.stacspec.org/v1.1.0/{part}-spec/json-schema/{path.name}"] = _read(path)
    projjson = Path(pyproj.datadir.get_data_dir()) / "projjson.schema.json"
    found["https://proj.org/schemas/v0.7/projjson.schema.json"] = _read(projjson)
    return found


def _read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return content
