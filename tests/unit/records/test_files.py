import hashlib
import os
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from records.files import DirectoryStore, StoredFile


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    return DirectoryStore(tmp_path / "files")


def objects(store: DirectoryStore) -> list[Path]:
    return [path for path in store.root.rglob("*") if path.is_file()]


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3_500_000])
def test_a_file_comes_back_byte_for_byte_under_its_hash(store: DirectoryStore, tmp_path: Path, size: int) -> None:
    content = os.urandom(size)
    sent = tmp_path / "照片 1.JPG"
    sent.write_bytes(content)
    kept = store.put(sent)
    assert kept == StoredFile(hashlib.sha256(content).hexdigest(), size, new=True)
    assert store.path(kept.sha256).read_bytes() == content
    with store.open(kept.sha256) as stream:
        assert stream.read() == content
    assert store.exists(kept.sha256)


def test_the_same_bytes_are_kept_once_whatever_their_name(store: DirectoryStore, tmp_path: Path) -> None:
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / name).write_bytes(b"the same")
    first, second = store.put(tmp_path / "a.jpg"), store.put(tmp_path / "b.jpg")
    third = store.put_bytes(b"the same")
    assert (first.new, second.new, third.new) == (True, False, False)
    assert {first.sha256} == {second.sha256, third.sha256}
    assert len(objects(store)) == 1


@given(st.binary(max_size=200))
def test_bytes_come_back(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    store = DirectoryStore(tmp_path_factory.getbasetemp() / "property-files")
    assert store.path(store.put_bytes(content).sha256).read_bytes() == content


def test_an_original_cannot_be_written_to(store: DirectoryStore) -> None:
    assert store.path(store.put_bytes(b"original").sha256).stat().st_mode & 0o222 == 0


def test_a_failed_put_leaves_nothing(store: DirectoryStore, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="absent"):
        store.put(tmp_path / "absent.jpg")
    with pytest.raises(OSError, match="not a file"):
        store.put(tmp_path)
    assert objects(store) == []


def test_a_pipe_is_refused_instead_of_waited_for(store: DirectoryStore, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="not a file"):
        store.put(tmp_path / "pipe")


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "a" * 63, "A" * 64, "/" + "a" * 63, "a" * 64 + "\n"])
def test_only_a_hash_names_an_object(store: DirectoryStore, name: str) -> None:
    with pytest.raises(ValueError, match="not a SHA-256"):
        store.path(name)


def test_what_the_store_does_not_hold(store: DirectoryStore) -> None:
    assert not store.exists("0" * 64)
    with pytest.raises(FileNotFoundError):
        store.open("0" * 64)


def test_putting_the_same_file_from_many_threads_keeps_one_whole_object(store: DirectoryStore) -> None:
    content = os.urandom(2_000_000)
    threads = [threading.Thread(target=store.put_bytes, args=(content,)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [path.read_bytes() == content for path in objects(store)] == [True]


def test_leftovers_are_swept_and_files_on_their_way_stay(store: DirectoryStore) -> None:
    old, young = store.root / "incoming" / "old", store.root / "incoming" / "young"
    old.write_bytes(b"half")
    young.write_bytes(b"hal")
    os.utime(old, (0, 0))
    assert store.sweep(older_than=time.time() - 3600) == 1
    assert (old.exists(), young.exists()) == (False, True)
