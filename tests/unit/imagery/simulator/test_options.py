"""Oblique flights, bent lenses and hills: the photos show what their poses say, and what their readers make of them."""

import json
import math
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pyproj import Geod, Transformer

from imagery.camera import Camera
from imagery.footprints import from_position
from imagery.photos import read_photo
from imagery.simulator.days import two_days
from imagery.simulator.flights import fly
from imagery.simulator.options import WIDE, Options, hills
from imagery.simulator.place import CRS
from imagery.simulator.simulate import Simulation, draw, simulate
from imagery.terrain import Elevation
from imagery.uncertainty import covariance, inside
from imagery.values import Attitude, Capture, Distortion, Lens

SIZE = (48.0, 44.0)
TO_DEGREES = Transformer.from_crs(CRS, 4326, always_xy=True)
GEOD = Geod(ellps="WGS84")

EXPECTED = {
    (0, 0): (163.88, 154.73, 138.96),
    (2, 3): (146.15, 140.86, 132.58),
    (5, 6): (111.6, 124.05, 133.17),
    (6, 1): (132.96, 129.79, 97.91),
    (3, 7): (131.09, 127.46, 120.91),
}
"""Mean red, green, blue of blocks (row, column) of 32 x 40 pixels."""


@pytest.fixture(scope="module")
def oblique(tmp_path_factory: pytest.TempPathFactory) -> Simulation:
    options = Options(pitch=-55.0, distortion=WIDE, relief=4.0)
    return simulate(tmp_path_factory.mktemp("oblique") / "out", 11, size_m=SIZE, options=options)


@pytest.fixture(scope="module")
def nadir(tmp_path_factory: pytest.TempPathFactory) -> Simulation:
    return simulate(tmp_path_factory.mktemp("nadir") / "out", 11, size_m=SIZE)


def exact(made: Simulation) -> dict[str, dict[str, Any]]:
    return {pose["file"]: pose for pose in json.loads(made.poses.read_text())["photos"]}


def camera_of(pose: dict[str, Any]) -> Camera:
    lens = dict(pose["lens"])
    bent = lens.pop("distortion", None)
    return Camera(
        Lens(**lens, distortion=Distortion(**bent) if bent else None),
        Attitude(**pose["attitude"]),
        pose["height_above_ground"],
    )


def truth(pose: dict[str, Any], pixels: NDArray[np.float64], relief: Any = None) -> NDArray[np.float64]:
    """Longitude and latitude [N, 2] that the pixels really show."""
    ground = camera_of(pose).to_ground(pixels, relief)
    lon, lat = TO_DEGREES.transform(pose["easting"] + ground[:, 0], pose["northing"] + ground[:, 1])
    return np.stack([lon, lat], axis=-1)


def told(capture: Capture, pixels: NDArray[np.float64], terrain: Elevation | None) -> tuple[Any, Any, Any]:
    """Ground points (east, north of the told position), their longitude and latitude, and their covariances."""
    assert capture.lens is not None
    assert capture.attitude is not None
    assert capture.camera_height is not None
    assert capture.sigma is not None
    assert capture.position is not None
    relief = None if terrain is None else terrain.below(capture.position, 500.0)[0]
    camera = Camera(capture.lens, capture.attitude, capture.camera_height)
    ground = camera.to_ground(pixels, relief)
    return ground, from_position(capture.position, ground), covariance(camera, capture.sigma, pixels, relief)


def offsets(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """East, north [N, 2] metres from a to b, along geodesics."""
    azimuth, _, distance = GEOD.inv(a[:, 0], a[:, 1], b[:, 0], b[:, 1])
    return np.stack([distance * np.sin(np.radians(azimuth)), distance * np.cos(np.radians(azimuth))], axis=-1)


def pixels_of(capture: Capture) -> NDArray[np.float64]:
    x, y = np.meshgrid(np.linspace(0, capture.width, 9), np.linspace(0, capture.height, 7))
    return np.stack([x.ravel(), y.ravel()], axis=-1)


def test_a_nadir_pixel_is_placed_to_0_3_m_and_its_ellipse_holds_the_truth(nadir: Simulation) -> None:
    poses, errors, held = exact(nadir), [], []
    for path in nadir.photos[0]:
        capture = read_photo(path)
        pixels = pixels_of(capture)
        _, places, spread = told(capture, pixels, None)
        off = offsets(places, truth(poses[path.relative_to(nadir.folder).as_posix()], pixels))
        errors.append(np.hypot(*off.T))
        held.append(inside(spread, off))
    assert float(np.median(errors)) <= 0.3
    assert float(np.mean(held)) >= 0.9


def test_an_oblique_pixel_over_hills_through_a_bent_lens_is_placed_to_one_part_in_a_hundred(
    oblique: Simulation,
) -> None:
    dem = Elevation(oblique.folder / "dem.tif")
    ground = hills(oblique.seed, 4.0)
    poses = exact(oblique)
    flights = [
        fly(oblique.seed, name, *SIZE, day, Options(-55.0, WIDE, 4.0), ground)
        for name, day in zip(("before", "after"), two_days(oblique.seed), strict=True)
    ]
    relative, held, on_a_plane = [], [], []
    for paths, flight in zip(oblique.photos, flights, strict=True):
        for path, pose in list(zip(paths, flight, strict=True))[::3]:
            capture = read_photo(path, dem)
            assert capture.lens is not None
            assert capture.lens.distortion is not None
            assert capture.footprint.method == "pose"
            pixels = pixels_of(capture)
            ground_told, places, spread = told(capture, pixels, dem)
            true = truth(poses[path.relative_to(oblique.folder).as_posix()], pixels, pose.relief)
            off = offsets(places, true)
            slant = np.hypot(np.hypot(*ground_told.T), capture.camera_height or 0)
            relative.append(np.hypot(*off.T) / slant)
            held.append(inside(spread, off))
            flat = read_photo(path)
            on_a_plane.append(np.hypot(*offsets(told(flat, pixels, None)[1], true).T) / slant)
    assert float(np.median(relative)) <= 0.01
    assert float(np.mean(held)) >= 0.9
    assert float(np.median(on_a_plane)) > float(np.median(relative)), "the terrain is worth its while"


def test_photos_show_what_their_poses_say(oblique: Simulation, nadir: Simulation) -> None:
    """Oracle: SIFT. The same corner of the ground, seen straight down and obliquely, lies at one place on the map."""
    dem = Elevation(oblique.folder / "dem.tif")
    sift, matcher = cv2.SIFT_create(3000), cv2.BFMatcher()
    pairs = []
    for one, other in ((oblique.photos[0][0], oblique.photos[0][1]),):
        seen = []
        for path in (one, other):
            capture = read_photo(path, dem)
            points, words = sift.detectAndCompute(np.asarray(Image.open(path).convert("L").reduce(2)), None)
            seen.append((capture, (np.array([point.pt for point in points]) + 0.5) * 2, words))
        (a, at_a, words_a), (b, at_b, words_b) = seen
        good = [m for m, n in matcher.knnMatch(words_a, words_b, k=2) if m.distance < 0.7 * n.distance]
        here = told(a, at_a[[m.queryIdx for m in good]], dem)[1]
        there = told(b, at_b[[m.trainIdx for m in good]], dem)[1]
        pairs.append(np.hypot(*offsets(here, there).T))
    apart = np.concatenate(pairs)
    assert len(apart) > 40
    assert float(np.median(apart)) < 0.8


def test_the_default_flight_is_what_it_was() -> None:
    """The detector's training blocks are drawn by this: means of blocks of a known seed, to half a level."""
    drawn = draw(3, 0.2, (60.0, 45.0))
    for (row, col), colour in EXPECTED.items():
        block = drawn.before[:, row * 32 : row * 32 + 32, col * 40 : col * 40 + 40]
        assert block.mean(axis=(1, 2)) == pytest.approx(colour, abs=0.5)


def test_what_cannot_be_flown_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot be drawn"):
        Options(pitch=-20)
    with pytest.raises(ValueError, match="cannot be drawn"):
        Options(relief=40)


def test_hills_stay_within_their_limit_and_a_seed_s_hills_are_its_own() -> None:
    x, y = np.meshgrid(np.linspace(-500, 500, 200), np.linspace(-500, 500, 200))
    heights = hills(5, 6.0).at(x, y)
    assert float(np.abs(heights).max()) <= 6.0
    assert float(np.ptp(heights)) > 4
    assert not np.allclose(heights, hills(6, 6.0).at(x, y))
    assert math.isclose(float(hills(5, 0.0).at(np.array([1.0]), np.array([2.0]))[0]), 0.0)


def test_the_files_of_a_flight_over_hills(oblique: Simulation, tmp_path: Path) -> None:
    relief, ground = Elevation(oblique.folder / "dem.tif").below(
        read_photo(oblique.photos[0][0]).position,
        200.0,  # type: ignore[arg-type]
    )
    assert abs(ground - 27.0) <= 4.0
    assert float(np.ptp(relief.nodes)) > 1
