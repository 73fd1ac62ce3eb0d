"""What the collections' items can be asked for, as JSON Schema."""

from collections.abc import Callable
from typing import Any

import attr
from stac_fastapi.extensions.filter.client import BaseFiltersClient
from starlette.requests import Request

from catalog_api.access import Reader
from catalog_api.stac_links import root_of
from stac.collections import CHANGES, DETECTIONS, FLIGHTS, MODELS, ORTHOPHOTOS, PHOTOS

_TEXT, _NUMBER, _TIME = {"type": "string"}, {"type": "number"}, {"type": "string", "format": "date-time"}
_EVERY: dict[str, Any] = {
    "id": {"title": "Item id", **_TEXT},
    "collection": {"title": "Collection id", **_TEXT},
    "geometry": {"title": "Footprint or position", "$ref": "https://geojson.org/schema/Geometry.json"},
    "datetime": {
        "title": "Time",
        "description": "In comparisons the instant an item is filed under; in t_ operators all the time it covers.",
        **_TIME,
    },
    "start_datetime": {"title": "First instant", **_TIME},
    "end_datetime": {"title": "Last instant", **_TIME},
    "created": {"title": "Catalogued at", **_TIME},
    "title": {"title": "Title", **_TEXT},
    "gsd": {"title": "Metres on the ground per pixel", **_NUMBER},
    "flyonce:department": {"title": "Department", **_TEXT},
    "flyonce:security": {"title": "Security class", **_TEXT, "enum": ["public", "internal", "sensitive"]},
    "flyonce:retain_until": {"title": "Kept until", "type": "string", "format": "date"},
}
_CAPTURE: dict[str, Any] = {
    "flyonce:flight": {"title": "Flight", **_TEXT},
    "flyonce:footprint_method": {
        "title": "Where the footprint comes from",
        **_TEXT,
        "enum": ["georeference", "pose", "position"],
    },
    "flyonce:footprint_error_m": {"title": "Estimated error of the footprint in metres", **_NUMBER},
    "platform": {"title": "Aircraft or camera", **_TEXT},
}
_RUN: dict[str, Any] = {
    "flyonce:model": {"title": "Model, NAME@VERSION", **_TEXT},
    "flyonce:classes": {"title": "Classes", "type": "array", "items": _TEXT},
    "flyonce:inputs": {"title": "SHA-256 of the inputs", "type": "array", "items": _TEXT},
    "flyonce:analysed_m2": {"title": "Ground looked at in square metres", **_NUMBER},
}
OF_COLLECTION: dict[str, dict[str, Any]] = {
    FLIGHTS: {"flyonce:captures": {"title": "Captures", "type": "integer"}, **_CAPTURE},
    PHOTOS: {
        **_CAPTURE,
        "view:off_nadir": {"title": "Degrees off nadir", **_NUMBER},
        "view:azimuth": {"title": "Azimuth in degrees", **_NUMBER},
        "flyonce:height_above_ground": {"title": "Metres above the take-off point", **_NUMBER},
    },
    ORTHOPHOTOS: {**_CAPTURE, "proj:code": {"title": "Coordinate system", **_TEXT}},
    DETECTIONS: _RUN,
    CHANGES: _RUN,
    MODELS: {"mlm:name": {"title": "Model", **_TEXT}, "version": {"title": "Version", **_TEXT}},
}


@attr.s(auto_attribs=True, kw_only=True)
class Queryables(BaseFiltersClient):
    """GET /queryables: what all items have; GET /collections/ID/queryables: what its items have beside that."""

    reader: Callable[[Request], Reader]

    def get_queryables(self, collection_id: str | None = None, **kwargs: Any) -> dict[str, Any]:
        request: Request = kwargs["request"]
        if collection_id is not None:
            self.reader(request).collection(collection_id)
        here = "" if collection_id is None else f"/collections/{collection_id}"
        return {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "$id": f"{root_of(request)}/stac{here}/queryables",
            "type": "object",
            "title": f"Queryables of {collection_id or 'every collection'}",
            "properties": {**_EVERY, **OF_COLLECTION.get(collection_id or "", {})},
            "additionalProperties": True,
        }
