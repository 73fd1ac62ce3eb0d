"""When a photo was taken: a camera's clock rarely names its zone, so decide it and say how."""

import math
import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Literal

from imagery.metadata import Metadata, finite

Zone = Literal["offset", "gps", "solar", "tag", "none"]

DATE_TIME = re.compile(r"(\d{4})[:-](\d\d)[:-](\d\d)[T ](\d\d):(\d\d):(\d\d)(\.\d+)?\s*(Z|[+-]\d\d:?\d\d)?")
OFFSET = re.compile(r"\s*([+-])(\d\d):?(\d\d)\s*")
FIRST_YEAR = 1990
"""A clock that shows 1970 or 1980 was never set: no drone had flown a camera then."""
FURTHEST_ZONE = timedelta(hours=14)
"""UTC+14 is Kiribati's; a camera further off its GPS clock shows a wrong date, not a zone."""


def taken(metadata: Metadata, lon: float) -> tuple[datetime | None, Zone]:
    """The time of a photo, aware, and how its zone was decided (see `imagery.values.Capture.taken_zone`).

    In this order: the vendor's absolute time (DJI UTCAtExposure); EXIF's clock with its own offset; with the offset
    that XMP gives for the same instant; with the difference to the GPS clock (always UTC) rounded to quarter hours, as
    all zones are; with the sun's time at `lon` rounded to hours.
    """
    absolute = parse_clock(metadata.xmp.get("drone-dji:UTCAtExposure"))
    if absolute is not None and absolute.year >= FIRST_YEAR:
        return absolute.replace(tzinfo=UTC), "tag"
    local = _local(metadata)
    gps = _gps_clock(metadata)
    if local is None:
        return (gps, "gps") if gps else (None, "none")
    stated = _offset(metadata.text("OffsetTimeOriginal") or metadata.text("OffsetTime")) or _xmp_offset(metadata, local)
    if stated is not None:
        return local.replace(tzinfo=stated), "offset"
    if gps is not None:
        ahead = local.replace(tzinfo=UTC) - gps
        if abs(ahead) > FURTHEST_ZONE + timedelta(minutes=8):
            return gps, "gps"
        quarters = round(ahead / timedelta(minutes=15))
        return local.replace(tzinfo=timezone(timedelta(minutes=15 * quarters))), "gps"
    return local.replace(tzinfo=solar_zone(lon)), "solar"


def solar_zone(lon: float) -> timezone:
    """The sun's time at a longitude, to the hour: an hour and more from what clocks show in many places."""
    return timezone(timedelta(hours=math.floor(lon / 15 + 0.5)))


def parse_clock(text: str | None) -> datetime | None:
    """A time in EXIF's or ISO's form, aware where it names its zone; None for the zeros of a clock never set."""
    found = DATE_TIME.match(text.strip()) if text else None
    if found is None:
        return None
    year, month, day, hour, minute, second = (int(part) for part in found.groups()[:6])
    micro = int((found[7] or ".")[1:].ljust(6, "0")[:6])
    try:
        return datetime(year, month, day, hour, minute, second, micro, tzinfo=_offset(found[8]))
    except ValueError:
        return None


def _local(metadata: Metadata) -> datetime | None:
    """The camera's clock, without a zone."""
    for tag, fraction in (
        ("DateTimeOriginal", "SubsecTimeOriginal"),
        ("DateTimeDigitized", "SubsecTimeDigitized"),
        ("DateTime", "SubsecTime"),
    ):
        clock = parse_clock(metadata.text(tag))
        if clock is not None and clock.year >= FIRST_YEAR:
            digits = metadata.text(fraction) or ""
            micro = int(digits.ljust(6, "0")[:6]) if digits.isdecimal() else 0
            return clock.replace(tzinfo=None, microsecond=micro)
    return None


def _offset(text: str | None) -> timezone | None:
    if text == "Z":
        return UTC
    found = OFFSET.fullmatch(text) if text else None
    if found is None:
        return None
    ahead = timedelta(hours=int(found[2]), minutes=int(found[3]))
    return timezone(ahead if found[1] == "+" else -ahead) if ahead <= FURTHEST_ZONE else None


def _xmp_offset(metadata: Metadata, local: datetime) -> timezone | None:
    """The zone of xmp:CreateDate, where it shows the same clock to the second."""
    created = metadata.xmp.get("xmp:CreateDate", "")
    found, clock = DATE_TIME.match(created), parse_clock(created)
    if found is None or clock is None or clock.replace(tzinfo=None, microsecond=0) != local.replace(microsecond=0):
        return None
    return _offset(found[8])


def _gps_clock(metadata: Metadata) -> datetime | None:
    date, time = metadata.gps.get("GPSDateStamp"), metadata.gps.get("GPSTimeStamp")
    if not isinstance(date, str) or not isinstance(time, tuple) or len(time) != 3:
        return None
    day = parse_clock(f"{date.split(chr(0))[0].strip()} 00:00:00")
    hours, minutes, seconds = (finite(part) for part in time)
    if day is None or hours is None or minutes is None or seconds is None:
        return None
    if not (0 <= hours < 24 and 0 <= minutes < 60 and 0 <= seconds < 61):
        return None
    if day.year < FIRST_YEAR:
        return None
    return day.replace(tzinfo=UTC) + timedelta(hours=hours, minutes=minutes, seconds=seconds)
