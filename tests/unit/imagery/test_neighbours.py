"""Neighbouring real photos see the same ground at the same place, to the error that they state."""

import math
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pyproj import Geod

from imagery.camera import Camera
from imagery.footprints import from_position
from imagery.photos import read_photo
from imagery.uncertainty import covariance, inside
from imagery.values import Capture

GEOD = Geod(ellps="WGS84")
SCALE = 5


def placed(capture: Capture, pixels: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Longitude, latitude [N, 2] of pixels, and their covariances [N, 2, 2]."""
    assert capture.lens is not None
    assert capture.attitude is not None
    assert capture.position is not None
    assert capture.sigma is not None
    camera = Camera(capture.lens, capture.attitude, capture.camera_height or math.nan)
    places = from_position(capture.position, camera.to_ground(pixels))
    return places, covariance(camera, capture.sigma, pixels)


def test_photos_that_a_viewer_turned_are_known(data: Path) -> None:
    """Windows Photo Viewer turned the whole return line by half, and left the angles: matching tells, tags do not."""
    captures = {p.stem: read_photo(p) for p in sorted((data / "flights/brighton_beach").glob("*.JPG"))}
    doubtful = {name for name, capture in captures.items() if capture.turn_in_doubt}
    assert doubtful == {f"DJI_00{number}" for number in range(24, 30)}
    assert all(capture.footprint.method == "pose" for capture in captures.values())


@pytest.mark.parametrize("number", [20, 31, 33])
def test_sift_matches_agree_on_the_ground_within_the_stated_error(data: Path, number: int) -> None:
    sift, captures, points, words = cv2.SIFT_create(1200), [], [], []
    for path in (data / f"flights/brighton_beach/DJI_00{number + i}.JPG" for i in (0, 1)):
        captures.append(read_photo(path))
        with Image.open(path) as picture:
            found, described = sift.detectAndCompute(np.asarray(picture.convert("L").reduce(SCALE)), None)
        points.append((np.array([one.pt for one in found]) + 0.5) * SCALE)
        words.append(described)
    matches = cv2.BFMatcher().knnMatch(words[0], words[1], k=2)
    good = [m for m, n in matches if m.distance < 0.7 * n.distance]
    a, b = points[0][[m.queryIdx for m in good]], points[1][[m.trainIdx for m in good]]
    _, kept = cv2.findHomography(a, b, cv2.RANSAC, 10.0)
    a, b = a[kept[:, 0] > 0], b[kept[:, 0] > 0]
    assert len(a) > 30
    here, spread_here = placed(captures[0], a)
    there, spread_there = placed(captures[1], b)
    azimuth, _, distance = GEOD.inv(here[:, 0], here[:, 1], there[:, 0], there[:, 1])
    off = np.stack([distance * np.sin(np.radians(azimuth)), distance * np.cos(np.radians(azimuth))], axis=-1)
    assert inside(spread_here + spread_there, off).mean() >= 0.9
    # Two positions of one receiver drift together: neighbours agree better than either is placed.
    assert float(np.median(distance)) < captures[0].footprint.error_m
