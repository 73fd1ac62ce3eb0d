"""Rate and time left are those of the last minute."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.pace import LATELY, Pacer


def paces(steps, total=1000, stage="detect"):
    """Of (seconds since the last, tiles done) steps, the paces that are told."""
    now, done, found = 0.0, 0, []
    pacer = Pacer(lambda: now)
    for seconds, tiles in steps:
        now += seconds
        done += tiles
        found.append(pacer(stage, done, total))
    return found


def test_a_steady_run_tells_its_rate_and_when_it_ends():
    *_, last = paces([(0, 0), *[(2.0, 5)] * 100])
    assert last.per_second == pytest.approx(2.5)
    assert last.seconds_left == pytest.approx((1000 - 500) / 2.5)


def test_what_was_fast_an_hour_ago_does_not_count():
    """Tiles that came from the cache at first say nothing of those that are computed now."""
    *_, last = paces([(0, 0), *[(0.01, 10)] * 50, *[(1.0, 1)] * 120])
    assert last.per_second == pytest.approx(1.0, rel=0.05)


def test_a_new_pass_starts_anew_and_nothing_is_told_from_nothing():
    now = 0.0
    pacer = Pacer(lambda: now)
    assert pacer("shift", 0, 10).per_second is None
    now = 5.0
    assert pacer("shift", 10, 10).seconds_left == 0
    assert pacer("light", 0, 10).per_second is None
    assert pacer("light", 0, 10).seconds_left is None


@given(st.lists(st.tuples(st.floats(0, 2 * LATELY), st.integers(0, 9)), min_size=1))
def test_no_pace_is_negative_or_endless(steps):
    for pace in paces(steps):
        assert pace.per_second is None or pace.per_second >= 0
        assert pace.seconds_left is None or 0 <= pace.seconds_left < float("inf")
