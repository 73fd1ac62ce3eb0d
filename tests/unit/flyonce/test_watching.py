"""When a file that is being copied counts as whole, and that none is forgotten."""

import itertools
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flyonce.watching import Settling, watch
from imagery.errors import Refused

A, B = Path("a.JPG"), Path("b.JPG")


def test_a_file_is_told_once_it_stops_growing_and_again_when_it_changes():
    settling = Settling(5)
    assert settling.look({A: (10, 1)}, 0) == []
    assert settling.look({A: (20, 2)}, 4) == []
    assert settling.look({A: (20, 2)}, 8.9) == []
    assert settling.look({A: (20, 2)}, 9) == [A]
    assert settling.look({A: (20, 2), B: (1, 1)}, 20) == []
    assert settling.look({A: (20, 3), B: (1, 1)}, 25) == [B]
    assert settling.look({A: (20, 3), B: (1, 1)}, 30) == [A]


def test_what_could_not_be_taken_is_told_again():
    settling = Settling(0)
    assert settling.look({A: (1, 1)}, 0) == [A]
    settling.forget(A)
    assert settling.look({A: (1, 1)}, 1) == [A]


def test_a_file_that_goes_and_comes_back_must_settle_anew():
    settling = Settling(5)
    settling.look({A: (1, 1)}, 0)
    settling.look({}, 3)
    assert settling.look({A: (1, 1)}, 6) == []


@given(st.lists(st.integers(1, 3), min_size=1, max_size=20), st.integers(0, 4))
def test_whatever_a_file_does_its_last_state_is_told_exactly_once(sizes, seconds):
    settling = Settling(seconds)
    told = []
    for now, size in enumerate(sizes):
        told += [size for _ in settling.look({A: (size, size)}, now)]
    for now in range(len(sizes), len(sizes) + seconds + 2):
        told += [sizes[-1] for _ in settling.look({A: (sizes[-1], sizes[-1])}, now)]
    assert told[-1] == sizes[-1]
    assert all(one != other for one, other in itertools.pairwise(told))


def test_the_last_look_takes_what_has_settled_and_tries_again_what_failed(tmp_path):
    (tmp_path / "a.JPG").write_bytes(b"x")
    stop, clock, calls = threading.Event(), iter(range(100)), []

    def take(found):
        calls.append([one.name for one in found])
        if len(calls) == 2:
            stop.set()
        return len(calls) > 1

    watch(tmp_path, take, lambda: next(clock), stop, settle=1, every=0)
    assert calls == [["a.JPG"], ["a.JPG"]]
    with pytest.raises(Refused) as refused:
        watch(tmp_path / "a.JPG", take, lambda: 0, stop)
    assert refused.value.reason == "not-a-folder"
