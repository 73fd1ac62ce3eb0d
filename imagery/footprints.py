"""The ground that a photo shows, over flat ground or a given terrain, and how far its outline may be off."""

import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import shapely
from shapely.geometry import Point, Polygon, box
from shapely.geometry.polygon import orient

from imagery.camera import FURTHEST, Camera, Points, Relief
from imagery.errors import Refused
from imagery.ground import WGS84, as_geojson
from imagery.uncertainty import assumed_sigma, covariance, ellipse
from imagery.values import Attitude, Footprint, Lens, PoseSigma, Position

TRUSTED = 0.5
"""An outline that is off by more than this part of the footprint's own size is no footprint."""
DIGITS = 8
"""Of degrees: 1 mm."""
DATUM_DOUBT = 30.0
"""Metres between the height above take-off and the height above a model: more, and the file's absolute height is over
another zero than the model's, or is not to be believed."""


class Terrain(Protocol):
    """Heights of the ground, as `imagery.terrain.Elevation` reads them from a raster."""

    def below(self, position: Position, reach: float) -> tuple[Relief, float]:
        """The relief within `reach` metres of the ground straight below, and that ground's own height.

        Raises `Refused`: outside-elevation where it does not reach there.
        """
        ...


@dataclass(frozen=True, slots=True)
class Posed:
    """A trusted footprint, with the camera and the errors that it was made from."""

    footprint: Footprint
    camera: Camera
    sigma: PoseSigma


def pose_footprint(
    position: Position, attitude: Attitude, lens: Lens, *, tracked: bool = False, terrain: Terrain | None = None
) -> tuple[Posed | None, str | None]:
    """The footprint of a posed photo, or None and a note that says why none could be trusted.

    Corners are the camera's rays cut with the ground, and laid on the ellipsoid by geodesics from the position. The
    ground is flat, `above_ground` below the position, or `terrain` where it is given. What lies near or above the
    horizon is left out (`imagery.camera.FURTHEST`), and noted. `tracked`: the attitude was read off the track.
    """
    height, relief, notes = _ground(position, terrain)
    if height is None:
        return None, "the file does not say how high above the ground it was taken"
    if height <= 0:
        return None, f"taken {height:g} m above the ground: not from above it"
    camera = Camera(lens, attitude, height)
    outline = camera.outline()
    corners = camera.footprint(relief=relief)
    if not len(outline):
        return None, "the camera looked over the horizon"
    if relief is not None and not np.isfinite(corners).all():
        relief, corners = None, camera.footprint()
        notes.append("the elevation model does not reach as far as the picture: taken for flat")
    sigma = assumed_sigma(position, lens.source, height, tracked=tracked, dem=relief is not None)
    shape = Polygon(corners)
    spread = covariance(camera, sigma, outline, relief)
    variance = np.trace(spread, axis1=-2, axis2=-1)
    worst = int(np.argmax(np.nan_to_num(variance, nan=np.inf)))
    # One sigma of the position counts once, as the receivers' makers give it; the rest in both directions.
    error = math.sqrt(float(np.nan_to_num(variance[worst], nan=np.inf)) - sigma.position**2)
    if error > TRUSTED * math.sqrt(shape.area):
        told = f"{error:.0f} m" if math.isfinite(error) else "more than can be told"
        return None, (
            f"its outline would be off by about {told}, too much for {math.sqrt(shape.area):.0f} m of ground: "
            f"taken {height:g} m above it, looking {-attitude.pitch:g} degrees under the horizon"
        )
    lonlat = from_position(position, np.asarray(shapely.get_coordinates(_plain(shape))[:-1]))
    if camera.cut:
        notes.append("the part at and above the horizon is left out of the footprint")
    footprint = Footprint(geojson_area(lonlat), "pose", round(error, 2), ellipse(spread[worst]))
    return Posed(footprint, camera, sigma), "; ".join(notes) or None


def _ground(position: Position, terrain: Terrain | None) -> tuple[float | None, Relief | None, list[str]]:
    """How high the camera was above the ground below it, the relief of that ground, and what should be said of it."""
    above = position.above_ground
    if terrain is None or (above is None and position.height is None):
        return above, None, []
    reach = (above if above is not None and above > 0 else 120.0) * (FURTHEST + 1) * math.sqrt(2)
    try:
        relief, ground = terrain.below(position, reach)
    except Refused as refused:
        if refused.reason == "no-elevation":
            return above, None, [f"{refused.message}: taken for flat"]
        if refused.reason != "outside-elevation":
            raise
        return above, None, ["the elevation model does not reach as far as the picture: taken for flat"]
    if position.height is None:
        return above, relief, ["its height is the one above take-off, over an elevation model"]
    over = position.height - ground
    if above is not None and abs(over - above) > DATUM_DOUBT:
        return above, relief, [f"its absolute height is {over:.0f} m above the elevation model: not believed"]
    return over, relief, []


def _plain(shape: Polygon) -> Polygon:
    """The outline without points on straight sides, and valid where a relief folds it over itself."""
    if len(shape.exterior.coords) <= 9 and shape.is_valid:
        return shape
    parts = shapely.get_parts(shapely.make_valid(shape))
    largest = max((part for part in parts if isinstance(part, Polygon)), key=lambda part: part.area)
    return Polygon(shapely.simplify(largest, 0.005).exterior)


def position_footprint(position: Position) -> Footprint:
    """The point that a photo was taken from, which is all that is known of what it shows."""
    point = Point(round(position.lon, DIGITS), round(position.lat, DIGITS))
    return Footprint(as_geojson(point), "position", position.error_m)


def from_position(position: Position, ground: Points) -> Points:
    """Longitude, latitude [N, 2] of points east, north [N, 2] metres of the position, along geodesics."""
    east, north = ground[:, 0], ground[:, 1]
    here = np.full(len(ground), position.lon), np.full(len(ground), position.lat)
    lon, lat, _ = WGS84.fwd(*here, np.degrees(np.arctan2(east, north)), np.hypot(east, north))
    return np.stack([lon, lat], axis=-1)


def geojson_area(ring: Points) -> dict[str, Any]:
    """RFC 7946: a ring of longitude, latitude [N, 2], counter-clockwise and cut in two at the antimeridian."""
    if np.ptp(ring[:, 0]) <= 180:
        return as_geojson(orient(Polygon(ring.round(DIGITS))))
    east = Polygon(np.stack([ring[:, 0] % 360, ring[:, 1]], axis=-1))
    near, far = shapely.intersection(east, [box(0, -90, 180, 90), box(180, -90, 360, 90)])
    beyond = shapely.transform(far, lambda xy: xy - np.array([360.0, 0.0]))
    parts = [shapely.transform(part, lambda xy: xy.round(DIGITS)) for part in (near, beyond)]
    return as_geojson(shapely.multipolygons([orient(part) for part in parts]))
