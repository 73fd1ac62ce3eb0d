"""One suite for both stores, and what is particular to each."""

import hashlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import obstore
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from records.files import DirectoryStore, FileStore, StoredFile, StoreError
from records.objects import CONDITIONAL, ObjectStore, open_files
from records.settings import Settings

Bucket = Callable[[str], ObjectStore]


@pytest.fixture
def bucket(seaweed: dict[str, Any], tmp_path: Path) -> Bucket:
    """`bucket("a")` is a store over this test's own part of the bucket, as machine a sees it."""

    def opened(machine: str) -> ObjectStore:
        address = {"store_url": f"{seaweed['store_url']}/{tmp_path.name}"}
        store = open_files(Settings(home=tmp_path / machine, **(seaweed | address)))
        assert isinstance(store, ObjectStore)
        return store

    return opened


@pytest.fixture(params=["directory", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> FileStore:
    if request.param == "directory":
        return open_files(Settings(home=tmp_path, store_url=""))
    bucket: Bucket = request.getfixturevalue("bucket")
    return bucket("here")


def files_under(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def whole(store: FileStore, sha256: str) -> bytes:
    return b"".join(store.read(sha256, 0, store.size(sha256)))


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 9_500_000])
def test_a_file_comes_back_byte_for_byte_under_its_hash(store: FileStore, tmp_path: Path, size: int) -> None:
    content = os.urandom(size)
    sent = tmp_path / "照片 1.JPG"
    sent.write_bytes(content)
    kept = store.put(sent)
    assert kept == StoredFile(hashlib.sha256(content).hexdigest(), size, new=True)
    assert store.path(kept.sha256).read_bytes() == content
    assert whole(store, kept.sha256) == content
    assert store.exists(kept.sha256)


def test_the_same_bytes_are_kept_once_whatever_their_name(store: FileStore, tmp_path: Path) -> None:
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / name).write_bytes(b"the same")
    first, second = store.put(tmp_path / "a.jpg"), store.put(tmp_path / "b.jpg")
    third = store.put_bytes(b"the same")
    assert (first.new, second.new, third.new) == (True, False, False)
    assert {first.sha256} == {second.sha256, third.sha256}
    assert len(files_under(store.root)) == 1


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=200), ends=st.tuples(st.integers(0, 220), st.integers(0, 220)))
def test_any_part_comes_back(store: FileStore, content: bytes, ends: tuple[int, int]) -> None:
    kept = store.put_bytes(content)
    assert b"".join(store.read(kept.sha256, *ends)) == content[slice(*ends)]


def test_a_copy_on_this_machine_cannot_be_written_to(store: FileStore) -> None:
    assert store.path(store.put_bytes(b"original").sha256).stat().st_mode & 0o222 == 0


def test_a_failed_put_leaves_nothing(store: FileStore, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="absent"):
        store.put(tmp_path / "absent.jpg")
    with pytest.raises(OSError, match="not a file"):
        store.put(tmp_path)
    assert files_under(store.root) == []


def test_a_pipe_is_refused_instead_of_waited_for(store: FileStore, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="not a file"):
        store.put(tmp_path / "pipe")


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "a" * 63, "A" * 64, "/" + "a" * 63, "a" * 64 + "\n"])
def test_only_a_hash_names_an_object(store: FileStore, name: str) -> None:
    for ask in (store.path, store.exists, store.size, store.url, lambda name: store.read(name, 0, 1)):
        with pytest.raises(ValueError, match="not a SHA-256"):
            ask(name)


def test_what_the_store_does_not_hold(store: FileStore) -> None:
    absent = "0" * 64
    assert not store.exists(absent)
    for ask in (store.path, store.size, lambda name: list(store.read(name, 0, 1))):
        with pytest.raises(FileNotFoundError):
            ask(absent)


def test_putting_the_same_file_from_many_threads_keeps_one_whole_object(store: FileStore) -> None:
    content = os.urandom(2_000_000)
    threads = [threading.Thread(target=store.put_bytes, args=(content,)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [path.read_bytes() == content for path in files_under(store.root)] == [True]
    assert whole(store, hashlib.sha256(content).hexdigest()) == content


def test_leftovers_are_swept_and_files_on_their_way_stay(store: FileStore) -> None:
    kept = store.put_bytes(b"kept")
    old, young = store.root / "incoming" / "old", store.root / "incoming" / "young"
    old.write_bytes(b"half")
    young.write_bytes(b"hal")
    os.utime(old, (0, 0))
    assert store.sweep(older_than=time.time() - 3600) == 1
    assert (old.exists(), young.exists()) == (False, True)
    assert whole(store, kept.sha256) == b"kept"


def test_every_object_is_named_once_and_in_order(store: FileStore) -> None:
    assert list(store.names()) == []
    kept = {store.put_bytes(bytes([number])).sha256 for number in range(40)}
    (store.root / "incoming" / "left").write_bytes(b"half")
    assert list(store.names()) == sorted(kept)


def test_a_store_that_works_says_nothing(store: FileStore) -> None:
    store.check()


def test_the_address_of_a_file_in_a_folder(tmp_path: Path) -> None:
    store = open_files(Settings(store_url=str(tmp_path / "a folder")))
    kept = store.put_bytes(b"x")
    assert store.url(kept.sha256) == (tmp_path / "a folder" / kept.sha256[:2] / kept.sha256[2:4] / kept.sha256).as_uri()


@pytest.mark.parametrize("address", ["s3://", "https://s3/bucket", "files", "file://host/files", "s3://bucket?x=1"])
def test_an_address_that_names_no_store(address: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="FLYONCE_STORE_URL"):
        open_files(Settings(home=tmp_path, store_url=address))


def test_another_machine_brings_what_it_reads_whole(bucket: Bucket) -> None:
    content = os.urandom(9_000_000)
    kept = bucket("a").put_bytes(content)
    other = bucket("b")
    assert files_under(other.root) == []
    assert other.path(kept.sha256).read_bytes() == content
    assert other.put_bytes(content).new is False


def test_copies_not_used_lately_are_swept_and_brought_again(bucket: Bucket) -> None:
    store = bucket("a")
    kept = store.put_bytes(b"brought again")
    os.utime(store.path(kept.sha256), (0, 0))
    assert store.sweep(older_than=time.time() - 3600) == 1
    assert files_under(store.root) == []
    assert store.path(kept.sha256).read_bytes() == b"brought again"
    assert store.sweep(older_than=time.time() - 3600) == 0


def test_large_files_go_up_in_parts(bucket: Bucket, tmp_path: Path) -> None:
    content = os.urandom(CONDITIONAL * 2 + 5)
    (tmp_path / "big").write_bytes(content)
    kept = bucket("a").put(tmp_path / "big")
    assert kept.size == len(content)
    assert hashlib.sha256(whole(bucket("b"), kept.sha256)).hexdigest() == kept.sha256


def test_an_object_is_written_once(bucket: Bucket) -> None:
    """Two machines that found it missing at the same moment: the second leaves what the first wrote."""
    first, second = bucket("a"), bucket("b")
    kept = first.put_bytes(b"once")
    before = obstore.head(first._bucket, f"{kept.sha256[:2]}/{kept.sha256[2:4]}/{kept.sha256}")
    second.exists = lambda sha256: False  # type: ignore[method-assign]
    assert second.put_bytes(b"once").new is False
    after = obstore.head(first._bucket, f"{kept.sha256[:2]}/{kept.sha256[2:4]}/{kept.sha256}")
    assert (before["e_tag"], before["last_modified"]) == (after["e_tag"], after["last_modified"])


def test_other_bytes_under_a_hash_are_noticed(bucket: Bucket) -> None:
    store = bucket("a")
    sha256 = "5" * 64
    obstore.put(store._bucket, f"55/55/{sha256}", b"not that")
    with pytest.raises(StoreError, match="other bytes"):
        store.path(sha256)
    assert files_under(store.root) == []


def test_a_signed_address_opens_one_file_and_no_other(bucket: Bucket) -> None:
    store = bucket("a")
    one, two = store.put_bytes(b"one"), store.put_bytes(b"two")
    url = store.url(one.sha256)
    assert httpx.get(url, headers={"range": "bytes=1-"}).content == b"ne"
    assert store.url(one.sha256) == url
    path = f"{two.sha256[:2]}/{two.sha256[2:4]}/{two.sha256}"
    own = f"{one.sha256[:2]}/{one.sha256[2:4]}/{one.sha256}"
    assert httpx.get(url.replace(own, path)).status_code == 403
    assert httpx.put(url, content=b"changed").status_code == 403
    assert httpx.get(url.partition("?")[0]).status_code == 403


@pytest.mark.parametrize(
    "wrong", [{"store_key": "wrong"}, {"store_url": "s3://nothing-here"}, {"store_endpoint": "http://127.0.0.1:1"}]
)
def test_a_bucket_that_cannot_be_used(seaweed: dict[str, Any], tmp_path: Path, wrong: dict[str, str]) -> None:
    store = open_files(Settings(home=tmp_path, **(seaweed | wrong)))
    with pytest.raises(StoreError) as error:
        store.check()
    assert "only-for-tests" not in str(error.value)
    if "store_url" not in wrong:
        with pytest.raises(StoreError):
            store.put_bytes(b"x")


KILLED = """
import pathlib, sys
from records.objects import open_files
from records.settings import Settings
print("ready", flush=True)
print(open_files(Settings()).put(pathlib.Path(sys.argv[1])).sha256, flush=True)
"""


@pytest.mark.parametrize("after", [0.0, 0.05, 0.15, 0.4])
def test_a_writer_killed_at_any_moment_leaves_the_object_whole_or_absent(
    seaweed: dict[str, Any], tmp_path: Path, after: float
) -> None:
    content = os.urandom(CONDITIONAL * 3)
    (tmp_path / "big").write_bytes(content)
    sha256 = hashlib.sha256(content).hexdigest()
    environment = {f"FLYONCE_{key.upper()}": value for key, value in seaweed.items()}
    environment |= {"FLYONCE_HOME": str(tmp_path / "killed"), "FLYONCE_STORE_URL": f"s3://flyonce/{tmp_path.name}"}
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path / "big")], env=os.environ | environment, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(after)
    process.kill()
    acknowledged = process.communicate()[0].decode().strip()
    store = open_files(Settings(home=tmp_path / "after", **(seaweed | {"store_url": f"s3://flyonce/{tmp_path.name}"})))
    if store.exists(sha256):
        assert hashlib.sha256(whole(store, sha256)).hexdigest() == sha256
    else:
        assert acknowledged == ""
    assert store.put(tmp_path / "big").sha256 == sha256
    assert store.size(sha256) == len(content)


def test_a_folder_is_what_settings_without_an_address_mean(tmp_path: Path) -> None:
    store = open_files(Settings(home=tmp_path, store_url=""))
    assert isinstance(store, DirectoryStore)
    assert store.root == tmp_path / "files"
