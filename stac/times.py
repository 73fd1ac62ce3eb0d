"""RFC 3339 times and whole microseconds since 1970, the form in which the catalogue compares them."""

import re
from datetime import UTC, datetime, timedelta

FOREVER = 2**62
"""Microseconds later than any `datetime`; its negative is earlier than any. Leaves room to add a span in 64 bits."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_RFC3339 = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d+))?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


def parse(text: str) -> datetime:
    """An RFC 3339 date-time, aware; digits beyond microseconds are dropped. Raises ValueError naming the text."""
    found = _RFC3339.fullmatch(text)
    if not found:
        raise ValueError(f"not an RFC 3339 date-time (2026-05-01T08:00:00Z): {text!r}")
    day, clock, fraction, zone = found.groups()
    try:
        return datetime.fromisoformat(f"{day}T{clock}.{(fraction or '0')[:6]:0<6}{zone.upper()}")
    except ValueError as error:
        raise ValueError(f"not a date-time that exists: {text!r} ({error})") from error


def micros(moment: datetime) -> int:
    """Whole microseconds since 1970-01-01T00:00:00Z, exact. `moment` must be aware."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def moment(microseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=microseconds)


def rfc3339(moment: datetime) -> str:
    """UTC with a Z, as STAC wants it; fractions only where there are any."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def parse_interval(text: str) -> tuple[datetime | None, datetime | None]:
    """A STAC `datetime`: an instant, or A/B with '..' or nothing for an open end. Raises ValueError."""
    parts = text.split("/")
    if len(parts) > 2:
        raise ValueError(f"more than one '/' in the interval {text!r}")
    if len(parts) == 1:
        instant = parse(text)
        return instant, instant
    start, end = (None if part in ("", "..") else parse(part) for part in parts)
    if start is None and end is None:
        raise ValueError(f"an interval needs a start or an end: {text!r}")
    if start is not None and end is not None and start > end:
        raise ValueError(f"the interval ends before it starts: {text!r}")
    return start, end
