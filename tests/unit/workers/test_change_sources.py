"""Change between sources that hardly fit: one band, 16 bits, other nodata, another CRS and GSD, nothing in common."""

import numpy as np
import pytest
import rasterio
from rasterio.warp import Resampling, calculate_default_transform, reproject

from imagery.errors import Refused
from workers.change import compare
from workers.inputs import open_input
from workers.outputs import comparison_features
from workers.testing import label, write_raster

pytestmark = pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")  # rasterio's own

SIDE, GSD = 420, 0.1
LEFT, TOP = 500_044.8, 3_400_012.8
"""On a corner of the plan's windows, so that one window holds everything."""
HEAP = (slice(180, 230), slice(150, 210))


def ground(new):
    """uint8 [3, H, W] of soil with stones, and a pale heap where `new`."""
    rng = np.random.default_rng(6)
    picture = np.zeros((SIDE, SIDE))
    for size, strength in ((2, 14), (5, 16), (16, 22), (60, 25)):
        cells = rng.normal(0, strength, (SIDE // size + 2, SIDE // size + 2))
        picture += np.kron(cells, np.ones((size, size)))[:SIDE, :SIDE]
    image = np.stack([picture + 116, picture + 104, picture + 88])
    if new:
        _, x = np.mgrid[:50, :60]
        shade = 1 + 0.18 * np.clip((x - 30) / 30, -1, 1)
        image[:, *HEAP] = np.array([222, 200, 160])[:, None, None] * shade
        image[:, *HEAP] += np.random.default_rng(2).normal(0, 7, (3, 50, 60))
    return np.clip(image, 2, 253)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("sources")


@pytest.fixture(scope="module")
def before(folder):
    return write_raster(folder / "before.tif", ground(False).astype(np.uint8), gsd=GSD, left=LEFT, top=TOP)


def written(path, data, dtype, nodata=None, gsd=GSD):
    with rasterio.open(
        path, "w", driver="GTiff", width=data.shape[2], height=data.shape[1], count=len(data), dtype=dtype,
        crs="EPSG:32650", transform=rasterio.Affine(gsd, 0, LEFT, 0, -gsd, TOP), nodata=nodata,
    ) as ds:  # fmt: skip
        ds.write(data.astype(dtype))
    return path


def one_band(folder):
    return written(folder / "grey.tif", ground(True).mean(0, keepdims=True), "uint8")


def sixteen_bits(folder):
    return written(folder / "deep.tif", ground(True) * 41 + 300, "uint16")


def four_bands_and_nodata(folder):
    data = np.concatenate((ground(True), np.full((1, SIDE, SIDE), 77.0))) * 20
    data[:, :, :60] = 65_535
    return written(folder / "nodata.tif", data, "uint16", nodata=65_535)


def another_crs_and_gsd(folder):
    source = written(folder / "to-warp.tif", ground(True), "uint8")
    path = folder / "mercator.tif"
    with rasterio.open(source) as ds:
        transform, width, height = calculate_default_transform(
            ds.crs, "EPSG:3857", ds.width, ds.height, *ds.bounds, resolution=0.17
        )
        with rasterio.open(
            path, "w", driver="GTiff", width=width, height=height, count=4, dtype="uint8", crs="EPSG:3857",
            transform=transform, photometric="RGB", alpha="unspecified",
        ) as out:  # fmt: skip
            for band in (1, 2, 3):
                reproject(
                    ds.read(band), rasterio.band(out, band), src_transform=ds.transform, src_crs=ds.crs,
                    dst_transform=transform, dst_crs="EPSG:3857", resampling=Resampling.average,
                )  # fmt: skip
            seen = np.zeros((height, width), dtype=np.uint8)
            reproject(
                np.full((SIDE, SIDE), 255, dtype=np.uint8), seen, src_transform=ds.transform, src_crs=ds.crs,
                dst_transform=transform, dst_crs="EPSG:3857", resampling=Resampling.nearest,
            )  # fmt: skip
            out.write(seen, 4)
            out.colorinterp = [*out.colorinterp[:3], rasterio.enums.ColorInterp.alpha]
    return path


@pytest.mark.parametrize("made", [one_band, sixteen_bits, four_bands_and_nodata, another_crs_and_gsd])
def test_the_heap_is_found_whatever_the_second_source_is_like(clusters, folder, before, made):
    found = compare(clusters[1], open_input(before), open_input(made(folder)), folder / "mask.tif")
    features = list(comparison_features(found, label))
    true = 50 * 60 * GSD**2
    area = sum(feature["properties"]["area_m2"] for feature in features)
    assert 0.5 * true < area < 1.8 * true
    assert {feature["properties"]["kind"] for feature in features} <= {"appeared", "altered"}
    # What is marked lies on the heap.
    middle = max(found.analysis.regions, key=lambda region: region.cells).polygon.centroid
    assert middle.x * found.cell - LEFT == pytest.approx(18, abs=1.5)
    assert middle.y * found.cell + TOP == pytest.approx(20.5, abs=1.5)
    if made is four_bands_and_nodata:
        assert found.analysis.why[5] > 0


def test_sources_without_common_ground_are_refused(clusters, folder, before):
    far = write_raster(folder / "far.tif", ground(False).astype(np.uint8), gsd=GSD, left=700_000)
    with pytest.raises(Refused) as refused:
        compare(clusters[1], open_input(before), open_input(far), folder / "mask.tif")
    assert refused.value.reason == "no-overlap"


def test_a_pair_ten_times_apart_in_gsd_is_answered_with_the_reason(clusters, folder, before):
    coarse = ground(True).reshape(3, 42, 10, 42, 10).mean((2, 4))
    path = written(folder / "coarse.tif", coarse, "uint8", gsd=10 * GSD)
    found = compare(clusters[1], open_input(before), open_input(path), folder / "mask.tif")
    assert list(comparison_features(found, label)) == []
    assert found.analysis.why[4] > 0
