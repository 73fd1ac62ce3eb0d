"""DJI's subtitles: a cue for every second or frame, in whatever style the model writes.

Styles seen: `HOME(…) date / GPS(…) BAROMETER:…`, the older `Hb: Hs:`, one line of `GPS (…), D …m, H …m, G.PRY (…)`, and
brackets `[latitude: …] [rel_alt: … abs_alt: …]` with or without a date, a frame count, font tags or a time code.
"""

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from imagery.clocks import parse_clock, solar_zone
from imagery.errors import Refused
from imagery.metadata import finite
from imagery.srt_order import Cues, decide
from imagery.track import Fix, Track
from imagery.values import Attitude

MOST_BYTES = 256 << 20
NUMBER = r"[-+]?\d+(?:\.\d+)?"
TIMECODE = re.compile(r"(\d{1,3}):(\d\d):(\d\d)[,.](\d{1,3})\s*-->")
DATE = re.compile(
    r"(\d{4})[-.](\d{1,2})[-.](\d{1,2})[ T](\d{1,2}):(\d\d):(\d\d)(?:[,.](\d{1,3})(?:,\d{1,3})*|\.(\d+))?\s*(Z)?"
)
TUPLE = re.compile(r"\b(GPS|RTK|HOME)\s*\(([^()]{0,120})\)", re.IGNORECASE)
PRY = re.compile(r"\bG\.PRY\s*\(([^()]{0,80})\)")
NAMED = re.compile(rf"\b([A-Za-z][\w.]*)\s*:\s*({NUMBER})")
PLAIN = {
    "D": re.compile(rf"\bD ({NUMBER})m\b"),
    "H": re.compile(rf"\bH ({NUMBER})m\b"),
    "H.S": re.compile(rf"\bH\.S ({NUMBER})\s*(?:m/s|km/h)?"),
}
AUTEL = re.compile(rf"\b([NS])\s*[:(]?\s*({NUMBER}).{{0,12}}?\b([EW])\s*[:(]?\s*({NUMBER})")
TAGS = re.compile(r"<[^<>]{0,200}>")
STARTS = re.compile(r"^\s*\d{1,9}\s*$")
SEA = (math.pi, math.pi / 2)
"""Degrees of longitude and latitude: so near 0, 0 there is no land, only the Gulf of Guinea; numbers that all lie there
are radians, which some firmware writes."""


@dataclass(frozen=True, slots=True)
class _Cue:
    seconds: float | None
    clock: datetime | None
    pair: tuple[float, float] | None
    home: tuple[float, float] | None
    lonlat: tuple[float, float] | None
    """Where the cue names which is which."""
    values: dict[str, float]
    attitude: Attitude | None


def read_srt(path: str | Path) -> Track:
    """The track of a subtitle file.

    Raises `Refused`: empty, too-large, no-telemetry (no cue at all), no-position (cues, but none with a place),
    ambiguous-order (see `imagery.srt_order`), impossible-position.
    """
    size = Path(path).stat().st_size
    if size == 0:
        raise Refused("empty", f"{path}: is empty (0 bytes).", "Copy it from the card again.")
    if size > MOST_BYTES:
        raise Refused("too-large", f"{path}: {size} bytes of subtitles.", "Send the flight in parts.")
    return parse_srt(Path(path).read_text("utf-8-sig", errors="replace"), path)


def parse_srt(text: str, path: object) -> Track:
    """`read_srt` of what a file or a video's subtitle stream holds."""
    cues = [_cue(block) for block in _blocks(text)]
    if not any(cue.values or cue.pair or cue.clock for cue in cues):
        raise Refused(
            "no-telemetry", f"{path}: holds no telemetry, only {len(cues)} cue(s) without it.", "Send the whole SRT."
        )
    placed = [cue for cue in cues if cue.pair is not None or cue.lonlat is not None]
    if not placed:
        raise Refused(
            "no-position",
            f"{path}: none of its {len(cues)} cues says where the aircraft was.",
            "Switch on video captions with position in the flight app, or send its log as GPX or CSV.",
        )
    notes = [f"{len(cues) - len(placed)} of {len(cues)} cues have no position"] if len(placed) < len(cues) else []
    seconds = _seconds(placed)
    places, told = _places(placed, seconds, path)
    notes += told
    zone = solar_zone(places[0][0])
    clocks = [cue.clock for cue in placed]
    stated = any(clock is not None and clock.tzinfo is not None for clock in clocks)
    fixes = tuple(
        Fix(
            at,
            lon,
            lat,
            _first(cue.values, "abs_alt", "altitude", "gps_alt"),
            _first(cue.values, "rel_alt", "H", "barometer", "hb"),
            cue.clock if cue.clock is None or cue.clock.tzinfo else cue.clock.replace(tzinfo=zone),
            cue.attitude,
            _equivalent(cue.values),
        )
        for cue, at, (lon, lat) in zip(placed, seconds, places, strict=True)
    )
    has_clock = any(clock is not None for clock in clocks)
    return Track("srt", fixes, "utc" if stated else "solar" if has_clock else "none", tuple(notes))


def _blocks(text: str) -> list[str]:
    """The text of each cue: from a line that is a number to the next one that follows an empty line."""
    blocks: list[list[str]] = []
    blank = True
    for line in text.splitlines():
        if blank and STARTS.match(line):
            blocks.append([])
        elif blocks:
            blocks[-1].append(line)
        blank = not line.strip() or line.strip("\ufeff ") == ""
    return ["\n".join(block) for block in blocks]


def _cue(block: str) -> _Cue:
    timecode = TIMECODE.search(block)
    seconds = None
    if timecode is not None:
        hours, minutes, whole, fraction = timecode.groups()
        seconds = int(hours) * 3600 + int(minutes) * 60 + int(whole) + int(fraction.ljust(3, "0")) / 1000
    text = TAGS.sub(" ", block)
    values = {name.lower(): float(value) for name, value in NAMED.findall(text)}
    for name, pattern in PLAIN.items():
        if found := pattern.search(text):
            values[name] = float(found[1])
    pairs: dict[str, tuple[float, float]] = {}
    for name, inner in TUPLE.findall(text):
        parts = [part.strip() for part in inner.split(",")]
        numbers = [finite(re.sub(r"(?i)m$", "", part)) for part in parts[:3]]
        if len(numbers) >= 2 and numbers[0] is not None and numbers[1] is not None and (numbers[0] or numbers[1]):
            pairs.setdefault(name.upper(), (numbers[0], numbers[1]))
            # A third number with its unit is a height; without, it counts satellites.
            if name.upper() != "HOME" and len(parts) > 2 and parts[2].endswith("m") and numbers[2] is not None:
                values.setdefault("gps_alt", numbers[2])
    return _Cue(
        seconds,
        _clock(text),
        pairs.get("RTK", pairs.get("GPS")),
        pairs.get("HOME"),
        _named_place(text, values),
        values,
        _attitude(text, values),
    )


def _named_place(text: str, values: dict[str, float]) -> tuple[float, float] | None:
    lat, lon = values.get("latitude"), values.get("longitude", values.get("longtitude"))  # so spelt by DJI
    if lat is None or lon is None:
        found = AUTEL.search(text) if "HOME" in text.upper() or "GPS" in text.upper() else None
        if found is None:
            return None
        lat = float(found[2]) * (1 if found[1] == "N" else -1)
        lon = float(found[4]) * (1 if found[3] == "E" else -1)
    return (lon, lat) if lon or lat else None


def _clock(text: str) -> datetime | None:
    found = DATE.search(text)
    if found is None:
        return None
    year, month, day, hour, minute, second = (int(part) for part in found.groups()[:6])
    stamp = f"{year:04d}-{month:02d}-{day:02d} {hour:02d}:{minute:02d}:{second:02d}"
    clock = parse_clock(f"{stamp}.{(found[7] or '0').ljust(3, '0')}")
    return clock.replace(tzinfo=UTC) if clock is not None and found[9] else clock


def _attitude(text: str, values: dict[str, float]) -> Attitude | None:
    """The gimbal's; the aircraft's own (F.PRY) does not tell where the camera looked."""
    if found := PRY.search(text):
        angles = [finite(re.sub(r"[^-+.\d]", "", part)) for part in found[1].split(",")]
        if len(angles) == 3 and None not in angles:
            pitch, roll, yaw = (angle or 0.0 for angle in angles)
            return Attitude(yaw, pitch, roll)
    angles = [values.get(name) for name in ("gb_yaw", "gb_pitch", "gb_roll")]
    if None in angles:
        return None
    yaw, pitch, roll = (angle or 0.0 for angle in angles)
    return Attitude(yaw, pitch, roll)


def _seconds(cues: list[_Cue]) -> list[float]:
    """Seconds of each cue, never falling: by its time code, else by the clock, else one apart."""
    first = next((cue.clock for cue in cues if cue.clock is not None), None)
    found, last = [], 0.0
    for i, cue in enumerate(cues):
        at = cue.seconds
        if at is None and cue.clock is not None and first is not None:
            at = (cue.clock.replace(tzinfo=None) - first.replace(tzinfo=None)).total_seconds()
        last = max(last, float(i) if at is None else at)
        found.append(last)
    return found


def _places(cues: list[_Cue], seconds: list[float], path: object) -> tuple[list[tuple[float, float]], list[str]]:
    """Longitude and latitude of every cue, and notes on how they were decided."""
    named = [cue.lonlat for cue in cues]
    notes = []
    if all(place is not None for place in named):
        places = [place for place in named if place is not None]
    else:
        pairs = [cue.pair or (cue.lonlat or (0.0, 0.0)) for cue in cues]
        order, told = decide(
            Cues(
                seconds,
                pairs,
                [cue.home for cue in cues],
                [cue.values.get("D") for cue in cues],
                [cue.values.get("H.S") for cue in cues],
            )
        )
        if order is None:
            raise Refused(
                "ambiguous-order",
                f"{path}: does not tell which of its numbers {pairs[0][0]:g}, {pairs[0][1]:g} is the latitude: {told}.",
                "Send the flight's log as GPX or CSV, whose columns have names.",
            )
        notes.append(f"{'longitude' if order == 'lonlat' else 'latitude'} comes first in GPS(…), told by {told}")
        places = [pair if order == "lonlat" else (pair[1], pair[0]) for pair in pairs]
    if all(abs(lon) <= SEA[0] and abs(lat) <= SEA[1] for lon, lat in places):
        places = [(math.degrees(lon), math.degrees(lat)) for lon, lat in places]
        notes.append("its positions are in radians: taken as degrees they lie in the open sea")
    for lon, lat in places:
        if not (-180 <= lon <= 180 and -90 <= lat <= 90):
            raise Refused(
                "impossible-position",
                f"{path}: longitude {lon:g}, latitude {lat:g} is no place.",
                "The file is damaged: copy it from the card again.",
            )
    return places, notes


def _first(values: dict[str, float], *names: str) -> float | None:
    return next((values[name] for name in names if name in values), None)


def _equivalent(values: dict[str, float]) -> float | None:
    """`focal_len : 240` is 24 mm; zoomed digitally it tells nothing."""
    focal = values.get("focal_len")
    if focal is None or not 8 <= (focal / 10 if focal >= 100 else focal) <= 2000:
        return None
    zoom = values.get("dzoom_ratio", values.get("dzoom", 10000.0))
    return None if zoom not in (1.0, 10000.0) else (focal / 10 if focal >= 100 else focal)
