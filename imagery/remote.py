"""Rasters behind an address: how GDAL opens them by parts, and how they are spoken of."""

import contextlib
import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import rasterio
from rasterio.errors import RasterioIOError

OPTIONS = {
    # No listing of folders and no sidecar files: one file is all that may be read.
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_HTTP_MAX_RETRY": "3",
    "GDAL_HTTP_RETRY_DELAY": "0.5",
    "GDAL_HTTP_TIMEOUT": "60",
    "GDAL_INGESTED_BYTES_AT_OPEN": "32768",
    "GDAL_HTTP_MERGE_CONSECUTIVE_RANGES": "YES",
}
"""GDAL's settings for reading what `location` gives."""


_QUERY = re.compile(r"(https?://[^\s?]*)\?[^\s'\"]*")


class _Unsigned(logging.Filter):
    """Keeps signatures out of the log: GDAL's warnings, which rasterio logs, repeat whole addresses."""

    def filter(self, record: logging.LogRecord) -> bool:
        told = record.getMessage()
        if "http" in told and "?" in told:
            record.msg, record.args = _QUERY.sub(r"\1", told), ()
        return True


logging.getLogger("rasterio._env").addFilter(_Unsigned())


def is_remote(address: str | Path) -> bool:
    return isinstance(address, str) and address.startswith(("http://", "https://"))


def location(address: str | Path) -> str:
    """What GDAL opens for a path, a `file://` or an `http(s)://` address; the last is read by ranges.

    A signed address holds for GET alone, so that its size is not asked for by HEAD.
    """
    if is_remote(address):
        return f"/vsicurl?use_head=no&list_dir=no&url={quote(str(address), safe='')}"
    text = str(address)
    return unquote(urlsplit(text).path) if text.startswith("file://") else text


def shown(address: str | Path) -> str:
    """The address as messages name it: the signature of a signed one stays out of them."""
    return urlsplit(str(address))._replace(query="", fragment="").geturl() if is_remote(address) else str(address)


def open_with(drivers: Sequence[str], address: str | Path, **options: Any) -> Any:
    """The rasterio dataset behind an address, by the first of these GDAL drivers that takes it; never by another.

    Raises RasterioIOError, whose message may repeat a signed address.
    """
    for driver in drivers[:-1]:
        try:
            return rasterio.open(location(address), driver=driver, **options)
        except RasterioIOError:
            continue  # the last one says what is wrong
    return rasterio.open(location(address), driver=drivers[-1], **options)


def forget(address: str) -> None:
    """Have GDAL drop what it keeps of an address's bytes. It also keeps what came of an answer that broke off, as if it
    were all there is: without this, every later read in this process meets the same stump."""
    with (
        rasterio.Env(**OPTIONS, CPL_VSIL_CURL_NON_CACHED="/vsicurl"),
        contextlib.suppress(RasterioIOError),
        rasterio.open(location(address)),
    ):
        pass  # opened so, it is forgotten when it is closed, and when it cannot be opened as well
