"""Geometries looked at together are those looked at one by one; what is no geometry is refused either way."""

from typing import Any

import pytest
import shapely
import shapely.geometry
from hypothesis import given
from hypothesis import strategies as st

from stac.geometry import geometries_of, geometry_of

SQUARE = {"type": "Polygon", "coordinates": [[[0, 0], [2, 0], [2, 2], [0, 2], [0, 0]]]}
HOLED = {"type": "Polygon", "coordinates": [*SQUARE["coordinates"], [[1, 1], [1.5, 1], [1.5, 1.5], [1, 1]]]}
HIGH = {"type": "Polygon", "coordinates": [[[0, 0, 9], [2, 0, 9], [2, 2, 9], [0, 0, 9]]]}
OPEN = {"type": "Polygon", "coordinates": [[[0, 0], [2, 0], [2, 2], [0, 2]]]}
POINT = {"type": "Point", "coordinates": [102.7, 25]}
BOTH = {"type": "GeometryCollection", "geometries": [POINT, SQUARE]}


@st.composite
def triangles(draw: st.DrawFn) -> dict[str, Any]:
    number = st.integers(-90, 90) | st.floats(-90, 90)
    corners = [[draw(number), draw(number)] for _ in range(3)]
    return {"type": "Polygon", "coordinates": [[*corners, corners[0]]]}


@given(st.lists(st.sampled_from([SQUARE, HOLED, HIGH, OPEN, POINT, BOTH]) | triangles(), min_size=1, max_size=8))
def test_together_and_one_by_one_are_the_same(values: list[dict[str, Any]]) -> None:
    expected = [shapely.force_2d(shapely.geometry.shape(value)) for value in values]
    if not all(one.is_valid for one in expected):
        with pytest.raises(ValueError, match="not a valid Polygon"):
            geometries_of(values)
        return
    assert [one.wkb for one in geometries_of(values)] == [one.wkb for one in expected]
    assert [geometry_of(value).wkb for value in values] == [one.wkb for one in expected]


def ring(*positions: Any) -> dict[str, Any]:
    return {"type": "Polygon", "coordinates": [list(positions)]}


@pytest.mark.parametrize(
    "value",
    [
        ring(["0", "0"], ["2", "0"], ["2", "2"], ["0", "0"]),
        ring([0, 0], [True, 0], [2, 2], [0, 0]),
        ring([0, 0], [None, 0], [2, 2], [0, 0]),
        ring([0, 0], [2, 0], [10**30, 2], [0, 0]),
        ring([0, 0], [2, 0], [float("nan"), 2], [0, 0]),
        ring([0, 0], [2, 0]),
        ring("ab", "cd", "ef", "ab"),
        ring(),
        ring([[0, 0], [0, 0]], [[0, 0], [0, 0]], [[0, 0], [0, 0]]),
        {"type": "Polygon", "coordinates": 3},
        {"type": "Polygon", "coordinates": [3]},
        {"type": "Polygon"},
        {"type": "Point", "coordinates": ["1", "2"]},
        {"type": "GeometryCollection", "geometries": [{"type": "Point", "coordinates": ["1", "2"]}]},
        {"type": "GeometryCollection", "geometries": 3},
        {"type": ["Polygon"]},
        "POINT (1 2)",
        None,
    ],
)
def test_what_is_no_geometry_is_refused_alone_and_among_others(value: Any) -> None:
    for values in ([value], [SQUARE, value, POINT]):
        with pytest.raises(ValueError, match=r"not a|outside|empty"):
            geometries_of(values)
