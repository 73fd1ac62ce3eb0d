"""Stages that overlap answer every item once, hold few windows, and stop at the first error."""

import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.pipeline import Known, Threads, overlapped

threads = st.builds(
    Threads,
    readers=st.integers(1, 3),
    lanes=st.integers(1, 3),
    finishers=st.integers(1, 2),
    ahead=st.integers(1, 3),
)


@settings(max_examples=60)
@given(items=st.lists(st.integers(0, 99)), batch=st.integers(1, 5), threads=threads)
def test_every_item_is_answered_once_whatever_the_threads(items, batch, threads):
    sizes = []

    def score(raws):
        sizes.append(len(raws))
        return [raw * 2 for raw in raws]

    answers = list(
        overlapped(
            items,
            lambda item: Known(-item) if item % 7 == 0 else item,
            score,
            lambda item, raw, scored: scored + 1 if raw == item else None,
            batch=batch,
            threads=threads,
        )
    )
    assert sorted(answers) == sorted((n, -n if n % 7 == 0 else 2 * n + 1) for n in items)
    scored = [item for item, _ in answers if item % 7]
    assert scored == [item for item in items if item % 7]
    assert sum(size < batch for size in sizes) <= 1, "only the last batch may be short"


def test_reading_scoring_and_finishing_go_on_at_the_same_time():
    """Two stages that wait for each other can only come to an end when both run."""
    reading, scoring = threading.Event(), threading.Event()

    def read(item):
        if item == 3:
            assert scoring.wait(20), "nothing is scored while a later window is read"
            reading.set()
        return item

    def score(raws):
        scoring.set()
        assert reading.wait(20), "nothing is read while an earlier window is scored"
        return raws

    answers = overlapped(range(6), read, score, lambda item, _raw, _scored: item, batch=1, threads=Threads(ahead=4))
    assert [answer for _, answer in answers] == list(range(6))


def test_no_more_windows_are_held_than_the_stages_have_room_for():
    held, most, guard = 0, 0, threading.Lock()

    def read(item):
        nonlocal held, most
        with guard:
            held += 1
            most = max(most, held)
        return item

    def finish(item, _raw, _scored):
        nonlocal held
        with guard:
            held -= 1
        return item

    threads = Threads(readers=2, lanes=2, finishers=1, ahead=2)
    for _ in overlapped(range(300), read, lambda raws: raws, finish, batch=3, threads=threads):
        pass
    assert most <= 3 * (threads.ahead + 1 + threads.lanes + 2)


@pytest.mark.parametrize("stage", ["read", "score", "finish"])
def test_what_a_stage_raises_ends_the_run_and_no_thread_stays(stage):
    def fail(name, value):
        if name == stage and value == 5:
            raise OSError("gone")
        return value

    before = threading.active_count()
    answers = overlapped(
        range(50),
        lambda item: fail("read", item),
        lambda raws: [fail("score", raw) for raw in raws],
        lambda item, _raw, _scored: fail("finish", item),
        batch=2,
    )
    with pytest.raises(OSError, match="gone"):
        list(answers)
    time.sleep(0.05)
    assert threading.active_count() <= before


def test_a_run_that_is_given_up_starts_nothing_more():
    seen = []

    def read(item):
        seen.append(item)
        return item

    answers = overlapped(range(10_000), read, lambda raws: raws, lambda item, _raw, _scored: item, batch=2)
    next(answers)
    answers.close()
    count = len(seen)
    time.sleep(0.05)
    assert len(seen) == count < 50
