"""A search as a map layer: `/tiles/mosaic/…`, always what the catalogue holds now and what may be seen."""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

import rasterio
from fastapi import APIRouter, Depends, Query, Request
from morecantile import Tile
from starlette.responses import Response
from titiler.core.resources.enums import ImageType
from titiler.core.utils import render_image

from catalog_api.mosaics import MOST_ITEMS, bounds_of, check_alike, check_spans, mosaic, rasters_of
from catalog_api.rasters import GDAL, MATRICES, MOST_SIDE, Raster, check_tile
from catalog_api.reading import reader_of
from catalog_api.renders import Render
from catalog_api.routes.tiles import raster_of
from catalog_api.stac_links import root_of
from catalog_api.stac_query import query_of
from imagery.errors import Refused
from stac import store
from stac.collections import ORTHOPHOTOS
from stac.store import Item

router = APIRouter(prefix="/tiles/mosaic", tags=["Tiles"])

MOST_LISTED = 500
"""Items that the description of a mosaic is made from."""

Matrices = Literal["WebMercatorQuad", "WorldCRS84Quad"]


class Order(StrEnum):
    """What lies on top."""

    NEWEST = "newest"
    FINEST = "finest"


@dataclass(frozen=True, slots=True)
class Search:
    """What a mosaic shows."""

    collections: Annotated[list[str] | None, Query(description=f"Default: {ORTHOPHOTOS}. May be repeated.")] = None
    datetime: Annotated[str | None, Query(description="An RFC 3339 instant, or A/B with .. for an open end.")] = None
    filter: Annotated[str | None, Query(description="CQL2 text.", max_length=4000)] = None
    order: Annotated[Order, Query(description="What lies on top.")] = Order.NEWEST
    asset: Annotated[str | None, Query(max_length=100, description="Default: the one for looking at.")] = None
    render: Annotated[str | None, Query(max_length=100, description="A preset that all of them have.")] = None
    rescale: Annotated[str | None, Query(max_length=60, description="LOW,HIGH: the same for all of them.")] = None

    def query(self, limit: int, box: tuple[float, float, float, float] | None) -> store.Query:
        sort = ["+gsd", "-datetime"] if self.order is Order.FINEST else ["-datetime"]
        return query_of(
            collections=self.collections or [ORTHOPHOTOS],
            datetime=self.datetime,
            filter_expr=self.filter,
            filter_lang="cql2-text",
            bbox=box,
            sortby=sort,
            limit=limit,
        )

    def shown(self, render: Render) -> Render:
        """The preset with the values asked for. Raises `Refused` (not-a-range)."""
        if self.rescale is None:
            return render
        try:
            low, high = (float(part) for part in self.rescale.split(","))
        except ValueError:
            low, high = 0.0, 0.0
        if not -1e30 < low < high < 1e30:
            raise Refused("not-a-range", "rescale: takes two numbers, the lower first.", "Such as rescale=0,3000.")
        return replace(render, span=(low, high), spans=None)


Asked = Annotated[Search, Depends()]


@router.get("/{tileMatrixSetId}/tilejson.json", summary="A mosaic as TileJSON")
def describe(request: Request, tileMatrixSetId: Matrices, search: Asked) -> dict[str, Any]:  # noqa: N803
    """Refused where the mosaic would mix true colours and pseudocolours, or pseudocolours over different values."""
    items = reader_of(request).seen_pixels(search.query(MOST_LISTED, None))
    rasters = _rasters(request, items, search)
    colour = check_alike(rasters)
    check_spans(rasters)
    matrices = MATRICES.get(tileMatrixSetId)
    asked = urlencode(list(request.query_params.multi_items()))
    tiles = f"{root_of(request)}/tiles/mosaic/tiles/{tileMatrixSetId}/{{z}}/{{x}}/{{y}}"
    box = bounds_of(items)
    return {
        "tilejson": "3.0.0",
        "scheme": "xyz",
        "tiles": [f"{tiles}?{asked}" if asked else tiles],
        "minzoom": matrices.minzoom,
        "maxzoom": matrices.maxzoom,
        "bounds": box or [-180, -90, 180, 90],
        "flyonce:items": len(rasters),
        "flyonce:colour": colour,
    }


@router.get("/tiles/{tileMatrixSetId}/{z}/{x}/{y}", summary="A tile of a mosaic", response_class=Response)
@router.get("/tiles/{tileMatrixSetId}/{z}/{x}/{y}.{format}", summary="A tile of a mosaic", response_class=Response)
def tile(
    request: Request,
    tileMatrixSetId: Matrices,  # noqa: N803
    z: int,
    x: int,
    y: int,
    search: Asked,
    format: Literal["png", "jpeg", "webp"] | None = None,  # noqa: A002
    tilesize: Annotated[int, Query(ge=64, le=MOST_SIDE, description="Pixels of its side.")] = 256,
) -> Response:
    """At most 32 items are looked at. `X-Flyonce-Items` says which gave pixels."""
    matrices = MATRICES.get(tileMatrixSetId)
    check_tile(matrices, z, x, y)
    box = matrices.bounds(Tile(x, y, z))
    items = reader_of(request).seen_pixels(search.query(MOST_ITEMS, (box.left, box.bottom, box.right, box.top)))
    with rasterio.Env(**GDAL):
        rasters = _rasters(request, items, search)
        check_alike(rasters)
        check_spans(rasters)
        image = mosaic(rasters, matrices, z, x, y, tilesize)
    content, media_type = render_image(image, output_format=ImageType(format) if format else None)
    used = ",".join(str(name).encode("ascii", "replace").decode() for name in image.assets or [])
    return Response(content, media_type=media_type, headers={"x-flyonce-items": used})


def _rasters(request: Request, items: list[Item], search: Search) -> list[Raster]:
    reader = reader_of(request)

    def opened(item: Item, key: str) -> Raster:
        raster = raster_of(reader, item, key, search.render)
        return replace(raster, render=search.shown(raster.render))

    return rasters_of(items, search.asset, opened)
