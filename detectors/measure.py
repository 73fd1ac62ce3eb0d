"""Measure the shipped detectors on simulated blocks they never saw: `python -m detectors.measure loop --first 100000`.

What the model cards quote comes from here. Seeds below 10000 are trained on and refused.
"""

import argparse
import hashlib
import json
import math
import os
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from shapely import Polygon, affinity, union_all

from detectors import change, debris
from detectors.base import Detector
from detectors.evaluate import Found, Tally, match
from detectors.pair import Reason
from detectors.samples import objects, rasterise, rescaled
from imagery.polygons import polygonise
from imagery.simulator.simulate import Drawn, draw
from imagery.tiles import Window

NATIVE = 0.03
"""GSD in metres that blocks are drawn at, as `flyonce simulate` does."""
LEVIR_GSD = 0.5
CHANGED = 0.2
"""Share of a finding that must have changed for it to be an event between two dates."""
OVERLAP = 0.2
"""Share of a heap that must be covered, and of a finding that must lie on truth: as the demo counts."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """A whole small picture as the window reader would give it."""

    data: NDArray[np.uint8]
    """uint8 [3, H, W]."""
    valid: NDArray[np.bool_]
    """bool [H, W]."""

    def window(self, window: Window) -> "Sheet":
        """The window of it, without data beyond its edges."""
        data = np.zeros((3, window.height, window.width), dtype=np.uint8)
        valid = np.zeros((window.height, window.width), dtype=bool)
        inside = window.intersect(self.extent)
        data[:, *inside.slices_in(window)] = self.data[:, *inside.slices_in(self.extent)]
        valid[inside.slices_in(window)] = self.valid[inside.slices_in(self.extent)]
        return Sheet(data, valid)

    @property
    def extent(self) -> Window:
        return Window(0, 0, *self.valid.shape)


def sheet(image: NDArray[np.uint8], gsd: float, cell: float) -> Sheet:
    """`image`, uint8 [3, H, W] at `gsd`, on cells of `cell` metres; all of it is valid."""
    data = rescaled(image, gsd, cell)
    return Sheet(data, np.ones(data.shape[1:], dtype=bool))


def score(detector: Detector, image: Sheet) -> NDArray[np.uint8]:
    """uint8 [C, H, W]: every window of the plan, put together."""
    out = np.zeros((len(detector.spec.classes), *image.valid.shape), dtype=np.uint8)
    for tile in detector.spec.plan.tiles(image.extent):
        part = image.window(tile.full)
        if not part.valid.any():
            continue
        scores = detector.scores(torch.from_numpy(part.data)[None], torch.from_numpy(part.valid)[None])[0].numpy()
        keep = tile.core.intersect(image.extent)
        out[:, *keep.slices_in(image.extent)] = scores[:, *keep.slices_in(tile.full)]
    return out


def compared(before: Sheet, after: Sheet) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Score and reason, uint8 [H, W], of two dates on one grid: both passes over every window."""
    tiles = list(change.spec.plan.tiles(before.extent))
    pairs = [(tile.full, before.window(tile.full), after.window(tile.full)) for tile in tiles]
    field = change.fit_shift([change.observe_shift(*each) for each in pairs])
    tallies = [change.observe_light(field, *each) for each in pairs]
    model = change.fit(field, tallies, 1.0, 1.0)  # both dates were brought to one cell
    scores, reasons = np.zeros((2, *before.valid.shape), dtype=np.uint8)
    for tile, each in zip(tiles, pairs, strict=True):
        answer = change.compare(model, *each)
        keep = tile.core.intersect(before.extent)
        scores[keep.slices_in(before.extent)] = answer.score[keep.slices_in(tile.full)]
        reasons[keep.slices_in(before.extent)] = answer.reason[keep.slices_in(tile.full)]
    return scores, reasons


def outlines(scores: NDArray[np.uint8], thresholds: Sequence[int], cell: float, min_area: float) -> list[list[Found]]:
    """Per class the outlines, in metres, of scores uint8 [C, H, W] at or above the class's threshold."""
    found: list[list[Found]] = []
    for plane, threshold in zip(scores, thresholds, strict=True):
        mask = (plane >= threshold).astype(np.uint8)
        regions = polygonise(mask, Window(0, 0, *mask.shape), plane)
        found.append(
            [
                Found(affinity.scale(region.polygon, cell, cell, origin=(0, 0)), region.score)
                for region in regions
                if region.cells * cell**2 >= min_area
            ]
        )
    return found


def debris_on(drawn: Drawn, detector: Detector, *, after: bool) -> tuple[dict[str, Tally], list[list[Found]]]:
    """Tallies by class on one date of a block, and what was found."""
    spec = detector.spec
    image = sheet(drawn.after if after else drawn.before, drawn.gsd, spec.gsd)
    found = outlines(score(detector, image), spec.thresholds, spec.gsd, spec.min_area)
    area = image.valid.sum() * spec.gsd**2
    truth = objects(drawn, after=after)
    tallies = {}
    for name, some in zip(spec.classes, found, strict=True):
        of_class = [polygon for kind, polygon in truth if kind == name and polygon.area >= spec.min_area]
        small = [polygon for kind, polygon in truth if kind == name and polygon.area < spec.min_area]
        tallies[name] = match(some, of_class, ignore=small, area_m2=area)
    every = [one for some in found for one in some]
    tallies["any"] = match(every, [polygon for _, polygon in truth], area_m2=area)
    return tallies, found


def loop_on(drawn: Drawn, detector: Detector) -> dict[str, float]:
    """What the demo would count: heaps of 4 m² or more that appeared and were found, and findings on nothing."""
    _, found = debris_on(drawn, detector, after=True)
    cell = change.cell(drawn.gsd, drawn.gsd)
    scores, reasons = compared(*(sheet(image, drawn.gsd, cell) for image in (drawn.before, drawn.after)))
    mask = (scores >= change.spec.thresholds[0]) & (reasons == Reason.COMPARABLE)
    truth = [one for one in drawn.changes if one.change == "appeared" and one.kind in debris.CLASSES]
    events = [one.polygon for some in found for one in some if _share_marked(one.polygon, mask, cell) >= CHANGED]
    cover = union_all(events)
    heaps = [one for one in truth if one.kind == "spoil_heap" and one.polygon.area >= 4]
    hit = [one for one in heaps if one.polygon.intersection(cover).area >= OVERLAP * one.polygon.area]
    ground = union_all([one.polygon for one in truth])
    false = [event for event in events if event.intersection(ground).area < OVERLAP * event.area]
    real = rasterise_changes(drawn, mask, cell)
    looked = reasons == Reason.COMPARABLE
    agreed = float((mask & real & looked).sum())
    return {
        "heaps": len(heaps),
        "found": len(hit),
        "recall": len(hit) / len(heaps) if heaps else 1.0,
        "events": len(events),
        "false": len(false),
        "change_precision": agreed / max(1.0, float((mask & looked).sum())),
        "change_recall": agreed / max(1.0, float((real & looked).sum())),
        "hidden": float((reasons == Reason.SHADOW).mean()),
    }


def rasterise_changes(drawn: Drawn, like: NDArray[np.bool_], cell: float) -> NDArray[np.bool_]:
    """bool [H, W] as `like`: ground that truly changed; cars are not in the truth."""
    shapes = [("spoil_heap", one.polygon) for one in drawn.changes]
    return rasterise(shapes, like.shape[0], like.shape[1], cell) > 0


def _share_marked(polygon: Polygon, mask: NDArray[np.bool_], cell: float) -> float:
    inside = rasterise([("spoil_heap", polygon)], mask.shape[0], mask.shape[1], cell) > 0
    return float(mask[inside].mean()) if inside.any() else 0.0


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line; see `--help`. Prints one JSON object per block or scene and one for all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["debris", "loop", "scenes", "pairs"])
    parser.add_argument("--first", type=int, default=100_000, help="first simulated seed; 10000 and above")
    parser.add_argument("--count", type=int, default=10)
    parser.add_argument("--weights", type=Path, help="other weights than the shipped ones")
    given = parser.parse_args(arguments)
    if given.first < 10_000:
        parser.error("seeds below 10000 are trained on: nothing is measured on them")
    torch.set_num_threads(2)
    if given.weights is None:
        detector = debris.Debris.load()
    else:
        detector = debris.Debris.read(given.weights, hashlib.sha256(given.weights.read_bytes()).hexdigest())
    seeds = range(given.first, given.first + given.count)
    if given.what == "scenes":
        _scenes(detector)
    elif given.what == "pairs":
        _pairs()
    elif given.what == "debris":
        _debris(detector, seeds)
    else:
        _loop(detector, seeds)


def _debris(detector: Detector, seeds: Sequence[int]) -> None:
    total: dict[str, Tally] = {}
    for seed in seeds:
        drawn = draw(seed, gsd=NATIVE)
        for after in (False, True):
            for name, tally in debris_on(drawn, detector, after=after)[0].items():
                total[name] = total.get(name, Tally()) + tally
        print(json.dumps({"seed": seed, "any_f1": round(total["any"].f1, 3)}), flush=True)
    for name, tally in total.items():
        print(json.dumps({"class": name, **_figures(tally)}))


def _loop(detector: Detector, seeds: Sequence[int]) -> None:
    every = []
    for seed in seeds:
        every.append(loop_on(draw(seed, gsd=NATIVE), detector))
        print(json.dumps({"seed": seed, **{key: round(value, 3) for key, value in every[-1].items()}}), flush=True)
    for name, choose in (("median", statistics.median), ("worst recall", min), ("most", max)):
        print(json.dumps({name: {key: round(choose([one[key] for one in every]), 3) for key in every[0]}}))


def _scenes(detector: Detector) -> None:
    """False alarms on real scenes."""
    data = Path(os.environ.get("FLYONCE_DATA", "../shared/data"))
    scenes = [(path, 40 * 36 / 20 / 4000) for path in sorted((data / "flights/brighton_beach").glob("*.JPG"))]
    scenes.append((data / "photos/misc/OSBS_029.tif", 0.1))
    for path, gsd in scenes:
        with Image.open(path) as picture:
            image = np.asarray(picture.convert("RGB")).transpose(2, 0, 1)
        seen = sheet(image, gsd, detector.spec.gsd)
        found = outlines(score(detector, seen), detector.spec.thresholds, detector.spec.gsd, detector.spec.min_area)
        hectares = seen.valid.sum() * detector.spec.gsd**2 / 10_000
        counts = {name: len(some) for name, some in zip(detector.spec.classes, found, strict=True)}
        print(json.dumps({"scene": path.name, "hectares": round(float(hectares), 3), **counts}), flush=True)


def _pairs() -> None:
    """Change on labelled pairs that nothing was trained or tuned on; their labels know of buildings alone."""
    folder = Path(os.environ.get("FLYONCE_DATA", "../shared/data")) / "pairs/levir_7"
    total = np.zeros(4)
    for path in sorted((folder / "A").glob("*.png")):
        dates = []
        for name in ("A", "B"):
            with Image.open(folder / name / path.name) as picture:
                dates.append(sheet(np.asarray(picture.convert("RGB")).transpose(2, 0, 1), LEVIR_GSD, LEVIR_GSD))
        with Image.open(folder / "label" / path.name) as picture:
            truth = np.asarray(picture.convert("L")) > 127
        scores, reasons = compared(*dates)
        found = (scores >= change.spec.thresholds[0]) & (reasons == Reason.COMPARABLE)
        counts = np.array(
            [(found & truth).sum(), (found & ~truth).sum(), (~found & truth).sum(), (~found & ~truth).sum()]
        )
        total += counts
        print(json.dumps({"pair": path.name, **_agreement(counts), "hidden": round(float((reasons != 0).mean()), 3)}))
    print(json.dumps({"all": _agreement(total)}))


def _agreement(counts: NDArray[np.float64]) -> dict[str, float]:
    hit, false, missed, clean = (float(value) for value in counts)
    return {
        "recall": round(hit / max(1.0, hit + missed), 3),
        "unlabelled_changed": round(false / max(1.0, false + clean), 3),
        "f1": round(2 * hit / max(1.0, 2 * hit + false + missed), 3),
    }


def _figures(tally: Tally) -> dict[str, float]:
    values = {
        "precision": tally.precision,
        "recall": tally.recall,
        "f1": tally.f1,
        "false_per_hectare": tally.false_per_hectare,
        "objects": tally.hits + tally.missed,
    }
    return {key: round(value, 3) for key, value in values.items() if not math.isnan(value)}


if __name__ == "__main__":
    main()
