"""A tile's answer survives being written, and says nothing of where it lies."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from imagery.tiles import Window
from workers.found import Plane, from_bytes, tile_found, to_bytes


@st.composite
def planes(draw):
    shape = draw(st.integers(1, 12)), draw(st.integers(1, 12))
    values = draw(st.sampled_from([(0,), (255,), (0, 1), (0, 1, 2, 255), tuple(range(256))]))
    return np.random.default_rng(draw(st.integers(0, 99))).choice(np.array(values, dtype=np.uint8), shape)


@given(planes(), st.integers(0, 11), st.integers(0, 11))
def test_a_packed_plane_is_the_plane_and_counts_its_parts(values, row, col):
    plane = Plane.pack(values)
    assert (plane.array() == values).all()
    for part in ((slice(0, len(values)), slice(0, values.shape[1])), (slice(row, 12), slice(0, col))):
        assert plane.count_in(part).tolist() == np.bincount(values[part].ravel(), minlength=256).tolist()


@given(planes(), st.integers(-9, 9), st.integers(-9, 9))
def test_equal_ground_is_equal_bytes_and_comes_back_wherever_it_is_asked_for(mask, row, col):
    height, width = mask.shape
    scores = np.arange(mask.size, dtype=np.uint32).reshape(mask.shape).astype(np.uint8)
    here, there = Window(7, 3, height, width), Window(row, col, height, width)
    written = [to_bytes(tile_found(core, mask, scores, mask // 50), core) for core in (here, there)]
    assert written[0] == written[1]
    again = from_bytes(written[0], there)
    expected = tile_found(there, mask, scores, mask // 50)
    assert again.kept
    assert not expected.kept
    assert (again.regions, again.mask, again.why) == (expected.regions, expected.mask, expected.why)
