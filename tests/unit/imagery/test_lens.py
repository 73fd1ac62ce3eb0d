"""The bent lens against OpenCV's, the relief against geometry, and both ways against each other."""

import math

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from imagery.camera import Camera
from imagery.distortion import distort, undistort
from imagery.simulator.options import WIDE
from imagery.uncertainty import assumed_sigma, covariance, ellipse, inside
from imagery.values import Attitude, Distortion, Lens, PoseSigma, Position

LENS = Lens(1600, 1200, 1150.0, 803.0, 597.0, "calibrated", WIDE)
small = st.floats(-0.05, 0.05)
tiny = st.floats(-0.002, 0.002)


@given(small, small, tiny, tiny, st.floats(-0.01, 0.01))
def test_it_is_opencv_s_model(k1: float, k2: float, p1: float, p2: float, k3: float) -> None:
    by = Distortion(k1, k2, p1, p2, k3)
    x, y = np.mgrid[-0.8:0.8:9j, -0.6:0.6:7j]
    ideal = np.stack([x, y], axis=-1).reshape(-1, 2)
    points = np.concatenate([ideal, np.ones((len(ideal), 1))], axis=1)
    theirs, _ = cv2.projectPoints(points, np.zeros(3), np.zeros(3), np.eye(3), np.array([k1, k2, p1, p2, k3]))
    np.testing.assert_allclose(distort(ideal, by), theirs[:, 0], atol=1e-9)
    np.testing.assert_allclose(undistort(distort(ideal, by), by), ideal, atol=1e-8)


def test_beyond_the_fold_there_is_nothing() -> None:
    """k1 = -0.3 alone turns back at r = 1.05, where it reaches 0.70: no point of the plane is seen further out."""
    assert np.isnan(undistort(np.array([[0.8, 0.0]]), Distortion(k1=-0.3))).all()
    assert np.isfinite(undistort(np.array([[0.69, 0.0]]), Distortion(k1=-0.3))).all()


@given(st.floats(-180, 180), st.floats(-90, -40), st.floats(-10, 10))
def test_pixels_go_to_the_ground_and_back_through_a_bent_lens(yaw: float, pitch: float, roll: float) -> None:
    camera = Camera(LENS, Attitude(yaw, pitch, roll), 60.0)
    x, y = np.meshgrid(np.linspace(0, 1600, 9), np.linspace(0, 1200, 7))
    pixels = np.stack([x, y], axis=-1)
    np.testing.assert_allclose(camera.to_pixel(camera.to_ground(pixels)), pixels, atol=1e-5)


def test_a_bent_lens_s_footprint_is_the_ground_of_its_border() -> None:
    camera = Camera(LENS, Attitude(30, -70, 0), 60.0)
    edge = camera.to_ground(camera.outline())
    np.testing.assert_allclose(camera.footprint(), edge, atol=1e-6)
    straight = Camera(Lens(1600, 1200, 1150.0, 803.0, 597.0, "calibrated"), Attitude(30, -70, 0), 60.0)
    apart = np.abs(camera.to_ground([[0, 0]]) - straight.to_ground([[0, 0]])).max()
    assert apart > 1, "the corner of a bent picture lies metres beside a straight one's"


class Step:
    """A terrace `rise` metres high from `begin` metres north on."""

    lowest = 0.0

    def __init__(self, begin: float, rise: float) -> None:
        self.begin, self.rise = begin, rise

    def heights(self, ground: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.where(ground[..., 1] >= self.begin, self.rise, 0.0)


@pytest.mark.parametrize(
    ("down", "north"),
    [
        (45.0, 90.0),  # onto the terrace, 10 m above the plane: 90 m ahead of a camera 100 m up
        (70.0, 100 / math.tan(math.radians(70))),  # before the terrace
        (53.5, 70.0),  # into its wall
    ],
)
def test_a_line_of_sight_ends_at_the_first_ground_it_meets(down: float, north: float) -> None:
    lens = Lens(1000, 1000, 1000.0, 500.0, 500.0, "calibrated")
    camera = Camera(lens, Attitude(0, -down, 0), 100.0)
    assert camera.to_ground([500, 500], Step(70.0, 10.0)) == pytest.approx((0, north), abs=1e-4)
    up = 10.0 if down == 45 else 0.0
    if down != 53.5:
        assert camera.to_pixel([0, north], up) == pytest.approx((500, 500), abs=1e-3)


class Bowl:
    lowest = -30.0

    def heights(self, ground: NDArray[np.float64]) -> NDArray[np.float64]:
        return -30 + (ground**2).sum(axis=-1) / 400


@given(st.floats(0, 360), st.floats(-90, -50), st.floats(0, 1600), st.floats(0, 1200))
def test_over_a_relief_pixels_come_back_too(yaw: float, pitch: float, x: float, y: float) -> None:
    camera = Camera(LENS, Attitude(yaw, pitch, 0), 60.0)
    ground = camera.to_ground([x, y], Bowl())
    up = Bowl().heights(ground)
    assert camera.to_pixel(ground, up) == pytest.approx((x, y), abs=1e-3)


@pytest.mark.parametrize("attitude", [Attitude(40, -90, 0), Attitude(200, -55, 3)])
def test_the_ellipse_holds_what_it_promises(attitude: Attitude) -> None:
    """Oracle: 3,000 poses drawn from the sigmas; 95 % of a corner's places lie in its ellipse."""
    sigma = PoseSigma(yaw=1.5, tilt=0.6, height=1.0, focal=0.005, position=0.5)
    camera, rng, n = Camera(LENS, attitude, 60.0), np.random.default_rng(3), 3000
    pixel = np.array([100.0, 1100.0])
    told = covariance(camera, sigma, pixel)
    true = camera.to_ground(pixel)
    held = []
    for yaw, pitch, roll, height, focal, east, north in rng.normal(size=(n, 7)):
        moved = Camera(
            Lens(1600, 1200, 1150.0 * (1 + focal * sigma.focal), 803.0, 597.0, "calibrated", WIDE),
            Attitude(
                attitude.yaw + yaw * sigma.yaw, attitude.pitch + pitch * sigma.tilt, attitude.roll + roll * sigma.tilt
            ),
            60.0 + height * sigma.height,
        )
        off = moved.to_ground(pixel) - true + np.array([east, north]) * sigma.position
        held.append(bool(inside(told, off)))
    assert 0.93 <= float(np.mean(held)) <= 0.97
    axes = ellipse(told)
    assert axes.semi_major >= axes.semi_minor > 0
    assert 0 <= axes.bearing < 180


def test_sigmas_come_from_the_file_where_it_tells_them() -> None:
    rtk = Position(114.0, 30.0, 80.0, 60.0, 0.03, 0.05)
    assert assumed_sigma(rtk, "calibrated", 60.0, dem=True).height == pytest.approx(math.hypot(0.05, 1.0))
    assert assumed_sigma(rtk, "calibrated", 60.0).height > 3, "a height over take-off says nothing of the terrain"
    assert assumed_sigma(rtk, "calibrated", 60.0, tracked=True).yaw == 15
