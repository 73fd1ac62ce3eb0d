"""Rasters of every system and with every mistake in it: read where they lie, or stopped with the remedy."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from PIL import Image
from pyproj import CRS, Geod, Transformer
from shapely.geometry import shape

from imagery import gcj02
from imagery.cog import write_cog, write_thumbnail
from imagery.crs_checks import suggestions
from imagery.errors import Refused
from imagery.inspect import inspect

LON, LAT = 113.95, 30.92
GEOD = Geod(ellps="WGS84")
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """`write(name, crs, …)`: 60 x 40 pixels of 0.5 m (or as much in degrees) with its upper left corner at LON, LAT."""

    def make(
        name: str = "ortho.tif", crs: Any = "EPSG:4547", *, x: float | None = None, y: float | None = None,
        bands: int = 3, dtype: str = "uint8", driver: str = "GTiff", step: float | None = None, tags: Any = None,
        data: np.ndarray | None = None, **profile: Any,
    ) -> Path:  # fmt: skip
        if x is None or y is None:
            x, y = Transformer.from_crs(4326, crs, always_xy=True).transform(LON, LAT)
        geographic = crs is not None and CRS.from_user_input(crs).is_geographic
        step = step or (5e-6 if geographic else 0.5)
        path = tmp_path / name
        content = np.random.default_rng(1).integers(1, 200, (bands, 40, 60)).astype(dtype) if data is None else data
        with rasterio.open(
            path, "w", driver=driver, width=60, height=40, count=bands, dtype=dtype, crs=crs,
            transform=rasterio.Affine(step, 0, x, 0, -step, y), **profile,
        ) as file:  # fmt: skip
            file.write(content)
            file.update_tags(**(tags or {}))
        return path

    return make


LOCAL = "+proj=tmerc +lat_0=0 +lon_0=113.9 +k=1 +x_0=40000 +y_0=-3000000 +ellps=GRS80 +units=m +no_defs"


@pytest.mark.parametrize("crs", ["EPSG:4490", "EPSG:4526", "EPSG:4547", "EPSG:3857", "EPSG:32649", LOCAL])
def test_every_system_lies_where_it_is(write: Write, crs: str) -> None:
    capture = inspect(write(crs=crs))
    assert capture.kind == "orthophoto"
    corners = shape(capture.footprint.geometry).exterior.coords
    assert min(GEOD.inv(LON, LAT, *corner)[2] for corner in corners) < 0.05
    assert capture.gsd == pytest.approx(0.43 if crs == "EPSG:3857" else 0.5, abs=0.03)


def reason(path: Path) -> Refused:
    with pytest.raises(Refused) as refused:
        inspect(path)
    assert refused.value.remedy
    assert path.name in refused.value.message
    return refused.value


def test_changed_axes_are_stopped(write: Write) -> None:
    x, y = Transformer.from_crs(4326, 4547, always_xy=True).transform(LON, LAT)
    assert reason(write("swapped.tif", "EPSG:4547", x=y, y=x)).reason == "axis-order"
    assert reason(write("degrees.tif", "EPSG:4490", x=LAT, y=LON)).reason == "axis-order"


def test_a_zone_that_does_not_fit_is_stopped_with_the_one_that_does(write: Write) -> None:
    x, y = Transformer.from_crs(4326, 4547, always_xy=True).transform(LON, LAT)
    refused = reason(write("no-prefix.tif", "EPSG:4526", x=x, y=y))  # 4526 writes the zone before the easting
    assert refused.reason == "outside-crs"
    assert "4547" in refused.remedy


def test_a_raster_without_a_system_is_told_what_would_fit(write: Write) -> None:
    x, y = Transformer.from_crs(4326, 4526, always_xy=True).transform(LON, LAT)
    refused = reason(write("bare.tif", None, x=x, y=y))
    assert refused.reason == "no-crs"
    assert "EPSG:4526" in refused.message
    assert suggestions(113.9, 30.9).startswith("EPSG:4490")
    assert "3857" in suggestions(12_685_000, 3_620_000)
    assert suggestions(1.0, 5e7) == ""


def test_gcj_02_is_stopped_however_it_is_said(write: Write) -> None:
    krasovsky = CRS.from_proj4("+proj=longlat +a=6378245 +rf=298.3 +no_defs").to_wkt("WKT1_GDAL")
    wkt = krasovsky.replace('"unknown"', '"GCJ-02"', 1)
    assert reason(write("named.tif", wkt, x=LON, y=LAT, step=5e-6)).reason == "gcj-02"
    assert reason(write("tagged.tif", tags={"TIFFTAG_IMAGEDESCRIPTION": "高德底图 (GCJ02)"})).reason == "gcj-02"


@pytest.mark.parametrize("name", ["GCJ-02", "GCS_GCJ02", "BD-09", "火星坐标系"])
def test_gcj_02_that_a_prj_names_is_stopped_though_it_looks_like_wgs84(tmp_path: Path, name: str) -> None:
    """The numbers and the ellipsoid are those of EPSG:4326, whose code would hide the name."""
    Image.new("RGB", (80, 60), "grey").save(tmp_path / "map.png")
    (tmp_path / "map.pgw").write_text(f"5e-6\n0\n0\n-5e-6\n{LON}\n{LAT}\n")
    wgs84 = CRS.from_epsg(4326).to_wkt("WKT1_GDAL")
    (tmp_path / "map.prj").write_text(wgs84)
    assert inspect(tmp_path / "map.png").kind == "orthophoto"
    (tmp_path / "map.prj").write_text(wgs84.replace('GEOGCS["WGS 84"', f'GEOGCS["{name}"'))
    assert reason(tmp_path / "map.png").reason == "gcj-02"


def test_the_shift_of_gcj_02_is_known_and_recognised() -> None:
    """Oracle: a published pair (Tiananmen, WGS84 116.39123, 39.90691 is GCJ-02 116.39747, 39.90831 to 1e-4)."""
    east, north = gcj02.shift(116.39123, 39.90691)
    assert (116.39123 + east, 39.90691 + north) == pytest.approx((116.39747, 39.90831), abs=2e-4)
    assert gcj02.shift(2.3, 48.8) == (0.0, 0.0)
    moved = LON + gcj02.shift(LON, LAT)[0], LAT + gcj02.shift(LON, LAT)[1]
    assert gcj02.seems_shifted(moved, (LON, LAT))
    assert not gcj02.seems_shifted((LON + 2e-4, LAT), (LON, LAT))
    assert not gcj02.seems_shifted((LON + 0.02, LAT), (LON, LAT))


@pytest.mark.parametrize("ending", ["png", "jpg"])
def test_a_world_file_and_a_prj_place_a_picture(write: Write, tmp_path: Path, ending: str) -> None:
    whole = inspect(write())
    with rasterio.open(write("again.tif")) as file:
        picture, t = file.read().transpose(1, 2, 0), file.transform
    path = tmp_path / f"map.{ending}"
    Image.fromarray(picture).save(path)
    lines = [t.a, t.d, t.b, t.e, t.c + t.a / 2, t.f + t.e / 2]
    path.with_suffix({"png": ".pgw", "jpg": ".jgw"}[ending]).write_text("\n".join(map(str, lines)))
    assert reason(path).reason == "no-crs"
    path.with_suffix(".prj").write_text(CRS.from_epsg(4547).to_wkt("WKT1_ESRI"))
    capture = inspect(path)
    assert capture.georeference is not None
    assert capture.georeference.crs == "EPSG:4547"
    assert shape(capture.footprint.geometry).symmetric_difference(shape(whole.footprint.geometry)).area < 1e-14
    write_cog(path, cog := tmp_path / f"{ending}.cog.tif", capture.georeference)
    with rasterio.open(cog) as file:
        assert file.crs.to_epsg() == 4547
        assert file.transform.almost_equals(t, 1e-6)
        if ending == "png":
            assert (file.read().transpose(1, 2, 0) == picture).all()
    path.with_suffix(".prj").write_text("no system at all")
    assert reason_of(path) == "damaged-sidecar"


def reason_of(path: Path) -> str:
    with pytest.raises(Refused) as refused:
        inspect(path)
    return refused.value.reason


def test_jpeg_2000_is_read_and_becomes_a_cog(write: Write, tmp_path: Path) -> None:
    path = write("ortho.jp2", driver="JP2OpenJPEG", QUALITY="100", REVERSIBLE="YES")
    capture = inspect(path)
    assert (capture.kind, capture.media_type) == ("orthophoto", "image/jp2")
    write_cog(path, cog := tmp_path / "cog.tif")
    with rasterio.open(path) as one, rasterio.open(cog) as other:
        assert (one.read() == other.read()).all()
    write_thumbnail(path, tmp_path / "small.jpg")


def test_heights_are_kept_as_heights(write: Write) -> None:
    heights = np.linspace(20, 60, 2400, dtype=np.float32).reshape(1, 40, 60)
    heights[0, :10] = -9999
    for name, expected in {"dsm.tif": "dsm", "block_dtm.tif": "dtm", "surface.tif": "dsm"}.items():
        capture = inspect(write(name, bands=1, dtype="float32", data=heights, nodata=-9999))
        assert (capture.kind, capture.elevation) == ("elevation", expected)
        whole = inspect(write("whole.tif"))
        ratio = shape(capture.footprint.geometry).area / shape(whole.footprint.geometry).area
        assert ratio == pytest.approx(0.75, abs=0.03), "the footprint is that of the valid pixels"
    index = np.clip((heights - 40) / 50, -1, 1)
    assert inspect(write("index.tif", bands=1, dtype="float32", data=index)).kind == "orthophoto"


def test_sixteen_bits_and_alpha(write: Write) -> None:
    deep = inspect(write("deep.tif", bands=4, dtype="uint16"))
    assert (deep.dtype, deep.bands) == ("uint16", 4)
    data = np.full((4, 40, 60), 90, dtype=np.uint8)
    data[3, :, :30] = 0
    clear = inspect(write("alpha.tif", bands=4, data=data, photometric="RGB", alpha="YES"))
    area = abs(GEOD.geometry_area_perimeter(shape(clear.footprint.geometry))[0])
    assert area == pytest.approx(15 * 20, rel=0.05)


@pytest.mark.parametrize("size", [(100_000, 100_000)])
def test_a_header_that_claims_too_much_is_refused(tmp_path: Path, size: tuple[int, int]) -> None:
    path = tmp_path / "bomb.tif"
    with rasterio.open(
        path, "w", driver="GTiff", width=size[0], height=size[1], count=3, dtype="uint8", crs="EPSG:4547",
        transform=rasterio.Affine(0.05, 0, 495000, 0, -0.05, 3421000), sparse_ok=True, tiled=True, compress="deflate",
        blockxsize=2048, blockysize=2048,
    ):  # fmt: skip
        pass
    assert reason_of(path) == "too-many-pixels"
    assert math.prod(size) > 1e9
