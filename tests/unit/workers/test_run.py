"""Every item is answered once, whatever the grouping, the failures and the number of workers."""

import time

import dask
import distributed
import numpy as np
import pytest
from dask.utils import parse_timedelta
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.cluster import connect
from workers.run import Done, Failed, WorkersLostError, group, spread


@pytest.fixture(scope="module")
def client():
    with connect(workers=2, processes=False) as client:
        yield client


def squares(items):
    return [int(np.square(item)) for item in items]


@given(st.lists(st.integers()), st.integers(1, 9))
def test_groups_hold_every_item_in_order(items, size):
    groups = list(group(items, size))
    assert [item for batch in groups for item in batch] == items
    assert all(len(batch) == size for batch in groups[:-1])


@settings(max_examples=15, deadline=None)
@given(count=st.integers(0, 40), chunk=st.integers(1, 7), in_flight=st.integers(0, 5))
def test_every_item_is_answered_once(client, count, chunk, in_flight):
    answers = list(spread(client, squares, range(count), chunk=chunk, in_flight=in_flight))
    assert sorted((done.item, done.answer) for done in answers) == [(n, n * n) for n in range(count)]


def test_one_poisoned_item_does_not_cost_its_neighbours(client):
    def fragile(items):
        if 5 in items:
            raise OSError("cannot read\nrow 5")
        return squares(items)

    answers = list(spread(client, fragile, range(12), chunk=4))
    assert [answer for answer in answers if isinstance(answer, Failed)] == [Failed(5, "OSError: cannot read row 5")]
    assert sorted(a.item for a in answers if isinstance(a, Done)) == [n for n in range(12) if n != 5]


def test_a_passing_fault_is_tried_again_even_for_a_single_item(client, tmp_path):
    failed_once = tmp_path / "failed"

    def flaky(items):
        if not failed_once.exists():
            failed_once.touch()
            raise OSError("the network blinked")
        return squares(items)

    assert list(spread(client, flaky, [3], chunk=1)) == [Done(3, 9)]


def test_items_are_drawn_no_further_than_the_tasks_in_flight(client):
    drawn = []

    def source():
        for n in range(100):
            drawn.append(n)
            yield n

    answers = spread(client, squares, source(), chunk=2, in_flight=3)
    for _ in range(10):
        next(answers)
    time.sleep(0.2)
    assert len(drawn) <= 10 + 2 * 3 + 2
    answers.close()


def test_a_task_that_answers_for_too_few_items_is_a_programming_error(client):
    with pytest.raises(ValueError, match="1 answers for 2 items"):
        list(spread(client, lambda items: squares(items[:1]), range(2), chunk=2))


def test_a_run_without_a_single_worker_ends_by_name_instead_of_waiting_for_ever(monkeypatch):
    monkeypatch.setattr("workers.run.LOOK_UP_SECONDS", 0.05)
    monkeypatch.setattr("workers.run.NO_WORKER_SECONDS", 0.2)
    options = {"processes": False, "dashboard_address": None}
    with (
        distributed.LocalCluster(n_workers=0, **options) as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
        pytest.raises(WorkersLostError, match="no worker"),
    ):
        list(spread(client, list, range(3)))


def test_a_worker_that_takes_long_to_start_again_is_waited_for(clusters):
    """`LocalCluster` would take its nanny away after 15 seconds by default."""
    assert clusters[1].status == "running"
    assert parse_timedelta(dask.config.get("distributed.deploy.lost-worker-timeout")) >= 600
