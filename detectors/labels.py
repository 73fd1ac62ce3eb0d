"""What people drew: labelled pictures from COCO and GeoJSON files, checked shape by shape.

A shape that cannot be used is left out with a named reason, and the rest is used; a file that holds nothing to use is
refused. Outlines come out in pixels of their picture, x right and y down from the top left corner.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import Polygon
from shapely.geometry import shape as geometry_of
from shapely.validation import explain_validity

from imagery.errors import Refused
from imagery.ground import LONLAT, apply, invert, transformation
from imagery.inspect import posed_gsd
from imagery.sources import Source, open_source
from imagery.tiles import PIXELS

IGNORE = "ignore"
"""The class of shapes about which nothing is claimed: neither to find nor false."""
REJECTED = "rejected"
"""The class of what a detector found and a person rejected. Only reviews give it (`workers.reviewed`)."""


@dataclass(frozen=True, slots=True)
class Shape:
    """One outline. `thing`: the physical thing it shows, which other pictures may show again; empty if not told."""

    kind: str
    polygon: Polygon
    thing: str = ""


@dataclass(frozen=True, slots=True)
class Labelled:
    """One picture and what was drawn on it."""

    path: Path
    sha256: str
    gsd: float | None
    """Metres per pixel; None where neither the file nor the labels tell."""
    width: int
    height: int
    place: str
    """Pictures of one place are not independent of each other."""
    shapes: tuple[Shape, ...]
    whole: bool = True
    """Whether a person looked for everything on it: else nothing is known of the ground outside of its shapes."""

    @property
    def scale(self) -> float:
        """`gsd`. Raises `Refused` (no-gsd): at a wrong scale nothing is learned, and figures mean nothing."""
        if not self.gsd:
            raise Refused(
                "no-gsd",
                f"{self.path}: nothing tells how many metres of ground a pixel is.",
                'Say it: --gsd M, or "gsd" in the labels\' image entry 请用 --gsd 给出每像素米数。',
            )
        return self.gsd


@dataclass(frozen=True, slots=True)
class Left:
    """A shape that is not used, and why: `reason` is one of self-crossing, outside, unknown-class, no-outline."""

    file: str
    index: int
    reason: str
    message: str


@dataclass(slots=True)
class Labels:
    """All that some label files hold."""

    pictures: list[Labelled] = field(default_factory=list)
    left: list[Left] = field(default_factory=list)

    @property
    def kinds(self) -> dict[str, int]:
        """How many shapes of each class, `ignore` among them."""
        counts: dict[str, int] = {}
        for picture in self.pictures:
            for one in picture.shapes:
                counts[one.kind] = counts.get(one.kind, 0) + 1
        return counts


def read_labels(
    paths: Sequence[Path],
    *,
    classes: Sequence[str] = (),
    sources: Sequence[Path] = (),
    gsd: float | None = None,
) -> Labels:
    """Read label files; a shape of a class that is not among `classes` (where any are given) is left out.

    COCO names its pictures itself, beside the file. GeoJSON features name theirs in the property `source` (as `flyonce
    detect` writes it); without it the only picture of `sources` is meant. Raises `Refused`: no-labels (the file is not
    there or not JSON), other-labels (neither COCO nor GeoJSON), no-picture, nothing-labelled (not one shape can be
    used), and all that opening a picture raises.
    """
    out = Labels()
    for path in paths:
        document = _document(path)
        if {"images", "annotations", "categories"} <= document.keys():
            _coco(path, document, classes, gsd, out)
        elif document.get("type") == "FeatureCollection":
            _geojson(path, document, classes, sources, gsd, out)
        else:
            raise Refused("other-labels", f"{path} is neither COCO nor GeoJSON.", "Export the labels as one of them.")
    if not any(picture.shapes for picture in out.pictures):
        why = f" The first: {out.left[0].message}" if out.left else ""
        raise Refused(
            "nothing-labelled",
            f"Not one shape of {', '.join(str(path) for path in paths)} can be used.{why}",
            "Mend the labels; what is wrong with each is named.",
        )
    return out


def few(labels: Labels, wanted: Iterable[str], least: int = 5) -> None:
    """Refused (few-labels) unless each wanted class has at least `least` shapes."""
    counts = labels.kinds
    short = {kind: counts.get(kind, 0) for kind in wanted if counts.get(kind, 0) < least}
    if short:
        told = ", ".join(f"{count} of {kind}" for kind, count in short.items())
        raise Refused("few-labels", f"Too few labels: {told}.", f"Draw at least {least} of each class.")


def _document(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise Refused(
            "no-labels", f"{path} cannot be read as labels: {error}.", "Name a COCO or GeoJSON file."
        ) from None
    if not isinstance(document, dict):
        raise Refused("other-labels", f"{path} is neither COCO nor GeoJSON.", "Export the labels as one of them.")
    return document


def _coco(path: Path, document: dict[str, Any], classes: Sequence[str], gsd: float | None, out: Labels) -> None:
    names = {category["id"]: str(category["name"]) for category in document["categories"]}
    marks: dict[Any, list[tuple[int, dict[str, Any]]]] = {}
    for index, mark in enumerate(document["annotations"]):
        marks.setdefault(mark["image_id"], []).append((index, mark))
    for entry in sorted(document["images"], key=lambda entry: str(entry["file_name"])):
        source = _opened(path.parent / str(entry["file_name"]), path, gsd or entry.get("gsd"))
        shapes: list[Shape] = []
        for index, mark in marks.get(entry["id"], []):
            kind = names.get(mark["category_id"], str(mark["category_id"]))
            rings = mark.get("segmentation") or []
            if isinstance(rings, dict) or not rings or len(rings[0]) < 6:
                out.left.append(Left(path.name, index, "no-outline", f"shape {index} has no polygon"))
                continue
            polygon = Polygon(np.reshape(rings[0], (-1, 2)))
            note = str(mark.get("attributes", {}).get("note", ""))
            _keep(path, index, kind, [polygon], note, source, classes, shapes, out)
        out.pictures.append(_labelled(source, str(entry.get("place", path.parent.name)), shapes))


def _geojson(
    path: Path,
    document: dict[str, Any],
    classes: Sequence[str],
    sources: Sequence[Path],
    gsd: float | None,
    out: Labels,
) -> None:
    by_source: dict[Path, list[tuple[int, dict[str, Any]]]] = {}
    for index, feature in enumerate(document.get("features", [])):
        named = (feature.get("properties") or {}).get("source")
        by_source.setdefault(_picture_of(path, named, sources), []).append((index, feature))
    for picture, features in sorted(by_source.items()):
        source = _opened(picture, path, gsd)
        shapes: list[Shape] = []
        for index, feature in features:
            told = feature.get("properties") or {}
            kind = str(told.get("class") or told.get("label") or "")
            if not feature.get("geometry") or feature["geometry"]["type"] not in ("Polygon", "MultiPolygon"):
                out.left.append(Left(path.name, index, "no-outline", f"shape {index} has no polygon"))
                continue
            parts = [in_pixels(part, source) for part in shapely.get_parts(geometry_of(feature["geometry"]))]
            _keep(path, index, kind, parts, str(told.get("thing", "")), source, classes, shapes, out)
        out.pictures.append(_labelled(source, picture.stem, shapes))


def _picture_of(path: Path, named: str | None, sources: Sequence[Path]) -> Path:
    if named:
        matching = [source for source in sources if source.name == Path(named).name]
        return matching[0] if matching else path.parent / named
    if len(sources) == 1:
        return sources[0]
    raise Refused(
        "no-picture",
        f"{path} does not say which picture its shapes were drawn on.",
        "Give the picture with --source, or name it in each feature's property `source`.",
    )


def _opened(picture: Path, labels: Path, gsd: float | None) -> Source:
    if not picture.is_file():
        raise Refused("no-picture", f"{labels} names {picture}, which is not there.", "Put it beside the labels.")
    source = open_source(picture, gsd=gsd)
    return source if source.gsd is not None else replace(source, gsd=posed_gsd(picture))


def in_pixels(polygon: Polygon, source: Source) -> Polygon:
    """A polygon in degrees (in pixels where the source has no georeference) in pixels of the source."""
    if source.crs == PIXELS:
        return polygon
    to_crs, to_pixels = transformation(LONLAT, source.crs), invert(source.transform)

    def convert(lonlat: NDArray[np.float64]) -> NDArray[np.float64]:
        return apply(to_pixels, np.stack(to_crs.transform(lonlat[:, 0], lonlat[:, 1]), axis=-1))

    turned = shapely.transform(polygon, convert)
    if not isinstance(turned, Polygon):
        raise TypeError(f"an outline is a polygon, not {turned!r}")
    return turned


def _keep(
    path: Path, index: int, kind: str, polygons: Sequence[Polygon], thing: str, source: Source,
    classes: Sequence[str], shapes: list[Shape], out: Labels,
) -> None:  # fmt: skip
    frame = shapely.box(0, 0, source.width, source.height)
    for polygon in polygons:
        if classes and kind not in (*classes, IGNORE):
            left = "unknown-class", f"shape {index} is of class {kind!r}; there are {', '.join(classes)}"
        elif not polygon.is_valid:
            left = "self-crossing", f"shape {index} is no simple outline: {explain_validity(polygon)}"
        elif not polygon.intersects(frame) or polygon.intersection(frame).area < 0.5 * polygon.area:
            left = "outside", f"shape {index} lies outside of {Path(source.path).name}"
        else:
            shapes.append(Shape(kind, polygon, thing))
            continue
        out.left.append(Left(path.name, index, *left))


def _labelled(source: Source, place: str, shapes: Sequence[Shape]) -> Labelled:
    path = Path(source.path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Labelled(path, digest, source.gsd, source.width, source.height, place, tuple(shapes))
