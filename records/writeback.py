"""Bytes on their way to the disk while more come, so that the sync that makes them safe finds little left to do."""

import ctypes
import sys
from collections.abc import Callable

STEP = 4 << 20
"""Bytes that are handed over together."""
_WRITE = 2
"""SYNC_FILE_RANGE_WRITE of sync_file_range(2): begin to write, wait for nothing."""


def _system_call() -> Callable[[int, int, int, int], int] | None:
    """None on systems without it: there the sync at the end does all of the work."""
    if sys.platform != "linux":
        return None
    found = getattr(ctypes.CDLL(None), "sync_file_range", None)
    if found is not None:
        found.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
    return found


_sync_file_range = _system_call()


class Writeback:
    """Of one open file that grows from `offset` on.

    A hint that makes nothing safe, and whose failure says nothing: what goes wrong on the disk is told by the sync.
    """

    def __init__(self, handle: int, offset: int = 0) -> None:
        self._handle = handle
        self._begun = offset

    def reached(self, offset: int) -> None:
        """All bytes up to `offset` are written; those that nobody has sent on yet go to the disk once they are many."""
        length = offset - self._begun
        if length >= STEP and _sync_file_range is not None:
            _sync_file_range(self._handle, self._begun, length, _WRITE)
            self._begun = offset
