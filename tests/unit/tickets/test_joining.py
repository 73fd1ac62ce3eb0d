import math
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Geod

from tickets import joining
from tickets.states import State
from tickets.values import Event, Evidence, Sighting

DAY = datetime(2026, 11, 22, 4, tzinfo=UTC)
WUHAN = (114.3, 30.5)
GEOD = Geod(ellps="WGS84")


def square(east: float, north: float, side: float = 3.0, origin: tuple[float, float] = WUHAN) -> dict[str, object]:
    """A square of `side` metres whose lower left corner lies so far from the origin, by an independent geodesy."""

    def corner(x: float, y: float) -> list[float]:
        lon, lat, _ = GEOD.fwd(*origin, math.degrees(math.atan2(x, y)), math.hypot(x, y))
        return [lon, lat]

    ring = [(0, 0), (side, 0), (side, side), (0, side), (0, 0)]
    return {"type": "Polygon", "coordinates": [[corner(east + x, north + y) for x, y in ring]]}


def sighting(name: str, east: float, north: float = 0.0, **more: object) -> Sighting:
    given = {"class_": "spoil_heap", "score": 0.9, "area_m2": 9.0, "error_m": 1.0, "seen": DAY, "run": "detections/b"}
    return Sighting(id=name, geometry=square(east, north), flight="b", **(given | more))


def event(name: str, east: float, north: float = 0.0, **more: object) -> Event:
    given = {"class_": "spoil_heap", "state": State.CANDIDATE, "score": 0.9, "area_m2": 9.0, "error_m": 1.0}
    times = {"first_seen": DAY, "last_seen": DAY, "changed": DAY}
    rest = {"flight": "a", "evidence": Evidence(), "ticket": None, "approved_by": None, "merged_into": None}
    place = {"geometry": square(east, north), "lon": WUHAN[0], "lat": WUHAN[1]}
    return Event(id=name, **(given | times | rest | place | more))


def test_what_overlaps_is_the_same_thing() -> None:
    exact = {"error_m": 0.0}
    assert joining.match([sighting("s", 2.9, **exact)], [event("e", 0, **exact)]) == {"s": "e"}
    assert joining.match([sighting("s", 3.1, **exact)], [event("e", 0, **exact)]) == {}


@given(st.floats(0, 5), st.floats(0, 5), st.floats(0.01, 12), st.floats(0, 360))
def test_what_lies_nearer_than_the_errors_is_the_same_thing(one: float, other: float, gap: float, way: float) -> None:
    """Measured by pyproj's geodesic between points."""
    lon, lat, _ = GEOD.fwd(*WUHAN, way, gap)
    there = {"type": "Point", "coordinates": [lon, lat]}
    here = {"type": "Point", "coordinates": list(WUHAN)}
    seen, known = replace(sighting("s", 0, error_m=one), geometry=there), event("e", 0, error_m=other, geometry=here)
    limit = math.hypot(one, other)
    if abs(gap - limit) > 0.001 * gap + 1e-6:
        assert (joining.match([seen], [known]) == {"s": "e"}) == (gap < limit)


def test_another_class_is_another_thing() -> None:
    assert joining.match([sighting("s", 0, class_="debris")], [event("e", 0)]) == {}


def test_two_things_of_one_run_stay_two() -> None:
    """Both heaps lie within the errors of both events; each goes to the nearest, and none is swallowed."""
    seen = [sighting("left", 0.5, error_m=5.0), sighting("right", 4.5, error_m=5.0)]
    known = [event("l", 0, error_m=5.0), event("r", 4, error_m=5.0)]
    assert joining.match(seen, known) == {"left": "l", "right": "r"}
    assert joining.match(seen, known[:1]) == {"left": "l"}


@given(st.lists(st.tuples(st.floats(0, 30), st.floats(0, 30)), max_size=7), st.integers())
def test_the_order_does_not_matter(places: list[tuple[float, float]], seed: int) -> None:
    seen = [sighting(f"s{n}", *place, error_m=4.0) for n, place in enumerate(places)]
    known = [event(f"e{n}", y, x, error_m=4.0) for n, (x, y) in enumerate(places)]
    expected = joining.match(seen, known)
    shuffle = random.Random(seed).shuffle
    shuffle(seen)
    shuffle(known)
    assert joining.match(seen, known) == expected
    assert len(set(expected.values())) == len(expected)


@pytest.mark.parametrize("origin", [(180.0, -17.8), (0.0, 51.5), (19.0, 69.6)])
def test_it_holds_at_the_antimeridian_and_far_north(origin: tuple[float, float]) -> None:
    west, east, far = (square(x, 0, 2.0, origin) for x in (-2.4, 0.4, 4.0))  # gaps: 0.8 m, and 4.4 m to the far one
    known = [event("e", 0, error_m=0.0, geometry=west)]
    assert joining.match([replace(sighting("s", 0), geometry=east)], known) == {"s": "e"}
    assert joining.match([replace(sighting("s", 0), geometry=far)], known) == {}


def test_what_was_merged_claims_nothing() -> None:
    assert joining.match([sighting("s", 0)], [event("e", 0, state=State.MERGED)]) == {}


def test_a_rejection_holds_until_the_thing_has_grown() -> None:
    rejected = [event("e", 0, state=State.REJECTED)]
    later = DAY + timedelta(days=30)
    assert joining.match([sighting("s", 0, seen=later, area_m2=17.9)], rejected) == {"s": "e"}
    assert joining.match([sighting("s", 0, seen=later, area_m2=18.0)], rejected) == {}


@pytest.mark.parametrize("state", [State.CLOSED, State.WITHDRAWN])
def test_after_its_end_the_same_place_is_a_new_thing(state: State) -> None:
    ended = [event("e", 0, state=state)]
    assert joining.match([sighting("s", 0, seen=DAY - timedelta(hours=1))], ended) == {"s": "e"}
    assert joining.match([sighting("s", 0, seen=DAY + timedelta(hours=1))], ended) == {}
