"""The pinhole camera against geometry worked by hand and against itself."""

import math

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from shapely.geometry import Polygon

from imagery.camera import FURTHEST, Camera
from imagery.values import Attitude, Lens

LENS = Lens(4000, 3000, 2000.0, 2000.0, 1500.0, "35mm-equivalent")


def camera(yaw: float = 0, pitch: float = -90, roll: float = 0, height: float = 100) -> Camera:
    return Camera(LENS, Attitude(yaw, pitch, roll), height)


@pytest.mark.parametrize(
    ("yaw", "roll", "top_left"),
    [
        (0, 0, (-100, 75)),  # the top of the picture points north
        (90, 0, (75, 100)),  # and east
        (180, 0, (100, -75)),
        (-90, 0, (-75, -100)),
        (180, 180, (-100, 75)),  # DJI writes some nadir pictures as turned around twice
        (0, 90, (75, 100)),  # looking down, roll and yaw turn alike
    ],
)
def test_nadir_corner_by_hand(yaw: float, roll: float, top_left: tuple[float, float]) -> None:
    # 2000 px from the middle at a focal length of 2000 px is as far as the camera is high
    assert camera(yaw, -90, roll).to_ground([0, 0]) == pytest.approx(top_left)


@pytest.mark.parametrize(
    ("pitch", "y", "north"),
    [
        (-45, 1500, 100),  # the middle of the picture
        (-60, 1500, 100 / math.tan(math.radians(60))),
        (-45, 3000, 100 / math.tan(math.radians(45) + math.atan(0.75))),  # its lower edge
    ],
)
def test_oblique_row_by_hand(pitch: float, y: float, north: float) -> None:
    assert camera(0, pitch).to_ground([2000, y]) == pytest.approx((0, north))


def test_roll_lowers_the_right_side() -> None:
    # level view, rolled a quarter: the right edge of the picture looks straight down's direction
    ground = camera(0, 0, 90, 10).to_ground([4000, 1500])
    assert ground == pytest.approx((0, 10))


def test_the_sky_has_no_place_on_the_ground() -> None:
    assert np.isnan(camera(0, 0).to_ground([[2000, 1500], [2000, 0]])).all()
    assert np.isfinite(camera(0, 0).to_ground([2000, 1501])).all()
    assert np.isnan(camera(0, -45).to_pixel([0, -1000])).all()


def test_nadir_gsd_is_height_over_focal_length() -> None:
    assert camera(height=50).gsd() == pytest.approx(50 / 2000)
    assert math.isnan(camera(0, 30).gsd())


def test_nothing_is_seen_looking_up_and_a_camera_under_the_ground_is_refused() -> None:
    assert camera(0, 80).outline().shape == (0, 2)
    with pytest.raises(ValueError, match="above the ground"):
        camera(height=0)


angles = st.floats(-180, 180)
pitches = st.floats(-90, 30)
heights = st.floats(1, 500)
pixels = st.lists(st.tuples(st.floats(0, 4000), st.floats(0, 3000)), min_size=1, max_size=20)


@given(angles, pitches, angles, heights, pixels)
def test_pixel_to_ground_and_back(
    yaw: float, pitch: float, roll: float, height: float, points: list[tuple[float, float]]
) -> None:
    cam = camera(yaw, pitch, roll, height)
    p = np.array(points)
    ground = cam.to_ground(p)
    seen = np.isfinite(ground).all(axis=-1) & (np.hypot(*np.nan_to_num(ground).T) < 50 * height)
    np.testing.assert_allclose(cam.to_pixel(ground[seen]), p[seen], atol=1e-6)


@given(angles, pitches, angles, heights)
def test_axes_are_a_rotation(yaw: float, pitch: float, roll: float, height: float) -> None:
    axes = camera(yaw, pitch, roll, height).axes
    np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(axes) == pytest.approx(1)


@given(angles, pitches, st.floats(-60, 60), heights)
def test_footprint_is_the_ground_seen_within_the_limit(yaw: float, pitch: float, roll: float, height: float) -> None:
    """Oracle: shapely cuts what `to_ground` says of a fine raster of pixels."""
    cam = camera(yaw, pitch, roll, height)
    corners = cam.footprint()
    y, x = np.mgrid[0:3000:31j, 0:4000:41j]
    ground = cam.to_ground(np.stack([x, y], axis=-1)).reshape(-1, 2)
    a = math.radians(yaw)
    turned = ground @ np.array([[math.cos(a), math.sin(a)], [-math.sin(a), math.cos(a)]])
    inside = np.abs(np.nan_to_num(turned, nan=np.inf)) < FURTHEST * height * (1 - 1e-9)
    near = inside.all(axis=1)
    if not len(corners):
        assert near.sum() <= 41
        return
    shape = Polygon(corners).buffer(1e-6 * height)
    assert shape.is_valid
    assert shapely.intersects_xy(shape, ground[near]).all()
    limit = FURTHEST * height * math.sqrt(2) * (1 + 1e-9)
    assert (np.hypot(*corners.T) <= limit).all()
    assert cam.cut or near.all()
