"""Rasters of the store as rio-tiler reads them, and what is learnt from each once."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

import numpy as np
from morecantile import TileMatrixSet, TileMatrixSets, tms
from rasterio._err import CPLE_BaseError  # no public name for what PROJ says
from rasterio.enums import ColorInterp
from rasterio.errors import RasterioError
from rio_tiler.colormap import cmap
from rio_tiler.errors import PointOutsideBounds, TileOutsideBounds
from rio_tiler.io import Reader as RasterReader
from rio_tiler.models import ImageData, PointData
from rio_tiler.types import ColorMapType

from catalog_api.relief import BUFFER, shaded
from catalog_api.renders import Look, Render
from imagery.errors import Refused
from imagery.remote import OPTIONS, is_remote, location, open_with
from imagery.sources import DRIVERS, dataset, describe
from imagery.tiles import PIXELS

MATRICES = TileMatrixSets({name: tms.get(name) for name in ("WebMercatorQuad", "WorldCRS84Quad")})
MOST_SIDE = 1024
"""Pixels of a tile's side."""
GDAL = {**OPTIONS, "VSI_CACHE": "TRUE", "GDAL_NUM_THREADS": "1"}


@dataclass(frozen=True, slots=True)
class Raster:
    """A raster that may be read, and how it is to be shown. `address` is a secret where it is signed."""

    name: str
    address: str
    bands: int
    """How many it has."""
    render: Render
    available: Mapping[str, Render]

    def __str__(self) -> str:
        return self.name


class StoredReader(RasterReader):
    """Opens a `Raster` with the drivers of our uploads alone: no format that names further files or addresses.

    Raises `Refused` (unreadable).
    """

    def __attrs_post_init__(self) -> None:
        raster = self.raster
        try:
            self.dataset = self._ctx_stack.enter_context(open_with(tuple(DRIVERS.values()), raster.address))
        except RasterioError as error:
            told = Refused(
                "unreadable", f"{raster.name} cannot be read.", "Ask who keeps this service; its log says why."
            )
            raise told from error
        super().__attrs_post_init__()  # type: ignore[no-untyped-call]

    def point(self, lon: float, lat: float, *args: Any, **options: Any) -> PointData:
        """Raises PointOutsideBounds also for what is no place at all."""
        try:
            return super().point(lon, lat, *args, **options)
        except CPLE_BaseError as error:
            raise PointOutsideBounds(f"lon, lat: {lon:g}, {lat:g} has no place in the raster's system") from error

    @property
    def raster(self) -> Raster:
        """What the factory gave as the path."""
        return cast(Raster, self.input)


def shown(image: ImageData, render: Render, ring: int = 0) -> tuple[ImageData, ColorMapType | None]:
    """The picture in 8 bits, and the colour map that is still to be laid over it. `ring`: pixels read around it."""
    if render.hillshade:
        return shaded(image, ring), None
    if spans := render.spans or (render.span and (render.span,)):
        image.rescale(spans)
    return image, colours_of(render)


def colours_of(render: Render) -> ColorMapType | None:
    if render.classes is not None:
        return dict(render.classes)
    return cmap.get(render.colormap) if render.colormap else None


def tile_of(raster: Raster, matrices: TileMatrixSet, z: int, x: int, y: int, side: int) -> ImageData:
    """A tile of one raster as uint8 RGB with its mask, ready to be laid beside others. Raises TileOutsideBounds."""
    with StoredReader(cast(str, raster), tms=matrices) as reader:
        image = reader.tile(x, y, z, tilesize=side, **reading(raster.render))
        own = reader.colormap
    image, colours = shown(image, raster.render, BUFFER if raster.render.hillshade else 0)
    if colours or own:
        image = image.apply_colormap(colours or own or {})
    if image.count == 1:
        image.array = np.ma.repeat(image.array, 3, axis=0)
    return image


def reading(render: Render) -> dict[str, Any]:
    """How rio-tiler is to read for this render."""
    method = "bilinear" if render.smooth else "nearest"
    ring = {"buffer": BUFFER} if render.hillshade else {}
    return {"indexes": render.bands, "resampling_method": method, "reproject_method": method, **ring}


def check_tile(matrices: TileMatrixSet, z: int, x: int, y: int) -> None:
    """Raises TileOutsideBounds for a tile that the matrix set does not have."""
    if not matrices.minzoom <= z <= matrices.maxzoom:
        raise TileOutsideBounds(f"z: {matrices.id} goes from {matrices.minzoom} to {matrices.maxzoom}")
    matrix = matrices.matrix(z)
    if not (0 <= x < matrix.matrixWidth and 0 <= y < matrix.matrixHeight):
        raise TileOutsideBounds(
            f"x, y: zoom {z} of {matrices.id} has {matrix.matrixWidth} columns and {matrix.matrixHeight} rows"
        )


@lru_cache(maxsize=2048)
def look_of(address: str) -> Look:
    """What the raster itself says; an address never changes what it leads to. Raises `Refused`: unreadable, palette
    with further bands, unsupported-type."""
    place = address if is_remote(address) else location(address)
    with dataset(place) as ds:
        if ds.count == 1 and ds.colorinterp[0] is ColorInterp.palette:
            return Look((1,), None, palette=True, placed=ds.crs is not None)
        source = describe(ds, place)
    bands = source.rgb if len(set(source.rgb)) == 3 else source.rgb[:1]
    return Look(bands, source.stretch, count=source.bands, placed=source.crs != PIXELS)
