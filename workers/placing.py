"""Outlines in a picture's pixels put on the ground by its pose, over flat ground: of posed photos and video frames."""

from collections.abc import Callable, Sequence

import numpy as np
import shapely
from shapely.geometry import Polygon, mapping, shape
from shapely.geometry.polygon import orient

from imagery.footprints import from_position
from stac.perspective import camera_of
from stac.store import Item
from workers.crops import polygon_of
from workers.vectors import Feature

DIGITS = 7

Place = Callable[[Polygon], Polygon | None]
"""From an outline in pixels to one in degrees; None where it reaches the horizon."""


def placer(item: Item) -> Place | None:
    """How outlines in the pixels of this capture's item come to the ground; None where its pose is not told, or not
    trusted enough for a footprint."""
    posed = camera_of(item) if item["properties"].get("flyonce:footprint_method") == "pose" else None
    if posed is None:
        return None
    camera, position = posed

    def place(outline: Polygon) -> Polygon | None:
        east_north = camera.to_ground(shapely.get_coordinates(outline.exterior))
        if not np.isfinite(east_north).all():
            return None
        return orient(Polygon(from_position(position, east_north)))

    return place


def with_places(found: Sequence[Feature], item: Item) -> list[Feature]:
    """Findings in pixels, each with `ground`, its outline in EPSG:4326 (None where it has no place), and `error_m`, by
    how far that may be off."""
    place = placer(item)
    if place is None:
        return [{**feature, "properties": {**feature["properties"], "ground": None}} for feature in found]
    error = item["properties"]["flyonce:footprint_error_m"]
    placed = []
    for feature in found:
        outline = place(polygon_of(shape(feature["geometry"])))
        ground = None if outline is None else mapping(shapely.transform(outline, lambda xy: xy.round(DIGITS)))
        more = {"ground": ground} | ({} if ground is None else {"error_m": error})
        placed.append({**feature, "properties": {**feature["properties"], **more}})
    return placed
