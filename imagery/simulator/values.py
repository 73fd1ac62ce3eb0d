"""What stands in a simulated scene: small frozen values in metres on flat ground.

Scene coordinates: x to the right (east), y *down* (south), metres from the top left corner of the visible ground, so
that a pixel of a drawn image is `(x, y) / gsd`. Angles in radians, from x towards y. Colours are sRGB, 0..255, as they
look on flat ground in plain light.
"""

import math
import zlib
from dataclasses import dataclass
from typing import Literal

import numpy as np
from shapely.geometry import Polygon

Kind = Literal["spoil_heap", "construction_material", "debris", "roof", "car"]
Change = Literal["appeared", "disappeared", "altered", "unchanged"]
Form = Literal["flat", "box", "pipe", "ring", "gable", "hip", "dome", "chunk", "disc"]
Pattern = Literal["", "bricks", "corrugated", "tiles", "boards", "rods", "panels", "stains", "worn"]
Ground = Literal["asphalt", "concrete", "pavers", "grass", "soil", "stripped", "weeds", "gravel", "yard", "lawn", "net"]
Spoil = Literal["loam", "clay", "topsoil", "sand", "gravel", "concrete", "brick", "mixed", "local"]
Colour = tuple[float, float, float]


def stream(seed: int, *names: str | int) -> np.random.Generator:
    """An independent random stream for each name, so that one more tree does not move every car."""
    keys = [zlib.crc32(name.encode()) if isinstance(name, str) else name for name in names]
    return np.random.default_rng(np.random.SeedSequence(entropy=seed, spawn_key=keys))


def jitter(rng: np.random.Generator, colour: Colour, spread: float = 7) -> Colour:
    """A colour near `colour`: lighter or darker by about `spread`, tinted by a third of it."""
    red, green, blue = np.clip(np.asarray(colour) + rng.normal(0, spread) + rng.normal(0, spread / 3, 3), 6, 250)
    return float(red), float(green), float(blue)


@dataclass(frozen=True, slots=True)
class Rect:
    """A rectangle: `length` along `angle`, `width` across it, about its centre."""

    x: float
    y: float
    length: float
    width: float
    angle: float = 0.0

    def at(self, u: float, v: float) -> tuple[float, float]:
        """The scene point at `u` along and `v` across, metres from the centre."""
        c, s = math.cos(self.angle), math.sin(self.angle)
        return self.x + u * c - v * s, self.y + u * s + v * c

    def part(self, u: float, v: float, length: float, width: float, turn: float = 0.0) -> "Rect":
        """A rectangle placed in this one's own axes."""
        x, y = self.at(u, v)
        return Rect(x, y, length, width, self.angle + turn)

    @property
    def polygon(self) -> Polygon:
        u, v = self.length / 2, self.width / 2
        return Polygon([self.at(-u, -v), self.at(u, -v), self.at(u, v), self.at(-u, v)])

    @property
    def reach(self) -> tuple[float, float]:
        """Half the size of the upright box around it, in x and y."""
        c, s = abs(math.cos(self.angle)), abs(math.sin(self.angle))
        return (self.length * c + self.width * s) / 2, (self.length * s + self.width * c) / 2


@dataclass(frozen=True, slots=True)
class Lobe:
    """A dumped load: an irregular disc whose radius wobbles with the bearing, and the height of its top."""

    x: float
    y: float
    radius: float
    height: float
    wobble: tuple[tuple[float, float], ...]
    """Amplitude (share of the radius) and phase of the harmonics 2, 3, 4, …"""

    def radius_at(self, bearing: np.ndarray) -> np.ndarray:
        """Metres from the centre to the outline, for an array of bearings of any shape."""
        swing = np.ones_like(bearing)
        for order, (amplitude, phase) in enumerate(self.wobble, start=2):
            swing += amplitude * np.cos(order * bearing + phase)
        return self.radius * swing

    @property
    def polygon(self) -> Polygon:
        bearing = np.linspace(0, 2 * math.pi, 96, endpoint=False)
        radius = self.radius_at(bearing)
        ring = np.stack([self.x + radius * np.cos(bearing), self.y + radius * np.sin(bearing)], axis=1)
        return Polygon(ring).buffer(0)


@dataclass(frozen=True, slots=True)
class Part:
    """One body: its plan, the form of its top, where it stands (`base`, metres above ground) and how high it is."""

    plan: Rect
    form: Form
    colour: Colour
    height: float = 0.0
    base: float = 0.0
    pattern: Pattern = ""
    period: float = 0.3
    """Metres between the repeats of `pattern`."""
    opacity: float = 1.0


@dataclass(frozen=True, slots=True)
class Thing:
    """Something that may come, go or stay between the two dates. `polygon` is its outline on the ground."""

    kind: Kind
    polygon: Polygon
    height: float
    style: str
    key: int
    """Names its own random stream."""
    before: bool
    after: bool
    parts: tuple[Part, ...] = ()
    lobes: tuple[Lobe, ...] = ()

    @property
    def change(self) -> Change:
        if self.before and self.after:
            return "unchanged"
        return "appeared" if self.after else "disappeared"


@dataclass(frozen=True, slots=True)
class Zone:
    """Ground of one material. `ragged` metres of its border are eaten by noise, as grass runs into soil."""

    plan: Rect
    ground: Ground
    ragged: float = 0.0
    level: float = 0.0
    """Metres above the flat ground; a pit is negative, with banks of `bank` metres."""
    bank: float = 0.0
    within: Rect | None = None
    """Cut to this rectangle."""


@dataclass(frozen=True, slots=True)
class Track:
    """A pair of wheel ruts along an arc."""

    x: float
    y: float
    radius: float
    gauge: float
    strength: float
    clip: Rect
    """The ruts are drawn inside this rectangle alone."""


@dataclass(frozen=True, slots=True)
class Building:
    """A building; its roof may look different on the second date."""

    plan: Rect
    height: float
    before: tuple[Part, ...]
    after: tuple[Part, ...]
    changed: Polygon | None = None
    """Outline of what changed on the roof."""


@dataclass(frozen=True, slots=True)
class Tree:
    """A tree; `leaves` is its own share of a full crown."""

    x: float
    y: float
    radius: float
    height: float
    colour: Colour
    leaves: float
    evergreen: bool
    key: int


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything that stands on the block on both dates. Visible ground: x 0..width, y 0..height metres; what stands
    up to `margin` metres outside of it is there too."""

    seed: int
    width: float
    height: float
    margin: float
    zones: tuple[Zone, ...]
    tracks: tuple[Track, ...]
    markings: tuple[Part, ...]
    buildings: tuple[Building, ...]
    trees: tuple[Tree, ...]
    cars: tuple[Thing, ...]
    things: tuple[Thing, ...]
    soil: Colour
    """The soil of the place: what is dug here looks like it."""
