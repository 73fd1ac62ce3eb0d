"""Footprints and findings as vector tiles: `/tiles/vector/<layer>/{z}/{x}/{y}.mvt`."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path as FilePath
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

import shapely
import shapely.geometry
from fastapi import APIRouter, Depends, Path, Query, Request
from rio_tiler.errors import TileOutsideBounds
from starlette.responses import Response

from catalog_api.access import Reader
from catalog_api.reading import reader_of
from catalog_api.stac_links import root_of
from catalog_api.stac_query import query_of
from catalog_api.vectors import BUFFER, MEDIA_TYPE, MOST_ZOOM, Feature, box_of, encode
from stac import store
from stac.collections import CHANGES, DETECTIONS, FLIGHTS, ORTHOPHOTOS, PHOTOS
from stac.store import Item

router = APIRouter(prefix="/tiles/vector", tags=["Tiles"])

MOST_FEATURES = 5000
"""In one tile; `X-Flyonce-Left-Off: true` where there are more."""
MOST_RUNS = 50
"""Whose findings one tile holds."""
FOOTPRINT = ("title", "datetime", "gsd", "flyonce:footprint_method", "flyonce:footprint_error_m", "flyonce:flight")
FINDING = ("class", "code", "score", "area_m2")
"""Properties that a tile carries; everything else is a request away."""
DEFAULTS = {"footprints": (FLIGHTS, ORTHOPHOTOS, PHOTOS), "findings": (DETECTIONS, CHANGES)}

Layer = Annotated[Literal["footprints", "findings"], Path(description="Outlines of items, or of what runs found.")]


@dataclass(frozen=True, slots=True)
class Search:
    """What a layer shows."""

    collections: Annotated[list[str] | None, Query(description="May be repeated.")] = None
    ids: Annotated[list[str] | None, Query(description="Only these items.")] = None
    datetime: Annotated[str | None, Query(description="An RFC 3339 instant, or A/B with .. for an open end.")] = None
    filter: Annotated[str | None, Query(description="CQL2 text.", max_length=4000)] = None

    def query(self, layer: str, limit: int, box: tuple[float, float, float, float] | None) -> store.Query:
        return query_of(
            collections=self.collections or DEFAULTS[layer],
            ids=self.ids,
            datetime=self.datetime,
            filter_expr=self.filter,
            filter_lang="cql2-text",
            bbox=box,
            limit=limit,
        )


Asked = Annotated[Search, Depends()]


@router.get("/{layer}/tilejson.json", summary="A vector layer as TileJSON")
def describe(request: Request, layer: Layer, search: Asked) -> dict[str, Any]:
    search.query(layer, 1, None)  # a search that cannot be run is refused here, not by every tile
    asked = urlencode(list(request.query_params.multi_items()))
    tiles = f"{root_of(request)}/tiles/vector/{layer}/{{z}}/{{x}}/{{y}}.mvt"
    numbers = {"gsd", "flyonce:footprint_error_m", "score", "area_m2"}
    names = ("id", "collection", *(FOOTPRINT if layer == "footprints" else FINDING))
    return {
        "tilejson": "3.0.0",
        "scheme": "xyz",
        "tiles": [f"{tiles}?{asked}" if asked else tiles],
        "vector_layers": [{"id": layer, "fields": {n: "Number" if n in numbers else "String" for n in names}}],
        "minzoom": 0,
        "maxzoom": MOST_ZOOM,
    }


@router.get("/{layer}/{z}/{x}/{y}.mvt", summary="A vector tile", response_class=Response)
def tile(request: Request, layer: Layer, z: int, x: int, y: int, search: Asked) -> Response:
    """Web Mercator. Nothing there: an empty tile, with 204."""
    if not (0 <= z <= MOST_ZOOM and 0 <= x < 2**z and 0 <= y < 2**z):
        raise TileOutsideBounds(f"z, x, y: there is no tile {z}/{x}/{y}; zooms go from 0 to {MOST_ZOOM}")
    reader = reader_of(request)
    box = box_of(z, x, y, BUFFER)
    if layer == "footprints":
        query = search.query(layer, MOST_FEATURES, box)
        page = reader.search(query)
        found, more = [_footprint(item) for item in page.items if item["geometry"]], page.next is not None
    else:
        runs = reader.seen_pixels(search.query(layer, MOST_RUNS, box))
        found = [feature for run in runs for feature in _findings(reader, run, box)]
        found, more = found[:MOST_FEATURES], len(found) > MOST_FEATURES or len(runs) == MOST_RUNS
    content = encode(layer, found, z, x, y)
    headers = {"x-flyonce-left-off": "true"} if more else {}
    if not content:
        return Response(status_code=204, headers=headers)
    return Response(content, media_type=MEDIA_TYPE, headers=headers)


def _footprint(item: Item) -> Feature:
    return Feature(
        shapely.geometry.shape(item["geometry"]),
        {"id": item["id"], "collection": item["collection"], **_only(item["properties"], FOOTPRINT)},
    )


def _findings(reader: Reader, run: Item, box: tuple[float, float, float, float]) -> Iterator[Feature]:
    asset = run["assets"].get("features")
    if asset is None:
        return
    known = {"id": run["id"], "collection": run["collection"]}
    tree, features = _parsed(reader.path(asset))
    for index in sorted(tree.query(shapely.box(*box)).tolist()):
        yield replace(features[index], properties={**features[index].properties, **known})


@lru_cache(maxsize=64)
def _parsed(path: FilePath) -> tuple[shapely.STRtree, list[Feature]]:
    """The findings in a file of the store, which never changes."""
    found = [
        Feature(shapely.geometry.shape(one["geometry"]), _only(one["properties"], FINDING))
        for one in json.loads(path.read_bytes())["features"]
        if one.get("geometry")
    ]
    return shapely.STRtree([feature.geometry for feature in found]), found


def _only(properties: dict[str, Any], names: tuple[str, ...]) -> dict[str, str | int | float | bool]:
    return {name: properties[name] for name in names if isinstance(properties.get(name), str | int | float)}
