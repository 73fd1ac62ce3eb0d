"""What a simulated flight may be besides straight down, through a perfect lens, over flat ground."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imagery.simulator.values import stream
from imagery.values import Distortion

WIDE = Distortion(k1=-0.12, k2=0.045, p1=0.0008, p2=-0.0006, k3=-0.006)
"""A lens that bends about as a Phantom 4's does."""
WAVES = 5
LONGEST, SHORTEST = 220.0, 70.0
"""Metres from crest to crest."""


@dataclass(frozen=True, slots=True)
class Options:
    """How a flight is flown. The defaults are the flight that every other output of the simulator is made with."""

    pitch: float = -90.0
    """Degrees: -90 straight down; oblique flights look ahead along their lines."""
    distortion: Distortion | None = None
    relief: float = 0.0
    """Metres that the ground rises and sinks about its level."""
    video: bool = False
    """Whether each flight also leaves a short MP4 with its SRT."""

    def __post_init__(self) -> None:
        if not -90 <= self.pitch <= -35:
            raise ValueError(f"a flight that looks {self.pitch} degrees down cannot be drawn: -90 to -35")
        if not 0 <= self.relief <= 15:
            raise ValueError(f"a relief of {self.relief} m cannot be drawn: 0 to 15 m")

    @property
    def plain(self) -> bool:
        """Whether a homography is all there is to a photo."""
        return self.pitch == -90 and self.distortion is None and self.relief == 0


@dataclass(frozen=True, slots=True)
class Hills:
    """Smooth ground of a seed: a sum of waves, at most `limit` metres above or below its level."""

    waves: tuple[tuple[float, float, float], ...]
    """Cycles per metre in x and y, phase."""
    limit: float

    def at(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
        """Metres above the level at scene points, arrays of one shape."""
        total = np.zeros(np.broadcast(x, y).shape)
        for across, down, phase in self.waves:
            total = total + np.sin(2 * math.pi * (across * x + down * y) + phase)
        return total * (self.limit / max(len(self.waves), 1))


def hills(seed: int, limit: float) -> Hills:
    """The hills of a block; `limit` 0 is a plane."""
    rng = stream(seed, "hills")
    waves = []
    for _ in range(WAVES):
        bearing, length = rng.uniform(0, 2 * math.pi), rng.uniform(SHORTEST, LONGEST)
        phase = rng.uniform(0, 2 * math.pi)
        waves.append((float(math.cos(bearing) / length), float(math.sin(bearing) / length), float(phase)))
    return Hills(tuple(waves), limit)


@dataclass(frozen=True, slots=True)
class HillsBelow:
    """The hills as a camera at a scene point sees them: `imagery.camera.Relief` over the plane of the level."""

    hills: Hills
    x: float
    y: float

    @property
    def lowest(self) -> float:
        return -self.hills.limit

    def heights(self, ground: NDArray[np.float64]) -> NDArray[np.float64]:
        return self.hills.at(self.x + ground[..., 0], self.y - ground[..., 1])
