"""An item tells enough to project any pixel to the ground and back."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagery.camera import Camera
from imagery.simulator.options import WIDE
from imagery.values import Attitude, Capture, Ellipse, Footprint, Lens, PoseSigma, Position
from stac.assets import Stored
from stac.items import Custody, photo_item
from stac.perspective import camera_of

LENS = Lens(4000, 3000, 3000.0, 2010.0, 1490.0, "calibrated", WIDE)
CAPTURE = Capture(
    kind="photo",
    media_type="image/jpeg",
    width=4000,
    height=3000,
    bands=3,
    dtype="uint8",
    footprint=Footprint({"type": "Point", "coordinates": [114.3, 30.6]}, "pose", 2.5, Ellipse(5.0, 3.0, 45.0)),
    taken=datetime(2026, 5, 1, tzinfo=UTC),
    position=Position(114.3, 30.6, 87.5, 60.0, 0.02, 0.03),
    attitude=Attitude(30.0, -60.0, 2.0),
    lens=LENS,
    sigma=PoseSigma(3.0, 1.0, 2.5, 0.005, 0.02),
    camera_height=58.0,
    focal_mm=8.8,
)


def item_of(capture: Capture) -> dict[str, Any]:
    return photo_item(
        capture,
        "a",
        custody=Custody("420902"),
        flight="f",
        created=datetime(2026, 5, 2, tzinfo=UTC),
        original=Stored("a.jpg", "0" * 64, 1, "image/jpeg"),
    )


@given(st.floats(-180, 180), st.floats(-90, 0), st.floats(-30, 30))
def test_the_camera_comes_back_from_its_item(yaw: float, pitch: float, roll: float) -> None:
    item = item_of(replace(CAPTURE, attitude=Attitude(yaw, pitch, roll)))
    found = camera_of(item)
    assert found is not None
    camera, position = found
    assert camera == Camera(LENS, Attitude(yaw, pitch, roll), 58.0)
    assert (position.lon, position.lat, position.height, position.error_m) == (114.3, 30.6, 87.5, 0.02)


@given(st.floats(-180, 180), st.floats(-89.9, -1), st.floats(-30, 30))
def test_the_published_terms_project_as_the_camera_does(yaw: float, pitch: float, roll: float) -> None:
    """Oracle: the collinearity equation with the item's matrix, which OpenCV builds from omega, phi, kappa as well."""
    straight = replace(LENS, distortion=None)
    said = item_of(replace(CAPTURE, attitude=Attitude(yaw, pitch, roll), lens=straight))["properties"]
    matrix = np.array(said["pers:rotation_matrix"]).reshape(3, 3)
    angles = [said["pers:omega"], said["pers:phi"], said["pers:kappa"]]
    about = zip(np.radians(angles), np.eye(3), strict=True)
    omega, phi, kappa = (cv2.Rodrigues(angle * axis)[0] for angle, axis in about)
    np.testing.assert_allclose((omega @ phi @ kappa).T, matrix, atol=1e-9)
    camera = Camera(straight, Attitude(yaw, pitch, roll), 58.0)
    ground = camera.to_ground([[1000.0, 2500.0], [2000.0, 2900.0]])
    inner = said["pers:interior_orientation"]
    for point, pixel in zip(ground, [(1000.0, 2500.0), (2000.0, 2900.0)], strict=True):
        if np.isnan(point).any():
            continue
        x, y, z = matrix @ np.array([*point, -58.0])
        mm = -inner["focal_length"] * np.array([x / z, y / z]) + np.array(inner["principal_point_offset"])
        spacing = inner["pixel_spacing"][0]
        assert (2000 + mm[0] / spacing, 1500 - mm[1] / spacing) == pytest.approx(pixel, abs=1e-4)


def test_an_item_without_a_pose_has_no_camera() -> None:
    assert camera_of(item_of(replace(CAPTURE, attitude=None))) is None
    doubtful = item_of(replace(CAPTURE, turn_in_doubt=True))
    assert camera_of(doubtful) is None
    assert "pers:rotation_matrix" not in doubtful["properties"]
    assert camera_of(item_of(replace(CAPTURE, camera_height=-2.0))) is None
