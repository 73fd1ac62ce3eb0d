"""Regions of the grid as GeoJSON features that a department can read, and files that are there whole or not at all."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from imagery.polygons import Region, area_m2, geojson
from imagery.tiles import GroundGrid

Feature = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Label:
    """How a class is called in public: its matter code (None where no standard has one) and names."""

    code: str | None
    name_zh: str
    name_en: str


def features(
    regions: Iterable[Region],
    grid: GroundGrid,
    classes: Sequence[str],
    label: Callable[[str], Label],
    *,
    cell_m: float,
    min_area: float,
    more: Callable[[Region], dict[str, Any]] = lambda _: {},
) -> list[Feature]:
    """RFC 7946 features, in the order of `regions`; those below `min_area` square metres are left out.

    Geometry in EPSG:4326, or in pixels of the source on a grid of pixels. `cell_m`: metres on the ground per cell, for
    a grid of pixels, which does not tell. `score` is the mean over the region, 0 to 1. `more`: further properties.
    """
    found = []
    for region in regions:
        area = area_m2(region.polygon, grid, cell_m)
        if area < min_area:
            continue
        name = classes[region.value - 1]
        words = label(name)
        found.append(
            {
                "type": "Feature",
                "geometry": geojson(region.polygon, grid),
                "properties": {
                    "class": name,
                    "score": round(region.score, 4),
                    "area_m2": round(area, 3),
                    "code": words.code,
                    "name_zh": words.name_zh,
                    "name_en": words.name_en,
                    **more(region),
                },
            }
        )
    return found


def encode(found: Sequence[Feature], about: dict[str, Any]) -> bytes:
    """A FeatureCollection, one feature a line. `about` goes into the foreign member `flyonce`; equal answers are equal
    bytes."""
    lines = ",\n".join(json.dumps(feature, ensure_ascii=False, separators=(",", ":")) for feature in found)
    head = json.dumps(about, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    body = f"\n{lines}\n" if lines else ""
    return f'{{"type":"FeatureCollection","flyonce":{head},"features":[{body}]}}\n'.encode()
