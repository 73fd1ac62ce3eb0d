"""A disk without room, by name, whoever met it first: Python, GDAL, or nobody until the file is closed."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError

from imagery.errors import Refused

NO_ROOM = 64 << 10
"""Bytes; with less than that left a file that was just written is not trusted to be whole."""


@contextmanager
def room_on_disk(target: Path) -> Iterator[None]:
    """Around what writes to `target`'s folder. Raises `Refused` (disk-full)."""
    folder = target.absolute().parent
    try:
        yield
    except (OSError, RasterioError, CPLE_BaseError) as error:
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or _free(folder) < NO_ROOM:
            raise _full(folder) from error
        raise
    if _free(folder) < NO_ROOM:
        raise _full(folder)


def _free(folder: Path) -> int:
    told = os.statvfs(folder)
    return told.f_bavail * told.f_frsize


def _full(folder: Path) -> Refused:
    return Refused(
        "disk-full",
        f"There is no room left on the disk of {folder}.",
        "Make room and run it again: tiles that are done are kept and not computed twice. 磁盘已满，请清理后重新运行。",
    )
