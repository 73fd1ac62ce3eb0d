"""Windows on the ground grid: where they lie depends on nothing but the plan."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rasterio.transform import Affine, array_bounds

from imagery.tiles import PIXELS, GroundGrid, TilePlan, Window

places = st.integers(-10_000, 10_000)
sides = st.integers(1, 300)
windows = st.builds(Window, places, places, sides, sides)
plans = st.builds(TilePlan, st.integers(16, 128), st.integers(0, 64))


@given(plans, windows)
def test_cores_cover_the_extent_once(plan: TilePlan, extent: Window) -> None:
    seen = np.zeros((extent.height, extent.width), dtype=int)
    for tile in plan.tiles(extent):
        seen[tile.core.intersect(extent).slices_in(extent)] += 1
        assert tile.full == tile.core.grow(plan.halo)
    assert (seen == 1).all()


@given(plans, windows, windows)
def test_two_extents_share_the_tiles_that_both_reach(plan: TilePlan, one: Window, other: Window) -> None:
    common = one.intersect(other)
    shared = set(plan.tiles(one)) & set(plan.tiles(other))
    assert {tile for tile in shared if not tile.core.intersect(common).empty} == set(plan.tiles(common))


@given(windows, windows)
def test_an_intersection_is_what_lies_in_both(one: Window, other: Window) -> None:
    common = one.intersect(other)
    rows = set(range(one.row, one.row + one.height)) & set(range(other.row, other.row + other.height))
    cols = set(range(one.col, one.col + one.width)) & set(range(other.col, other.col + other.width))
    assert common.height * common.width == len(rows) * len(cols)
    if not common.empty:
        assert (common.row, common.col) == (min(rows), min(cols))


@given(windows, st.sampled_from([0.03, 0.06, 0.1, 0.5, 5.0]), st.sampled_from(["EPSG:4547", PIXELS]))
def test_covering_a_windows_own_bounds_gives_it_back(window: Window, cell: float, crs: str) -> None:
    grid = GroundGrid(crs, cell)
    left, bottom, right, top = array_bounds(window.height, window.width, Affine(*grid.transform(window)))
    assert grid.cover(left, bottom, right, top) == window


def test_an_empty_extent_has_no_tiles() -> None:
    assert list(TilePlan(8, 2).tiles(Window(3, 3, 0, 0))) == []


def test_a_window_of_negative_size_is_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        Window(0, 0, -1, 5)
