"""The zone of a camera's clock: by its own offset, else XMP's, else the GPS clock, else the sun."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagery.clocks import parse_clock, taken
from imagery.metadata import Metadata

CLOCK = {"DateTimeOriginal": "2026:06:15 10:20:57"}


def gps(date: str, *time: float) -> dict[str, Any]:
    return {"GPSDateStamp": date, "GPSTimeStamp": time}


@pytest.mark.parametrize(
    ("metadata", "lon", "expected", "zone"),
    [
        (Metadata(CLOCK | {"OffsetTimeOriginal": "+08:00"}), 0, "2026-06-15T10:20:57+08:00", "offset"),
        (Metadata(CLOCK | {"OffsetTime": "-03:30"}), 0, "2026-06-15T10:20:57-03:30", "offset"),
        (
            Metadata(CLOCK, xmp={"xmp:CreateDate": "2026-06-15T10:20:57+08:00"}),
            0,
            "2026-06-15T10:20:57+08:00",
            "offset",
        ),
        # XMP's time of another moment tells nothing of this clock
        (
            Metadata(CLOCK, xmp={"xmp:CreateDate": "2026-06-16T09:00:00+09:00"}),
            114,
            "2026-06-15T10:20:57+08:00",
            "solar",
        ),
        (Metadata(CLOCK, gps("2026:06:15", 2.0, 20.0, 55.0)), 0, "2026-06-15T10:20:57+08:00", "gps"),
        # Nepal is 5:45 ahead, and the camera's clock 4 minutes wrong
        (Metadata(CLOCK, gps("2026:06:15", 4.0, 32.0, 0.0)), 0, "2026-06-15T10:20:57+05:45", "gps"),
        # a camera that lost its date: only the GPS clock is right
        (Metadata(CLOCK, gps("2026:09:01", 1.0, 2.0, 3.0)), 0, "2026-09-01T01:02:03+00:00", "gps"),
        (Metadata({}, gps("2026:09:01", 1.0, 2.0, 3.5)), 0, "2026-09-01T01:02:03.500000+00:00", "gps"),
        (Metadata(CLOCK), 114.3, "2026-06-15T10:20:57+08:00", "solar"),
        (Metadata(CLOCK), -92, "2026-06-15T10:20:57-06:00", "solar"),
        (Metadata(CLOCK | {"SubsecTimeOriginal": "05"}), 1, "2026-06-15T10:20:57.050000+00:00", "solar"),
        (
            Metadata(CLOCK, xmp={"drone-dji:UTCAtExposure": "2026:06:15 02:20:56.25"}),
            0,
            "2026-06-15T02:20:56.250000+00:00",
            "tag",
        ),
        (Metadata({"DateTime": "2026:01:02 03:04:05\0"}), 0, "2026-01-02T03:04:05+00:00", "solar"),
    ],
)
def test_zone(metadata: Metadata, lon: float, expected: str, zone: str) -> None:
    # Metadata takes exif, gps, xmp in this order
    time, how = taken(metadata, lon)
    assert (time.isoformat() if time else None, how) == (expected, zone)


@pytest.mark.parametrize("text", ["0000:00:00 00:00:00", "    :  :     :  :  ", "2026:13:01 00:00:00", "yesterday", ""])
def test_a_clock_never_set_tells_no_time(text: str) -> None:
    assert taken(Metadata({"DateTimeOriginal": text}), 0) == (None, "none")


@pytest.mark.parametrize(
    "clock",
    [
        {"GPSDateStamp": "2026:06:15"},
        {"GPSDateStamp": "2026:06:15", "GPSTimeStamp": (25.0, 0.0, 0.0)},
        {"GPSDateStamp": "2026:06:15", "GPSTimeStamp": (float("nan"), 0.0, 0.0)},
        {"GPSDateStamp": "", "GPSTimeStamp": (1.0, 0.0, 0.0)},
    ],
)
def test_half_a_gps_clock_is_none(clock: dict[str, Any]) -> None:
    assert taken(Metadata(CLOCK, clock), 0)[1] == "solar"


@given(
    st.datetimes(datetime.fromisoformat("1990-01-01"), datetime.fromisoformat("2090-01-01")),
    st.integers(-48, 56),
    st.integers(-400, 400),
)
def test_any_zone_of_quarter_hours_is_found_by_the_gps_clock(utc: datetime, quarters: int, late: int) -> None:
    utc = utc.replace(microsecond=0)
    offset = timedelta(minutes=15 * quarters)
    local = utc + offset + timedelta(seconds=late)
    stamp = gps(utc.strftime("%Y:%m:%d"), float(utc.hour), float(utc.minute), float(utc.second))
    time, zone = taken(Metadata({"DateTimeOriginal": local.strftime("%Y:%m:%d %H:%M:%S")}, stamp), 0)
    assert zone == "gps"
    assert time is not None
    assert time.utcoffset() == offset
    assert abs(time - utc.replace(tzinfo=UTC)) <= timedelta(seconds=400)


@given(st.datetimes(datetime.fromisoformat("1900-01-01"), datetime.fromisoformat("2100-01-01")))
def test_parse_clock_reads_iso_back(time: datetime) -> None:
    assert parse_clock(time.replace(tzinfo=UTC).isoformat()) == time.replace(tzinfo=UTC)
