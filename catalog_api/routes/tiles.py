"""An item's rasters as map tiles: `/tiles/collections/<id>/items/<id>/assets/<key>/…`, by titiler's factory.

The path names a file of the store through its item; there is no `url` parameter, so that nothing can be fetched from
anywhere else. Every request passes `Reader.pixels`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from pydantic import Field, TypeAdapter, ValidationError
from rio_tiler.models import ImageData
from rio_tiler.types import ColorMapType
from stac_fastapi.types.errors import NotFoundError
from titiler.core.factory import TilerFactory
from titiler.extensions.wmts import wmtsExtension

from catalog_api.access import Reader
from catalog_api.rasters import (
    GDAL,
    MATRICES,
    MOST_SIDE,
    Raster,
    StoredReader,
    check_tile,
    colours_of,
    look_of,
    reading,
    shown,
)
from catalog_api.reading import reader_of
from catalog_api.relief import BUFFER
from catalog_api.renders import choose, presets
from imagery.errors import Refused
from stac.store import Item

PREFIX = "/tiles/collections/{collection_id}/items/{item_id}/assets/{asset}"
MOST_PREVIEW = 2048
"""Pixels of a preview's side."""
_INTEGER = TypeAdapter(int)
_MOST = {
    "minzoom": 24,
    "maxzoom": 24,
    "tilesize": MOST_SIDE,
    "max_size": MOST_PREVIEW,
    "width": MOST_PREVIEW,
    "height": MOST_PREVIEW,
}


def raster_of(reader: Reader, item: Item, key: str, render: str | None) -> Raster:
    """An asset of an item that may be read. Raises NotFoundError, `Refused`."""
    asset = item["assets"].get(key)
    name = f"{item['collection']}/{item['id']}/{key}"
    if asset is None:
        raise NotFoundError(f"There is no asset {key[:60]} of {item['collection']}/{item['id']}.")
    address = reader.address(asset)
    try:
        look = look_of(address)
    except Refused as refused:
        raise Refused(refused.reason, f"{name} cannot be shown as a map.", refused.remedy) from refused
    if not look.placed:
        raise Refused(
            "no-georeference",
            f"{name} has no place on the ground that its pixels could be laid on.",
            "Look at the file itself, or at an orthophoto of the same flight.",
        )
    available = presets(item, key, look)
    return Raster(name, address, look.count, choose(available, render), available)


def asked_raster(
    request: Request,
    collection_id: str,
    item_id: str,
    asset: str,
    render: Annotated[str | None, Query(max_length=100, description="Name of a preset, as `…/renders` lists.")] = None,
) -> Raster:
    """What titiler's path dependency is elsewhere."""
    _check_sizes(request)
    place = request.path_params
    z, x, y = (_whole(place.get(axis, "")) for axis in "zxy")
    if place.get("tileMatrixSetId") in MATRICES.list() and z is not None and x is not None and y is not None:
        check_tile(MATRICES.get(place["tileMatrixSetId"]), z, x, y)
    reader = reader_of(request)
    return raster_of(reader, reader.pixels(collection_id, item_id), asset, render)


Asked = Annotated[Raster, Depends(asked_raster)]


@dataclass(frozen=True, slots=True)
class _Options:
    """What titiler unpacks into a call."""

    values: Mapping[str, Any]

    def as_dict(self, exclude_none: bool = True) -> dict[str, Any]:  # noqa: ARG002 - none of ours is None
        return dict(self.values)


def _layers(
    request: Request,
    raster: Asked,
    bidx: Annotated[list[int] | None, Query(description="Bands, from 1. Only for values and statistics.")] = None,
) -> _Options:
    """Pictures show the preset's bands; values and statistics are of all bands unless some are named."""
    if _pictured(request):
        return _Options({"indexes": raster.render.bands})
    if bidx and not all(1 <= band <= raster.bands for band in bidx):
        raise Refused("no-such-band", f"bidx: {raster.name} has {raster.bands} bands.", "Count from 1.")
    return _Options({"indexes": tuple(bidx)} if bidx else {})


def _reads(request: Request, raster: Asked) -> _Options:
    options = reading(raster.render) if _pictured(request) else {}
    return _Options({key: options[key] for key in ("resampling_method", "reproject_method") if key in options})


def _around(raster: Asked) -> _Options:
    return _Options({"buffer": BUFFER} if raster.render.hillshade else {})


def _colours(raster: Asked) -> ColorMapType | None:
    return colours_of(raster.render)


def _process(request: Request, raster: Asked) -> Callable[[ImageData], ImageData] | None:
    if not _pictured(request):
        return None
    ring = BUFFER if raster.render.hillshade and "z" in request.path_params else 0
    return lambda image: shown(image, raster.render, ring)[0]


def _rendering() -> _Options:
    return _Options({})


def _percentiles(
    p: Annotated[
        list[Annotated[int, Field(ge=0, le=100)]] | None, Query(max_length=20, description="Percentiles.")
    ] = None,
) -> _Options:
    return _Options({"percentiles": p or [2, 98]})


def _histogram(bins: Annotated[int, Query(ge=2, le=256, description="Of the histogram.")] = 10) -> _Options:
    return _Options({"bins": bins})


def _pictured(request: Request) -> bool:
    route: str = request.scope["route"].path
    return not any(word in route for word in ("/point/", "/statistics", "/info"))


def _check_sizes(request: Request) -> None:
    """titiler takes any number, and counts up to it. Raises `Refused` (too-large)."""
    given = [*request.query_params.multi_items(), *request.path_params.items()]
    asked = [(name, text) for name, text in given if name in _MOST]
    for name, text in given:
        if name == "zooms":  # of WMTS: WebMercatorQuad::0,24
            asked += [("maxzoom", part) for part in text.rpartition("::")[2].split(",")]
    for name, text in asked:
        number = _whole(text)
        if number is not None and not 0 <= number <= _MOST[name]:
            raise Refused("too-large", f"{name}: {text[:20]} is out of range.", f"Ask for 0 to {_MOST[name]}.")


def _whole(text: str) -> int | None:
    """As titiler will read it, `3600.0` and `3_600` too; None for what it refuses."""
    try:
        return _INTEGER.validate_python(text)
    except ValidationError:
        return None


def _named(reader: StoredReader) -> dict[str, dict[str, Any]]:
    return {name: {"render": name} for name in reader.raster.available}


# titiler declares classes where it takes any dependency that gives an object with `as_dict`.
_parts: dict[str, Any] = {
    "reader": StoredReader,
    "path_dependency": asked_raster,
    "layer_dependency": _layers,
    "dataset_dependency": _reads,
    "tile_dependency": _around,
    "process_dependency": _process,
    "colormap_dependency": _colours,
    "render_dependency": _rendering,
    "stats_dependency": _percentiles,
    "histogram_dependency": _histogram,
    "environment_dependency": lambda: GDAL,
    "supported_tms": MATRICES,
    "get_renders": _named,
    "add_part": False,
    "add_viewer": False,
    "extensions": [wmtsExtension(tile_dependencies=[], layer_identifier_provider=str)],
}
_factory = TilerFactory(router=APIRouter(tags=["Tiles"]), router_prefix=PREFIX, name="item", **_parts)
# Statistics of posted shapes read whatever is sent at full resolution: one request could fill the memory.
_factory.router.routes[:] = [r for r in _factory.router.routes if "POST" not in getattr(r, "methods", ())]

router = APIRouter(tags=["Tiles"])


@router.get(f"{PREFIX}/renders", summary="The ways in which a raster can be shown")
def renders(raster: Asked) -> dict[str, Any]:
    """By name, for `render=`; the first is the default. `colour` says what may lie beside it in a mosaic."""
    return {
        "renders": {
            name: {"title": render.title, "colour": render.colour, "bands": render.bands, "span": render.span}
            for name, render in raster.available.items()
        }
    }


router.include_router(_factory.router, prefix=PREFIX)
