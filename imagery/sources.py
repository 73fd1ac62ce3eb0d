"""What can be read window by window: a GeoTIFF, COG, JPEG or PNG, described by a small picklable value.

Everything that decides how pixels become the 8-bit RGB that detectors see (bands, mask, stretch of deeper pixels) is
decided here, once, from the whole file, so that no window can differ from its neighbour.
"""

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import rasterio
from numpy.typing import NDArray
from pyproj.exceptions import CRSError, ProjError
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.errors import NotGeoreferencedWarning, RasterioIOError

from imagery.crs_checks import check_system
from imagery.errors import Refused
from imagery.ground import LONLAT, Affine, apply, ground_gsd, transformation, true_scale
from imagery.photos import read_photo
from imagery.remote import OPTIONS, is_remote, open_with, shown
from imagery.sniff import MediaType, media_type
from imagery.tiles import PIXELS, GroundGrid, Window

# Pictures without georeference are no accident here. For the whole process, because threads that each use
# `warnings.catch_warnings`, as rasterio does too, undo one another's filters.
warnings.filterwarnings("ignore", category=NotGeoreferencedWarning)

DRIVERS: dict[MediaType, str] = {
    "image/tiff": "GTiff",
    "image/jpeg": "JPEG",
    "image/png": "PNG",
    "image/jp2": "JP2OpenJPEG",
}
"""No VRT or other format that names further files: an upload must not reach what its sender cannot."""

MaskKind = Literal["none", "nodata", "alpha", "internal"]
EDGE_POINTS = 33
IDENTITY: Affine = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
BOMB_PIXELS, BOMB_RATIO = 100_000_000, 2000
"""A raster of more pixels than this that unpacks to so many times its file holds nothing but a claim: deflate's best is
1032."""


@dataclass(frozen=True, slots=True)
class Source:
    """A readable raster. `transform` is (a, b, c, d, e, f), pixel to CRS x, y; the identity where `crs` is `PIXELS`."""

    path: str
    crs: str
    transform: Affine
    width: int
    height: int
    rgb: tuple[int, int, int]
    """Bands (from 1) that are read as red, green, blue; one band three times where the file is grey."""
    bands: int
    dtype: str
    gsd: float | None
    """Metres on the ground per pixel, along the ellipsoid; None where nothing tells."""
    gsd_from: Literal["georeference", "pose", "given", "unknown"] = "unknown"
    mask: MaskKind = "none"
    nodata: tuple[float, ...] = ()
    """Value of each of `rgb` that marks no data, where `mask` is `nodata`: a pixel is void when all three say so."""
    stretch: tuple[float, float] | None = None
    """Values that become 0 and 255; None for 8-bit files, which are read as they are."""
    overviews: tuple[tuple[int, int], ...] = ()
    """Width and height of the smaller versions that the file holds, in the order of GDAL's overview levels."""

    def grid(self, gsd: float) -> GroundGrid:
        """The ground grid of `gsd` metres that this source is looked at on.

        A metric CRS whose map metres are ground metres to 0.3 % here (UTM, Gauss-Krüger) is kept; else the UTM zone of
        the raster's middle. `PIXELS`: cells of gsd / own gsd pixels, or of one pixel where the own is not known.
        """
        if self.crs == PIXELS:
            return GroundGrid(PIXELS, gsd / self.gsd if self.gsd else 1.0)
        middle = apply(self.transform, np.array([[self.width / 2, self.height / 2]]))
        if true_scale(self.crs, middle[0]):
            return GroundGrid(self.crs, gsd)
        lon, lat = transformation(self.crs, LONLAT).transform(*middle[0])
        zone = int((lon + 180) // 6) % 60 + 1
        return GroundGrid(f"EPSG:{(32600 if lat >= 0 else 32700) + zone}", gsd)

    def extent(self, grid: GroundGrid) -> Window:
        """The smallest window of `grid` that holds the whole raster, void margins included."""
        check_coordinates(self, grid)
        edge = np.linspace(0, 1, EDGE_POINTS)
        zero, one = np.zeros_like(edge), np.ones_like(edge)
        ring = np.concatenate(
            [np.stack(side, axis=-1) for side in ((edge, zero), (one, edge), (edge, one), (zero, edge))]
        )
        points = apply(self.transform, ring * [self.width, self.height])
        if grid.crs != self.crs:
            x, y = transformation(self.crs, grid.crs).transform(points[:, 0], points[:, 1])
            points = np.stack([x, y], axis=-1)
        (left, low), (right, high) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
        bottom, top = (high, low) if grid.crs == PIXELS else (low, high)
        return grid.cover(left, bottom, right, top)


def check_coordinates(source: Source, grid: GroundGrid) -> None:
    """Pixels have no place on the ground: refuse to lay them on a ground grid, or the other way round."""
    if (source.crs == PIXELS) != (grid.crs == PIXELS):
        raise Refused(
            "mixed-coordinates",
            f"{shown(source.path)}: pixels without georeference cannot be laid on a ground grid.",
            "Give both pictures a georeference, or compare both with --pixels.",
        )


@contextmanager
def dataset(path: str | Path, **options: Any) -> Iterator[Any]:
    """As `opened`, for a while."""
    with rasterio.Env(**(OPTIONS if is_remote(path) else {})), opened(path, **options) as found:
        yield found


def opened(path: str | Path, **options: Any) -> Any:
    """A raster opened by its content. Raises `Refused`: unreadable, and all that `media_type` raises.

    An http(s) address is one of our own store's (`FileStore.url`), whose content was looked at when it was taken in.
    """
    if is_remote(path):
        drivers = tuple(DRIVERS.values())
    else:
        kind = media_type(path)
        if kind not in DRIVERS:
            raise Refused("not-a-raster", f"{path}: is a {kind}, which is not read by windows.", "Convert it to JPEG.")
        drivers = (DRIVERS[kind],)
    with rasterio.Env(**(OPTIONS if is_remote(path) else {})):
        try:
            return open_with(drivers, path, **options)
        except RasterioIOError as error:
            raise unreadable(path, error) from error


def unreadable(path: str | Path, error: Exception) -> Refused:
    said = type(error).__name__ if is_remote(path) else str(error)  # GDAL repeats the whole address
    return Refused(
        "unreadable",
        f"{shown(path)}: cannot be read as GeoTIFF, JPEG 2000, JPEG or PNG: {said}.",
        "Check that it opens in another program, and send it again.",
    )


def open_source(path: str | Path, *, pixels: bool = False, gsd: float | None = None) -> Source:
    """Describe a file for reading. Without a CRS, or with `pixels`, it is read in its own pixels; then `gsd` says how
    fine they are, or else the georeference, or a photo's pose.

    Raises `Refused`: palette, unsupported-type, too-many-pixels, unusable-crs, impossible-position; for JPEG and PNG
    also truncated and damaged; and all that `dataset` raises.
    """
    posed = _posed_gsd(path) if media_type(path) in ("image/jpeg", "image/png") else None
    with dataset(path) as ds:
        _check_size(ds, path)
        try:
            described = describe(ds, path)
        except (CRSError, ProjError) as error:
            raise _unusable(path, error) from error
    if described.crs != PIXELS and not math.isfinite(described.gsd or math.nan):
        check_system(described.crs, described.transform, (described.width, described.height), "", path)
        raise nowhere(path, described.crs)
    if not pixels and described.crs != PIXELS:
        return described
    as_pixels = replace(described, crs=PIXELS, transform=IDENTITY)
    if gsd is not None:
        return replace(as_pixels, gsd=gsd, gsd_from="given")
    return as_pixels if posed is None else replace(as_pixels, gsd=posed, gsd_from="pose")


def _posed_gsd(path: str | Path) -> float | None:
    """What a photo's pose says, None where it has none. A photo that is not whole is refused here."""
    try:
        return read_photo(path).gsd
    except Refused as refused:
        if refused.reason in ("no-position", "impossible-position"):
            return None
        raise


def _check_size(ds: Any, path: str | Path) -> None:
    unpacked = ds.width * ds.height * sum(np.dtype(t).itemsize for t in ds.dtypes if t != "complex_int16")
    if ds.width * ds.height > BOMB_PIXELS and unpacked > BOMB_RATIO * Path(path).stat().st_size:
        raise Refused(
            "too-many-pixels",
            f"{path}: claims {ds.width} x {ds.height} pixels, which its {Path(path).stat().st_size} bytes cannot hold.",
            "Export it again without its empty surroundings.",
        )


def _unusable(path: str | Path, error: Exception) -> Refused:
    return Refused(
        "unusable-crs",
        f"{path}: its coordinate system cannot be related to the Earth: {error}.",
        "Transform it to a known system (gdalwarp -t_srs EPSG:4547), or use --pixels.",
    )


def nowhere(path: str | Path, crs: str) -> Refused:
    return Refused(
        "impossible-position",
        f"{path}: lies nowhere on Earth in the system it declares ({crs}).",
        "Check which coordinate system its numbers are in, and declare that one.",
    )


def describe(ds: Any, path: str | Path) -> Source:
    """The `Source` of an open dataset, in its declared coordinates."""
    rgb = _rgb(ds, path)
    mask = _mask(ds, rgb)
    nodata = tuple(float(ds.nodatavals[band - 1]) for band in rgb) if mask == "nodata" else ()
    crs = ds.crs.to_string() if ds.crs else PIXELS
    transform: Affine = tuple(ds.transform)[:6]
    return Source(
        path=str(path),
        crs=crs,
        transform=transform,
        width=ds.width,
        height=ds.height,
        rgb=rgb,
        bands=ds.count,
        dtype=ds.dtypes[rgb[0] - 1],
        gsd=ground_gsd(crs, transform, ds.width, ds.height) if crs != PIXELS else None,
        gsd_from="georeference" if crs != PIXELS else "unknown",
        mask=mask,
        nodata=nodata,
        stretch=_stretch(ds, rgb, nodata),
        overviews=tuple(_sizes(path, len(ds.overviews(rgb[0])))),
    )


def void(data: NDArray[Any], nodata: tuple[float, ...]) -> NDArray[np.bool_]:
    """Bool [H, W]: where all bands of `data` [C, H, W] say no data, or any of them is not a number."""
    bad = np.zeros(data.shape[1:], dtype=bool)
    if np.issubdtype(data.dtype, np.floating):
        bad |= ~np.isfinite(data).all(axis=0)
    finite = [value for value in nodata if np.isfinite(value)]
    if finite:
        bad |= np.logical_and.reduce([band == value for band, value in zip(data, finite, strict=True)])
    return bad


def _sizes(path: str | Path, levels: int) -> Iterator[tuple[int, int]]:
    for level in range(levels):
        with dataset(path, overview_level=level) as smaller:
            yield smaller.width, smaller.height


def _rgb(ds: Any, path: str | Path) -> tuple[int, int, int]:
    colours = list(ds.colorinterp)
    if ColorInterp.palette in colours:
        raise Refused("palette", f"{path}: has a colour table.", "Convert it: gdal_translate -expand rgb IN OUT.")
    if any(np.dtype(t).kind not in "uif" for t in ds.dtypes):
        raise Refused("unsupported-type", f"{path}: has {ds.dtypes[0]} pixels.", "Convert it to 8- or 16-bit RGB.")
    wanted = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
    if all(colour in colours for colour in wanted):
        red, green, blue = (colours.index(colour) + 1 for colour in wanted)
        return red, green, blue
    plain = [i for i, colour in enumerate(colours, start=1) if colour is not ColorInterp.alpha]
    if len(plain) >= 3:
        return plain[0], plain[1], plain[2]
    return plain[0], plain[0], plain[0]


def _mask(ds: Any, rgb: tuple[int, int, int]) -> MaskKind:
    flags = ds.mask_flag_enums[rgb[0] - 1]
    if MaskFlags.alpha in flags:
        return "alpha"
    if MaskFlags.nodata in flags:
        return "nodata"
    return "internal" if MaskFlags.per_dataset in flags and MaskFlags.all_valid not in flags else "none"


def _stretch(ds: Any, rgb: tuple[int, int, int], nodata: tuple[float, ...]) -> tuple[float, float] | None:
    """0.5 % and 99.5 % of the valid pixels of the whole file, in one range for all bands so that colours keep their
    hue. Read coarsely: at most 1024 pixels a side."""
    if ds.dtypes[rgb[0] - 1] == "uint8":
        return None
    factor = max(1.0, max(ds.width, ds.height) / 1024)
    shape = (3, max(1, round(ds.height / factor)), max(1, round(ds.width / factor)))
    data = ds.read(list(rgb), out_shape=shape)
    seen = ~void(data, nodata) & (ds.dataset_mask(out_shape=shape[1:]) > 0)
    if not seen.any():
        return 0.0, 1.0
    low, high = np.percentile(data[:, seen].astype(np.float64), [0.5, 99.5]).tolist()
    return low, max(high, low + 1e-9)
