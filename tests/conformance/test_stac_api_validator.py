"""stac-api-validator over the served catalogue, with every schema answered from disk."""

import json
from typing import Any

import pytest
import stac_validator.utilities
import stac_validator.validate
from stac_api_validator.validations import QueryConfig, validate_api

from stac import extensions

CITY = {
    "type": "Polygon",
    "coordinates": [[[102.6, 24.9], [102.8, 24.9], [102.8, 25.1], [102.6, 25.1], [102.6, 24.9]]],
}
# All that it can check of what we declare, but `transaction`: the item that it sends has no links, writes cloud cover
# as text and has an asset at another host, each of which is refused here; test_functions.py takes one through its life.
CLASSES = [
    *("core", "browseable", "children", "collections", "features", "features#filter", "item-search", "filter"),
    *("item-search#fields", "item-search#sort", "item-search#filter"),
]
EXPECTED = (
    # A photo says its pose, its footprint's error and its keeper; each is asked for by somebody.
    "properties. Please consider using links to avoid bloated metadata",
    # The validator looks for items at 20 to 21 degrees east and north; this city lies elsewhere.
    "bbox=20,20,21,21",
    # `type`, `id` and `collection` are never left out: without them nobody knows what an answer is.
    "response contained extra fields ['collection', 'id'",
    "response contained extra fields ['collection', 'type'",
)

# What the validator gets wrong, by what it says.
MISTAKEN = (
    # It takes null for something other than what is left out.
    """body={"fields": null} had unexpected status code 200 instead of 400""",
    # It asks that one answer have more than five members and fewer, where GET asks for one of them.
    "{'exclude': ['properties'], 'include': ['properties.gsd']}} response contained fewer than 5 fields",
    # It sends collections as a text by POST; in the specification they are an array.
    '"limit": 100, "collections": "photos"} had unexpected status code 400 instead of 200',
)


@pytest.fixture
def offline(schemas: dict[str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    """Every schema comes from the folder, or from stac-validator's own; asking the web fails the test."""
    fetch = stac_validator.utilities.fetch_and_parse_schema

    def answer(address: str) -> dict[str, Any]:
        if address.endswith(extensions.FLYONCE):
            return extensions.flyonce_schema()
        if address.rstrip("#") in schemas:
            return schemas[address.rstrip("#")]
        assert not address.startswith("http"), f"the schema {address} is not kept offline"
        return fetch(address)

    monkeypatch.setattr(stac_validator.utilities, "fetch_and_parse_schema", answer)
    monkeypatch.setattr(stac_validator.validate, "fetch_and_parse_schema", answer)


@pytest.mark.usefixtures("offline")
@pytest.mark.filterwarnings("ignore")
def test_the_api_conforms(served: str) -> None:
    warnings, errors = validate_api(
        root_url=f"{served}/stac/",
        ccs_to_validate=CLASSES,
        collection="photos",
        geometry=json.dumps(CITY),
        auth_bearer_token=None,
        auth_query_parameter=None,
        fields_nested_property="properties.gsd",
        validate_pagination=True,
        query_config=QueryConfig(**dict.fromkeys(QueryConfig.__dataclass_fields__)),
        transaction_collection=None,
        headers={},
    )
    faults = [text for text in errors.as_list() if not any(known in text for known in MISTAKEN)]
    assert not faults, "\n".join(faults)
    unexpected = [text for text in warnings.as_list() if not any(known in text for known in EXPECTED)]
    assert not unexpected, "\n".join(unexpected)
