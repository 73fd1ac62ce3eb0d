"""How fast the picture of a video moves: what tells when its recording began in a log whose clock does not."""

import math
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from imagery.video import grey_frames

RATE = 4.0
"""Pictures a second that are compared."""
WIDTH, HEIGHT = 160, 90
LONGEST = 600.0
"""Seconds of a video that are looked at."""


def motion(path: str | Path) -> NDArray[np.float64]:
    """Pixels that the picture shifts by from one look to the next, `RATE` times a second, float64 [N].

    By phase correlation under a window, which follows ground that passes below and takes little notice of what moves
    in it. Raises `Refused` as `imagery.video` does.
    """
    frames = grey_frames(path, RATE, WIDTH, HEIGHT, LONGEST).astype(np.float32)
    window = cv2.createHanningWindow((WIDTH, HEIGHT), cv2.CV_32F)
    shifts = [cv2.phaseCorrelate(one, after, window)[0] for one, after in pairwise(frames)]
    return np.array([math.hypot(*shift) for shift in shifts])
