"""Months and days, by which a collection is browsed: `2026-05` and `2026-05-01`, in UTC."""

import calendar
import re
from datetime import UTC, datetime, time
from typing import Any

from stac import times

_PERIOD = re.compile(r"(\d{4})-(\d\d)(?:-(\d\d))?", re.ASCII)


def span(period: str) -> tuple[datetime, datetime]:
    """First and last microsecond. Raises ValueError for what is no month and no day."""
    found = _PERIOD.fullmatch(period)
    if not found:
        raise ValueError(f"neither a month (2026-05) nor a day (2026-05-01): {period[:40]!r}")
    year, month, day = int(found[1]), int(found[2]), int(found[3] or 1)
    first = datetime(year, month, day, tzinfo=UTC)
    last = first if found[3] else first.replace(day=calendar.monthrange(year, month)[1])
    return first, datetime.combine(last, time.max, UTC)


def within(period: str) -> dict[str, Any]:
    """The CQL2 filter for items whose datetime lies in a period. Raises ValueError."""
    instants = [{"timestamp": times.rfc3339(moment)} for moment in span(period)]
    return {"op": "between", "args": [{"property": "datetime"}, *instants]}


def is_day(period: str) -> bool:
    return period.count("-") == 2


def month_of(day: str) -> str:
    return day.rpartition("-")[0]
