"""Sun, shadows and noise against geometry that can be worked out by hand."""

import math
from dataclasses import replace
from datetime import datetime

import numpy as np
import pytest

from imagery.simulator.canvas import Canvas, View, linear
from imagery.simulator.days import CHINA, LAT, LON, sun, two_days
from imagery.simulator.light import expose, shadow_depth
from imagery.simulator.paint import paint_part
from imagery.simulator.values import Part, Rect

VIEW = View(0.0, 0.0, 0.1, 400, 400)


def flat() -> Canvas:
    canvas = Canvas(1, (0, 0, 40, 40), VIEW)
    canvas.albedo[:] = linear((150, 150, 150))
    return canvas


@pytest.mark.parametrize(
    ("when", "azimuth", "elevation"),
    [
        # Solar noon at the solstices: 90 - latitude ± 23.44. At the equinox the sun rises due east, about 6:12 here.
        (datetime(2026, 6, 21, 12, 26, tzinfo=CHINA), 180, 90 - LAT + 23.44),
        (datetime(2026, 12, 21, 12, 22, tzinfo=CHINA), 180, 90 - LAT - 23.44),
        (datetime(2026, 3, 20, 6, 31, tzinfo=CHINA), 90, 0),
    ],
)
def test_the_sun_stands_where_the_almanac_puts_it(when: datetime, azimuth: float, elevation: float) -> None:
    found = sun(when, LON, LAT)
    assert found[0] == pytest.approx(azimuth, abs=2.5)
    assert found[1] == pytest.approx(elevation, abs=0.6)


@pytest.mark.parametrize("azimuth", [110.0, 180.0, 231.0])
@pytest.mark.parametrize("elevation", [35.0, 55.0])
def test_a_post_throws_a_shadow_of_its_length_away_from_the_sun(azimuth: float, elevation: float) -> None:
    canvas = flat()
    paint_part(canvas, Part(Rect(20, 20, 1.0, 1.0), "box", (90, 90, 90), 8.0))
    day = replace(two_days(1)[0], azimuth=azimuth, elevation=elevation)
    dark = shadow_depth(canvas.height, VIEW.gsd, day) > 0.05
    length = 8.0 / math.tan(math.radians(elevation))
    away = -math.sin(math.radians(azimuth)), math.cos(math.radians(azimuth))

    def in_shadow(distance: float) -> bool:
        return bool(dark[round((20 + away[1] * distance) / 0.1), round((20 + away[0] * distance) / 0.1)])

    assert in_shadow(1.2)
    assert in_shadow(length * 0.6)
    assert in_shadow(length * 0.9)
    assert not in_shadow(length + 1.5)
    assert not in_shadow(-2.0)


def test_a_slope_towards_the_sun_is_brighter() -> None:
    canvas = flat()
    paint_part(
        canvas, Part(Rect(20, 20, 20, 16, 0.0), "gable", (150, 150, 150), 3.0)
    )  # ridge along x: slopes north, south
    day = replace(two_days(1)[0], azimuth=180.0, elevation=45.0, sky=0.3)
    picture = expose(canvas, day).astype(int)
    north, south = picture[140:180, 120:280].mean(), picture[220:260, 120:280].mean()
    assert south > north + 20


def test_noise_belongs_to_the_ground_and_not_to_the_pixels() -> None:
    fine = Canvas(7, (0, 0, 40, 40), View(10.0, 10.0, 0.05, 200, 200)).fields[1]
    coarse = Canvas(7, (0, 0, 40, 40), View(5.0, 5.0, 0.25, 100, 100)).fields[1]
    block = fine.reshape(40, 5, 40, 5).mean(axis=(1, 3))
    assert np.abs(block - coarse[20:60, 20:60]).max() < 0.12
    assert np.abs(coarse).max() > 0.5


def test_the_second_flight_is_weeks_later_and_both_fly_by_day() -> None:
    for seed in range(8):
        first, second = two_days(seed)
        assert 13 <= (second.taken - first.taken).days <= 50
        assert min(first.elevation, second.elevation) > 20
        assert first.azimuth != second.azimuth
