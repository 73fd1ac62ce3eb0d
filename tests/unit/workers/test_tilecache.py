"""The cache gives back what was put, whole or not at all, stays within its size, and never fails a run."""

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.tilecache import CacheAt, TileCache, key_of


@pytest.fixture
def cache(tmp_path):
    return TileCache(CacheAt(str(tmp_path / "tiles"), limit=1 << 20))


def entries(cache):
    return [path for path in cache.folder.glob("??/*") if not path.name.startswith(".")]


@given(st.lists(st.tuples(st.text(max_size=3), st.integers(0, 3)), min_size=2, max_size=2))
def test_keys_differ_where_anything_differs(parts):
    one, other = parts
    assert (key_of(*one) == key_of(*other)) == (one == other)
    assert key_of("a", "b") != key_of("ab") != key_of(["a", "b"])


def test_what_was_put_comes_back_also_to_another_process(cache):
    key = key_of("pixels", 1)
    assert cache.get(key) is None
    assert cache.put(key, b"answer" * 100)
    assert TileCache(CacheAt(str(cache.folder))).get(key) == b"answer" * 100


@pytest.mark.parametrize("harm", [lambda data: data[:-3], lambda data: b"", lambda data: data[:60] + b"x" + data[61:]])
def test_a_damaged_entry_is_not_there(cache, harm):
    key = key_of("pixels", 1)
    cache.put(key, b"answer" * 100)
    (path,) = entries(cache)
    path.write_bytes(harm(path.read_bytes()))
    assert cache.get(key) is None
    assert entries(cache) == []
    cache.put(key, b"answer")
    assert cache.get(key) == b"answer"


def test_the_least_recently_used_go_first_and_the_limit_holds(tmp_path):
    cache = TileCache(CacheAt(str(tmp_path), limit=40_000))
    keys = [key_of(n) for n in range(30)]
    for number, key in enumerate(keys):
        cache.put(key, bytes(1000))
        (path,) = [path for path in entries(cache) if path.parent.name + path.name == key]
        os.utime(path, (number, number))
    assert cache.get(keys[0]) == bytes(1000)  # used just now
    for number in range(30, 60):
        cache.put(key_of(number), bytes(1000))
        assert cache.size() <= 40_000 + 40_000 / 16 + 1100
    assert cache.get(keys[0]) is not None
    assert cache.get(keys[1]) is None
    assert cache.get(key_of(59)) is not None


def test_a_disk_without_room_costs_the_cache_and_not_the_run(cache, monkeypatch, caplog):
    for number in range(4):
        cache.put(key_of(number), bytes(1000))
        path = cache._path(key_of(number))
        os.utime(path, (number, number))

    def full(self, path, data):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(TileCache, "_write", full)
    assert not cache.put(key_of("new"), bytes(1000))
    assert not cache.put(key_of("newer"), bytes(1000))
    assert sum("No space left" in record.message for record in caplog.records) == 1
    assert cache.get(key_of(3)) is not None, "what was kept last is still there"


PUTS_FOR_EVER = """
import itertools, sys
from workers.tilecache import CacheAt, TileCache, key_of
cache = TileCache(CacheAt(sys.argv[1], limit=300_000))
for number in itertools.count():
    cache.put(key_of(number % 400), str(number % 400).encode() * 500)
    print(number, flush=True)
"""


def test_writers_killed_beside_each_other_leave_only_whole_entries(tmp_path):
    command = [sys.executable, "-c", PUTS_FOR_EVER, str(tmp_path)]
    writers = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(2)]
    for writer in writers:
        writer.stdout.readline()
    time.sleep(0.5)
    for writer in writers:
        os.kill(writer.pid, signal.SIGKILL)
        writer.communicate()
    cache = TileCache(CacheAt(str(tmp_path), limit=300_000))
    found = [cache.get(key_of(number)) for number in range(400)]
    assert any(found)
    assert all(data in (None, str(number).encode() * 500) for number, data in enumerate(found))
    for part in Path(tmp_path).glob("??/.*.part"):
        os.utime(part, (0, 0))
    cache.sweep()
    assert not list(Path(tmp_path).glob("??/.*.part"))


def test_threads_may_put_and_get_the_same_key(cache):
    def both(number):
        for _ in range(50):
            cache.put(key_of(number % 2), bytes([number % 2]) * 2000)
            assert cache.get(key_of(number % 2)) in (None, bytes([number % 2]) * 2000)

    threads = [threading.Thread(target=both, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert cache.get(key_of(1)) == b"\x01" * 2000
