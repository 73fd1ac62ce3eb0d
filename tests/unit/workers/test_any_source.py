"""Sources of any CRS, GSD, bands, depth and rotation: cut into windows they give what one window over all gives."""

import json
from dataclasses import replace

import numpy as np
import pytest
import rasterio
import rasterio.warp
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Geod
from rasterio.transform import Affine
from shapely.geometry import shape

from workers.detect import detect
from workers.inputs import Input, open_input, open_mosaic
from workers.outputs import about_detection, detection_features, write_mask
from workers.results import Effort
from workers.testing import SPEC, Bright, label, load, patches, write_raster
from workers.vectors import encode

ONE = replace(SPEC, core=256, batch=1)
CORNERS = {"EPSG:32650": (500_000.0, 3_400_000.0), "EPSG:4547": (500_000.0, 3_400_000.0), "EPSG:3857": (1.3e7, 3.6e6)}


class Whole(Bright):
    """`Bright` with windows so large that one or a few hold the whole raster."""

    spec = ONE

    def scores(self, pixels, valid):
        mean = F.avg_pool2d(F.pad(pixels.float().mean(1, keepdim=True), (2, 2, 2, 2)), 5, stride=1)
        return (torch.cat([mean, 255 - mean], dim=1) * valid[:, None]).round().to(torch.uint8)


def load_whole(name, device="cpu"):
    return Whole()


@st.composite
def rasters(draw):
    return {
        "crs": draw(st.sampled_from([*CORNERS, "EPSG:4326"])),
        "gsd": draw(st.sampled_from([0.4, 1.0, 1.7])),
        "turn": draw(st.sampled_from([0.0, 0.0, 17.0, -90.0])),
        "bands": draw(st.sampled_from([1, 3, 4])),
        "dtype": draw(st.sampled_from(["uint8", "uint16", "float32"])),
        "seed": draw(st.integers(0, 2**32 - 1)),
        "size": (draw(st.integers(30, 70)), draw(st.integers(30, 70))),
    }


def written(path, crs, gsd, turn, bands, dtype, seed, size):
    grey = patches(np.random.default_rng(seed), *size, 7)[0]
    left, top = CORNERS.get(crs, (117.0, 30.7))
    step = gsd / 111_000 if crs == "EPSG:4326" else gsd / 0.86 if crs == "EPSG:3857" else gsd
    transform = Affine.translation(left, top) @ Affine.rotation(turn) @ Affine.scale(step, -step)
    data = np.stack([grey] * bands).astype(dtype)
    if dtype != "uint8":
        data *= 9
    profile = {"driver": "GTiff", "width": size[1], "height": size[0], "count": bands, "dtype": dtype, "crs": crs}
    with rasterio.open(path, "w", transform=transform, **profile) as ds:
        ds.write(data)
    return path


@settings(max_examples=12)
@given(raster=rasters())
def test_windows_of_any_source_give_what_one_window_gives(clusters, tmp_path_factory, raster):
    folder = tmp_path_factory.mktemp("any")
    source = open_input(written(folder / "a.tif", **raster))
    tiled = detect(clusters[3], SPEC, source, folder / "tiled.tif", load=load, chunk=3)
    whole = detect(clusters[1], ONE, source, folder / "whole.tif", load=load_whole)
    assert tiled.extent == whole.extent
    assert tiled.analysis.tiles >= whole.analysis.tiles
    assert list(tiled.analysis.regions) == list(whole.analysis.regions)
    with rasterio.open(folder / "tiled.tif") as one, rasterio.open(folder / "whole.tif") as other:
        assert (one.read() == other.read()).all()
        assert one.transform == other.transform
        # Where the mask says that the raster lies is where rasterio says so.
        with rasterio.open(folder / "a.tif") as ds:
            bounds = rasterio.warp.transform_bounds(ds.crs, one.crs, *ds.bounds, densify_pts=33)
        assert np.abs(np.array(one.bounds) - np.array(bounds)).max() <= 2 * SPEC.gsd + 0.01 * max(raster["size"])
    for feature in detection_features(tiled, label):
        area, _ = Geod(ellps="WGS84").geometry_area_perimeter(shape(feature["geometry"]))
        assert feature["properties"]["area_m2"] == pytest.approx(area, abs=1e-3)


def answer(client, source: Input, folder, **options):
    found = detect(client, SPEC, source, folder / "raw.tif", load=load, **options)
    write_mask(folder / "raw.tif", folder / "mask.tif", source, found.grid, found.extent)
    return encode(detection_features(found, label), about_detection(found)), (folder / "mask.tif").read_bytes()


def test_a_mosaic_gives_what_the_picture_in_one_piece_gives(clusters, tmp_path):
    data = patches(np.random.default_rng(4), 90, 120)
    whole = open_input(write_raster(tmp_path / "whole.tif", data))
    left = write_raster(tmp_path / "left.tif", data[:, :, :70])
    right = write_raster(tmp_path / "right.tif", data[:, :, 70:], left=500_070)
    mosaic = open_mosaic([left, right])
    one, two = answer(clusters[1], whole, tmp_path), answer(clusters[2], mosaic, tmp_path)
    assert one[1] == two[1]
    assert json.loads(one[0])["features"] == json.loads(two[0])["features"]


def test_the_cache_changes_no_byte_and_a_shifted_extent_reads_it(clusters, tmp_path):
    from imagery.tiles import Window
    from workers.tilecache import CacheAt

    source = open_input(write_raster(tmp_path / "a.tif", patches(np.random.default_rng(5), 100, 120)))
    cache = CacheAt(str(tmp_path / "tiles"))
    plain = answer(clusters[2], source, tmp_path)
    assert answer(clusters[2], source, tmp_path, cache=cache) == plain
    assert answer(clusters[1], source, tmp_path, cache=cache, chunk=5) == plain
    again = detect(clusters[1], SPEC, source, tmp_path / "raw.tif", load=load, cache=cache)
    assert again.analysis.kept == again.analysis.tiles
    assert again.analysis.spent == 0 < again.analysis.saved
    around = Window(again.extent.row + 13, again.extent.col + 21, 50, 60)
    shifted = detect(clusters[2], SPEC, source, tmp_path / "raw.tif", load=load, cache=cache, extent=around)
    assert shifted.analysis.kept == shifted.analysis.tiles
    effort = Effort()
    for run in (again, shifted):
        effort(run.analysis)
    told, tiles = effort.to_dict(), again.analysis.tiles + shifted.analysis.tiles
    assert (told["tiles"], told["tiles_kept"], told["seconds_spent"]) == (tiles, tiles, 0)
    assert told["seconds_saved"] == pytest.approx(again.analysis.saved + shifted.analysis.saved, abs=0.01)
    # The same ground in another file, of another department: read, and known again.
    other = open_input(write_raster(tmp_path / "b.tif", patches(np.random.default_rng(5), 100, 120)))
    theirs = detect(clusters[2], SPEC, other, tmp_path / "raw.tif", load=load, cache=cache)
    assert theirs.analysis.kept == theirs.analysis.tiles
