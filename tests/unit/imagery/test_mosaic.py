"""Several rasters as one: each cell is that of the first source that has it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagery.errors import Refused
from imagery.mosaic import Mosaic, around, reader
from imagery.reader import read
from imagery.sources import open_source
from imagery.tiles import Window
from workers.testing import patches, write_raster


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """Three that overlap: two in one CRS at different GSDs, one in the neighbouring UTM zone."""
    folder = tmp_path_factory.mktemp("mosaic")
    rng = np.random.default_rng(3)
    one = write_raster(folder / "a.tif", patches(rng, 60, 70), left=500_000)
    two = write_raster(folder / "b.tif", patches(rng, 50, 60), left=500_045, top=3_399_980, gsd=1.5)
    three = write_raster(folder / "c.tif", patches(rng, 90, 90), left=-70_900, top=3_418_000, crs="EPSG:32651")
    return tuple(open_source(path) for path in (one, two, three))


@settings(max_examples=25)
@given(order=st.permutations([0, 1, 2]), row=st.integers(-10, 60), col=st.integers(-10, 90))
def test_each_cell_is_the_first_sources(sources, order, row, col):
    mosaic = Mosaic(tuple(sources[index] for index in order))
    grid = mosaic.grid(1.0)
    extent = mosaic.extent(grid)
    window = Window(extent.row + row, extent.col + col, 33, 29)
    with reader(mosaic) as opened:
        found = opened.read(grid, window)
    data, valid = np.zeros((3, 33, 29), dtype=np.uint8), np.zeros((33, 29), dtype=bool)
    for source in reversed(mosaic.sources):
        part = read(source, grid, window)
        data[:, part.valid] = part.data[:, part.valid]
        valid |= part.valid
    assert (found.valid == valid).all()
    assert (found.data == data).all()


def test_the_extent_holds_every_source(sources):
    mosaic = Mosaic(sources[:2])
    grid = mosaic.grid(0.5)
    for source in mosaic.sources:
        assert around([mosaic.extent(grid), source.extent(grid)]) == mosaic.extent(grid)


def test_a_picture_without_a_place_has_none_in_a_mosaic(sources, tmp_path):
    plain = write_raster(tmp_path / "plain.tif", patches(np.random.default_rng(1), 20, 20))
    with pytest.raises(Refused) as refusal:
        Mosaic((sources[0], open_source(plain, pixels=True)))
    assert refusal.value.reason == "mixed-coordinates"
