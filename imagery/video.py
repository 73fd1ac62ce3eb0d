"""Video files through the `ffmpeg` program: what they hold, their subtitles, single frames. Nothing is linked in.

The program is the one on the path or in `FLYONCE_FFMPEG`, else the one that imageio-ffmpeg carries. It is given a file
on disk, no protocol but `file`, a time limit and a limit to what is read of its answer.
"""

import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imagery.clocks import FIRST_YEAR, parse_clock
from imagery.errors import Refused

SECONDS = 60.0
MOST_TEXT = 64 << 20
MOST_SIDE = 16_384
DURATION = re.compile(r"Duration: (\d+):(\d\d):(\d\d(?:\.\d+)?)")
CREATED = re.compile(r"creation_time\s*:\s*(\S+)")
STREAM = re.compile(r"Stream #0:(\d+)\S*: (Video|Subtitle|Data|Audio): (.*)")
SIZE = re.compile(r"\b(\d{2,5})x(\d{2,5})\b")
RATE = re.compile(r"([\d.]+) (?:fps|tbr)")


@dataclass(frozen=True, slots=True)
class Clip:
    """What a video file says of itself."""

    width: int
    height: int
    seconds: float
    rate: float | None
    """Frames per second."""
    codec: str
    created: datetime | None
    """UTC, as the container says; the end or the start of the recording."""
    subtitles: bool
    data: bool


def ffmpeg() -> str:
    """The program. Raises `Refused` (no-ffmpeg)."""
    named = os.environ.get("FLYONCE_FFMPEG") or shutil.which("ffmpeg")
    if named:
        return named
    try:
        import imageio_ffmpeg  # type: ignore[import-untyped]

        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except (ImportError, RuntimeError) as error:
        raise Refused(
            "no-ffmpeg", "There is no ffmpeg program to read videos with.", "Install ffmpeg, or set FLYONCE_FFMPEG."
        ) from error


def probe(path: str | Path) -> Clip:
    """Read a video's header. Raises `Refused`: damaged, truncated, no-video, no-ffmpeg, timed-out."""
    told = _run(["-i", _file(path)], path, may_fail=True).stderr.decode("utf-8", "replace")
    streams = STREAM.findall(told)
    pictures = [text for _, kind, text in streams if kind == "Video" and "attached pic" not in text]
    if not streams or "moov atom not found" in told:
        cut = "moov atom not found" in told or "End of file" in told
        raise Refused(
            "truncated" if cut else "damaged",
            f"{path}: is no whole video: {_last_line(told)}.",
            "Copy it from the card again; a recording that broke off needs the camera's own repair.",
        )
    size = SIZE.search(pictures[0]) if pictures else None
    if size is None:
        raise Refused("no-video", f"{path}: holds no pictures.", "Send the camera's own video file.")
    width, height = int(size[1]), int(size[2])
    if max(width, height) > MOST_SIDE:
        raise Refused("too-many-pixels", f"{path}: claims {width} x {height} pixels a frame.", "Convert it first.")
    duration, rate = DURATION.search(told), RATE.search(pictures[0])
    seconds = 0.0
    if duration:
        seconds = int(duration[1]) * 3600 + int(duration[2]) * 60 + float(duration[3])
    created = parse_clock(found[1]) if (found := CREATED.search(told)) else None
    if created is not None:
        created = created.replace(tzinfo=created.tzinfo or UTC) if created.year >= FIRST_YEAR else None
    kinds = [kind for _, kind, _ in streams]
    return Clip(
        width, height, seconds, float(rate[1]) if rate else None, pictures[0].split()[0].strip(","), created,
        "Subtitle" in kinds, "Data" in kinds,
    )  # fmt: skip


def subtitles(path: str | Path) -> str:
    """The first subtitle stream as SRT; empty where it holds nothing."""
    done = _run(["-i", _file(path), "-map", "0:s:0", "-f", "srt", "pipe:1"], path, may_fail=True)
    return done.stdout[:MOST_TEXT].decode("utf-8", "replace")


def frame(path: str | Path, seconds: float, width: int | None = None) -> NDArray[np.uint8]:
    """The frame shown at a second, RGB uint8 [H, W, 3], scaled to `width` pixels where it is given.

    Raises `Refused`: damaged (no frame can be read there), timed-out.
    """
    scale = [] if width is None else ["-vf", f"scale={width}:-2"]
    with tempfile.TemporaryDirectory(prefix="flyonce-frame-") as folder:
        out = Path(folder, "frame.png")
        options = ["-ss", f"{max(0.0, seconds):.3f}", "-i", _file(path), "-frames:v", "1", *scale, "-y", str(out)]
        done = _run(options, path, may_fail=True)
        if not out.is_file():
            raise Refused(
                "damaged",
                f"{path}: no frame at {seconds:.1f} s: {_last_line(done.stderr.decode('utf-8', 'replace'))}.",
                "Copy it from the card again.",
            )
        from PIL import Image

        with Image.open(out) as image:
            return np.asarray(image.convert("RGB"))


def grey_frames(path: str | Path, rate: float, width: int, height: int, longest: float) -> NDArray[np.uint8]:
    """Pictures `rate` times a second from the start, at most `longest` seconds: uint8 [N, height, width].

    Raises `Refused`: timed-out.
    """
    shape = f"fps={rate:g},scale={width}:{height},format=gray"
    done = _run(
        ["-t", f"{longest:g}", "-i", _file(path), "-vf", shape, "-f", "rawvideo", "pipe:1"], path, may_fail=True
    )
    count = len(done.stdout) // (width * height)
    return np.frombuffer(done.stdout, np.uint8, count * width * height).reshape(count, height, width)


def _run(options: list[str], path: str | Path, *, may_fail: bool = False) -> "subprocess.CompletedProcess[bytes]":
    command = [ffmpeg(), "-hide_banner", "-nostdin", "-protocol_whitelist", "file,pipe,crypto,data", *options]
    try:
        done = subprocess.run(command, capture_output=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise Refused(
            "timed-out", f"{path}: reading it took more than {SECONDS:.0f} s.", "Send it in shorter parts."
        ) from error
    if done.returncode and not may_fail:
        raise Refused("damaged", f"{path}: {_last_line(done.stderr.decode('utf-8', 'replace'))}.", "Copy it again.")
    return done


def _file(path: str | Path) -> str:
    """A name that ffmpeg takes for a file whatever it begins with or holds."""
    return f"file:{Path(path).absolute()}"


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return re.sub(r"\[[^\]]*\]\s*|file:\S*/", "", lines[-1])[:160] if lines else "ffmpeg says nothing"
