"""Windows of a source: pure in (source, grid, window), and what GDAL's warper would show."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from rasterio.enums import ColorInterp, Resampling
from rasterio.transform import Affine
from rasterio.warp import reproject

from imagery import reader as reader_module
from imagery.errors import Refused
from imagery.reader import read, reader
from imagery.sources import Source, open_source
from imagery.tiles import PIXELS, GroundGrid, Window

CORNER = (500_123.417, 3_400_321.733)
WIDTH, HEIGHT = 301, 263


def scene(height: int = HEIGHT, width: int = WIDTH, bands: int = 3) -> np.ndarray:
    """Smooth hills with a few sharp blocks, uint8 [bands, H, W]."""
    y, x = np.mgrid[:height, :width]
    rng = np.random.default_rng(5)
    data = np.stack([120 + 60 * np.sin(x / (11 + 3 * b)) + 55 * np.cos(y / (9 + 2 * b)) for b in range(bands)])
    for _ in range(12):
        r, c = int(rng.integers(0, height - 12)), int(rng.integers(0, width - 12))
        data[:, r : r + 12, c : c + 9] = rng.integers(1, 255, (bands, 1, 1))
    return data.clip(1, 255).astype(np.uint8)


def write(path: Path, data: np.ndarray, transform: Affine, crs: str | None = "EPSG:4547", **profile: Any) -> Path:
    overviews = profile.pop("overviews", [])
    alpha = profile.pop("alpha", None)
    count = len(data) + (alpha is not None)
    options = {"tiled": True, "blockxsize": 64, "blockysize": 64, "compress": "deflate", **profile}
    with rasterio.open(
        path, "w", "GTiff", data.shape[2], data.shape[1], count, crs, transform, data.dtype, **options
    ) as ds:
        ds.write(data, list(range(1, len(data) + 1)))
        if alpha is not None:
            ds.write(alpha, count)
            ds.colorinterp = [ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha][-count:]
        if overviews:
            ds.build_overviews(overviews, Resampling.average)
    return path


def north_up(gsd: float = 0.05, corner: tuple[float, float] = CORNER) -> Affine:
    return Affine(gsd, 0, corner[0], 0, -gsd, corner[1])


def plain(path: Path) -> Path:
    return write(path, scene(), north_up())


def with_overviews(path: Path) -> Path:
    return write(path, scene(), north_up(0.01), overviews=[2, 4])


def rotated(path: Path) -> Path:
    return write(path, scene(), Affine.translation(*CORNER) @ Affine.rotation(31) @ Affine.scale(0.05, -0.05))


def south_up(path: Path) -> Path:
    return write(path, scene(), Affine(0.05, 0, CORNER[0], 0, 0.05, CORNER[1]))


def oblong(path: Path) -> Path:
    return write(path, scene(), Affine(0.05, 0, CORNER[0], 0, -0.013, CORNER[1]))


def mercator(path: Path) -> Path:
    return write(path, scene(), north_up(0.06, (12_724_000.3, 3_580_000.7)), "EPSG:3857")


def degrees(path: Path) -> Path:
    return write(path, scene(), north_up(5e-7, (114.3, 30.6)), "EPSG:4490")


def holes(path: Path) -> Path:
    data = scene()
    data[:, 40:90, 30:100] = 0
    return write(path, data, north_up(), nodata=0)


def transparent(path: Path) -> Path:
    alpha = np.full((HEIGHT, WIDTH), 255, np.uint8)
    alpha[100:, :77] = 0
    return write(path, scene(), north_up(), alpha=alpha)


def deep(path: Path) -> Path:
    return write(path, scene().astype(np.uint16) * 40 + 1000, north_up())


def grey(path: Path) -> Path:
    return write(path, scene(bands=1), north_up())


KINDS = [plain, with_overviews, rotated, south_up, oblong, mercator, degrees, holes, transparent, deep, grey]


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: kind.__name__)
def source(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Source:
    kind: Callable[[Path], Path] = request.param
    return open_source(kind(tmp_path_factory.mktemp("sources") / f"{kind.__name__}.tif"))


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from([0.021, 0.05, 0.073, 0.1, 0.3, 0.77]),
    st.tuples(st.floats(-0.2, 1), st.floats(-0.2, 1), st.integers(1, 70), st.integers(1, 70)),
    st.tuples(st.integers(0, 40), st.integers(0, 40), st.integers(0, 40), st.integers(0, 40)),
)
def test_a_window_is_the_crop_of_any_larger_one(
    source: Source,
    gsd: float,
    place: tuple[float, float, int, int],
    margins: tuple[int, int, int, int],
) -> None:
    grid = source.grid(gsd)
    extent = source.extent(grid)
    down, right, height, width = place
    small = Window(extent.row + int(down * extent.height), extent.col + int(right * extent.width), height, width)
    above, left, below, beside = margins
    large = Window(small.row - above, small.col - left, height + above + below, width + left + beside)
    cut = small.slices_in(large)
    a, b = read(source, grid, small), read(source, grid, large)
    np.testing.assert_array_equal(a.data, b.data[:, cut[0], cut[1]])
    np.testing.assert_array_equal(a.valid, b.valid[cut])
    assert a.data.dtype == np.uint8
    assert a.valid.dtype == np.bool_
    assert not a.data[:, ~a.valid].any()


def test_reading_in_pieces_changes_nothing(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    grid = source.grid(0.11)
    window = source.extent(grid).grow(9)
    whole = read(source, grid, window)
    monkeypatch.setattr(reader_module, "MOST_PIXELS", 700)
    pieces = read(source, grid, window)
    np.testing.assert_array_equal(whole.data, pieces.data)
    np.testing.assert_array_equal(whole.valid, pieces.valid)


@pytest.mark.parametrize("gsd", [0.03, 0.05, 0.083, 0.21])
def test_pixels_are_where_gdal_s_warper_puts_them(source: Source, gsd: float) -> None:
    grid = source.grid(gsd)
    window = source.extent(grid).grow(3)
    ours = read(source, grid, window)
    expected = np.zeros((3, window.height, window.width), np.float32)
    with rasterio.open(source.path) as ds:
        data = ds.read(list(source.rgb)).astype(np.float32)
        mask = ds.dataset_mask() > 0
    if source.stretch:
        low, high = source.stretch
        data = ((data - low) * 255 / (high - low)).clip(0, 255)
    data[:, ~mask] = np.nan
    resampling = Resampling.average if gsd > source.gsd * 1.2 else Resampling.bilinear
    reproject(
        data,
        expected,
        src_transform=Affine(*source.transform),
        src_crs=source.crs,
        dst_transform=Affine(*grid.transform(window)),
        dst_crs=grid.crs,
        src_nodata=np.nan,
        dst_nodata=np.nan,
        init_dest_nodata=True,
        resampling=resampling,
        tolerance=0,
    )
    theirs = np.isfinite(expected).all(axis=0)
    both = ours.valid & theirs
    # GDAL shows a cell for any touched pixel, we for half of them: they may differ along edges.
    assert (ours.valid != theirs).sum() <= 2 * (window.height + window.width)
    assert both.sum() >= 150
    off = np.abs(ours.data.astype(np.float32) - expected)[:, both]
    assert np.median(off) <= 2
    assert off.mean() <= 4.5
    # A shift by half a cell would be seen: the hills alone change by more than that from cell to cell.
    moved = np.abs(ours.data.astype(np.float32)[:, :, 1:] - expected[:, :, :-1])[:, both[:, 1:] & both[:, :-1]]
    assert moved[np.isfinite(moved)].mean() > off.mean()


def test_at_its_own_grid_a_source_is_read_as_it_is(tmp_path: Path) -> None:
    data = scene()
    source = open_source(write(tmp_path / "a.tif", data, north_up(0.05, (500_000, 3_400_000))))
    grid = GroundGrid("EPSG:4547", 0.05)
    got = read(source, grid, source.extent(grid))
    np.testing.assert_array_equal(got.data, data)
    assert got.valid.all()
    twice = read(source, source.grid(0.1), Window(-34_000_000, 5_000_000, 131, 150))
    mean = data[:, :262, :300].astype(int).reshape(3, 131, 2, 150, 2).sum(axis=(2, 4))
    np.testing.assert_array_equal(twice.data, (mean + 2) // 4)


def test_naip_bands_are_the_first_three(data: Path) -> None:
    path = data / "orthos/naip_2009_2016/m_4709963_se_14_1_20120731.tif"  # whose corner is at whole cells
    source = open_source(path)
    assert (source.bands, source.rgb, source.crs) == (4, (1, 2, 3), "EPSG:26914")
    grid = source.grid(5)
    got = read(source, grid, source.extent(grid))
    with rasterio.open(path) as ds:
        np.testing.assert_array_equal(got.data, ds.read([1, 2, 3]) * got.valid)
    # their metres lie 5 km from the zone's edge: as true as UTM promises
    assert source.gsd == pytest.approx(5, rel=1e-3)


def test_a_photo_is_read_in_its_own_pixels(data: Path) -> None:
    path = data / "flights/caliterra_east/IMG_9361.jpg"
    source = open_source(path, pixels=True, gsd=0.019)
    assert (source.crs, source.width, source.height, source.gsd) == (PIXELS, 4000, 3000, 0.019)
    grid = source.grid(0.019)
    assert source.extent(grid) == Window(0, 0, 3000, 4000)
    window = Window(1111, 2222, 40, 50)
    with Image.open(path) as image:
        oracle = np.asarray(image)[1111:1151, 2222:2272].transpose(2, 0, 1)
    got = read(source, grid, window).data.astype(int)
    np.testing.assert_allclose(got, oracle, atol=2)  # two builds of libjpeg round differently


def test_pixels_do_not_mix_with_ground(tmp_path: Path) -> None:
    ground = open_source(plain(tmp_path / "a.tif"))
    pixels = open_source(tmp_path / "a.tif", pixels=True)
    for source, grid in ((ground, pixels.grid(0.05)), (pixels, ground.grid(0.05))):
        with pytest.raises(Refused) as refused:
            read(source, grid, Window(0, 0, 4, 4))
        assert refused.value.reason == "mixed-coordinates"


def test_far_away_there_is_nothing(source: Source) -> None:
    grid = source.grid(0.05)
    extent = source.extent(grid)
    got = read(source, grid, Window(extent.row + 100_000, extent.col, 64, 64))
    assert not got.valid.any()
    assert not got.data.any()
    assert read(source, grid, Window(0, 0, 0, 0)).data.shape == (3, 0, 0)


def test_a_file_that_breaks_off_is_refused_not_read_black(tmp_path: Path) -> None:
    path = plain(tmp_path / "cut.tif")
    source = open_source(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])
    grid = source.grid(0.05)
    with pytest.raises(Refused, match=r"cut\.tif") as refused:
        read(source, grid, source.extent(grid))
    assert refused.value.reason == "unreadable"


def test_a_source_travels_between_processes(source: Source) -> None:
    assert pickle.loads(pickle.dumps(source)) == source


def test_an_open_reader_serves_many_windows(source: Source) -> None:
    grid = source.grid(0.1)
    extent = source.extent(grid)
    with reader(source) as opened:
        for i in range(3):
            window = Window(extent.row + 8 * i, extent.col + 5 * i, 16, 16)
            np.testing.assert_array_equal(opened.read(grid, window).data, read(source, grid, window).data)
