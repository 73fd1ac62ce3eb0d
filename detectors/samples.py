"""Labelled pictures for the debris detector: simulated blocks, and hand-labelled frames of a real site.

A label is uint8 [H, W]: 0 background, k + 1 for class k, 254 vehicles, which are easily taken for one, 255
not to be learned from. Polygons that a person marked
`ignore` are 255, and so is the rim of every polygon, where even people differ by a pixel.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from shapely import Polygon, transform

from detectors.debris import CLASSES, GSD
from imagery.simulator.simulate import Drawn, draw

IGNORE, LOOK_ALIKE = 255, 254
_VALUES = {"ignore": IGNORE, "car": LOOK_ALIKE} | {name: index + 1 for index, name in enumerate(CLASSES)}
_RIM = 1
"""Half width in pixels of the rim that is not learned from."""


@dataclass(frozen=True, slots=True)
class Sample:
    """`image`: uint8 [3, H, W], RGB at the model's GSD; `label`: uint8 [H, W]; `sha256` of both, for the log."""

    name: str
    image: NDArray[np.uint8]
    label: NDArray[np.uint8]

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.image.tobytes() + self.label.tobytes()).hexdigest()


def simulated(seed: int, *, gsd: float) -> tuple[Sample, Sample]:
    """Both dates of a simulated block, drawn at `gsd` and averaged to the model's GSD."""
    drawn = draw(seed, gsd=gsd)
    return (
        Sample(f"simulated {seed} before", rescaled(drawn.before, gsd), _label(drawn, after=False)),
        Sample(f"simulated {seed} after", rescaled(drawn.after, gsd), _label(drawn, after=True)),
    )


def objects(drawn: Drawn, *, after: bool, kinds: Sequence[str] = CLASSES) -> list[tuple[str, Polygon]]:
    """Class and outline, in scene metres as drawn on that date, of everything that the detector should find."""
    things = drawn.objects_after if after else drawn.objects_before
    found: list[tuple[str, Polygon]] = [(thing.kind, thing.polygon) for thing in things if thing.kind in kinds]
    if not after:
        return found

    def moved(points: NDArray[np.float64]) -> NDArray[np.float64]:
        dx, dy = drawn.registration.offset(points[:, 0], points[:, 1])
        return points + np.stack((dx, dy), axis=1)

    return [(kind, transform(polygon, moved)) for kind, polygon in found]


def labelled_frames(folder: Path, gsd: float) -> list[Sample]:
    """The frames of a COCO file `labels.json` beside its pictures, `gsd` metres per pixel."""
    coco = json.loads((folder / "labels.json").read_text())
    names = {category["id"]: category["name"] for category in coco["categories"]}
    samples = []
    for entry in sorted(coco["images"], key=lambda entry: entry["file_name"]):
        with Image.open(folder / entry["file_name"]) as picture:
            image = np.asarray(picture.convert("RGB")).transpose(2, 0, 1)
        shapes = [
            (names[mark["category_id"]], Polygon(np.reshape(mark["segmentation"][0], (-1, 2)) * gsd))
            for mark in coco["annotations"]
            if mark["image_id"] == entry["id"]
        ]
        small = rescaled(image, gsd)
        samples.append(Sample(entry["file_name"], small, rasterise(shapes, small.shape[1], small.shape[2])))
    return samples


def backgrounds(folder: Path) -> list[Sample]:
    """Pictures named NAME@GSD.EXT (metres per pixel) that hold nothing of the classes, at the model's GSD."""
    samples = []
    for path in sorted(folder.iterdir()):
        with Image.open(path) as picture:
            image = np.asarray(picture.convert("RGB")).transpose(2, 0, 1)
        small = rescaled(image, float(path.stem.rpartition("@")[2]))
        samples.append(Sample(path.name, small, np.zeros(small.shape[1:], dtype=np.uint8)))
    return samples


def rescaled(image: NDArray[np.uint8], gsd: float, cell: float = GSD) -> NDArray[np.uint8]:
    """uint8 [3, H, W] at `gsd`, area-averaged to `cell` metres a pixel (bilinear where that is finer)."""
    height, width = (max(1, round(side * gsd / cell)) for side in image.shape[1:])
    picture = Image.fromarray(np.ascontiguousarray(image.transpose(1, 2, 0)))
    kind = Image.Resampling.BOX if gsd < cell else Image.Resampling.BILINEAR
    return np.ascontiguousarray(np.asarray(picture.resize((width, height), kind)).transpose(2, 0, 1))


def rasterise(
    shapes: Iterable[tuple[str, Polygon]],
    height: int,
    width: int,
    cell: float = GSD,
    values: Mapping[str, int] = _VALUES,
) -> NDArray[np.uint8]:
    """The label of outlines in metres from the picture's upper left corner. `ignore` never hides a class."""
    label = Image.new("L", (width, height), 0)
    pen = ImageDraw.Draw(label)
    for kind, polygon in sorted(shapes, key=lambda shape: (values[shape[0]] < LOOK_ALIKE, -shape[1].area)):
        ring = [(x / cell - 0.5, y / cell - 0.5) for x, y in polygon.exterior.coords]
        pen.polygon(ring, fill=values[kind])
        if values[kind] < LOOK_ALIKE:
            pen.line([*ring, ring[1]], fill=IGNORE, width=_RIM)
    return np.asarray(label).copy()


def _label(drawn: Drawn, *, after: bool) -> NDArray[np.uint8]:
    height, width = (round(side * drawn.gsd / GSD) for side in drawn.before.shape[1:])
    return rasterise(objects(drawn, after=after, kinds=(*CLASSES, "car")), height, width)


def kept(sample_folder: Path, seed: int, gsd: float) -> tuple[Sample, ...]:
    """As `simulated`, read from `sample_folder` where it was drawn before."""
    path = sample_folder / f"simulated-{seed}-{gsd:.3f}-{GSD:.3f}.npz"
    if not path.exists():
        pair = simulated(seed, gsd=gsd)
        sample_folder.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part.npz")
        np.savez(part, images=np.stack([s.image for s in pair]), labels=np.stack([s.label for s in pair]))
        part.rename(path)
    with np.load(path) as kept_arrays:
        images, labels = kept_arrays["images"], kept_arrays["labels"]
    names = (f"simulated {seed} before", f"simulated {seed} after")
    return tuple(Sample(*each) for each in zip(names, images, labels, strict=True))
