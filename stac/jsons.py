"""JSON as fast as orjson and as exact as the standard library: an integer keeps its digits, NaN is not written."""

import json
from typing import Any

import orjson

_LOOK = bytes.maketrans(b"0123456789[, \t\r\n-", b"0" * 10 + b":" * 7)
_LONG = b":" + b"0" * 19
"""The beginning of a number that may need more than 64 bits, which orjson would read as a float."""


def loads(text: str | bytes) -> Any:
    """As `json.loads`. Raises ValueError, and RecursionError for what is nested too deep."""
    written = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    if _LONG in b":" + written.translate(_LOOK):
        return json.loads(text)
    try:
        return orjson.loads(written)
    except orjson.JSONDecodeError:  # NaN, halves of surrogate pairs; or no JSON, which the other names as it always has
        return json.loads(text)


def dump(value: dict[str, Any]) -> str:
    """Without spaces. Raises ValueError for NaN and infinity, TypeError for what is no JSON."""
    try:
        text = orjson.dumps(value).decode()
    except TypeError:  # integers beyond 64 bits, halves of surrogate pairs
        return _exactly(value)
    return _exactly(value) if "null" in text else text  # which orjson writes for NaN


def _exactly(value: dict[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
