"""Leave one place out: `python -m detectors.folds --minus W --plus W` scores weights on ground they never saw.

The labelled frames show one small site again and again. `detectors.places` lays them on one plane and divides it by a
line; `python -m detectors.train debris --side -1` (and `--side 1`) learns from one side alone. What is scored on the
other side are polygons, and the different things that they are polygons of. What lies across the line counts nowhere.
"""

import argparse
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from shapely import Polygon, affinity

from detectors.debris import CLASSES, Debris
from detectors.evaluate import Found, Tally, match
from detectors.measure import Sheet, outlines, score
from detectors.places import (
    Homography,
    Line,
    Mark,
    count_places,
    divide,
    marks,
    other_side,
    projected,
    register,
    side_of,
)
from detectors.samples import IGNORE, Sample, labelled_frames

SITE = "flights/caliterra_east"
FRAME_GSD = 0.019
"""Of the labelled frames, from labels.md."""
FRAME_WIDTH = 4000


@dataclass(frozen=True, slots=True)
class Site:
    """The labelled frames, their labels on one plane, and the line across it."""

    frames: Sequence[Sample]
    plane: Mapping[str, Homography]
    marks: Sequence[Mark]
    line: Line

    def half(self, side: int) -> list[Sample]:
        """The frames with all that does not lie on `side` (-1 or 1) of the line marked as not to be learned from."""
        halves = []
        for frame in self.frames:
            height, width = frame.label.shape
            away = other_side(self.plane[frame.name], self.line, side, height, width, _cell(frame) / FRAME_GSD)
            halves.append(replace(frame, label=np.where(away, np.uint8(IGNORE), frame.label)))
        return halves


def open_site(folder: Path) -> Site:
    """Read and register the frames of a folder with `labels.json`; takes a minute. Refused: see `places.register`."""
    plane = register(sorted(folder.glob("*.jpg")))
    found = marks(folder, plane)
    return Site(labelled_frames(folder, FRAME_GSD), plane, found, divide(found))


def scored(site: Site, detector: Debris, side: int) -> dict[str, Tally]:
    """Tallies by class on one side. An outline belongs to the side that its middle lies on."""
    spec = detector.spec
    total = {name: Tally() for name in spec.classes}
    for frame in site.frames:
        cell = _cell(frame)
        sheet = Sheet(frame.image, np.ones(frame.label.shape, dtype=bool))
        here = [mark for mark in site.marks if mark.frame == frame.name]
        outside = [_metres(mark) for mark in here if mark.kind == "ignore" or side_of(mark, site.line) != side]
        found = outlines(score(detector, sheet), spec.thresholds, cell, spec.min_area)
        for name, some in zip(spec.classes, found, strict=True):
            own = [_metres(mark) for mark in here if mark.kind == name and side_of(mark, site.line) == side]
            large = [outline for outline in own if outline.area >= spec.min_area]
            unsure = [*outside, *(outline for outline in own if outline.area < spec.min_area)]
            kept = [one for one in some if _side(site, frame.name, one) == side]
            total[name] += match(kept, large, ignore=unsure)
    return total


def _side(site: Site, frame: str, one: Found) -> int:
    middle = np.array([[one.polygon.centroid.x, one.polygon.centroid.y]]) / FRAME_GSD
    return 1 if site.line.side(projected(site.plane[frame], middle))[0] > 0 else -1


def _metres(mark: Mark) -> Polygon:
    return affinity.scale(mark.polygon.buffer(0), FRAME_GSD, FRAME_GSD, origin=(0, 0))


def _cell(frame: Sample) -> float:
    """Metres per pixel of a frame as it was brought to the model's GSD: 4000 pixels do not divide evenly."""
    return FRAME_WIDTH * FRAME_GSD / int(frame.label.shape[1])


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line; see `--help`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minus", type=Path, required=True, help="weights that learned from side -1; scored on 1")
    parser.add_argument("--plus", type=Path, required=True, help="weights that learned from side 1; scored on -1")
    given = parser.parse_args(arguments)
    torch.set_num_threads(2)
    site = open_site(Path(os.environ.get("FLYONCE_DATA", "../shared/data")) / SITE)
    total = {name: Tally() for name in CLASSES}
    for weights, side in ((given.minus, 1), (given.plus, -1)):
        detector = Debris.read(weights, hashlib.sha256(weights.read_bytes()).hexdigest())
        for name, tally in scored(site, detector, side).items():
            total[name] += tally
    for name, tally in total.items():
        things = sum(count_places([m for m in site.marks if side_of(m, site.line) == side], name) for side in (-1, 1))
        figures = {"precision": tally.precision, "recall": tally.recall, "f1": tally.f1}
        counts = {"hits": tally.hits, "missed": tally.missed, "false": tally.false, "things": things}
        print(json.dumps({"class": name, **{key: round(value, 3) for key, value in figures.items()}, **counts}))


if __name__ == "__main__":
    main()
