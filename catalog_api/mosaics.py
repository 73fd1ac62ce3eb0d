"""One picture from many items: a tile of everything that a search finds there, the best lying on top."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import shapely
from morecantile import Tile, TileMatrixSet
from rio_tiler.errors import TileOutsideBounds
from rio_tiler.models import ImageData
from rio_tiler.mosaic.methods import FirstMethod

from catalog_api.rasters import Raster, tile_of
from catalog_api.renders import Colour
from imagery.errors import Refused
from stac.assets import COG
from stac.store import Item

Box = tuple[float, float, float, float]
MOST_ITEMS = 32
"""That one tile is made from."""


def check_alike(rasters: Iterable[Raster]) -> Colour | None:
    """What the colours of a mosaic of these would mean; None where there is nothing to show.

    Raises `Refused` (mixed-colours) where they would mean two things at once: true colours beside pseudocolour, which
    nobody could read, or pseudocolours over different values, where one colour would stand for two.
    """
    found = {raster.render.colour: raster for raster in rasters}
    if len(found) > 1:
        told = ", ".join(f"{raster.name} in {colour}" for colour, raster in found.items())
        raise Refused(
            "mixed-colours",
            f"These cannot lie in one mosaic: {told}.",
            "Name one collection, one asset and a render that all of them have; or narrow the search.",
        )
    return next(iter(found), None)


def check_spans(rasters: Sequence[Raster]) -> None:
    """Raises `Refused` (mixed-colours) for pseudocolours over different values."""
    spans = {raster.render.spans or raster.render.span for raster in rasters if raster.render.colour is Colour.PSEUDO}
    if len(spans) > 1:
        raise Refused(
            "mixed-colours",
            "These are coloured over different values, so that one colour would mean two things.",
            "Give `rescale=LOW,HIGH`, the values at both ends of the colours.",
        )


def mosaic(rasters: Sequence[Raster], matrices: TileMatrixSet, z: int, x: int, y: int, side: int) -> ImageData:
    """The first raster that has a pixel gives it. Raises TileOutsideBounds where none has any."""
    filled = FirstMethod()
    used = []
    for raster in rasters:
        try:
            image = tile_of(raster, matrices, z, x, y, side)
        except TileOutsideBounds:
            continue
        used.append(raster.name)
        filled.feed(image.array)
        if filled.is_done:
            break
    if filled.data is None:
        raise TileOutsideBounds(f"Nothing that the search finds reaches tile {z}/{x}/{y}.")
    bounds = matrices.xy_bounds(Tile(x, y, z))
    return ImageData(filled.data, assets=used, crs=matrices.rasterio_crs, bounds=tuple(bounds))


def bounds_of(items: Iterable[Item]) -> Box | None:
    """West, south, east, north of the items' footprints."""
    shapes = [shapely.geometry.shape(item["geometry"]) for item in items if item["geometry"]]
    if not shapes:
        return None
    west, south, east, north = shapely.total_bounds(shapes).tolist()
    return west, south, east, north


def visual_key(item: Item, asked: str | None) -> str | None:
    """The asset that a mosaic shows: the one asked for, else the one for looking at (role `visual`, else its COG)."""
    assets: dict[str, Any] = item["assets"]
    if asked is not None:
        return asked if asked in assets else None
    seen = [key for key, asset in assets.items() if "visual" in asset.get("roles", [])]
    rasters = [key for key in ("cog", "original") if assets.get(key, {}).get("type") == COG]
    return next(iter(seen + rasters), None)


def rasters_of(items: Iterable[Item], asset: str | None, opened: Callable[[Item, str], Raster]) -> list[Raster]:
    """Those items that have such an asset, as rasters, in their order."""
    keyed = ((item, visual_key(item, asset)) for item in items)
    return [opened(item, key) for item, key in keyed if key is not None]
