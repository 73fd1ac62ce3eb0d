"""A simulated video: one line of a flight as MP4, with the SRT that a drone writes beside it, and its exact poses."""

import subprocess
from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from imagery.simulator.canvas import View
from imagery.simulator.flights import SPEED, Pose, bent, record
from imagery.simulator.light import Picture
from imagery.simulator.place import Place
from imagery.simulator.tags import EQUIVALENT
from imagery.video import ffmpeg

WIDTH, HEIGHT, RATE = 640, 480, 5
LONGEST = 12.0
"""Seconds."""


def film(
    folder: Path, seed: int, flight: str, world: Picture, view: View, poses: tuple[Pose, ...], place: Place
) -> tuple[Path, list[dict[str, Any]]]:
    """Write `video.mp4` and `video.SRT` of the first line of a flight; the exact pose of every frame."""
    frames = list(_frames(poses))
    path = folder / "video.mp4"
    command = [
        ffmpeg(), "-hide_banner", "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "rgb24",
        "-s", f"{WIDTH}x{HEIGHT}", "-r", str(RATE), "-i", "pipe:0",
        "-c:v", "libx264", "-threads", "1", "-preset", "fast", "-crf", "20",
        "-pix_fmt", "yuv420p", "-bitexact", "-metadata", f"comment=simulated by flyonce, seed {seed}",
        "-y", str(path),
    ]  # fmt: skip
    pictures = b"".join(bent(world, view, pose, (WIDTH, HEIGHT)).tobytes() for pose in frames)
    subprocess.run(command, input=pictures, check=True, capture_output=True, timeout=120)
    path.with_suffix(".SRT").write_text(_subtitles(seed, flight, frames, place), encoding="utf-8")
    return path, [_exact(i, pose, place) for i, pose in enumerate(frames)]


def _frames(poses: tuple[Pose, ...]) -> Iterator[Pose]:
    """Poses `RATE` times a second along the line that begins with the first photo."""
    first = poses[0]
    line = [pose for pose in poses if abs(pose.y - first.y) < 3]
    length = abs(line[-1].x - first.x) if len(line) > 1 else SPEED * 4
    ahead = 1.0 if len(line) < 2 or line[-1].x > first.x else -1.0
    for i in range(int(min(LONGEST, length / SPEED) * RATE)):
        seconds = i / RATE
        yield replace(
            first,
            name=f"frame {i}",
            x=first.x + ahead * SPEED * seconds,
            taken=first.taken + timedelta(seconds=seconds),
        )


def _subtitles(seed: int, flight: str, frames: list[Pose], place: Place) -> str:
    blocks = []
    for i, pose in enumerate(frames):
        told = record(seed, f"{flight} video", pose, place)
        yaw = (told.gimbal.yaw + 180) % 360 - 180
        clock = told.taken.strftime("%Y-%m-%d %H:%M:%S") + f".{told.taken.microsecond // 1000:03d}"
        blocks.append(
            f"{i + 1}\n{_timecode(i / RATE)} --> {_timecode((i + 1) / RATE)}\n"
            f'<font size="28">FrameCnt: {i + 1}, DiffTime: {1000 // RATE}ms\n{clock}\n'
            f"[iso: 100] [shutter: 1/640.0] [fnum: 2.8] [ev: 0] [focal_len: {EQUIVALENT:.2f}] "
            f"[latitude: {told.lat:.6f}] [longitude: {told.lon:.6f}] "
            f"[rel_alt: {told.above_ground:.3f} abs_alt: {told.height:.3f}] "
            f"[gb_yaw: {yaw:.1f} gb_pitch: {told.gimbal.pitch:.1f} gb_roll: {told.gimbal.roll:.1f}] </font>\n"
        )
    return "\n".join(blocks) + "\n"


def _timecode(seconds: float) -> str:
    millis = round(seconds * 1000)
    return f"{millis // 3600000:02d}:{millis // 60000 % 60:02d}:{millis // 1000 % 60:02d},{millis % 1000:03d}"


def _exact(number: int, pose: Pose, place: Place) -> dict[str, Any]:
    easting, northing = place.to_map(pose.x, pose.y)
    return {
        "frame": number,
        "seconds": number / RATE,
        "easting": easting,
        "northing": northing,
        "height_above_ground": pose.above_ground,
        "attitude": asdict(pose.attitude),
    }
