"""From pixels of a posed photo or video frame to the ground: findings in an oblique picture, each with its own error.

The pose is the one that the item tells (`stac.perspective`), so that frames cut out of a video are placed like photos.
The ground is taken for flat; what that costs is part of the error.
"""

import math
from dataclasses import dataclass

import numpy as np
import shapely
from shapely import Polygon
from shapely.geometry.polygon import orient

from imagery.errors import Refused
from imagery.footprints import TRUSTED, from_position
from imagery.uncertainty import covariance
from imagery.values import PoseSigma
from stac.perspective import camera_of
from stac.store import Item


@dataclass(frozen=True, slots=True)
class Placed:
    """A finding on the ground."""

    outline: Polygon
    """Longitude and latitude, counter-clockwise."""
    area_m2: float
    """Of the ground that the outline covers: pixels of an oblique picture are of many sizes."""
    error_m: float
    """Horizontal, one sigma, of the outline's worst point; the position's own counts once, as for footprints."""


def tells_pose(item: Item) -> bool:
    """Whether pixels of the item's picture can be brought to the ground, and by how much that is off."""
    said = item["properties"]
    return said["flyonce:footprint_method"] == "pose" and "flyonce:pose_sigma" in said and camera_of(item) is not None


def place(item: Item, outlines: dict[int, Polygon]) -> tuple[dict[int, Placed], int]:
    """Outlines in pixels of the item's picture on the ground, and how many were too uncertain to be placed: those that
    reach the horizon, or whose error is more than `TRUSTED` of the photo's whole footprint.

    Raises `Refused` (no-pose) where the item tells no pose.
    """
    found = camera_of(item)
    said = item["properties"]
    if found is None or not tells_pose(item):
        raise Refused(
            "no-pose",
            f"{said.get('title', item['id'])} does not tell its pose: what was found in it has no place on the ground.",
            "Detect in an orthophoto of the flight; or run with --pixels and use the pixel coordinates.",
        )
    camera, position = found
    sigma = PoseSigma(**said["flyonce:pose_sigma"])
    most = TRUSTED * math.sqrt(Polygon(camera.footprint()).area)
    placed: dict[int, Placed] = {}
    for index, outline in outlines.items():
        pixels = shapely.get_coordinates(outline.exterior)
        ground = camera.to_ground(pixels)
        variance = np.trace(covariance(camera, sigma, pixels), axis1=-2, axis2=-1)
        worst = float(np.nan_to_num(variance, nan=np.inf).max())
        if not math.isfinite(worst) or not np.isfinite(ground).all():
            continue
        error = math.sqrt(worst - sigma.position**2)
        if error <= most:
            lonlat = orient(Polygon(from_position(position, ground)))
            placed[index] = Placed(lonlat, float(Polygon(ground).area), round(error, 2))
    return placed, len(outlines) - len(placed)
