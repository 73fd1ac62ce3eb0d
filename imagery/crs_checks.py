"""Whether a raster's numbers and the coordinate system that it declares belong together."""

from pathlib import Path

from pyproj import CRS

from imagery import gcj02
from imagery.errors import Refused
from imagery.ground import LONLAT, Affine, transformation

AWAY = 6.0
"""Degrees that a raster may lie outside of the area its system is made for: a neighbouring zone is no error, another
continent is."""


def check_system(crs: str, transform: Affine, size: tuple[int, int], words: str, path: str | Path) -> None:
    """Raises `Refused`: gcj-02 (said so in the system's name or in `words` of the file), axis-order (its numbers lie in
    the system's area once they are changed over), outside-crs (they lie nowhere near it)."""
    name = CRS.from_user_input(crs).name
    if gcj02.declared(f"{crs} {name} {words}"):
        raise Refused(
            "gcj-02",
            f"{path}: is in GCJ-02 (火星坐标), which is shifted by up to 700 m against every survey.",
            "Export it in CGCS2000 or WGS84 (EPSG:4490, 4547, 4326). 请以 CGCS2000 或 WGS84 坐标重新导出。",
        )
    a, b, c, d, e, f = transform
    x, y = a * size[0] / 2 + b * size[1] / 2 + c, d * size[0] / 2 + e * size[1] / 2 + f
    if _in_area(crs, x, y):
        return
    if _in_area(crs, y, x):
        order = "latitude, longitude" if abs(x) <= 90 else "northing, easting"
        raise Refused(
            "axis-order",
            f"{path}: its numbers ({x:.1f}, {y:.1f}) are in the order {order}, which no raster is kept in; changed "
            f"over they lie in {name}.",
            "Export it again with easting (or longitude) first. 请按“东坐标在前”重新导出。",
        )
    told = suggestions(x, y)
    raise Refused(
        "outside-crs",
        f"{path}: its numbers ({x:.1f}, {y:.1f}) lie nowhere near the area of {name}.",
        f"Declare the system that they are in{f' (they would fit {told})' if told else ''}. 请核对坐标系。",
    )


def _in_area(crs: str, x: float, y: float) -> bool:
    """Whether a place lies within `AWAY` of the system's area of use; true for systems that name none."""
    area = CRS.from_user_input(crs).area_of_use
    lon, lat = transformation(crs, LONLAT).transform(x, y)
    if not (-180 <= lon <= 180 and -90 <= lat <= 90):
        return False
    if area is None:
        return True
    if not area.south - AWAY <= lat <= area.north + AWAY:
        return False
    span = (area.east - area.west) % 360 or 360
    return (lon - area.west + AWAY) % 360 <= span + 2 * AWAY or span + 2 * AWAY >= 360


def suggestions(x: float, y: float) -> str:
    """Systems that a pair of numbers would fit, for whoever has to declare one; empty where none is known."""
    if abs(x) <= 180 and abs(y) <= 90:
        return "EPSG:4490 (CGCS2000) or EPSG:4326 (WGS84), degrees"
    zone, rest = divmod(x, 1_000_000)
    if 2e6 < y < 6e6 and 25 <= zone <= 45 and 2e5 < rest < 8e5:
        return f"EPSG:{4513 + int(zone) - 25} (CGCS2000, 3-degree zone {int(zone)})"
    if 2e6 < y < 6e6 and 13 <= zone <= 23 and 2e5 < rest < 8e5:
        return f"EPSG:{4491 + int(zone) - 13} (CGCS2000, 6-degree zone {int(zone)})"
    if 2e6 < y < 6e6 and 2e5 < x < 8e5:
        return "EPSG:4534 to 4554 (CGCS2000, 3-degree; 4547 for 114° E), or a UTM zone such as EPSG:32649"
    if 7e6 < abs(x) < 1.6e7 and abs(y) < 8e6:
        return "EPSG:3857 (web map)"
    return ""
