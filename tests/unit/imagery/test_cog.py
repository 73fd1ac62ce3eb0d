"""COGs and thumbnails: valid by rio-cogeo, equal to their source by rasterio, whole or absent."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
from PIL import ExifTags, Image
from rasterio.enums import ColorInterp
from rasterio.transform import Affine
from rio_cogeo.cogeo import cog_validate

from imagery.cog import write_cog, write_thumbnail
from imagery.errors import Refused
from imagery.reader import read
from imagery.sources import open_source

pytestmark = pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")  # rasterio's own

HERE = Affine(0.05, 0, 500_000, 0, -0.05, 3_400_000)


def picture(bands: int = 3, height: int = 900, width: int = 1300) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    return np.stack([(128 + 90 * np.sin(x / (20 + b)) * np.cos(y / 31)) for b in range(bands)]).astype(np.uint8)


def striped(path: Path, kind: str) -> Path:
    data = picture(4 if kind == "alpha" else 3)
    profile = {"nodata": 0} if kind == "nodata" else {}
    if kind == "nodata":
        data[:, :300, :400] = 0
    if kind == "alpha":
        data[3] = 255
        data[3, :300, :400] = 0
    with rasterio.open(path, "w", "GTiff", 1300, 900, len(data), "EPSG:4547", HERE, data.dtype, **profile) as ds:
        if kind == "alpha":
            ds.colorinterp = [ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha]
        ds.write(data)
    return path


@pytest.mark.parametrize("kind", ["plain", "nodata", "alpha"])
def test_a_cog_is_valid_and_shows_the_same(tmp_path: Path, kind: str) -> None:
    src, dst = striped(tmp_path / "src.tif", kind), tmp_path / "cog.tif"
    write_cog(src, dst)
    valid, errors, warnings = cog_validate(dst, strict=True)
    assert (valid, errors, warnings) == (True, [], [])
    with rasterio.open(src) as a, rasterio.open(dst) as b:
        assert (a.crs, a.transform, a.shape) == (b.crs, b.transform, b.shape)
        assert set(b.block_shapes) == {(512, 512)}
        assert b.overviews(1)
        mask = a.dataset_mask() > 0
        np.testing.assert_array_equal(mask, b.dataset_mask() > 0)
        np.testing.assert_array_equal(a.read([1, 2, 3])[:, mask], b.read([1, 2, 3])[:, mask])
    ours, theirs = open_source(src), open_source(dst)
    grid = ours.grid(0.1)
    window = ours.extent(grid)
    np.testing.assert_array_equal(read(ours, grid, window).valid, read(theirs, grid, window).valid)
    np.testing.assert_array_equal(read(ours, grid, window).data, read(theirs, grid, window).data)


def test_a_cog_stays_byte_for_byte(tmp_path: Path) -> None:
    first, second = tmp_path / "a.tif", tmp_path / "b.tif"
    write_cog(striped(tmp_path / "src.tif", "plain"), first)
    write_cog(first, second)
    assert first.read_bytes() == second.read_bytes()


def test_nothing_half_written_is_left(tmp_path: Path) -> None:
    src = striped(tmp_path / "src.tif", "plain")
    src.write_bytes(src.read_bytes()[: src.stat().st_size // 3])
    with pytest.raises(Refused, match=r"src\.tif"):
        write_cog(src, tmp_path / "cog.tif")
    text = tmp_path / "text.tif"
    text.write_text("no picture")
    with pytest.raises(Refused, match=r"text\.tif"):
        write_thumbnail(text, tmp_path / "small.jpg")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["src.tif", "text.tif"]


def test_the_thumbnail_of_a_photo_is_upright_and_tells_no_place(
    make_photo: Callable[..., Path], tmp_path: Path
) -> None:
    photo = make_photo(exif={"Orientation": 6}, size=(1600, 1200))
    assert write_thumbnail(photo, tmp_path / "small.jpg") == (384, 512)
    with Image.open(tmp_path / "small.jpg") as small, Image.open(photo) as large:
        assert small.format == "JPEG"
        assert not small.getexif().get_ifd(ExifTags.IFD.GPSInfo)
        assert "xmp" not in small.info
        got = np.asarray(small, dtype=int)
        off = [
            np.abs(got - np.asarray(large.rotate(turn, expand=True).resize(small.size), dtype=int)).mean()
            for turn in (-90, 90)
        ]
        assert off[0] < off[1] / 2


@pytest.mark.parametrize("kind", ["plain", "nodata", "alpha"])
def test_the_thumbnail_of_a_raster_is_the_raster_on_white(tmp_path: Path, kind: str) -> None:
    src = striped(tmp_path / "src.tif", kind)
    assert write_thumbnail(src, tmp_path / "small.jpg", side=256) == (256, 177)
    with Image.open(tmp_path / "small.jpg") as small:
        got = np.asarray(small, dtype=int)
    expected = np.asarray(Image.fromarray(picture().transpose(1, 2, 0)).resize((256, 177), Image.Resampling.BOX), int)
    if kind != "plain":
        assert (got[:50, :70] > 235).all()
    assert np.abs(got - expected)[70:, 90:].mean() < 4


def test_thumbnails_of_real_files(data: Path, tmp_path: Path) -> None:
    for name, size in {
        "flights/brighton_beach/DJI_0018.JPG": (512, 288),
        "orthos/naip_2009_2016/m_4709963_se_14_1_20120731.tif": (512, 396),
    }.items():
        assert write_thumbnail(data / name, tmp_path / "small.jpg") == size
        with Image.open(tmp_path / "small.jpg") as small:
            assert np.asarray(small).std() > 10


def test_deep_pixels_are_shown_in_8_bits(tmp_path: Path) -> None:
    path = tmp_path / "deep.tif"
    with rasterio.open(path, "w", "GTiff", 400, 300, 3, "EPSG:4547", HERE, "uint16") as ds:
        ds.write(picture(height=300, width=400).astype(np.uint16) * 100 + 5000)
    write_thumbnail(path, tmp_path / "small.jpg", side=200)
    with Image.open(tmp_path / "small.jpg") as small:
        assert np.percentile(np.asarray(small), [2, 98]).tolist() == pytest.approx([0, 255], abs=25)
