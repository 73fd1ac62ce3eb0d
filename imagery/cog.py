"""Derived files: a Cloud Optimized GeoTIFF to look into, a JPEG to look at."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import rasterio.shutil
from PIL import Image, ImageOps
from rasterio._err import CPLE_BaseError
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from rasterio.vrt import WarpedVRT
from rio_cogeo.cogeo import cog_translate, cog_validate

from imagery.photos import picture
from imagery.rasters import coarse_valid
from imagery.reader import stretched
from imagery.sniff import media_type
from imagery.sources import dataset, open_source, unreadable
from imagery.values import Georeference

PROFILE = {
    "driver": "GTiff",
    "interleave": "pixel",
    "tiled": True,
    "blockxsize": 512,
    "blockysize": 512,
    "compress": "DEFLATE",
    "predictor": 2,
    "bigtiff": "IF_SAFER",
}
GDALS = {
    "COMPRESS": "DEFLATE",
    "PREDICTOR": "YES",
    "BLOCKSIZE": "512",
    "OVERVIEW_RESAMPLING": "AVERAGE",
    "BIGTIFF": "IF_SAFER",
    "NUM_THREADS": "ALL_CPUS",
}
"""The same in the words of GDAL's COG driver, which needs no copy of the pixels between but knows no alpha band that
becomes a mask."""
QUALITY = 85
BLANK = 255


def write_cog(src: str | Path, dst: str | Path, place: Georeference | None = None) -> None:
    """Write `src` as a COG: lossless (deflate), blocks of 512, averaged overviews, voids kept as nodata or as a mask.

    `place`: where it lies, for a file that does not say so itself. A file that is one already is copied byte for byte.
    `dst` appears whole or not at all. Raises `Refused`: unreadable.
    """
    with _whole(dst) as unfinished, ExitStack() as files:
        # Opened first, so that what is no raster is refused in our words, and no format reaches past the file.
        with dataset(src) as ds:
            transparent = ds.mask_flag_enums[0] and ds.colorinterp[-1].name == "alpha"
            driver, placed = ds.driver, ds.crs is not None
            if driver == "JP2OpenJPEG" and placed:
                # Its own georeference is one that GDAL's warper does not take up.
                placed, place = False, Georeference(ds.crs.to_string(), tuple(ds.transform)[:6])
        try:
            if placed and driver == "GTiff" and cog_validate(str(src), strict=True, quiet=True)[0]:
                shutil.copyfile(src, unfinished)
                return
            if placed and not transparent:
                rasterio.shutil.copy(str(src), str(unfinished), driver="COG", **GDALS)
                return
            cog_translate(
                str(src) if placed or place is None else files.enter_context(_laid(src, place)),
                str(unfinished),
                PROFILE,
                indexes=list(range(1, ds.count)) if transparent else None,
                add_mask=transparent,
                overview_resampling="average",
                in_memory=False,
                quiet=True,
                use_cog_driver=False,
            )
        except (RasterioError, CPLE_BaseError) as error:  # a copy by the driver lets GDAL's own errors through
            raise unreadable(src, error) from error


@contextmanager
def _laid(src: str | Path, place: Georeference) -> Iterator[Any]:
    """The raster with a georeference, its pixels as they are."""
    with dataset(src) as ds:
        options = {"crs": place.crs, "transform": rasterio.Affine(*place.transform)}
        with WarpedVRT(
            ds, src_crs=place.crs, src_transform=options["transform"], width=ds.width, height=ds.height, **options
        ) as laid:
            yield laid


def write_thumbnail(src: str | Path, dst: str | Path, side: int = 512) -> tuple[int, int]:
    """Write a JPEG of at most `side` pixels a side; returns its width and height.

    Photos are turned as their EXIF orientation says; voids of a raster are white. No metadata goes with it. Raises
    `Refused` as the readers do.
    """
    small = _small_raster(src, side) if media_type(src) in ("image/tiff", "image/jp2") else _small_photo(src, side)
    with _whole(dst) as unfinished:
        small.save(unfinished, "JPEG", quality=QUALITY, optimize=True)
    return small.size


def _small_photo(src: str | Path, side: int) -> Image.Image:
    with picture(src) as image:
        image.draft("RGB", (side * 2, side * 2))
        if image.mode.startswith("I"):
            deep = np.asarray(image)
            turned = Image.fromarray(stretched(deep, float(deep.min()), float(max(deep.max(), 1))))
        else:
            turned = ImageOps.exif_transpose(image)
        turned.thumbnail((side, side), Image.Resampling.LANCZOS)
        return turned.convert("RGB")


def _small_raster(src: str | Path, side: int) -> Image.Image:
    source = open_source(src)
    factor = max(1.0, max(source.width, source.height) / side)
    size = max(1, round(source.height / factor)), max(1, round(source.width / factor))
    try:
        with dataset(src) as ds:
            data = ds.read(list(source.rgb), out_shape=(3, *size), resampling=Resampling.average)
            valid = coarse_valid(ds, source)
    except RasterioError as error:
        raise unreadable(src, error) from error
    if source.stretch is not None:
        data = stretched(data, *source.stretch)
    shown = np.asarray(Image.fromarray(valid).resize(size[::-1]))
    return Image.fromarray(np.where(shown, data, BLANK).astype(np.uint8).transpose(1, 2, 0))


@contextmanager
def _whole(dst: str | Path) -> Iterator[Path]:
    """A name beside `dst` that becomes it when all has gone well, and is gone when not."""
    folder = Path(tempfile.mkdtemp(prefix=".unfinished-", dir=Path(dst).parent))
    try:
        yield folder / Path(dst).name
        (folder / Path(dst).name).replace(dst)
    finally:
        shutil.rmtree(folder)
