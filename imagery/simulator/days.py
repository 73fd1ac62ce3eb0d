"""The two flying days: when, under which sun, in which season, and how the camera was set."""

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

import numpy as np

from imagery.simulator.values import stream

CHINA = timezone(timedelta(hours=8))
LON, LAT = 113.95, 30.92
"""Degrees; about where the block stands, for the sun and for the orthophoto."""


@dataclass(frozen=True, slots=True)
class Day:
    """Light, season and camera settings of one flight."""

    taken: datetime
    """Start of the flight, with its zone."""
    azimuth: float
    """Of the sun, degrees clockwise from north."""
    elevation: float
    """Of the sun, degrees above the horizon."""
    sky: float
    """Share of the light on flat ground that comes from the sky: 0.2 on a clear day, 0.8 under cloud."""
    leaves: float
    """How full the crowns of the trees that shed are, 0..1."""
    dry: float
    """How much grass and leaves have turned from green to straw, 0..1."""
    wet: float
    """How much damp darkens bare soil, 0..1."""
    exposure: float
    """Gain, in linear light."""
    contrast: float
    """Exponent on the display values: above 1 is harder and darker."""
    balance: tuple[float, float, float]
    """Gain of red, green, blue."""
    haze: float
    """Share of the picture that is veiled by bright air, 0..1."""
    blur: float
    """Standard deviation in metres on the ground."""
    noise: float
    """Standard deviation in grey values at mid grey."""
    quality: int
    """JPEG quality of the camera."""


def sun(when: datetime, lon: float, lat: float) -> tuple[float, float]:
    """Azimuth (clockwise from north) and elevation of the sun in degrees, to about a quarter of a degree.

    Spencer's Fourier series for the declination and the equation of time (Iqbal, "An Introduction to Solar Radiation").
    """
    utc = when.astimezone(UTC)
    hours = utc.hour + utc.minute / 60 + utc.second / 3600
    g = 2 * math.pi * (utc.timetuple().tm_yday - 1 + hours / 24) / 365
    declination = (
        0.006918 - 0.399912 * math.cos(g) + 0.070257 * math.sin(g) - 0.006758 * math.cos(2 * g)
        + 0.000907 * math.sin(2 * g) - 0.002697 * math.cos(3 * g) + 0.00148 * math.sin(3 * g)
    )  # fmt: skip
    minutes = 229.18 * (  # of the equation of time
        0.000075
        + 0.001868 * math.cos(g)
        - 0.032077 * math.sin(g)
        - 0.014615 * math.cos(2 * g)
        - 0.040849 * math.sin(2 * g)
    )
    angle = math.radians(15 * (hours + lon / 15 + minutes / 60 - 12))
    phi = math.radians(lat)
    up = math.sin(phi) * math.sin(declination) + math.cos(phi) * math.cos(declination) * math.cos(angle)
    east = -math.cos(declination) * math.sin(angle)
    north = math.cos(phi) * math.sin(declination) - math.sin(phi) * math.cos(declination) * math.cos(angle)
    return math.degrees(math.atan2(east, north)) % 360, math.degrees(math.asin(up))


def two_days(seed: int) -> tuple[Day, Day]:
    """The days of the first and of the second flight, two to seven weeks apart."""
    rng = stream(seed, "dates")
    first = datetime(2026, 3, 10, tzinfo=CHINA) + timedelta(days=int(rng.integers(0, 170)))
    second = first + timedelta(days=int(rng.integers(14, 50)))
    return _day(seed, "before", first), _day(seed, "after", second)


def _day(seed: int, name: str, date: datetime) -> Day:
    rng = stream(seed, "day", name)
    taken = date + timedelta(seconds=int(rng.integers(9 * 3600, int(15.5 * 3600))))
    azimuth, elevation = sun(taken, LON, LAT)
    warm = rng.normal(0, 0.035)
    return Day(
        taken=taken,
        azimuth=azimuth,
        elevation=elevation,
        sky=float(rng.uniform(0.22, 0.45) if rng.random() < 0.75 else rng.uniform(0.5, 0.8)),
        leaves=float(rng.uniform(0.5, 1)),
        dry=float(rng.uniform(0, 0.8)),
        wet=float(rng.uniform(0, 1) ** 2),
        exposure=float(np.exp(rng.normal(0, 0.13))),
        contrast=float(rng.uniform(0.9, 1.15)),
        balance=(float(1 + warm), float(1 + rng.normal(0, 0.008)), float(1 - warm + rng.normal(0, 0.015))),
        haze=float(rng.uniform(0.0, 0.13)),
        blur=float(rng.uniform(0.014, 0.028)),
        noise=float(rng.uniform(1.2, 3.2)),
        quality=int(rng.integers(84, 96)),
    )
