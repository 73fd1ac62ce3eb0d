"""Events against truth, by hand-made squares."""

from typing import Any

from flyonce.truth import score


def square(name: str, x: float, side: float = 1.0, **properties: Any) -> dict[str, Any]:
    ring = [[x, 0.0], [x + side, 0.0], [x + side, side], [x, side], [x, 0.0]]
    return {"id": name, "geometry": {"type": "Polygon", "coordinates": [ring]}, "properties": properties}


def heap(name: str, x: float, **changed: Any) -> dict[str, Any]:
    return square(name, x, **{"class": "spoil_heap", "change": "appeared", "area_m2": 9.0, **changed})


def test_a_covered_heap_is_found_and_an_event_on_nothing_is_false() -> None:
    result = score([square("e1", 0.5), square("e2", 7.0)], [heap("h1", 0.0), heap("h2", 3.0)])
    assert (result.found, result.missed, result.false) == (("h1",), ("h2",), ("e2",))
    assert result.recall == 0.5


def test_small_and_vanished_heaps_are_not_asked_for() -> None:
    result = score([], [heap("small", 0.0, area_m2=3.9), heap("gone", 3.0, change="disappeared")])
    assert (result.found, result.missed, result.recall) == ((), (), 1.0)


def test_an_event_on_material_or_a_small_heap_is_true_but_one_where_a_heap_vanished_is_false() -> None:
    truth = [
        heap("small", 0.0, area_m2=1.0),
        heap("pipes", 3.0, **{"class": "construction_material"}),
        heap("gone", 6.0, change="disappeared"),
    ]
    assert score([square("a", 0.0), square("b", 3.0), square("c", 6.0)], truth).false == ("c",)


def test_a_touch_is_no_find() -> None:
    assert score([square("e", 0.9)], [heap("h", 0.0)]).missed == ("h",)


def test_an_event_spread_over_half_the_block_is_not_true_by_chance() -> None:
    assert score([square("e", 0.0, side=10.0)], [heap("h", 0.0)]).false == ("e",)
