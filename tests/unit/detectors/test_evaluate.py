"""Object scores against counts made by hand."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shapely import Polygon, box

from detectors.evaluate import Found, Tally, intersection_over_union, match, touched


def square(x: float, y: float, side: float = 2.0) -> Polygon:
    return box(x, y, x + side, y + side)


def test_hits_misses_and_false_alarms_are_counted() -> None:
    truth = [square(0, 0), square(10, 0), square(20, 0)]
    found = [Found(square(0.2, 0), 0.9), Found(square(11.5, 0), 0.8), Found(square(40, 0), 0.7)]
    tally = match(found, truth, area_m2=20_000)
    assert (tally.hits, tally.missed, tally.false) == (1, 2, 2)
    assert tally.precision == pytest.approx(1 / 3)
    assert tally.recall == pytest.approx(1 / 3)
    assert tally.f1 == pytest.approx(1 / 3)
    assert tally.false_per_hectare == 1.0


def test_one_true_object_is_hit_once() -> None:
    tally = match([Found(square(0, 0), 0.5), Found(square(0.1, 0), 0.9)], [square(0, 0)])
    assert (tally.hits, tally.missed, tally.false) == (1, 0, 1)


def test_the_surest_outline_chooses_first() -> None:
    # The sure one overlaps both but the left more; the other can then only have the right.
    truth = [square(0, 0), square(1.5, 0)]
    tally = match([Found(square(1.2, 0), 0.5), Found(square(0.1, 0), 0.9)], truth)
    assert (tally.hits, tally.missed, tally.false) == (2, 0, 0)


def test_findings_where_nobody_was_sure_are_not_held_against_anyone() -> None:
    found = [Found(square(0, 0), 0.9), Found(square(10, 0), 0.9)]
    assert match(found, [], ignore=[box(-1, -1, 1.2, 3)]).false == 1


def test_ratios_of_nothing_are_not_numbers() -> None:
    assert all(math.isnan(v) for v in (Tally().precision, Tally().recall, Tally().f1, Tally().false_per_hectare))


def test_an_object_is_touched_by_outlines_of_any_class_together() -> None:
    halves = [Found(box(0, 0, 0.3, 2), 0.9), Found(box(0.3, 0, 0.5, 2), 0.2)]
    assert touched(halves, [square(0, 0), square(5, 5)]) == 1
    assert touched(halves[:1], [square(0, 0)]) == 0


places = st.tuples(st.floats(0, 20), st.floats(0, 20), st.floats(0.5, 5))


@given(st.lists(places, max_size=8), st.lists(places, max_size=8), st.randoms())
def test_counts_always_add_up_and_do_not_depend_on_order(
    found: list[tuple[float, float, float]], truth: list[tuple[float, float, float]], random: object
) -> None:
    outlines = [Found(square(*place), 0.5 + index / 100) for index, place in enumerate(found)]
    objects = [square(*place) for place in truth]
    tally = match(outlines, objects)
    assert tally.hits + tally.missed == len(objects)
    assert tally.hits + tally.false == len(outlines)
    random.shuffle(outlines)  # type: ignore[attr-defined]
    assert match(outlines, objects) == tally


@given(places, places)
def test_iou_is_symmetric_and_within_its_bounds(
    one: tuple[float, float, float], other: tuple[float, float, float]
) -> None:
    a, b = square(*one), square(*other)
    assert 0 <= intersection_over_union(a, b) <= 1 + 1e-9
    assert intersection_over_union(a, b) == pytest.approx(intersection_over_union(b, a))
    assert intersection_over_union(a, a) == pytest.approx(1)
