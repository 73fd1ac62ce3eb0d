"""The published STAC schemas, kept offline."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pyproj.datadir
import pystac
import pytest
from referencing import Registry
from referencing.jsonschema import DRAFT7

from stac import extensions
from stac.hrefs import absolute

ROOT = "https://flyonce.example"
"""Where the items under test are served from."""


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


@pytest.fixture(scope="session")
def validate(schemas: dict[str, dict[str, Any]]) -> Callable[[dict[str, Any]], None]:
    """Validate an item or a collection, as it is served, against core STAC 1.1.0 and every extension that it names."""
    known = schemas | {ROOT + extensions.FLYONCE: extensions.flyonce_schema()}
    registry: Registry[Any] = Registry().with_resources(
        [(address, DRAFT7.create_resource(schema)) for address, schema in known.items()]
    )
    kinds = {"Feature": "item-spec/json-schema/item.json", "Collection": "collection-spec/json-schema/collection.json"}

    def check(document: dict[str, Any]) -> None:
        served = absolute(document, ROOT)
        core = f"https://schemas.stacspec.org/v1.1.0/{kinds[served['type']]}"
        for address in [core, *served["stac_extensions"]]:
            kind = jsonschema.validators.validator_for(known[address])
            kind(known[address], registry=registry, format_checker=kind.FORMAT_CHECKER).validate(served)

    return check


def _read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return content
