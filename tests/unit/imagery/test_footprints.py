"""Footprints worked by hand, their error against many simulated flights, and geometry as RFC 7946 has it."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Geod, Transformer
from shapely.geometry import Polygon, shape

from imagery.camera import Camera
from imagery.footprints import from_position, pose_footprint, position_footprint
from imagery.uncertainty import assumed_sigma, covariance
from imagery.values import Attitude, Footprint, Lens, Position

HERE = Position(lon=114.3, lat=30.6, above_ground=100.0, error_m=5.0)
LENS = Lens(4000, 3000, 2000.0, 2000.0, 1500.0, "35mm-equivalent")
SHIFTED = replace(LENS, cx=2100.0, cy=1450.0, source="calibrated")
R = math.sqrt(0.5)

# 100 m up, a pixel is 0.05 m: the picture shows 200 x 150 m. Corners: top left, top right, bottom right, bottom left.
NADIR = [(-100, 75), (100, 75), (100, -75), (-100, -75)]
# Looking 60 degrees down, 0.75 of tangent up and down: rays at 60 -/+ 36.87 degrees; across, 100 m per 100 m of depth.
NEAR, FAR = 100 / math.tan(math.radians(60) + math.atan(0.75)), 100 / math.tan(math.radians(60) - math.atan(0.75))


def footprint_of(position: Position, attitude: Attitude, lens: Lens) -> tuple[Footprint | None, str | None]:
    posed, note = pose_footprint(position, attitude, lens)
    return posed and posed.footprint, note


def half_width(down: float, at: float) -> float:
    """Half of an image row's length on the ground: its depth along the view, for a half-width of one focal length."""
    return 100 * math.sin(math.radians(down)) + at * math.cos(math.radians(down))


TILTED = [
    (-half_width(60, FAR), FAR),
    (half_width(60, FAR), FAR),
    (half_width(60, NEAR), NEAR),
    (-half_width(60, NEAR), NEAR),
]


@pytest.mark.parametrize(
    ("attitude", "height", "lens", "corners"),
    [
        (Attitude(0, -90, 0), 100, LENS, NADIR),
        (Attitude(90, -90, 0), 100, LENS, [(n, -e) for e, n in NADIR]),
        (Attitude(180, -90, 0), 100, LENS, [(-e, -n) for e, n in NADIR]),
        (Attitude(-90, -90, 0), 100, LENS, [(-n, e) for e, n in NADIR]),
        (Attitude(45, -90, 0), 100, LENS, [(R * (e + n), R * (n - e)) for e, n in NADIR]),
        (Attitude(0, -90, 180), 100, LENS, [(-e, -n) for e, n in NADIR]),
        (Attitude(0, -90, 0), 40, LENS, [(0.4 * e, 0.4 * n) for e, n in NADIR]),
        (Attitude(0, -90, 0), 100, SHIFTED, [(e - 5, n - 2.5) for e, n in NADIR]),
        (Attitude(0, -60, 0), 100, LENS, TILTED),
        (Attitude(90, -60, 0), 100, LENS, [(n, -e) for e, n in TILTED]),
    ],
)
def test_by_hand(attitude: Attitude, height: float, lens: Lens, corners: list[tuple[float, float]]) -> None:
    footprint, _ = footprint_of(replace(HERE, above_ground=height), attitude, lens)
    assert footprint is not None
    local = Transformer.from_crs(4326, f"+proj=aeqd +lat_0={HERE.lat} +lon_0={HERE.lon}", always_xy=True)
    ring = footprint.geometry["coordinates"][0][:-1]
    got = Polygon([local.transform(lon, lat) for lon, lat in ring])
    assert got.symmetric_difference(Polygon(corners)).area < 1e-4 * got.area
    for corner in corners:
        assert min(math.dist(corner, c) for c in got.exterior.coords) < 0.01


@given(st.floats(-179.9, 179.9), st.floats(-85, 85), st.floats(-300, 300), st.floats(-300, 300))
def test_metres_from_the_position_are_metres(lon: float, lat: float, east: float, north: float) -> None:
    ((x, y),) = from_position(Position(lon, lat), np.array([[east, north]]))
    azimuth, _, distance = Geod(ellps="WGS84").inv(lon, lat, x, y)
    assert distance == pytest.approx(math.hypot(east, north), abs=1e-4)
    if distance > 1:
        off = azimuth - math.degrees(math.atan2(east, north))
        assert (off + 180) % 360 - 180 == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("attitude", [Attitude(30, -90, 0), Attitude(200, -65, 2)])
def test_error_is_what_many_flights_scatter_by(attitude: Attitude) -> None:
    """Oracle: 4000 poses drawn from the assumed sigmas; the worst corner's root mean square shift."""
    camera, rng, n = Camera(LENS, attitude, 60.0), np.random.default_rng(7), 4000
    outline = camera.outline()
    corners = camera.to_ground(outline)
    sigma = assumed_sigma(replace(HERE, error_m=0.0), LENS.source, 60.0)
    shifts = []
    spread = [sigma.yaw, sigma.tilt, sigma.tilt, sigma.height, sigma.focal]
    for yaw, pitch, roll, height, focal in rng.normal(size=(n, 5)) * spread:
        posed = Attitude(attitude.yaw + yaw, attitude.pitch + pitch, attitude.roll + roll)
        other = Camera(replace(LENS, focal=2000 * (1 + focal)), posed, 60.0 + height)
        shifts.append(other.to_ground(outline) - corners)
    scattered = np.sqrt((np.array(shifts) ** 2).sum(axis=2).mean(axis=0)).max()
    told = np.sqrt(np.trace(covariance(camera, sigma, outline), axis1=-2, axis2=-1).max())
    assert told == pytest.approx(scattered, rel=0.1)


def test_error_includes_the_position_s() -> None:
    plain, _ = footprint_of(HERE, Attitude(0, -90, 0), LENS)
    precise, _ = footprint_of(replace(HERE, error_m=0.02), Attitude(0, -90, 0), LENS)
    assert plain is not None
    assert precise is not None
    assert plain.error_m == pytest.approx(math.hypot(precise.error_m, 5), abs=0.02)


def test_a_view_over_the_horizon_is_cut_and_said_so() -> None:
    # The picture's lower edge is 66.87 degrees down; its upper one 6.87 degrees in the sky.
    seen, note = footprint_of(HERE, Attitude(0, -30, 0), LENS)
    assert seen is not None
    assert note is not None
    assert "left out" in note
    local = Transformer.from_crs(4326, f"+proj=aeqd +lat_0={HERE.lat} +lon_0={HERE.lon}", always_xy=True)
    _, north = zip(*(local.transform(*c) for c in seen.geometry["coordinates"][0]), strict=True)
    assert min(north) == pytest.approx(100 / math.tan(math.radians(66.87)), abs=0.01)
    assert max(north) == pytest.approx(500, abs=0.01)  # five heights: the limit
    none, why = footprint_of(HERE, Attitude(0, 45, 0), LENS)
    assert none is None
    assert why is not None
    assert "horizon" in why


def test_across_the_antimeridian_it_comes_in_two_parts() -> None:
    footprint, _ = footprint_of(Position(179.9999, -17.0, above_ground=100.0), Attitude(0, -90, 0), LENS)
    assert footprint is not None
    geometry = shape(footprint.geometry)
    assert geometry.geom_type == "MultiPolygon"
    assert geometry.is_valid
    assert all(-180 <= x <= 180 for part in geometry.geoms for x, _ in part.exterior.coords)
    assert all(part.exterior.is_ccw for part in geometry.geoms)
    area = sum(abs(Geod(ellps="WGS84").geometry_area_perimeter(part)[0]) for part in geometry.geoms)
    assert area == pytest.approx(200 * 150, rel=1e-3)


def test_rings_turn_as_rfc_7946_wants_and_a_position_is_a_point() -> None:
    footprint, _ = footprint_of(HERE, Attitude(12, -80, 3), LENS)
    assert footprint is not None
    assert shape(footprint.geometry).exterior.is_ccw
    assert footprint.geometry["coordinates"][0][0] == footprint.geometry["coordinates"][0][-1]
    point = position_footprint(HERE)
    assert (point.geometry, point.method, point.error_m) == (
        {"type": "Point", "coordinates": [114.3, 30.6]},
        "position",
        5.0,
    )
