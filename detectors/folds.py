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
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from shapely import Polygon, affinity

from detectors import checkpoint
from detectors.assess import THRESHOLDS, interval, rounded
from detectors.base import Detector, ModelSpec
from detectors.debris import CLASSES, Debris
from detectors.evaluate import Tally, matched
from detectors.measure import Sheet, outlines, score
from detectors.places import (
    Homography,
    Line,
    Mark,
    divide,
    marks,
    other_side,
    places_of,
    projected,
    register,
    side_of,
)
from detectors.samples import IGNORE, Sample, labelled_frames
from imagery.errors import Refused

SITE = "flights/caliterra_east"
FRAME_GSD = 0.019
"""Of the labelled frames, from labels.md."""
FRAME_WIDTH = 4000
SQUARE_M = 12.0
"""Side of the squares of ground that are drawn anew for the intervals."""


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


@dataclass(slots=True)
class Half:
    """What weights found on the side of the line that they never saw."""

    tallies: dict[str, dict[tuple[int, int], Tally]]
    """By class and square of the plane (`SQUARE_M`): what lies apart is independent of each other, polygons are not."""
    hit: dict[str, list[Mark]]
    """By class: the marks that were found."""


def planes(site: Site, detector: Detector) -> dict[str, NDArray[np.uint8]]:
    """The detector's scores, uint8 [C, H, W], of every frame."""
    return {
        frame.name: score(detector, Sheet(frame.image, np.ones(frame.label.shape, dtype=bool))) for frame in site.frames
    }


def scored(
    site: Site, spec: ModelSpec, scores: Mapping[str, NDArray[np.uint8]], side: int, threshold: int | None = None
) -> Half:
    """What is found on one side in `scores` (see `planes`). An outline belongs to the side that its middle lies on.
    `threshold`: another than the detector's own."""
    thresholds = spec.thresholds if threshold is None else (threshold,) * len(spec.classes)
    out = Half({name: {} for name in spec.classes}, {name: [] for name in spec.classes})
    for frame in site.frames:
        cell = _cell(frame)
        here = [mark for mark in site.marks if mark.frame == frame.name]
        outside = [_metres(mark) for mark in here if mark.kind == "ignore" or side_of(mark, site.line) != side]
        found = outlines(scores[frame.name], thresholds, cell, spec.min_area)
        for name, some in zip(spec.classes, found, strict=True):
            own = [mark for mark in here if mark.kind == name and side_of(mark, site.line) == side]
            large = [mark for mark in own if _metres(mark).area >= spec.min_area]
            unsure = [*outside, *(_metres(mark) for mark in own if mark not in large)]
            kept = [one for one in some if _side(site, frame.name, one.polygon) == side]
            which = matched(kept, [_metres(mark) for mark in large], ignore=unsure)
            out.hit[name] += [large[true] for _, true in which.pairs]
            for tally, polygons in (
                (Tally(hits=1), [_metres(large[true]) for _, true in which.pairs]),
                (Tally(missed=1), [_metres(large[true]) for true in which.missed]),
                (Tally(false=1), [kept[index].polygon for index in which.false]),
            ):
                for polygon in polygons:
                    square = _square(site, frame.name, polygon)
                    out.tallies[name][square] = out.tallies[name].get(square, Tally()) + tally
    return out


def left_out(
    site: Site, weights: Mapping[int, Path], thresholds: Sequence[int | None] = (None,)
) -> dict[int | None, dict[str, dict[str, Any]]]:
    """By threshold (None: the shipped ones) and class, JSON-ready: precision, recall and F1 with its interval, counts,
    and things found of how many.

    `weights`: by the side (-1 or 1) that they learned from; they are scored on the other. Raises `Refused`: see
    `learned_from`, `Debris.read`.
    """
    each: dict[int, tuple[ModelSpec, dict[str, NDArray[np.uint8]]]] = {}
    for side, path in weights.items():
        if learned_from(path) != side:
            raise Refused("other-fold", f"{path} did not learn from side {side} of the site.", "Name the folds anew.")
        detector = Debris.read(path, hashlib.sha256(path.read_bytes()).hexdigest())
        each[-side] = detector.spec, planes(site, detector)
    out: dict[int | None, dict[str, dict[str, Any]]] = {}
    for threshold in thresholds:
        halves = {side: scored(site, spec, scores, side, threshold) for side, (spec, scores) in each.items()}
        out[threshold] = {name: _figures(site, halves, name) for name in CLASSES}
    return out


def chosen(swept: Mapping[int | None, Mapping[str, Mapping[str, Any]]], precision: float) -> dict[str, int | None]:
    """Per class the lowest threshold from which on the wanted precision is reached at every one that finds something,
    so that one lucky threshold does not count; None where there is none."""
    out: dict[str, int | None] = {}
    for name in CLASSES:
        best = None
        for threshold in sorted((one for one in swept if one is not None), reverse=True):
            reached = swept[threshold][name]["precision"]
            if reached is not None and reached < precision:
                break
            best = best if reached is None else threshold
        out[name] = best
    return out


def _figures(site: Site, halves: Mapping[int, Half], name: str) -> dict[str, Any]:
    # A square across the line has two halves that other weights answered for: they stay apart.
    squares = [tally for half in halves.values() for tally in half.tallies[name].values()]
    total = sum(squares, Tally())
    things, found = 0, 0
    for side, half in halves.items():
        there = places_of([mark for mark in site.marks if side_of(mark, site.line) == side], name)
        things += len(there)
        found += sum(any(mark in half.hit[name] for mark in thing) for thing in there)
    return {
        "precision": rounded(total.precision),
        "recall": rounded(total.recall),
        "f1": rounded(total.f1),
        "f1_interval": interval(squares, lambda tally: tally.f1, np.random.default_rng(1)),
        "hits": total.hits,
        "missed": total.missed,
        "false": total.false,
        "things": things,
        "things_found": found,
    }


def learned_from(path: Path) -> int:
    """The side of the line (-1 or 1) that weights learned from. Raises `Refused`: other-fold where nothing tells that
    they left the other side out; see `checkpoint.about`."""
    said = checkpoint.about(path).get("side", "")
    if said not in ("-1", "1"):
        raise Refused(
            "other-fold",
            f"Nothing tells which side of the labelled site {path} left out: a score could be one on its own training.",
            "Train folds by python -m detectors.train debris --side -1 and --side 1.",
        )
    return int(said)


def _side(site: Site, frame: str, polygon: Polygon) -> int:
    return 1 if site.line.side(_on_plane(site, frame, polygon))[0] > 0 else -1


def _square(site: Site, frame: str, polygon: Polygon) -> tuple[int, int]:
    x, y = np.floor(_on_plane(site, frame, polygon)[0] * FRAME_GSD / SQUARE_M).astype(int).tolist()
    return x, y


def _on_plane(site: Site, frame: str, polygon: Polygon) -> NDArray[np.float64]:
    """The middle of an outline in metres of its frame, as [1, 2] on the plane."""
    middle = np.array([[polygon.centroid.x, polygon.centroid.y]]) / FRAME_GSD
    return projected(site.plane[frame], middle)


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
    parser.add_argument("--precision", type=float, help="sweep thresholds, and tell which reach it per class")
    given = parser.parse_args(arguments)
    torch.set_num_threads(2)
    site = open_site(Path(os.environ.get("FLYONCE_DATA", "../shared/data")) / SITE)
    thresholds = (None,) if given.precision is None else THRESHOLDS
    swept = left_out(site, {-1: given.minus, 1: given.plus}, thresholds)
    for threshold, by_class in swept.items():
        for name, figures in by_class.items():
            print(json.dumps({"threshold": threshold, "class": name, **figures}), flush=True)
    if given.precision is not None:
        print(json.dumps({"precision": given.precision, "thresholds": chosen(swept, given.precision)}))


if __name__ == "__main__":
    main()
