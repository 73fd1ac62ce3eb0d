"""GCJ-02, the shifted coordinates of Chinese web maps: how far they lie beside WGS84, and who says that he uses them.

The published approximation (a polynomial with sines, on the Krasovsky ellipsoid; reproduced in many open sources, such
as `eviltransform`), good to about a metre within China; 300 to 700 m long. Used to recognise, never to make: that is
for hand-off alone.
"""

import math
import re

from imagery.ground import WGS84

WORDS = re.compile(r"gcj[-_ ]?0?2|火星坐标|mars coordinates?|国测局|\bbd[-_ ]?09|百度坐标", re.IGNORECASE)
"""BD-09 is GCJ-02 shifted once more."""
A, EE = 6378245.0, 0.00669342162296594323
CHINA = (73.0, 3.0, 136.0, 54.0)
NEAR = 60.0
"""Metres: what two positions may differ by and still be one, once the shift is undone."""


def declared(text: str) -> bool:
    """Whether a coordinate system's name, a tag or a note says GCJ-02."""
    return WORDS.search(text) is not None


def shift(lon: float, lat: float) -> tuple[float, float]:
    """Degrees of longitude and latitude that GCJ-02 adds to a WGS84 place; 0, 0 outside of China."""
    west, south, east, north = CHINA
    if not (west <= lon <= east and south <= lat <= north):
        return 0.0, 0.0
    x, y = lon - 105.0, lat - 35.0
    wave = (20 * math.sin(6 * x * math.pi) + 20 * math.sin(2 * x * math.pi)) * 2 / 3
    up = -100 + 2 * x + 3 * y + 0.2 * y * y + 0.1 * x * y + 0.2 * math.sqrt(abs(x)) + wave
    up += (20 * math.sin(y * math.pi) + 40 * math.sin(y / 3 * math.pi)) * 2 / 3
    up += (160 * math.sin(y / 12 * math.pi) + 320 * math.sin(y * math.pi / 30)) * 2 / 3
    across = 300 + x + 2 * y + 0.1 * x * x + 0.1 * x * y + 0.1 * math.sqrt(abs(x)) + wave
    across += (20 * math.sin(x * math.pi) + 40 * math.sin(x / 3 * math.pi)) * 2 / 3
    across += (150 * math.sin(x / 12 * math.pi) + 300 * math.sin(x / 30 * math.pi)) * 2 / 3
    rad = math.radians(lat)
    magic = 1 - EE * math.sin(rad) ** 2
    root = math.sqrt(magic)
    return (
        math.degrees(across / (A / root * math.cos(rad))),
        math.degrees(up / (A * (1 - EE) / (magic * root))),
    )


def seems_shifted(raster: tuple[float, float], flown: tuple[float, float]) -> bool:
    """Whether a raster's middle lies beside where its flight was flown (both longitude, latitude) as GCJ-02 lies beside
    WGS84: more than twice `NEAR` apart as they stand, and less than it once the shift is undone."""
    moved = shift(*flown)
    if moved == (0.0, 0.0):
        return False
    apart = float(WGS84.inv(*raster, *flown)[2])
    undone = float(WGS84.inv(*raster, flown[0] + moved[0], flown[1] + moved[1])[2])
    return apart > 2 * NEAR and undone < NEAR
