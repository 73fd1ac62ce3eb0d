"""Partial files: whatever happened before, a file goes on from what is safe, and its hash is that of its bytes."""

import errno
import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from records.files import DirectoryStore
from records.spool import BusyError, Spool


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    store = DirectoryStore(tmp_path / "files")
    return Spool(store, store.root)


def objects(tmp_path: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (tmp_path / "files").glob("??/??/*")}


def test_bytes_come_in_pieces_and_become_an_object(spool: Spool, tmp_path: Path) -> None:
    spool.create("a1")
    with spool.grow("a1") as growing:
        growing.start(0)
        growing.write(b"one")
    with spool.grow("a1") as growing:
        growing.start(3)
        growing.write(b"two")
        sha256 = growing.sha256()
        growing.seal()
    assert sha256 == hashlib.sha256(b"onetwo").hexdigest()
    assert spool.is_sealed("a1")
    spool.keep("a1", sha256)
    spool.keep("a1", sha256)  # after a crash
    spool.remove("a1")
    spool.remove("a1")
    assert objects(tmp_path) == {sha256: b"onetwo"}
    assert not spool.is_sealed("a1")


@given(st.lists(st.tuples(st.binary(max_size=20), st.booleans(), st.integers(0, 20)), max_size=8))
def test_bytes_that_nobody_acknowledged_are_cut_off(tmp_path_factory: pytest.TempPathFactory, pieces) -> None:  # type: ignore[no-untyped-def]
    """Pieces come; after some, the process forgets everything and only a part of the piece was safe."""
    store = DirectoryStore(tmp_path_factory.mktemp("spool"))
    spool = Spool(store, store.root)
    spool.create("a1")
    safe = b""
    for piece, killed, kept in pieces:
        if killed:
            spool = Spool(store, store.root)
        with spool.grow("a1") as growing:
            growing.start(len(safe))
            growing.write(piece)
        safe += piece[: min(kept, len(piece))]
    with spool.grow("a1") as growing:
        growing.start(len(safe))
        assert growing.sha256() == hashlib.sha256(safe).hexdigest()
        growing.seal()
    assert b"".join(spool.read("a1")) == safe


def test_a_sealed_file_is_never_cut(spool: Spool, tmp_path: Path) -> None:
    spool.create("a1")
    with spool.grow("a1") as growing:
        growing.start(0)
        growing.write(b"whole")
        growing.seal()
    with spool.grow("a1") as growing:
        assert growing.sealed
        growing.start(2)  # the row had not moved before the crash
        assert growing.offset == 5
        assert growing.sha256() == hashlib.sha256(b"whole").hexdigest()


def test_a_file_that_lost_acknowledged_bytes_says_so(spool: Spool) -> None:
    spool.create("a1")
    with spool.grow("a1") as growing, pytest.raises(OSError, match="acknowledged"):
        growing.start(5)


def test_one_writes_at_a_time(spool: Spool) -> None:
    spool.create("a1")
    with spool.grow("a1"), pytest.raises(BusyError), spool.grow("a1"):
        pass
    with spool.grow("a1") as growing:
        growing.start(0)


def test_a_way_back(spool: Spool) -> None:
    spool.create("a1")
    with spool.grow("a1") as growing:
        growing.start(0)
        growing.write(b"good")
        back = growing.mark()
        growing.write(b"damaged")
        back()
        growing.write(b"!")
        assert (growing.offset, growing.sha256()) == (5, hashlib.sha256(b"good!").hexdigest())


def test_a_full_disk_leaves_the_file_as_it_was(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    spool.create("a1")
    with spool.grow("a1") as growing:
        growing.start(0)
        growing.write(b"good")
        write, left = os.writev, 3

        def full(handle: int, data: list[bytes]) -> int:
            nonlocal left
            if not left:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            count = write(handle, [b"".join(data)[:left]])
            left -= count
            return count

        monkeypatch.setattr("records.spool.os.writev", full)
        with pytest.raises(OSError, match="No space"):
            growing.write(b"too much")
        monkeypatch.undo()
        growing.write(b" and on")
        assert growing.sha256() == hashlib.sha256(b"good and on").hexdigest()
        assert growing.offset == 11


def test_an_object_that_is_there_already_is_joined(spool: Spool, tmp_path: Path) -> None:
    sha256 = DirectoryStore(tmp_path / "files").put_bytes(b"same").sha256
    spool.create("a1")
    with spool.grow("a1") as growing:
        growing.start(0)
        growing.write(b"same")
        growing.seal()
    spool.keep("a1", sha256)
    spool.remove("a1")
    assert objects(tmp_path) == {sha256: b"same"}


def test_where_links_do_not_work_it_is_copied(spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*_: object) -> None:
        raise OSError(errno.EOPNOTSUPP, "no links here")

    monkeypatch.setattr("records.spool.os.link", no_links)
    spool.create("a1")
    with spool.grow("a1") as growing:
        growing.start(0)
        growing.write(b"copied")
        sha256 = growing.sha256()
        growing.seal()
    spool.keep("a1", sha256)
    assert objects(tmp_path) == {sha256: b"copied"}


@pytest.mark.parametrize("name", ["../x", "a/b", "", "a.b", "..", "\x00"])
def test_no_id_leads_elsewhere(spool: Spool, name: str) -> None:
    with pytest.raises(ValueError, match="not the id"):
        spool.create(name)
