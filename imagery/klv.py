"""MISB ST 0601 (UAS Datalink Local Set) packets, and the tracks they make.

A packet is a universal key of 16 bytes, a BER length, and items of tag, length, value (SMPTE ST 336). The last item is
a checksum: the sum of all 16-bit words from the first byte of the key up to it. A packet whose checksum is wrong is
left out of a stream that holds right ones. Where not one is right, though every packet is whole in itself, the encoder
does not count as the standard does (nor does the example packet of MISB ST 0902): positions are then read, and said to
be unconfirmed, and no attitude is, so that no footprint rests on them. Values are whole numbers mapped onto ranges (ST
0601, "Conversion formulas").
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from imagery.errors import Refused
from imagery.track import Fix, Track
from imagery.values import Attitude
from imagery.vendors import attitude_of

KEY = bytes.fromhex("060e2b34020b01010e01030101000000")
CHECKSUM, TIMESTAMP = 1, 2
MOST_LENGTH = 1 << 16
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class _Range:
    """`signed`: -2^(n-1) + 1 … 2^(n-1) - 1 over low … high, and -2^(n-1) for an error; else 0 … 2^n - 1."""

    bytes: int
    low: float
    high: float
    signed: bool = False


ITEMS: dict[int, tuple[str, _Range]] = {
    5: ("platform_heading", _Range(2, 0, 360)),
    6: ("platform_pitch", _Range(2, -20, 20, signed=True)),
    7: ("platform_roll", _Range(2, -50, 50, signed=True)),
    13: ("lat", _Range(4, -90, 90, signed=True)),
    14: ("lon", _Range(4, -180, 180, signed=True)),
    15: ("altitude", _Range(2, -900, 19_000)),
    16: ("fov", _Range(2, 0, 180)),
    17: ("fov_vertical", _Range(2, 0, 180)),
    18: ("sensor_azimuth", _Range(4, 0, 360)),
    19: ("sensor_elevation", _Range(4, -180, 180, signed=True)),
    20: ("sensor_roll", _Range(4, 0, 360)),
    21: ("slant_range", _Range(4, 0, 5_000_000)),
    23: ("frame_lat", _Range(4, -90, 90, signed=True)),
    24: ("frame_lon", _Range(4, -180, 180, signed=True)),
    25: ("frame_elevation", _Range(2, -900, 19_000)),
    75: ("ellipsoid_height", _Range(2, -900, 19_000)),
    90: ("platform_pitch_full", _Range(4, -90, 90, signed=True)),
    91: ("platform_roll_full", _Range(4, -90, 90, signed=True)),
}
"""Tag → name and mapping; degrees and metres."""


@dataclass(frozen=True, slots=True)
class Packet:
    taken: datetime | None
    """UTC (ST 0603 time, leap seconds left as they are)."""
    values: dict[str, float]
    right: bool = True
    """Whether the checksum is."""


def packets(stream: bytes) -> Iterator[Packet]:
    """Every whole packet in some bytes, wherever it begins, with the word on its checksum."""
    at = stream.find(KEY)
    while at >= 0:
        found = _packet(stream, at)
        if found is not None:
            yield found[0]
        at = stream.find(KEY, at + len(KEY) if found is None else found[1])


def _packet(stream: bytes, at: int) -> tuple[Packet, int] | None:
    """The packet that begins at `at` and where it ends; None where it is cut off, not filled or without a checksum."""
    length, begin = _ber(stream, at + len(KEY))
    end = begin + length
    if length < 4 or length > MOST_LENGTH or end > len(stream):
        return None
    body = stream[begin:end]
    # The checksum is the last item: tag 1, length 2, and two bytes that the sum does not hold.
    if body[-4] != CHECKSUM or body[-3] != 2:
        return None
    right = checksum(stream[at : end - 2]) == int.from_bytes(body[-2:], "big")
    values: dict[str, float] = {}
    taken = None
    items = list(_items(body))
    if not items or items[-1][0] != CHECKSUM:
        return None
    for tag, raw in items:
        if tag == TIMESTAMP and len(raw) == 8:
            micros = int.from_bytes(raw, "big")
            taken = EPOCH + timedelta(microseconds=micros) if micros < 1 << 52 else None
        elif tag in ITEMS:
            name, mapping = ITEMS[tag]
            value = _mapped(raw, mapping)
            if value is not None:
                values[name] = value
    return Packet(taken, values, right), end


def checksum(content: bytes) -> int:
    """ST 0601: bytes at even places count 256-fold, the sum is taken in 16 bits."""
    return (256 * sum(content[0::2]) + sum(content[1::2])) & 0xFFFF


def _items(body: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(body):
        tag, at = _oid(body, at)
        if at >= len(body):
            return
        length, at = _ber(body, at)
        if at + length > len(body):
            return
        yield tag, body[at : at + length]
        at += length


def _oid(body: bytes, at: int) -> tuple[int, int]:
    """A BER-OID tag: seven bits a byte, the high bit says that more follow."""
    tag = 0
    while at < len(body):
        byte = body[at]
        tag, at = (tag << 7) | (byte & 0x7F), at + 1
        if not byte & 0x80 or tag > 1 << 21:
            break
    return tag, at


def _ber(body: bytes, at: int) -> tuple[int, int]:
    """A BER length and where its value begins; a length beyond everything where it is cut off."""
    if at >= len(body):
        return MOST_LENGTH + 1, at
    first = body[at]
    if first < 0x80:
        return first, at + 1
    count = first & 0x7F
    if count == 0 or count > 4 or at + 1 + count > len(body):
        return MOST_LENGTH + 1, at + 1
    return int.from_bytes(body[at + 1 : at + 1 + count], "big"), at + 1 + count


def _mapped(raw: bytes, mapping: _Range) -> float | None:
    if len(raw) != mapping.bytes:
        return None
    number = int.from_bytes(raw, "big", signed=mapping.signed)
    bits = 8 * mapping.bytes
    if mapping.signed:
        if number == -(1 << (bits - 1)):
            return None  # the standard's word for "out of range"
        return number / ((1 << (bits - 1)) - 1) * (mapping.high - mapping.low) / 2 + (mapping.high + mapping.low) / 2
    return mapping.low + number / ((1 << bits) - 1) * (mapping.high - mapping.low)


def track_of(timed: list[tuple[float | None, Packet]], path: object) -> Track:
    """The track of packets, each with its second in the video where it has one; else by their own clock.

    Raises `Refused`: no-telemetry, no-position.
    """
    confirmed = [(at, one) for at, one in timed if one.right]
    notes = []
    if confirmed:
        if len(confirmed) < len(timed):
            notes.append(f"{len(timed) - len(confirmed)} of {len(timed)} packets have a wrong checksum: left out")
        timed = confirmed
    elif timed:
        notes.append("no packet has a right checksum: its positions are unconfirmed, its attitudes are not used")
    if not timed:
        raise Refused("no-telemetry", f"{path}: holds no whole ST 0601 packet.", "Record it again.")
    placed = [(at, one) for at, one in timed if {"lat", "lon"} <= one.values.keys()]
    if not placed:
        raise Refused("no-position", f"{path}: no packet tells where the sensor was.", "Send the flight's log as GPX.")
    start = next((one.taken for _, one in placed if one.taken is not None), None)
    fixes, last = [], 0.0
    for i, (at, one) in enumerate(placed):
        seconds = at
        if seconds is None:
            seconds = (one.taken - start).total_seconds() if one.taken is not None and start is not None else float(i)
        last = max(last, seconds)
        fixes.append(_fix(last, one))
    return Track("klv", tuple(fixes), "none" if start is None else "utc", tuple(notes))


def _fix(seconds: float, packet: Packet) -> Fix:
    values = packet.values
    height = values.get("altitude", values.get("ellipsoid_height"))
    if not packet.right:
        return Fix(seconds, values["lon"], values["lat"], height, None, packet.taken)
    above = None
    if height is not None and "frame_elevation" in values:
        above = height - values["frame_elevation"]
    return Fix(
        seconds, values["lon"], values["lat"], height, above, packet.taken, _attitude(values), fov=values.get("fov")
    )


def _attitude(values: dict[str, float]) -> Attitude | None:
    """The camera's: the sensor turned in the platform, the platform turned in the world (ST 0601, items 18 to 20)."""
    heading = values.get("platform_heading")
    pitch = values.get("platform_pitch_full", values.get("platform_pitch"))
    roll = values.get("platform_roll_full", values.get("platform_roll"))
    azimuth, elevation = values.get("sensor_azimuth"), values.get("sensor_elevation")
    if heading is None or pitch is None or roll is None or azimuth is None or elevation is None:
        return None
    world = _turned(heading, pitch, roll) @ _turned(azimuth, elevation, values.get("sensor_roll", 0.0))
    # Columns: boresight, right, down, in north, east, down.
    to_enu = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, -1.0]])
    boresight, right, _ = (to_enu @ world).T
    return attitude_of(boresight, right)


def _turned(yaw: float, pitch: float, roll: float) -> np.ndarray:
    """[3, 3]: about z by yaw, then y by pitch (nose up), then x by roll (right side down)."""
    y, p, r = (math.radians(angle) for angle in (yaw, pitch, roll))
    about_z = np.array([[math.cos(y), -math.sin(y), 0], [math.sin(y), math.cos(y), 0], [0, 0, 1]])
    about_y = np.array([[math.cos(p), 0, math.sin(p)], [0, 1, 0], [-math.sin(p), 0, math.cos(p)]])
    about_x = np.array([[1, 0, 0], [0, math.cos(r), -math.sin(r)], [0, math.sin(r), math.cos(r)]])
    return np.asarray(about_z @ about_y @ about_x)
