"""The hint to write early: it reaches the system where there is one, and changes no byte."""

import os
import sys
from pathlib import Path

import pytest

from records import writeback
from records.files import DirectoryStore
from records.writeback import STEP, Writeback


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Ranges (start, length) that the system was told to begin to write."""
    ranges: list[tuple[int, int]] = []

    def tell(_handle: int, start: int, length: int, _flags: int) -> int:
        ranges.append((start, length))
        return -1  # its failure says nothing

    monkeypatch.setattr(writeback, "_sync_file_range", tell)
    return ranges


def test_bytes_are_sent_on_once_they_are_many_and_only_once(told: list[tuple[int, int]]) -> None:
    growing = Writeback(-1, 10)
    for offset in (10, 10 + STEP - 1, 10 + STEP, 10 + STEP + 5, 11 + 2 * STEP):
        growing.reached(offset)
    assert told == [(10, STEP), (10 + STEP, STEP + 1)]


def test_a_file_is_kept_whole_whatever_the_hint_comes_to(told: list[tuple[int, int]], tmp_path: Path) -> None:
    content = os.urandom(1 << 16) * (2 * STEP // (1 << 16)) + b"rest"
    store = DirectoryStore(tmp_path / "files")
    (tmp_path / "sent").write_bytes(content)
    kept = store.put(tmp_path / "sent")
    assert store.path(kept.sha256).read_bytes() == content
    assert told == [(0, STEP), (STEP, STEP)]


@pytest.mark.skipif(sys.platform != "linux", reason="sync_file_range is Linux's")
def test_the_system_takes_the_hint(tmp_path: Path) -> None:
    call = writeback._sync_file_range
    assert call is not None
    with (tmp_path / "file").open("wb") as file:
        file.write(bytes(STEP))
        file.flush()
        assert call(file.fileno(), 0, STEP, 2) == 0
        assert call(-1, 0, STEP, 2) == -1


def test_the_way_to_an_object_is_brought_to_the_disk_once_in_a_process(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    synced: list[Path] = []
    monkeypatch.setattr("records.files.sync_folder", synced.append)
    root = tmp_path / "files"
    store = DirectoryStore(root)
    place = store.place(store.put_bytes(b"one").sha256)
    way = [place.parent, place.parent.parent, root]
    assert synced == way
    store.put_bytes(b"one")
    assert synced == [*way, place.parent]
    synced.clear()
    DirectoryStore(root).put_bytes(b"one")  # whoever made the folders may not have come so far
    assert synced == way
