"""Regions of the grid as GeoJSON features that a department can read, and files that are there whole or not at all."""

import json
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

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
) -> Iterator[Feature]:
    """RFC 7946 features one by one, in the order of `regions`; those below `min_area` square metres are left out.

    Geometry in EPSG:4326, or in pixels of the source on a grid of pixels. `cell_m`: metres on the ground per cell, for
    a grid of pixels, which does not tell. `score` is the mean over the region, 0 to 1. `more`: further properties.
    """
    for region in regions:
        area = area_m2(region.polygon, grid, cell_m)
        if area < min_area:
            continue
        name = classes[region.value - 1]
        words = label(name)
        yield {
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


def encode(found: Iterable[Feature], about: dict[str, Any]) -> bytes:
    """A FeatureCollection, one feature a line. `about` goes into the foreign member `flyonce`; equal answers are equal
    bytes."""
    return b"".join(_pieces(map(_line, found), about))


class Spool:
    """Features on their way into one file: any number, of which memory holds one, counted as they come.

    They wait in an unnamed file in `folder`, since what the head of the document says of them is known at their end.
    Without a folder they are counted alone.
    """

    def __init__(self, folder: Path | None) -> None:
        self._lines = None if folder is None else tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed on exit
        self.count = 0
        self.by_class: Counter[str] = Counter()
        self.area_m2 = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._lines is not None:
            self._lines.close()

    def add(self, found: Iterable[Feature]) -> Counter[str]:
        """Take these; how many of each class they were."""
        counts: Counter[str] = Counter()
        for feature in found:
            if self._lines is not None:
                self._lines.write(_line(feature) + b"\n")
            counts[feature["properties"]["class"]] += 1
            self.area_m2 += feature["properties"]["area_m2"]
        self.count += counts.total()
        self.by_class += counts
        return counts

    def document(self, about: dict[str, Any]) -> Iterator[bytes]:
        """The pieces of what `encode` gives for all that was added. ValueError without a folder."""
        if self._lines is None:
            raise ValueError("features that were counted alone cannot be written")
        self._lines.seek(0)
        return _pieces((line[:-1] for line in self._lines), about)


def _line(feature: Feature) -> bytes:
    return json.dumps(feature, ensure_ascii=False, separators=(",", ":")).encode()


def _pieces(lines: Iterable[bytes], about: dict[str, Any]) -> Iterator[bytes]:
    head = json.dumps(about, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    yield f'{{"type":"FeatureCollection","flyonce":{head},"features":['.encode()
    before = b"\n"
    for line in lines:
        yield before + line
        before = b",\n"
    yield (b"]}\n" if before == b"\n" else b"\n]}\n")
