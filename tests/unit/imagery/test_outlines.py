"""Traced outlines against rasterio's polygons and shapely's areas; the corners where rings meet."""

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from rasterio.features import rasterize, shapes
from shapely.geometry import Polygon, box

from imagery.outlines import outlines

pictures = hnp.arrays(np.bool_, st.tuples(st.integers(1, 20), st.integers(1, 20)))


def picture(*rows: str) -> np.ndarray:
    return np.array([[cell == "#" for cell in row] for row in rows])


def ones(inside: np.ndarray) -> np.ndarray:
    return np.ones(inside.shape, dtype=np.uint8)


@settings(deadline=None)
@given(pictures, st.integers(-9, 9), st.integers(-9, 9))
def test_outlines_burn_back_into_the_cells_they_are_of(inside, col, row):
    found = outlines(inside, ones(inside), (col, row))
    there = [shapely.transform(each.polygon, lambda xy: xy - [col, row]) for each in found]
    burnt = rasterize([(polygon, 1) for polygon in there], inside.shape) if there else np.zeros(inside.shape)
    assert (burnt == inside).all()
    oracle = [shapely.geometry.shape(shape).area for shape, value in shapes(inside.astype(np.uint8)) if value]
    assert sorted(each.polygon.area for each in found) == sorted(oracle)
    for each in found:
        assert each.polygon.is_valid
        assert each.polygon == shapely.normalize(each.polygon)
        assert each.cells == each.total == each.polygon.area
        assert len(each.polygon.simplify(0).exterior.coords) == len(each.polygon.exterior.coords)


@settings(deadline=None)
@given(pictures, st.integers(0, 2**32 - 1))
def test_totals_are_sums_of_the_weights_inside(inside, seed):
    weights = np.random.default_rng(seed).integers(0, 256, inside.shape, dtype=np.uint8)
    y, x = np.mgrid[: inside.shape[0], : inside.shape[1]] + 0.5
    for each in outlines(inside, weights):
        assert each.total == weights[shapely.contains_xy(each.polygon, x, y)].sum()


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (("#.", ".#"), [box(0, 0, 1, 1), box(1, 1, 2, 2)]),
        (("###", "#.#", "###"), [Polygon(box(0, 0, 3, 3).exterior, [box(1, 1, 2, 2).exterior])]),
        # The hole touches the outside in a corner, and another hole in one.
        (
            ("##.", "#.#", "###"),
            [Polygon([(0, 0), (2, 0), (2, 1), (3, 1), (3, 3), (0, 3)], [box(1, 1, 2, 2).exterior])],
        ),
        (
            ("####", "#.##", "##.#", "####"),
            [Polygon(box(0, 0, 4, 4).exterior, [box(1, 1, 2, 2).exterior, box(2, 2, 3, 3).exterior])],
        ),
        # An island in the hole of another.
        (
            ("#####", "#...#", "#.#.#", "#...#", "#####"),
            [Polygon(box(0, 0, 5, 5).exterior, [box(1, 1, 4, 4).exterior]), box(2, 2, 3, 3)],
        ),
        (("...",), []),
    ],
)
def test_rings_that_meet_in_a_corner(rows, expected):
    inside = picture(*rows)
    found = {each.polygon.wkb for each in outlines(inside, ones(inside))}
    assert found == {shapely.normalize(polygon).wkb for polygon in expected}
