"""Telemetry of every style that is known, against what the files say; orders told by evidence; hostile bytes."""

import itertools
import math
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Geod

from imagery.clips import footprints, key_frames, offset_of
from imagery.errors import Refused
from imagery.inspect import inspect
from imagery.klv import CHECKSUM, ITEMS, KEY, Packet, checksum, packets, track_of
from imagery.logs import read_csv, read_gpx
from imagery.mpegts import SIZE, timed_packets
from imagery.srt import parse_srt, read_srt
from imagery.track import Fix, Track
from imagery.values import Attitude

GEOD = Geod(ellps="WGS84")
# file → number of fixes, first longitude and latitude, how the order was told; or why it is refused
SRT = {
    "mavic_2_style.SRT": (468, 149.0251, -20.2533, None),
    "mavic_2pro_new.SRT": (8952, -60.286702, -35.080155, None),
    "mavic_air2.srt": (25, 2.162162, 41.420684, None),
    "mavic_mini.SRT": (117, -121.7458, 48.0771, "range"),
    "mavic_pro.SRT": (468, 149.0251, -20.2533, "range"),
    "mavic_pro_buggy.SRT": (530, -1.2218, 42.4668, "evenness"),
    "old_format.SRT": (468, 149.0251, -20.2533, "range"),
    "p4_rtk.SRT": (55, -58.851745, -34.237922, "distance"),
    "broken_empty.SRT": "empty",
    "broken_empty2.SRT": "no-telemetry",
    "broken_incomplete.SRT": "ambiguous-order",
    "mavic_air.SRT": "no-position",
}


@pytest.mark.parametrize("name", sorted(SRT))
def test_every_style_of_subtitles(data: Path, name: str) -> None:
    expected, path = SRT[name], data / "telemetry/srt" / name
    if isinstance(expected, str):
        with pytest.raises(Refused) as refused:
            inspect(path)
        assert refused.value.reason == expected
        assert name in refused.value.message
        return
    count, lon, lat, told = expected
    track = read_srt(path)
    assert len(track.fixes) == count
    assert (track.fixes[0].lon, track.fixes[0].lat) == (lon, lat)
    assert any(f"told by {told}" in note for note in track.notes) == (told is not None)
    seconds = [fix.seconds for fix in track.fixes]
    assert seconds == sorted(seconds)


def test_the_rest_of_a_cue(data: Path) -> None:
    rtk = read_srt(data / "telemetry/srt/p4_rtk.SRT").fixes[0]
    assert rtk.attitude == Attitude(110.4, -24.4, 0.0)
    assert rtk.above_ground == 85.8
    pro = read_srt(data / "telemetry/srt/mavic_pro.SRT")
    assert pro.fixes[0].above_ground == 1.9
    assert pro.fixes[0].taken == datetime(2017, 8, 5, 4, 11, 51, tzinfo=UTC)  # the sun's time there is UTC+10
    assert pro.zone == "solar"
    assert read_srt(data / "telemetry/srt/mavic_2pro_new.SRT").fixes[0].equivalent == 28.0
    modern = parse_srt(
        '1\n00:00:00,000 --> 00:00:00,033\n<font size="28">FrameCnt: 1, DiffTime: 33ms\n2024-01-05 10:00:00.123\n'
        "[iso: 100] [focal_len: 24.00] [dzoom_ratio: 1.00] [latitude: 30.5] [longitude: 114.3] [rel_alt: 50.100 "
        "abs_alt: 75.200] [gb_yaw: -20.5 gb_pitch: -60.0 gb_roll: 0.0] </font>\n",
        "modern",
    ).fixes[0]
    assert (modern.above_ground, modern.height, modern.equivalent) == (50.1, 75.2, 24.0)
    assert modern.attitude == Attitude(-20.5, -60.0, 0.0)


@pytest.mark.parametrize("name", [name for name, told in SRT.items() if not isinstance(told, str) and told[3]])
def test_the_other_order_is_told_as_well(data: Path, name: str) -> None:
    """The same flights with both numbers changed over, as another model would write them."""
    text = (data / "telemetry/srt" / name).read_text("utf-8-sig")
    swapped = re.sub(r"(GPS|HOME)( ?)\((-?[\d.]+),( ?)(-?[\d.]+)", r"\1\2(\5,\4\3", text)
    here, there = parse_srt(text, "a"), parse_srt(swapped, "b")
    assert [(fix.lon, fix.lat) for fix in here.fixes] == [(fix.lon, fix.lat) for fix in there.fixes]


def test_speed_tells_the_order_where_nothing_else_does() -> None:
    place, lines = (12.0, 52.0), []
    for i in range(60):
        lon, lat = place
        lines.append(
            f"{i + 1}\n00:{i // 60:02d}:{i % 60:02d},000 --> 00:00:00,000\n"
            f"GPS ({lat:.6f}, {lon:.6f}, 12), H.S 10.00m/s\n"
        )
        lon, lat, _ = GEOD.fwd(*place, 90.0, 10.0)
        place = (lon, lat)
    track = parse_srt("\n".join(lines), "speed")
    assert (track.fixes[0].lon, track.fixes[0].lat) == (12.0, 52.0)
    assert any("told by speed" in note for note in track.notes)
    standing = re.sub(r"GPS \([^)]*\)", "GPS (52.0, 12.0, 12)", "\n".join(lines)).replace("10.00m/s", "0.00m/s")
    with pytest.raises(Refused) as refused:
        parse_srt(standing, "standing")
    assert refused.value.reason == "ambiguous-order"


def item(tag: int, value: float) -> bytes:
    name_range = ITEMS[tag][1]
    bits = 8 * name_range.bytes
    if name_range.signed:
        middle, half = (name_range.high + name_range.low) / 2, (name_range.high - name_range.low) / 2
        raw = round((value - middle) / half * ((1 << (bits - 1)) - 1))
    else:
        raw = round((value - name_range.low) / (name_range.high - name_range.low) * ((1 << bits) - 1))
    return bytes([tag, name_range.bytes]) + raw.to_bytes(name_range.bytes, "big", signed=name_range.signed)


def packet(taken: datetime, **values: float) -> bytes:
    tags = {name: tag for tag, (name, _) in ITEMS.items()}
    micros = round(taken.timestamp() * 1e6)
    body = bytes([2, 8]) + micros.to_bytes(8, "big") + b"".join(item(tags[name], v) for name, v in values.items())
    body += bytes([CHECKSUM, 2])
    head = KEY + bytes([0x81, len(body) + 2]) + body
    return head + checksum(head).to_bytes(2, "big")


WHEN = datetime(2026, 5, 1, 3, 0, tzinfo=UTC)
LEVEL = {
    "lat": 30.6, "lon": 114.3, "altitude": 180.0, "frame_elevation": 60.0, "fov": 40.0, "platform_heading": 30.0,
    "platform_pitch": 2.0, "platform_roll": -3.0, "sensor_azimuth": 90.0, "sensor_elevation": -50.0, "sensor_roll": 0.0,
}  # fmt: skip


def test_klv_packets_are_read_back_and_damaged_ones_are_not() -> None:
    good = packet(WHEN, **LEVEL)
    stream = b"noise" + good + bytes(7) + packet(WHEN + timedelta(seconds=1), **LEVEL | {"lat": 30.601})
    found = list(packets(stream))
    assert [one.right for one in found] == [True, True]
    assert found[0].taken == WHEN
    for name, value in LEVEL.items():
        assert found[0].values[name] == pytest.approx(
            value, abs=0.2 if "altitude" in name or "elevation" in name else 0.01
        )
    damaged = bytearray(stream)
    damaged[5 + len(good) // 2] ^= 0x10
    track = track_of([(None, one) for one in packets(bytes(damaged))], "x")
    assert len(track.fixes) == 1
    assert "1 of 2 packets have a wrong checksum" in track.notes[0]
    assert not list(packets(good[:-5]))


def test_the_camera_of_klv_looks_where_platform_and_sensor_turn_it() -> None:
    fix = track_of([(0.0, next(packets(packet(WHEN, **LEVEL))))], "x").fixes[0]
    assert fix.above_ground == pytest.approx(120, abs=0.4)
    level = {"platform_pitch": 0.0, "platform_roll": 0.0}
    flat = track_of([(0.0, next(packets(packet(WHEN, **LEVEL | level))))], "x").fixes[0]
    assert flat.attitude is not None
    assert (flat.attitude.yaw, flat.attitude.pitch, flat.attitude.roll) == pytest.approx((120, -50, 0), abs=0.01)
    assert fix.attitude is not None
    assert fix.attitude != flat.attitude
    (seen,) = footprints(Track("klv", (flat,)), 1920, 1080)
    assert seen.footprint.method == "pose"


def test_the_sample_packet_s_checksum_is_wrong_and_said_to_be(data: Path) -> None:
    path = data / "telemetry/klv/DynamicConstantMISMMSPacketData.bin"
    (one,) = packets(path.read_bytes())
    assert not one.right
    capture = inspect(path)
    assert capture.track is not None
    (fix,) = capture.track.fixes
    assert (fix.lon, fix.lat) == pytest.approx((128.426759, 60.176823), abs=1e-6)
    assert fix.attitude is None
    assert capture.footprint.method == "position"
    assert "unconfirmed" in capture.notes[0]


def ts_packet(pid: int, payload: bytes, begins: bool) -> bytes:
    head = bytes([0x47, (0x40 if begins else 0) | pid >> 8, pid & 0xFF])
    room = SIZE - 4
    if len(payload) == room:
        return head + b"\x10" + payload
    stuffing = room - len(payload) - 1
    field = bytes([stuffing]) + (b"\0" + b"\xff" * (stuffing - 1) if stuffing else b"")
    return head + b"\x30" + field + payload


def transport_stream(timed: list[tuple[int, bytes]]) -> bytes:
    """A program of one video and one KLV stream, whose packets have presentation time stamps."""

    def pes(stamp: int, content: bytes) -> bytes:
        a = bytes([0x21 | (stamp >> 29 & 0xE), stamp >> 22 & 0xFF, (stamp >> 14 & 0xFE) | 1, stamp >> 7 & 0xFF])
        return b"\0\0\1\xbd\0\0\x80\x80\x05" + a + bytes([(stamp << 1 & 0xFE) | 1]) + content

    pat = bytes([0, 0, 0xB0, 13, 0, 1, 0xC1, 0, 0, 0, 1, 0xE1, 0, 0, 0, 0, 0])
    streams = bytes([0x1B, 0xE1, 1, 0xF0, 0, 0x06, 0xE1, 2, 0xF0, 0])
    pmt = bytes([0, 2, 0xB0, 13 + len(streams), 0, 1, 0xC1, 0, 0, 0xE1, 1, 0xF0, 0]) + streams + bytes(4)
    out = ts_packet(0, pat, True) + ts_packet(0x100, pmt, True) + ts_packet(0x101, pes(90_000, b"video"), True)
    for stamp, content in timed:
        whole = pes(stamp, content)
        for at in range(0, len(whole), SIZE - 4):
            out += ts_packet(0x102, whole[at : at + SIZE - 4], at == 0)
    return out


def test_klv_in_a_transport_stream_has_the_seconds_of_its_video(tmp_path: Path) -> None:
    path = tmp_path / "flight.ts"
    sent = [(90_000 * (2 + i), packet(WHEN + timedelta(seconds=i), **LEVEL)) for i in range(4)]
    path.write_bytes(transport_stream(sent))
    found = list(timed_packets(path))
    assert [seconds for seconds, _ in found] == pytest.approx([1, 2, 3, 4])
    assert all(one.right for _, one in found)


GPX = """<?xml version="1.0"?><gpx version="1.1" xmlns="http://www.topografix.com/GPX/1/1"><trk><trkseg>
<trkpt lat="30.6" lon="114.3"><ele>55.5</ele><time>2026-05-01T03:00:00Z</time></trkpt>
<trkpt lat="30.601" lon="114.3"><ele>56</ele><time>2026-05-01T03:00:02Z</time></trkpt></trkseg></trk></gpx>"""


def test_logs_with_names_in_them(tmp_path: Path) -> None:
    gpx, csv = tmp_path / "a.gpx", tmp_path / "b.csv"
    gpx.write_text(GPX)
    track = read_gpx(gpx)
    assert [(fix.seconds, fix.lat, fix.height) for fix in track.fixes] == [(0, 30.6, 55.5), (2, 30.601, 56)]
    assert track.zone == "utc"
    csv.write_text(
        "time(millisecond),datetime(utc),latitude,longitude,height_above_takeoff(feet),altitude(feet),"
        "gimbal_heading(degrees),gimbal_pitch(degrees)\n"
        "0,2026-05-01 03:00:00,30.6,114.3,100,300,45,-90\n100,2026-05-01 03:00:00,0,0,100,300,45,-90\n"
        "200,2026-05-01 03:00:00,30.60001,114.3,100,300,45,-90\n"
    )
    track = read_csv(csv)
    assert len(track.fixes) == 2, "0, 0 is no place"
    first = track.fixes[0]
    assert first.above_ground == pytest.approx(30.48)
    assert first.attitude == Attitude(45, -90, 0)
    assert track.fixes[1].seconds == pytest.approx(0.2)
    assert inspect(csv).kind == inspect(gpx).kind == "telemetry"
    csv.write_text("a,b\n1,2\n")
    with pytest.raises(Refused):
        inspect(csv)


def flown(seconds: int, speed: float = 8.0) -> Track:
    fixes, place = [], (114.3, 30.6)
    for i in range(seconds):
        lon, lat = place
        fixes.append(Fix(float(i), lon, lat, 80.0, 60.0, WHEN + timedelta(seconds=i), Attitude(0, -90, 0), 24.0))
        pace = speed * (1 + 0.8 * math.sin(i / 3) + 0.5 * math.sin(i / 7.7))
        lon, lat, _ = GEOD.fwd(*place, 0.0, max(pace, 0.1))
        place = (lon, lat)
    return Track("srt", tuple(fixes), "utc")


def test_key_frames_are_few_and_still_overlap() -> None:
    from shapely.geometry import shape

    seen = footprints(flown(120), 1920, 1080)
    chosen = key_frames(seen)
    assert 3 <= len(chosen) < 0.75 * len(seen)
    areas = [shape(one.footprint.geometry) for one in chosen]
    for one, after in itertools.pairwise(areas):
        assert one.intersection(after).area > 0.45 * after.area


@pytest.mark.parametrize("late", [-12.0, 0.0, 7.5])
def test_the_offset_of_a_log_is_found_by_the_motion_in_the_video(late: float) -> None:
    track, rate = flown(150), 2.0
    speeds = np.array(
        [GEOD.inv(a.lon, a.lat, b.lon, b.lat)[2] for a, b in zip(track.fixes, track.fixes[1:], strict=False)]
    )
    at = np.arange(0, 80, 1 / rate)
    motion = np.interp(at - late, np.arange(len(speeds)), speeds) + np.random.default_rng(2).normal(0, 0.4, len(at))
    found = offset_of(motion, rate, track)
    assert found is not None
    assert found[0] == pytest.approx(late, abs=1.0)
    assert offset_of(np.ones(100), rate, track) is None


BLOCK = "1\n00:00:00,000 --> 00:00:01,000\n{}\n"


SUBTITLES = st.one_of(st.text(max_size=300), st.from_regex(r"(GPS|HOME) ?\([-0-9., mM]{0,40}\).{0,40}", fullmatch=True))


def check_subtitles(body: str) -> None:
    for text in (body, BLOCK.format(body)):
        try:
            track = parse_srt(text, "fuzz.SRT")
        except Refused as error:
            refused = error.reason
        else:
            refused = "no-position"
            assert all(-180 <= fix.lon <= 180 and -90 <= fix.lat <= 90 for fix in track.fixes)
        assert refused in ("no-telemetry", "no-position", "ambiguous-order", "impossible-position")


@settings(max_examples=200)
@given(SUBTITLES)
def test_subtitles_of_any_text_are_read_or_refused(body: str) -> None:
    check_subtitles(body)


@pytest.mark.soak
@settings(max_examples=20_000)
@given(SUBTITLES)
def test_subtitles_of_any_text_for_long(body: str) -> None:
    check_subtitles(body)


NOISE, CUT = st.binary(max_size=300), st.integers(0, 400)


def check_klv(noise: bytes, cut: int) -> None:
    good = packet(WHEN, **LEVEL)
    for stream in (noise, KEY + noise, good[:cut] + noise + good):
        for one in packets(stream):
            assert isinstance(one, Packet)
    if KEY[:4] not in noise:
        whole = list(packets(noise + good))
        assert [one.right for one in whole] == [True]


@settings(max_examples=200)
@given(NOISE, CUT)
def test_klv_of_any_bytes_is_read_or_left_out(noise: bytes, cut: int) -> None:
    check_klv(noise, cut)


@pytest.mark.soak
@settings(max_examples=20_000)
@given(NOISE, CUT)
def test_klv_of_any_bytes_for_long(noise: bytes, cut: int) -> None:
    check_klv(noise, cut)


@pytest.mark.soak
@settings(max_examples=20_000)
@given(st.binary(max_size=2000))
def test_hostile_files_of_telemetry(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    folder = tmp_path_factory.getbasetemp()
    for name in ("x.SRT", "x.gpx", "x.csv", "x.klv", "x.ts"):
        path = folder / name
        path.write_bytes(content)
        try:
            inspect(path)
        except Refused:
            continue
        list(timed_packets(path))
