"""What a file is described as: bands, mask, ground resolution and where that is known from."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.enums import ColorInterp
from rasterio.transform import Affine

from imagery.errors import Refused
from imagery.reader import read
from imagery.sources import open_source
from imagery.tiles import PIXELS, GroundGrid, Window

HERE = Affine(0.05, 0, 500_000, 0, -0.05, 3_400_000)


def write(path: Path, data: np.ndarray, interpretation: list[ColorInterp] | None = None, **profile: Any) -> Path:
    count, height, width = data.shape
    with rasterio.open(path, "w", "GTiff", width, height, count, "EPSG:4547", HERE, data.dtype, **profile) as ds:
        if interpretation:
            ds.colorinterp = interpretation
        ds.write(data)
    return path


def bands(count: int, dtype: str = "uint8") -> np.ndarray:
    return np.stack([np.full((40, 60), 10 * (i + 1)) for i in range(count)]).astype(dtype)


@pytest.mark.parametrize(
    ("count", "interpretation", "rgb"),
    [
        (1, None, (1, 1, 1)),
        (2, [ColorInterp.gray, ColorInterp.alpha], (1, 1, 1)),
        (3, None, (1, 2, 3)),
        (3, [ColorInterp.blue, ColorInterp.green, ColorInterp.red], (3, 2, 1)),
        (4, [ColorInterp.alpha, ColorInterp.red, ColorInterp.green, ColorInterp.blue], (2, 3, 4)),
        (5, [ColorInterp.gray] + [ColorInterp.undefined] * 4, (1, 2, 3)),
    ],
)
def test_rgb(tmp_path: Path, count: int, interpretation: list[ColorInterp] | None, rgb: tuple[int, int, int]) -> None:
    source = open_source(write(tmp_path / "a.tif", bands(count), interpretation))
    assert source.rgb == rgb
    assert source.bands == count
    got = read(source, source.grid(0.05), source.extent(source.grid(0.05)))
    assert got.data[:, 20, 30].tolist() == [10 * band for band in rgb]


def test_where_the_gsd_is_known_from(tmp_path: Path, make_photo: Callable[..., Path]) -> None:
    ortho = write(tmp_path / "a.tif", bands(3))
    pose = {
        "drone-dji:RelativeAltitude": "50",
        "drone-dji:GimbalYawDegree": "0",
        "drone-dji:GimbalPitchDegree": "-90",
        "drone-dji:GimbalRollDegree": "0",
    }
    posed = make_photo(xmp=pose, exif={"FocalLengthIn35mmFilm": 24})
    bare = make_photo("bare.png", lat=None)
    assert open_source(ortho).gsd_from == "georeference"
    in_pixels = open_source(ortho, pixels=True)
    assert (in_pixels.crs, in_pixels.gsd_from) == (PIXELS, "georeference")
    assert in_pixels.gsd == pytest.approx(0.05, rel=1e-4)
    assert open_source(posed).gsd_from == "pose"
    assert open_source(posed).gsd == pytest.approx(50 / (24 / 43.2666 * 500))
    assert open_source(posed, gsd=0.5).gsd_from == "given"
    assert (open_source(bare).gsd, open_source(bare).gsd_from) == (None, "unknown")
    # A photo at 0.18 m looked at in cells of 0.36 m: two pixels a cell.
    assert open_source(posed, gsd=0.18).grid(0.36) == GroundGrid(PIXELS, 2.0)
    assert open_source(bare).grid(0.36) == GroundGrid(PIXELS, 1.0)


def test_a_photo_that_is_not_whole_is_refused_before_any_window(make_photo: Callable[..., Path]) -> None:
    path = make_photo(size=(1200, 900))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(Refused, match=r"photo\.jpg") as refused:
        open_source(path)
    assert refused.value.reason == "truncated"


def test_what_would_not_be_rgb_is_refused(tmp_path: Path) -> None:
    coloured = tmp_path / "palette.tif"
    with rasterio.open(coloured, "w", "GTiff", 60, 40, 1, "EPSG:4547", HERE, "uint8", photometric="palette") as ds:
        ds.write(bands(1))
        ds.write_colormap(1, {i: (i, 255 - i, 0, 255) for i in range(256)})
    complex_numbers = write(tmp_path / "complex.tif", bands(3, "complex64"))
    for path, reason in ((coloured, "palette"), (complex_numbers, "unsupported-type")):
        with pytest.raises(Refused, match=path.name) as refused:
            open_source(path)
        assert refused.value.reason == reason


@pytest.mark.parametrize("dtype", ["uint16", "int16", "float32"])
def test_deep_pixels_keep_their_hue_and_use_the_range(tmp_path: Path, dtype: str) -> None:
    y, x = np.mgrid[:200, :300]
    ramp = (x + y).astype(np.float64)
    data = np.stack([ramp, 0.5 * ramp, 0 * ramp]).astype(dtype)
    source = open_source(write(tmp_path / "deep.tif", data))
    low, high = source.stretch or (np.nan, np.nan)
    assert low == pytest.approx(np.percentile(data, 0.5), abs=3)
    assert high == pytest.approx(np.percentile(data, 99.5), abs=3)
    grid = GroundGrid("EPSG:4547", 0.05)
    got = read(source, grid, source.extent(grid)).data.astype(int)
    np.testing.assert_allclose(got, ((data - low) * 255.0 / (high - low)).clip(0, 255), atol=1)


def test_not_a_number_is_no_data(tmp_path: Path) -> None:
    data = bands(3, "float32")
    data[1, 5:20, 7:30] = np.nan
    source = open_source(write(tmp_path / "nan.tif", data, nodata=-9999))
    grid = GroundGrid("EPSG:4547", 0.05)
    valid = read(source, grid, source.extent(grid)).valid
    np.testing.assert_array_equal(~valid, np.isnan(data[1]))


def test_an_internal_mask_is_heeded(tmp_path: Path) -> None:
    path = write(tmp_path / "masked.tif", bands(3))
    mask = np.full((40, 60), 255, np.uint8)
    mask[10:30, 20:50] = 0
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "r+") as ds:
        ds.write_mask(mask)
    source = open_source(path)
    assert source.mask == "internal"
    grid = GroundGrid("EPSG:4547", 0.05)
    np.testing.assert_array_equal(read(source, grid, source.extent(grid)).valid, mask > 0)


def test_overviews_are_listed_by_size(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", np.zeros((3, 301, 403), np.uint8))
    with rasterio.open(path, "r+") as ds:
        ds.build_overviews([2, 4])
    assert open_source(path).overviews == ((202, 151), (101, 76))
    assert read(open_source(path), GroundGrid("EPSG:4547", 0.4), Window(-8_500_000, 1_250_000, 4, 4)).valid.all()


def test_a_pixel_is_void_only_where_all_bands_say_so(tmp_path: Path) -> None:
    """Saturated or black in one band is a colour, as GDAL's dataset mask has it."""
    data = bands(3)
    data[0, 5, :] = 255
    data[:, 9, :] = 255
    path = write(tmp_path / "bright.tif", data, nodata=255)
    source = open_source(path)
    grid = GroundGrid("EPSG:4547", 0.05)
    valid = read(source, grid, source.extent(grid)).valid
    with rasterio.open(path) as ds:
        np.testing.assert_array_equal(valid, ds.dataset_mask() > 0)
    assert valid[5].all()
    assert not valid[9].any()
