"""Measure the shipped detectors on simulated blocks they never saw: `python -m detectors.measure loop --first 100000`.

What the model cards quote comes from here. Seeds below 10000 are trained on and refused.
"""

import argparse
import hashlib
import json
import math
import os
import statistics
from collections.abc import Callable, Sequence
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
from detectors.pair import Reason, ShiftField
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


def compared(before: Sheet, after: Sheet, cell: float = change.spec.gsd) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Score and reason, uint8 [H, W], of two dates on one grid of `cell` metres: both passes over every window."""
    tiles = list(change.spec.plan.tiles(before.extent))
    pairs = [(tile.full, before.window(tile.full), after.window(tile.full)) for tile in tiles]
    field = field_of(before, after)
    tallies = [change.observe_light(field, *each) for each in pairs]
    model = change.fit(field, tallies, cell, cell)  # both dates were brought to it
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
    before, after = (sheet(image, drawn.gsd, cell) for image in (drawn.before, drawn.after))
    scores, reasons = compared(before, after, cell)
    mask = (scores >= change.spec.thresholds[0]) & (reasons == Reason.COMPARABLE)
    truth = [one for one in drawn.changes if one.change == "appeared" and one.kind in debris.CLASSES]
    events = [one.polygon for some in found for one in some if _share_marked(one.polygon, mask, cell) >= CHANGED]
    cover = union_all(events)
    heaps = [one for one in truth if one.kind == "spoil_heap" and one.polygon.area >= 4]
    hit = [one for one in heaps if one.polygon.intersection(cover).area >= OVERLAP * one.polygon.area]
    ground = union_all([one.polygon for one in truth])
    false = [event for event in events if event.intersection(ground).area < OVERLAP * event.area]
    return {
        "heaps": len(heaps),
        "found": len(hit),
        "recall": len(hit) / len(heaps) if heaps else 1.0,
        "events": len(events),
        "false": len(false),
    }


def change_on(drawn: Drawn) -> dict[str, float]:
    """The change detector alone. Registration error in the blocks' own pixels; shares of area elsewhere.

    Cars are changes that the truth does not hold: `false_area` leaves them and what is within 0.3 m of them out.
    """
    cell = change.cell(drawn.gsd, drawn.gsd)
    before, after = (sheet(image, drawn.gsd, cell) for image in (drawn.before, drawn.after))
    scores, reasons = compared(before, after, cell)
    looked = reasons == Reason.COMPARABLE
    mask = (scores >= change.spec.thresholds[0]) & looked
    real = rasterise_changes(drawn, mask, cell)
    cars = [one.polygon.buffer(0.3) for one in (*drawn.objects_before, *drawn.objects_after) if one.kind == "car"]
    no_car = rasterise([("spoil_heap", one) for one in cars], mask.shape[0], mask.shape[1], cell) == 0
    heaps = [one for one in drawn.changes if one.kind == "spoil_heap" and one.polygon.area >= 4]
    stayed = [one for one in drawn.truth if one.change == "unchanged"]
    agreed = float((mask & real).sum())
    return {
        "registration_px": registration_error(drawn, field_of(before, after), cell),
        "precision": agreed / max(1.0, float((mask & no_car).sum())),
        "recall": agreed / max(1.0, float((real & looked).sum())),
        "false_area": float((mask & ~real & no_car).mean()),
        "shadow": float((reasons == Reason.SHADOW).mean()),
        "heaps": len(heaps),
        "heaps_marked": sum(_share_marked(one.polygon, mask, cell) >= CHANGED for one in heaps),
        "stayed": len(stayed),
        "stayed_marked": sum(_share_marked(one.polygon, mask, cell) >= CHANGED for one in stayed),
    }


def field_of(before: Sheet, after: Sheet) -> ShiftField:
    """The shift field over all windows."""
    windows = [tile.full for tile in change.spec.plan.tiles(before.extent)]
    return change.fit_shift([change.observe_shift(each, before.window(each), after.window(each)) for each in windows])


def registration_error(drawn: Drawn, field: ShiftField, cell: float) -> float:
    """Median distance in the block's own pixels between the fitted and the true shift, every four metres."""
    height, width = (side * drawn.gsd for side in drawn.before.shape[1:])
    x, y = (part.ravel() for part in np.meshgrid(np.arange(2, width - 2, 4.0), np.arange(2, height - 2, 4.0)))
    true_x, true_y = drawn.registration.offset(x, y)
    dx, dy = field.at(x / cell, y / cell)
    return float(np.median(np.hypot(dx * cell - true_x, dy * cell - true_y))) / drawn.gsd


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
    parser.add_argument("what", choices=["debris", "loop", "scenes", "change", "pairs"])
    parser.add_argument("--first", type=int, default=100_000, help="first simulated seed; 10000 and above")
    parser.add_argument("--count", type=int, default=10)
    parser.add_argument("--weights", type=Path, help="other weights than the shipped ones")
    given = parser.parse_args(arguments)
    if given.first < 10_000:
        parser.error("seeds below 10000 are trained on: nothing is measured on them")
    torch.set_num_threads(2)
    seeds = range(given.first, given.first + given.count)
    if given.what == "pairs":
        return _pairs()
    if given.what == "change":
        return _blocks(seeds, change_on)
    if given.weights is None:
        detector = debris.Debris.load()
    else:
        detector = debris.Debris.read(given.weights, hashlib.sha256(given.weights.read_bytes()).hexdigest())
    if given.what == "scenes":
        return _scenes(detector)
    if given.what == "debris":
        return _debris(detector, seeds)
    return _blocks(seeds, lambda drawn: loop_on(drawn, detector))


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


def _blocks(seeds: Sequence[int], measure: Callable[[Drawn], dict[str, float]]) -> None:
    every = []
    for seed in seeds:
        every.append(measure(draw(seed, gsd=NATIVE)))
        print(json.dumps({"seed": seed, **{key: round(value, 3) for key, value in every[-1].items()}}), flush=True)
    for name, choose in (("median", statistics.median), ("least", min), ("most", max)):
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
        scores, reasons = compared(dates[0], dates[1], LEVIR_GSD)
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
