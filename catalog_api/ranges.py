"""What part of a file is asked for (RFC 9110, section 14). Pure."""

import re
from dataclasses import dataclass

_ONE = re.compile(r"(\d{0,19})-(\d{0,19})")


@dataclass(frozen=True, slots=True)
class Part:
    """Bytes `start` up to, not with, `stop` of a file of `size` bytes."""

    start: int
    stop: int
    size: int

    @property
    def content_range(self) -> str:
        return f"bytes {self.start}-{self.stop - 1}/{self.size}"


class RangeError(ValueError):
    """A range that cannot be answered (416); the message says why."""


def part_of(header: str | None, if_range: str | None, etag: str, size: int) -> Part | None:
    """The one part that `Range: header` asks for, or None where the whole is the answer.

    As the RFC wants it, what is no range of bytes is no range at all, and one of another version (`If-Range`) asks for
    the whole. Raises `RangeError` for a part behind the end and for several parts at once: gathering them would cost
    the server more than it costs to ask.
    """
    if header is None or (if_range is not None and if_range != etag):
        return None
    unit, _, asked = header.partition("=")
    if unit.strip().lower() != "bytes":
        return None
    parts = [part.strip() for part in asked.split(",")]
    found = [_ONE.fullmatch(part) for part in parts]
    if not all(match and any(match.groups()) for match in found):
        return None
    if len(parts) > 1:
        raise RangeError("Ask for one range at a time.")
    first, last = parts[0].split("-")
    if not first:
        start, stop = max(0, size - int(last)), size
    else:
        start, stop = int(first), min(int(last) + 1, size) if last else size
        if last and int(last) < start:
            return None
    if start >= stop:
        raise RangeError(f"The file ends after {size} bytes.")
    return Part(start, stop, size)
