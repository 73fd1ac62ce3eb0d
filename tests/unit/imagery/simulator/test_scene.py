"""What is laid out: counts, areas, places, and nothing left to chance."""

import itertools

import pytest
from shapely.geometry import box

from imagery.simulator.land import INSET
from imagery.simulator.scene import lay_out
from imagery.simulator.things import make_heap, put
from imagery.simulator.values import Rect, Scene, stream

SEEDS = range(6)


@pytest.fixture(scope="module", params=SEEDS)
def scene(request: pytest.FixtureRequest) -> Scene:
    return lay_out(request.param)


def test_a_seed_gives_one_scene() -> None:
    assert lay_out(11) == lay_out(11)
    assert lay_out(11) != lay_out(12)


def test_streams_are_independent_and_repeatable() -> None:
    assert stream(1, "a", 2).random() == stream(1, "a", 2).random()
    draws = {stream(*key).random() for key in ((1, "a"), (1, "b"), (2, "a"), (1, "a", 1), (1, "a", 2))}
    assert len(draws) == 5


def test_enough_appears_and_disappears(scene: Scene) -> None:
    heaps = [thing.change for thing in scene.things if thing.kind == "spoil_heap"]
    assert 4 <= heaps.count("appeared") <= 9
    assert 1 <= heaps.count("disappeared") <= 2
    assert heaps.count("unchanged") >= 1, "heaps that stay must not be reported: there have to be some"
    assert any(thing.kind == "construction_material" and thing.change == "appeared" for thing in scene.things)
    assert any(thing.kind == "debris" and thing.change == "appeared" for thing in scene.things)


def test_one_roof_changes_in_full_view(scene: Scene) -> None:
    changed = [building.changed for building in scene.buildings if building.changed is not None]
    assert len(changed) == 1
    assert box(0, 0, scene.width, scene.height).contains(changed[0])


def test_things_keep_off_the_border_and_off_each_other(scene: Scene) -> None:
    inner = box(INSET, INSET, scene.width - INSET, scene.height - INSET)
    assert all(inner.contains(thing.polygon) for thing in scene.things)
    for one, other in itertools.combinations(scene.things, 2):
        assert one.polygon.distance(other.polygon) > 0.5, (one.style, other.style)


def test_cars_come_and_go(scene: Scene) -> None:
    changes = [car.change for car in scene.cars]
    assert changes.count("appeared") > 5
    assert changes.count("disappeared") > 5
    assert changes.count("unchanged") > 0


@pytest.mark.parametrize("area", [2.2, 9.0, 40.0])
@pytest.mark.parametrize("key", range(5))
def test_a_heap_has_the_area_asked_for_and_lies_below_the_angle_of_repose(area: float, key: int) -> None:
    heap = make_heap(3, key, area, "loam")
    assert heap.polygon.area == pytest.approx(area)
    assert heap.polygon.is_valid
    assert all(lobe.height / lobe.radius < 0.8 for lobe in heap.lobes)


def test_a_thing_that_is_turned_and_moved_keeps_its_lobes_under_its_outline() -> None:
    placed = put(make_heap(1, 0, 20.0, "clay"), 30.0, 40.0, 1.1, before=False, after=True)
    for lobe in placed.lobes:
        assert lobe.polygon.difference(placed.polygon.buffer(0.02)).area < 0.01


def test_rectangles_turn_from_x_towards_y() -> None:
    plan = Rect(10, 20, 4, 2, 0.5)
    assert plan.polygon.area == pytest.approx(8)
    left, top, right, bottom = plan.polygon.bounds
    assert plan.reach == (pytest.approx((right - left) / 2), pytest.approx((bottom - top) / 2))
    assert plan.at(1, 0)[1] > 20
