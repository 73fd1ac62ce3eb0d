"""Regions joined as cores come in equal regions joined at the end, and equal the whole in one piece."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from imagery.polygons import merge, polygonise
from imagery.tiles import TilePlan, Window
from workers.regions import Regions, order
from workers.seams import Seams

CORE = 5
PLAN = TilePlan(CORE, 1)


@st.composite
def pictures(draw):
    height, width = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    seed = draw(st.integers(0, 2**32 - 1))
    share = draw(st.sampled_from([0.3, 0.6, 0.9]))
    rng = np.random.default_rng(seed)
    mask = np.where(
        rng.random((height * CORE, width * CORE)) < share, rng.integers(1, 3, (height * CORE, width * CORE)), 0
    )
    places = draw(st.permutations([(i, j) for i in range(height) for j in range(width)]))
    lost = draw(st.sets(st.sampled_from(places), max_size=2))
    return mask.astype(np.uint8), places, lost, (draw(st.integers(-3, 3)) * CORE, draw(st.integers(-3, 3)) * CORE)


@settings(max_examples=150)
@given(pictures())
def test_any_order_of_cores_gives_the_regions_of_the_whole(picture):
    mask, places, lost, (top, left) = picture
    whole = Window(top, left, *mask.shape)
    scores = np.arange(mask.size, dtype=np.uint32).reshape(mask.shape).astype(np.uint8)
    kept, every = [], []
    seams = Seams(PLAN, whole, kept.append)
    seen = mask.copy()
    for i, j in places:
        core = Window(top + i * CORE, left + j * CORE, CORE, CORE)
        part = core.slices_in(whole)
        if (i, j) in lost:
            seen[part] = 0
            seams.add(core)
            continue
        regions = polygonise(mask[part], core, scores[part])
        every += regions
        seams.add(core, regions)
    assert seams.waiting == 0
    assert sorted(kept, key=order) == sorted(merge(every), key=order)
    assert sorted(kept, key=order) == sorted(polygonise(seen, whole, scores), key=order)


def test_in_row_order_about_one_row_of_cores_waits():
    """One long region down every second column of cells: each core of a row holds some, and nothing older is held."""
    columns, rows = 6, 60
    mask = np.zeros((CORE, CORE), dtype=np.uint8)
    mask[1:, ::2] = 1  # touches the core below, not the one above
    kept, most = [], 0
    whole = Window(0, 0, rows * CORE, columns * CORE)
    seams = Seams(PLAN, whole, kept.append)
    for tile in PLAN.tiles(whole):
        seams.add(tile.core, polygonise(mask, tile.core))
        most = max(most, seams.waiting)
    assert most <= (columns + 1) * 3
    assert len(kept) == rows * columns * 2 + rows


@settings(max_examples=30)
@given(pictures(), st.integers(1, 7))
def test_regions_come_back_in_order_from_memory_and_from_disk(picture, at_once):
    mask, _, _, _ = picture
    regions = polygonise(mask, Window(0, 0, *mask.shape))
    spilled = Regions(at_once=at_once)
    for region in reversed(regions):
        spilled.add(region)
    assert len(spilled) == len(regions)
    for _ in range(2):
        assert list(spilled) == sorted(regions, key=order)
    readings = zip(spilled, spilled, strict=True)  # two readers at the same time
    assert all(one == other for one, other in readings)
