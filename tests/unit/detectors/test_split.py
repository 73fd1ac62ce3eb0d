"""What is held out shares no place, and no ground, with what is learned from."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shapely import box

from detectors.labels import IGNORE, Labelled, Shape
from detectors.split import kinds, split


def picture(name, place, *shapes, width=1000, height=600):
    return Labelled(Path(f"{name}.png"), f"{name:0>64}", 0.1, width, height, place, shapes)


def heap(x, y=100, kind="heap"):
    return Shape(kind, box(x, y, x + 40, y + 40))


@given(
    st.lists(st.tuples(st.sampled_from("abcd"), st.integers(1, 5), st.sampled_from(["heap", "pile"])), max_size=12),
    st.integers(0, 5),
    st.randoms(),
)
def test_no_place_is_on_both_sides_and_every_class_stays_to_learn_from(drawn, seed, random):
    pictures = [
        picture(str(index), place, *(heap(60 * i, kind=kind) for i in range(count)))
        for index, (place, count, kind) in enumerate(drawn)
    ]
    if len({one.place for one in pictures}) < 2:
        return
    parts = split(pictures, seed)
    assert {one.place for one in parts.learn}.isdisjoint(one.place for one in parts.held)
    assert sorted((*parts.learn, *parts.held), key=lambda one: one.sha256) == sorted(
        pictures, key=lambda one: one.sha256
    )
    assert set(kinds(parts.learn)) == set(kinds(pictures))
    random.shuffle(pictures)
    assert split(pictures, seed) == parts


def test_one_picture_is_cut_by_a_line_and_what_lies_across_it_counts_nowhere():
    shapes = [heap(x) for x in (10, 150, 290, 430, 570, 710, 850)]
    across = Shape("heap", box(0, 300, 1000, 340))
    parts = split([picture("one", "here", *shapes, across)])
    (learn,), (held,) = parts.learn, parts.held
    for side in (learn, held):
        (*_, other) = side.shapes
        assert other.kind == IGNORE
        for one in side.shapes[:-1]:
            assert not one.polygon.intersects(other.polygon) or one.kind == IGNORE
    assert kinds([learn])["heap"] + kinds([held])["heap"] == 7
    assert kinds([held])["heap"] >= 2
    assert across.polygon in [one.polygon for one in learn.shapes if one.kind == IGNORE]
    upright = replace(picture("one", "here", heap(10, 10), heap(10, 500)), width=300)
    assert "below y" in split([upright]).how


@pytest.mark.parametrize(
    "pictures",
    [
        [picture("a", "here", heap(1)), picture("b", "here", heap(1))],
        [picture("a", "here", heap(1)), picture("b", "there", heap(1, kind="pile"))],
        [picture("a", "here", heap(1))],
    ],
)
def test_where_nothing_can_be_spared_it_says_so(pictures):
    parts = split(pictures)
    assert parts.held == ()
    assert len(parts.learn) == len(pictures)
    assert parts.how.startswith("nothing held out")
