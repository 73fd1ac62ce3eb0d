"""Tracks from logs with names in them: GPX, and CSV as flight apps export it."""

import csv
import io
import re
from datetime import UTC, datetime
from pathlib import Path
from xml.etree.ElementTree import ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import iterparse

from imagery.clocks import parse_clock, solar_zone
from imagery.errors import Refused
from imagery.metadata import finite
from imagery.track import Fix, Track
from imagery.values import Attitude

MOST_BYTES = 256 << 20
MOST_FIXES = 2_000_000
FEET = 0.3048
COLUMNS = {
    "lat": ("latitude", "lat", "gpslatitude", "osdlatitude"),
    "lon": ("longitude", "lon", "lng", "long", "gpslongitude", "osdlongitude"),
    "above": ("heightabovetakeoff", "relativealtitude", "relalt", "heightabovehome", "height", "osdheight", "agl"),
    "height": ("altitude", "alt", "altitudeabovesealevel", "absalt", "elevation", "ele", "osdaltitude"),
    "when": ("datetimeutc", "datetime", "timestamp", "time", "utc", "date", "customdateloca"),
    "ms": ("timemillisecond", "timems", "milliseconds", "offsetms"),
    "s": ("seconds", "times", "elapsed", "flytime", "timesecond", "timeseconds"),
    "yaw": ("gimbalheading", "gimbalyaw", "gimbalyawdegree", "cameraheading"),
    "pitch": ("gimbalpitch", "gimbalpitchdegree", "camerapitch"),
    "roll": ("gimbalroll", "gimbalrolldegree", "cameraroll"),
}
"""What we want → how apps call it, without spaces, case and units in brackets."""


def read_gpx(path: str | Path) -> Track:
    """The track points of a GPX file, in order. Raises `Refused`: damaged, no-position, too-large."""
    _check_size(path)
    fixes: list[Fix] = []
    first: datetime | None = None
    try:
        with Path(path).open("rb") as file:
            for _, node in iterparse(file, events=("end",)):
                name = node.tag.rpartition("}")[2]
                if name not in ("trkpt", "rtept"):
                    continue
                children = {child.tag.rpartition("}")[2]: (child.text or "").strip() for child in node}
                lat, lon = finite(node.get("lat")), finite(node.get("lon"))
                taken = parse_clock(children.get("time"))
                node.clear()
                if lat is None or lon is None or not _possible(lon, lat) or len(fixes) >= MOST_FIXES:
                    continue
                taken = taken.replace(tzinfo=taken.tzinfo or UTC) if taken else None
                first = first or taken
                at = (taken - first).total_seconds() if taken and first else float(len(fixes))
                fixes.append(
                    Fix(
                        max(at, fixes[-1].seconds if fixes else 0.0), lon, lat, finite(children.get("ele")), taken=taken
                    )
                )
    except (ParseError, DefusedXmlException, ValueError) as error:
        raise Refused("damaged", f"{path}: is no GPX that can be read: {error}.", "Export the log again.") from error
    if not fixes:
        raise _nowhere(path)
    return Track("gpx", tuple(fixes), "none" if first is None else "utc")


def read_csv(path: str | Path) -> Track:
    """The rows of a CSV log with columns for latitude and longitude. Raises `Refused`: no-position, too-large."""
    _check_size(path)
    text = Path(path).read_text("utf-8-sig", errors="replace")
    lines = text.splitlines()
    while lines and lines[0].lower().startswith("sep="):
        lines.pop(0)
    delimiter = max(",;\t", key=lines[0].count) if lines else ","
    rows = csv.reader(io.StringIO("\n".join(lines)), delimiter=delimiter)
    header = next(rows, [])
    at = _columns(header)
    if "lat" not in at or "lon" not in at:
        raise _nowhere(path)
    feet = {name: "feet" in header[i].lower() or "(ft" in header[i].lower() for name, i in at.items()}
    fixes: list[Fix] = []
    try:
        for row in rows:
            fix = _row_fix(row, at, feet, fixes)
            if fix is not None and len(fixes) < MOST_FIXES:
                fixes.append(fix)
    except csv.Error as error:
        raise Refused("damaged", f"{path}: is no CSV that can be read: {error}.", "Export the log again.") from error
    if not fixes:
        raise _nowhere(path)
    utc = any("utc" in header[i].lower() for name, i in at.items() if name == "when")
    zone = "none" if all(fix.taken is None for fix in fixes) else "utc" if utc else "solar"
    return Track("csv", tuple(fixes), zone)  # type: ignore[arg-type]


def _row_fix(row: list[str], at: dict[str, int], feet: dict[str, bool], before: list[Fix]) -> Fix | None:
    def number(name: str) -> float | None:
        value = finite(row[at[name]]) if name in at and at[name] < len(row) else None
        return value * FEET if value is not None and feet.get(name) else value

    lat, lon = number("lat"), number("lon")
    if lat is None or lon is None or not _possible(lon, lat):
        return None
    taken = parse_clock(row[at["when"]]) if "when" in at and at["when"] < len(row) else None
    if taken is not None and taken.tzinfo is None:
        taken = taken.replace(tzinfo=solar_zone(before[0].lon if before else lon))
    millis, seconds = number("ms"), number("s")
    first = before[0] if before else None
    if millis is not None:
        when = millis / 1000
    elif seconds is not None:
        when = seconds
    else:
        when = (taken - first.taken).total_seconds() if taken and first and first.taken else float(len(before))
    yaw, pitch, roll = number("yaw"), number("pitch"), number("roll")
    attitude = None if yaw is None or pitch is None else Attitude(yaw, pitch, roll or 0.0)
    return Fix(
        max(when, before[-1].seconds if before else when), lon, lat, number("height"), number("above"), taken, attitude
    )


def _columns(header: list[str]) -> dict[str, int]:
    units = re.compile(r"[(\[](?!utc|milli)[^)\]]*[)\]]")  # those of time stay: they say what it is
    names = [re.sub(r"[^a-z]", "", units.sub("", one.lower())) for one in header]
    found = {}
    for wanted, known in COLUMNS.items():
        at = next((names.index(name) for name in known if name in names), None)
        if at is not None:
            found[wanted] = at
    return found


def _possible(lon: float, lat: float) -> bool:
    return -180 <= lon <= 180 and -90 <= lat <= 90 and not (lon == 0 and lat == 0)


def _check_size(path: str | Path) -> None:
    size = Path(path).stat().st_size
    if size > MOST_BYTES:
        raise Refused("too-large", f"{path}: {size} bytes of log.", "Send the flight in parts.")


def _nowhere(path: str | Path) -> Refused:
    return Refused(
        "no-position",
        f"{path}: no row of it says where the aircraft was.",
        "Export the log with columns for latitude and longitude.",
    )
