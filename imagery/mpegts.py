"""The KLV stream of an MPEG transport stream (ISO/IEC 13818-1), by packets of 188 bytes; no video is decoded.

Elementary streams of type 0x06 (private data, MISB ST 1402's "asynchronous") and 0x15 (metadata, "synchronous") are
put together from their PES packets; the second of each comes from its time stamp against the video's first.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from imagery.klv import Packet, packets

SIZE, SYNC = 188, 0x47
DATA, METADATA = 0x06, 0x15
VIDEO = frozenset({0x01, 0x02, 0x10, 0x1B, 0x24})
CLOCK = 90_000
MOST_PES = 1 << 20
READ = SIZE * 4096


def is_transport_stream(head: bytes) -> bool:
    """Whether some first bytes (two packets and more) look like a transport stream."""
    return len(head) > SIZE and head[0] == SYNC and head[SIZE] == SYNC


def timed_packets(path: str | Path) -> Iterator[tuple[float | None, Packet]]:
    """ST 0601 packets with their second in the video."""
    first: int | None = None
    for kind, stamp, payload in _streams(path):
        if kind in VIDEO:
            first = stamp if first is None or (stamp is not None and stamp < first) else first
            continue
        for packet in packets(payload):
            yield (None if stamp is None or first is None else max(0.0, (stamp - first) / CLOCK)), packet


def _streams(path: str | Path) -> Iterator[tuple[int, int | None, bytes]]:
    """(stream type, time stamp, payload) of PES packets: of data whole, of video its first time stamps alone."""
    tables: set[int] = {0}
    maps: set[int] = set()
    kinds: dict[int, int] = {}
    open_pes: dict[int, bytearray] = {}
    videos = 0
    with Path(path).open("rb") as file:
        for pid, begins, payload in _packets(file):
            if pid in tables and begins:
                maps |= set(_programs(payload))
            elif pid in maps and begins:
                kinds |= dict(_elementary(payload))
            kind = kinds.get(pid)
            if kind in VIDEO and begins and videos < 64:
                videos += 1
                yield kind, _stamp(payload), b""
            elif kind in (DATA, METADATA):
                if begins:
                    if pid in open_pes:
                        yield _whole(kind, open_pes.pop(pid))
                    open_pes[pid] = bytearray()
                if pid in open_pes and len(open_pes[pid]) < MOST_PES:
                    open_pes[pid] += payload
    for pid, held in open_pes.items():
        yield _whole(kinds[pid], held)


def _whole(kind: int, pes: bytearray) -> tuple[int, int | None, bytes]:
    header = 9 + pes[8] if len(pes) > 8 else 0
    return kind, _stamp(bytes(pes[:19])), bytes(pes[header:])


def _packets(file: BinaryIO) -> Iterator[tuple[int, bool, bytes]]:
    """(PID, whether a unit begins, payload) of every packet; bytes out of step are skipped."""
    held = b""
    while chunk := file.read(READ):
        held += chunk
        at = 0
        while at + SIZE <= len(held):
            if held[at] != SYNC:
                at = held.find(bytes([SYNC]), at + 1)
                if at < 0:
                    at = len(held)
                continue
            packet = held[at : at + SIZE]
            at += SIZE
            control = packet[3] >> 4 & 3
            start = 5 + packet[4] if control & 2 else 4
            if control & 1 and start < SIZE:
                yield (packet[1] & 0x1F) << 8 | packet[2], bool(packet[1] & 0x40), packet[start:]
        held = held[at:]


def _section(payload: bytes) -> bytes:
    """A table section without its pointer field."""
    begin = 1 + payload[0] if payload else 0
    section = payload[begin:]
    if len(section) < 12:
        return b""
    return section[: 3 + ((section[1] & 0x0F) << 8 | section[2])]


def _programs(payload: bytes) -> Iterator[int]:
    """PIDs of the program maps that the association table names."""
    section = _section(payload)
    for at in range(8, len(section) - 7, 4):
        if section[at] or section[at + 1]:
            yield (section[at + 2] & 0x1F) << 8 | section[at + 3]


def _elementary(payload: bytes) -> Iterator[tuple[int, int]]:
    """(PID, stream type) of a program's elementary streams."""
    section = _section(payload)
    if len(section) < 16 or section[0] != 2:
        return
    at = 12 + ((section[10] & 0x0F) << 8 | section[11])
    while at + 5 <= len(section) - 4:
        yield (section[at + 1] & 0x1F) << 8 | section[at + 2], section[at]
        at += 5 + ((section[at + 3] & 0x0F) << 8 | section[at + 4])


def _stamp(pes: bytes) -> int | None:
    """The presentation time stamp of a PES packet's header, in ticks of 90 kHz."""
    if len(pes) < 14 or pes[:3] != b"\0\0\1" or not pes[7] & 0x80:
        return None
    a, b, c, d, e = pes[9:14]
    return (a >> 1 & 7) << 30 | b << 22 | (c >> 1) << 15 | d << 7 | e >> 1
