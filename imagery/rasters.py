"""An orthophoto's file to a `Capture`: where it lies, what of it is valid, how fine it is on the ground."""

import math
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Literal

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.errors import RasterioIOError
from rasterio.features import shapes
from shapely.geometry import MultiPolygon, Polygon, shape
from shapely.geometry.base import BaseGeometry
from shapely.geometry.polygon import orient

from imagery import sidecars
from imagery.clocks import parse_clock, solar_zone
from imagery.crs_checks import check_system, suggestions
from imagery.errors import Refused
from imagery.ground import LONLAT, Affine, apply, as_geojson, ground_gsd, transformation
from imagery.sniff import media_type
from imagery.sources import IDENTITY, Source, dataset, nowhere, open_source, unreadable, void
from imagery.tiles import PIXELS
from imagery.values import Capture, Footprint, Georeference

COARSE = 512
"""Cells a side of the coarse look that the valid area is outlined from."""
DATUM_ERROR = 1.0
"""Metres: declared coordinates are taken at their word to this; CGCS2000 and WGS84 are combined within it."""
SPECK = 0.001
"""Parts and holes of the valid area smaller than this part of the raster are left out of the outline."""
LONGEST_TAG = 4096
INDEX_RANGE = 2.0
"""From -1 to 1: what a vegetation index differs by at most."""
LONGEST_SIDE = 2000.0
"""Metres."""
DIGITS = 8


def read_raster(path: str | Path, beside: Path | None = None) -> Capture:
    """What a georeferenced raster tells about itself.

    `beside`: where the raster was sent from, whose world file and `.prj` stand in for what it does not hold itself.

    Raises `Refused`: no-crs, no-georeference, no-data (not one valid pixel), damaged-sidecar, all that `check_system`
    raises, and all that `open_source` raises.
    """
    source = _placed(open_source(path), Path(beside or path))
    if source.transform == IDENTITY:
        raise Refused(
            "no-georeference",
            f"{path}: names a coordinate system but not where its pixels lie in it.",
            "Export it again with its georeference; one given by control points needs gdalwarp first.",
        )
    with dataset(path) as ds:
        words = " ".join(f"{name} {value}" for name, value in ds.tags().items() if len(value) < LONGEST_TAG)
        words += ds.crs.to_wkt() if ds.crs else ""
        check_system(source.crs, source.transform, (source.width, source.height), words, path)
        valid = coarse_valid(ds, source)
        heights = _elevation(ds, source, Path(beside or path))
        taken, zone, notes = _taken(ds.tags(), ds.tags(ns="IMAGERY"))
    if not valid.any():
        raise Refused("no-data", f"{path}: has not one valid pixel.", "Export it again.")
    footprint = _footprint(source, valid)
    if taken is not None and taken.tzinfo is None:
        middle = shape(footprint.geometry).centroid
        taken = taken.replace(tzinfo=solar_zone(middle.x))
    return Capture(
        kind="orthophoto" if heights is None else "elevation",
        elevation=heights,
        media_type=media_type(path),
        width=source.width,
        height=source.height,
        bands=source.bands,
        dtype=source.dtype,
        footprint=footprint,
        taken=taken,
        taken_zone=zone,
        gsd=source.gsd,
        georeference=Georeference(source.crs, source.transform),
        notes=notes,
    )


def _placed(source: Source, picture: Path) -> Source:
    """The source with a place: its own, or the one that lies beside it."""
    if source.crs != PIXELS:
        return source
    with dataset(source.path) as ds:
        own: Affine = tuple(ds.transform)[:6]
    world = sidecars.world_file(picture) if own == IDENTITY else own
    crs = sidecars.system(picture)
    if crs is None:
        told = suggestions(world[2], world[5]) if world is not None else ""
        raise Refused(
            "no-crs",
            f"{source.path}: has no coordinate system{f', only numbers that would fit {told}' if told else ''}.",
            "Declare it (gdal_edit.py -a_srs EPSG:4547 FILE, with your own system's code), send its .prj with it, or "
            "use --pixels. 请声明坐标系。",
        )
    if world is None:
        return replace(source, crs=crs)
    gsd = ground_gsd(crs, world, source.width, source.height)
    return replace(source, crs=crs, transform=world, gsd=gsd, gsd_from="georeference")


def _elevation(ds: Any, source: Source, sent: Path) -> Literal["dsm", "dtm"] | None:
    """What its heights are those of, where the raster is one of heights: one band of numbers beyond bytes that differ
    by more than an index does. ODM and Pix4D name them `dsm.tif`, `…_dsm.tif`, `dtm.tif`, `…_dtm.tif`."""
    name = sent.stem.lower()
    named = next((word for word in ("dtm", "dsm", "dem") if word in name), None)
    if source.bands != 1 or source.dtype not in ("float32", "float64", "int16", "int32"):
        return None
    factor = max(1.0, max(source.width, source.height) / COARSE)
    shape_ = max(1, round(source.height / factor)), max(1, round(source.width / factor))
    values = ds.read(1, out_shape=shape_, masked=True).compressed()
    values = values[np.isfinite(values)]
    if named is None and (not values.size or float(np.ptp(values)) <= INDEX_RANGE):
        return None
    return "dtm" if named in ("dtm", "dem") else "dsm"


def coarse_valid(ds: Any, source: Source) -> NDArray[np.bool_]:
    """Bool [h, w], at most `COARSE` a side: where the raster has pixels, sampled from its overviews or itself."""
    factor = max(1.0, max(source.width, source.height) / COARSE)
    size = max(1, round(source.height / factor)), max(1, round(source.width / factor))
    if source.mask == "none" and not source.dtype.startswith("float"):
        return np.ones(size, dtype=bool)
    try:
        if source.mask in ("alpha", "internal"):
            return np.asarray(ds.read_masks(source.rgb[0], out_shape=size) > 0)
        return ~void(ds.read(list(source.rgb), out_shape=(3, *size)), source.nodata)
    except RasterioIOError as error:
        raise unreadable(source.path, error) from error


def _footprint(source: Source, valid: NDArray[np.bool_]) -> Footprint:
    """The valid area's outline on the ellipsoid, simplified to one coarse cell."""
    height, width = valid.shape
    cell = np.array([source.width / width, source.height / height])
    whole = bool(valid.all())
    parts = [shape(geometry) for geometry, _ in shapes(valid.astype(np.uint8), mask=valid)]
    speck = SPECK * valid.size
    kept = [_without_specks(part, speck) for part in parts if part.area >= speck] or parts
    area = shapely.union_all(kept) if whole else shapely.simplify(shapely.union_all(kept), 1.0)
    # A straight side of the map bends on the ellipsoid: by 0.1 m where it is 2 km long.
    area = shapely.segmentize(area, max(1.0, LONGEST_SIDE / (float(cell.max()) * (source.gsd or 1.0))))

    def to_lonlat(xy: NDArray[np.float64]) -> NDArray[np.float64]:
        points = apply(source.transform, xy * cell)
        lon, lat = transformation(source.crs, LONLAT).transform(points[:, 0], points[:, 1])
        return np.stack([lon, lat], axis=-1).round(DIGITS)

    lonlat = shapely.transform(area, to_lonlat)
    bounds = np.array(lonlat.bounds)
    if not np.isfinite(bounds).all() or np.abs(bounds[::2]).max() > 180 or np.abs(bounds[1::2]).max() > 90:
        raise nowhere(source.path, source.crs)
    outline = 0.0 if whole else float(cell.max()) * (source.gsd or 0.0)
    turned = [orient(part) for part in shapely.get_parts(lonlat)]
    geometry = turned[0] if len(turned) == 1 else MultiPolygon(turned)
    return Footprint(as_geojson(geometry), "georeference", round(math.hypot(DATUM_ERROR, outline), 2))


def _without_specks(part: BaseGeometry, speck: float) -> Polygon:
    rings = shapely.get_rings(part)  # the outer one first
    return Polygon(rings[0], [ring for ring in rings[1:] if Polygon(ring).area >= speck])


def _taken(
    tags: dict[str, str], imagery: dict[str, str]
) -> tuple[datetime | None, Literal["tag", "solar", "none"], tuple[str, ...]]:
    """The acquisition time that the file states, or the time on it; without a zone where that is the sun's."""
    acquired = parse_clock(imagery.get("ACQUISITIONDATETIME") or tags.get("ACQUISITIONDATETIME"))
    if acquired is not None:
        return acquired.replace(tzinfo=acquired.tzinfo or timezone(timedelta())), "tag", ()
    written = parse_clock(tags.get("TIFFTAG_DATETIME"))
    if written is None:
        return None, "none", ("the file does not say when it was taken",)
    note = "the time is the file's own (TIFFTAG_DATETIME): of the flight or of the processing after it"
    return written, "tag" if written.tzinfo else "solar", (note,)
