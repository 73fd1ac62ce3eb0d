"""When a recording began in a longer log: found by how the picture moves, or not at all."""

import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from imagery.errors import Refused
from imagery.films import video_capture
from imagery.moving import RATE, motion
from imagery.video import ffmpeg

FRAMES = 12
"""A second."""
WIDTH, HEIGHT = 320, 180
LOG_SECONDS, BEGAN, FILMED = 70, 24, 32
METRES = 0.5
"""On the ground, to a pixel."""


def speeds(seed: int) -> NDArray[np.float64]:
    """Metres a second, for every frame: a way with stops and starts as no other."""
    marks = np.random.default_rng(seed).uniform(0.5, 9.0, LOG_SECONDS // 4 + 2)
    return np.interp(np.arange(LOG_SECONDS * FRAMES) / FRAMES, np.arange(len(marks)) * 4.0, marks)


def film(path: Path, flown: NDArray[np.float64]) -> None:
    """Ground that passes below as fast as was flown while the camera ran."""
    way = np.concatenate([[0.0], np.cumsum(flown) / FRAMES / METRES])[BEGAN * FRAMES :]
    way = way[: FILMED * FRAMES] - way[0]
    rough = np.random.default_rng(5).integers(0, 255, (HEIGHT // 4, int(way[-1] + WIDTH) // 4 + 4), dtype=np.uint8)
    world = cv2.resize(rough, None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC)
    frames = [cv2.getRectSubPix(world, (WIDTH, HEIGHT), (WIDTH / 2 + float(at), HEIGHT / 2)) for at in way]
    command = [ffmpeg(), "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "gray", "-s", f"{WIDTH}x{HEIGHT}",
               "-r", str(FRAMES), "-i", "pipe:0", "-pix_fmt", "yuv420p", "-threads", "1", "-y", str(path)]  # fmt: skip
    subprocess.run(command, input=b"".join(frame.tobytes() for frame in frames), check=True)


def log(path: Path, flown: NDArray[np.float64]) -> None:
    """A CSV of a fix a second along a meridian."""
    way = np.concatenate([[0.0], np.cumsum(flown) / FRAMES])[::FRAMES]
    rows = [f"{second},{30.6 + north / 110_900:.8f},114.0\n" for second, north in enumerate(way)]
    path.write_text("seconds,lat,lon\n" + "".join(rows))


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("moving") / "DJI_0001.mp4"
    film(path, speeds(1))
    return path


def test_the_motion_seen_is_the_speed_flown(video: Path) -> None:
    seen = motion(video)
    flown = speeds(1)[BEGAN * FRAMES :][: FILMED * FRAMES]
    there = np.interp(np.arange(len(seen)) / RATE, np.arange(len(flown)) / FRAMES, flown)
    assert np.corrcoef(seen, there)[0, 1] > 0.95


def test_the_offset_of_a_log_is_read_off_the_pictures(video: Path) -> None:
    log(video.with_suffix(".csv"), speeds(1))
    capture = video_capture(video, "video/mp4")
    assert capture.offset is not None
    assert capture.offset.source == "motion"
    assert capture.offset.seconds == pytest.approx(-BEGAN, abs=0.75)
    assert capture.track is not None
    assert capture.track.fixes[0].seconds <= 1.0


@pytest.mark.parametrize("seed", [2, 3])
def test_a_log_of_another_flight_is_not_made_to_fit(video: Path, seed: int) -> None:
    log(video.with_suffix(".csv"), speeds(seed))
    with pytest.raises(Refused) as refused:
        video_capture(video, "video/mp4")
    assert refused.value.reason == "offset-unknown"
    said = video_capture(video, "video/mp4", offset=-20.0)
    assert said.offset is not None
    assert (said.offset.seconds, said.offset.source) == (-20.0, "said")


def test_an_even_flight_fits_anywhere_and_is_asked_about(video: Path) -> None:
    log(video.with_suffix(".csv"), np.full(LOG_SECONDS * FRAMES, 5.0))
    with pytest.raises(Refused, match="motion in the pictures"):
        video_capture(video, "video/mp4")
