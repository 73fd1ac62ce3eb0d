"""Sensors whose size is known: how many millimetres the pixels of a camera's model span.

From the makers' data sheets ("Specs" of each product at dji.com, flir.com, micasense.com, canon.com): a format such as
1 inch (13.2 x 8.8 mm), 4/3 (17.3 x 13 mm) or 1/2.3 inch (6.17 x 4.55 mm), or a pixel pitch. Format sizes are those of
the CIPA table behind them; a maker's rounding of them is what `FOCAL_SIGMA["sensor-table"]` stands for.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sensor:
    width_mm: float
    pixels: int
    """Across, of the largest still picture: another width was cut or resized."""
    thermal: bool = False

    @property
    def pitch(self) -> float:
        """Millimetres per pixel."""
        return self.width_mm / self.pixels


SENSORS: dict[str, Sensor] = {
    "FC300S": Sensor(6.17, 4000),  # Phantom 3 Professional, 1/2.3 inch
    "FC300X": Sensor(6.17, 4000),  # Phantom 3 Advanced
    "FC330": Sensor(6.17, 4000),  # Phantom 4
    "FC220": Sensor(6.17, 4000),  # Mavic Pro
    "FC6310": Sensor(13.2, 5472),  # Phantom 4 Pro, 1 inch
    "FC6310S": Sensor(13.2, 5472),
    "FC6310R": Sensor(13.2, 5472),  # Phantom 4 RTK
    "FC6520": Sensor(17.3, 5280),  # Zenmuse X5S, 4/3
    "L1D-20c": Sensor(13.2, 5472),  # Mavic 2 Pro
    "L2D-20c": Sensor(17.3, 5280),  # Mavic 3
    "M3E": Sensor(17.3, 5280),  # Mavic 3 Enterprise, wide camera
    "ZenmuseP1": Sensor(35.9, 8192),
    "ZH20T": Sensor(640 * 0.012, 640, thermal=True),  # 12 micrometres
    "XT2": Sensor(640 * 0.017, 640, thermal=True),  # 17 micrometres
    "FLIR": Sensor(640 * 0.017, 640, thermal=True),  # what an XT2 calls itself
    "MAVIC2-ENTERPRISE-ADVANCED": Sensor(640 * 0.012, 640, thermal=True),
    "M3T": Sensor(640 * 0.012, 640, thermal=True),
    "M30T": Sensor(640 * 0.012, 640, thermal=True),
    "RedEdge": Sensor(4.8, 1280),  # MicaSense, 3.75 micrometres
    "RedEdge-M": Sensor(4.8, 1280),
    "Sequoia": Sensor(4.8, 1280),
    "Canon PowerShot SX260 HS": Sensor(6.17, 4000),
}


def sensor_of(model: str | None, width: int, height: int) -> Sensor | None:
    """The sensor of a model, where the picture is as wide as it."""
    found = SENSORS.get(model or "")
    return found if found is not None and max(width, height) == found.pixels else None
