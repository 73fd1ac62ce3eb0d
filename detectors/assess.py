"""How good a detector is on what people labelled: objects, pixels, calibration, false alarms, and how sure that is.

Nothing is scored on pictures that the weights were trained on: their header names them (`frames`) or their hashes
(`frames_sha256`). Pictures of one place are no independent samples, so intervals come from drawing places, not
outlines (bootstrap percentiles: Efron, Tibshirani, "An Introduction to the Bootstrap", 1993).
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from shapely import Polygon, affinity

from detectors.base import Detector
from detectors.change_pairs import painted
from detectors.evaluate import Found, Tally, match
from detectors.labels import IGNORE, Labelled, Labels
from detectors.measure import Sheet, outlines, score
from imagery.errors import Refused
from imagery.reader import reader
from imagery.sources import open_source
from imagery.tiles import PIXELS, GroundGrid, Window

IOUS = (0.3, 0.5)
BINS = 10
THRESHOLDS = tuple(range(40, 250, 15))
"""Where precision is looked for."""
DRAWS = 1000
ANY = "any"
"""All classes taken as one: found is found, whatever it was called."""


@dataclass(slots=True)
class Place:
    """What was counted in the pictures of one place."""

    tallies: dict[tuple[str, float], Tally] = field(default_factory=dict)
    """By class and IoU, at the shipped threshold."""
    swept: dict[tuple[str, int], Tally] = field(default_factory=dict)
    """By class and threshold, at the first IoU."""
    pixels: dict[str, NDArray[np.int64]] = field(default_factory=dict)
    """By class: true and found, found alone, true alone."""
    bins: NDArray[np.int64] = field(default_factory=lambda: np.zeros((BINS, 2), dtype=np.int64))
    """Per bin of the score: pixels, and those that are of any class."""
    things: set[str] = field(default_factory=set)


def assess(
    detector: Detector, labels: Labels, about: Mapping[str, str], *, precision: float | None = None, seed: int = 1
) -> dict[str, Any]:
    """All figures, JSON-ready. `about`: the weights' header. `precision`: choose thresholds that reach it.

    Raises `Refused` (trained-on) where the weights were trained on every picture.
    """
    spec = detector.spec
    pictures, skipped = unseen(labels.pictures, about)
    places: dict[str, Place] = {}
    for picture in pictures:
        count(detector, picture, places.setdefault(picture.place, Place()))
    every = list(places.values())
    names = [*spec.classes, ANY]
    rng = np.random.default_rng(seed)
    figures = {name: _figures(every, name, rng) for name in names}
    out: dict[str, Any] = {
        "detector": {"name": spec.name, "version": spec.version, "weights_sha256": spec.weights_sha256 or None},
        "pictures": len(pictures),
        "places": len(places),
        "skipped": skipped,
        "left_out": [{"file": one.file, "reason": one.reason, "message": one.message} for one in labels.left],
        "thresholds": dict(zip(spec.classes, spec.thresholds, strict=True)),
        "classes": figures,
        "calibration": _calibration(every),
    }
    if precision is not None:
        out["chosen"] = {"precision": precision, "thresholds": {n: _chosen(every, n, precision) for n in spec.classes}}
    return out


def unseen(pictures: Sequence[Labelled], about: Mapping[str, str]) -> tuple[list[Labelled], list[dict[str, str]]]:
    """Those that the weights were not trained on nor their thresholds chosen on, and the others with the reason. Raises
    `Refused` (trained-on)."""
    names, hashes = set(about.get("frames", "").split()), set(about.get("frames_sha256", "").split())
    chosen = set(about.get("chosen_on_sha256", "").split())
    kept, skipped = [], []
    for one in pictures:
        if one.sha256 in hashes or (not hashes and one.path.name in names):
            skipped.append({"picture": one.path.name, "reason": "the weights were trained on it"})
        elif one.sha256 in chosen:
            skipped.append({"picture": one.path.name, "reason": "the thresholds were chosen on it"})
        else:
            kept.append(one)
    if not kept:
        raise Refused(
            "trained-on",
            f"These weights were trained on all {len(skipped)} pictures: a score on them would say nothing.",
            "Give other pictures, or weights of a fold that left these out (--weights).",
        )
    return kept, skipped


def count(detector: Detector, picture: Labelled, place: Place) -> None:
    """Add what `picture` shows of the detector's errors to its place."""
    spec = detector.spec
    gsd = picture.scale
    image = _sheet(picture, gsd, spec.gsd)
    scores = score(detector, image)
    shapes = [(one.kind, affinity.scale(one.polygon, gsd, gsd, origin=(0, 0))) for one in picture.shapes]
    place.things |= {f"{one.kind} {one.thing}" for one in picture.shapes if one.thing}
    ignore = [polygon for kind, polygon in shapes if kind == IGNORE]
    area = float(image.valid.sum()) * spec.gsd**2
    truth = {name: [polygon for kind, polygon in shapes if kind == name] for name in spec.classes}
    for key, tally in _objects(outlines(scores, spec.thresholds, spec.gsd, spec.min_area), truth, ignore, area):
        place.tallies[key] = place.tallies.get(key, Tally()) + tally
    for threshold in THRESHOLDS:
        swept = outlines(scores, [threshold] * len(spec.classes), spec.gsd, spec.min_area)
        for (kind, iou), tally in _objects(swept, truth, ignore, area):
            if iou == IOUS[0]:
                place.swept[kind, threshold] = place.swept.get((kind, threshold), Tally()) + tally
    _pixels(spec.classes, spec.thresholds, scores, truth, ignore, image.valid, spec.gsd, place)


def _sheet(picture: Labelled, gsd: float, cell: float) -> Sheet:
    source = open_source(picture.path, pixels=True, gsd=gsd)
    grid = GroundGrid(PIXELS, cell / gsd)
    window = Window(0, 0, math.ceil(picture.height / grid.cell), math.ceil(picture.width / grid.cell))
    with reader(source) as opened:
        pixels = opened.read(grid, window)
    return Sheet(pixels.data, pixels.valid)


def _objects(
    found: Sequence[Sequence[Found]], truth: Mapping[str, Sequence[Polygon]], ignore: Sequence[Polygon], area: float
) -> Iterable[tuple[tuple[str, float], Tally]]:
    for iou in IOUS:
        for (name, true), some in zip(truth.items(), found, strict=True):
            # On a thing of another class it has a wrong name and counts as false; on doubtful ground it does not.
            yield (name, iou), match(some, true, iou=iou, ignore=ignore, area_m2=area)
        every, all_true = [one for some in found for one in some], [one for some in truth.values() for one in some]
        yield (ANY, iou), match(every, all_true, iou=iou, ignore=ignore, area_m2=area)


def _pixels(
    classes: Sequence[str], thresholds: Sequence[int], scores: NDArray[np.uint8],
    truth: Mapping[str, Sequence[Polygon]], ignore: Sequence[Polygon], valid: NDArray[np.bool_], cell: float,
    place: Place,
) -> None:  # fmt: skip
    height, width = valid.shape
    masks = {name: _filled(truth[name], height, width, cell) for name in classes}
    looked = valid & ~(_filled(ignore, height, width, cell) & ~np.logical_or.reduce(list(masks.values())))
    found = {name: plane >= threshold for name, plane, threshold in zip(classes, scores, thresholds, strict=True)}
    masks[ANY], found[ANY] = (np.logical_or.reduce(list(part.values())) for part in (masks, found))
    for name, true in masks.items():
        counts = [(true & found[name]), (found[name] & ~true), (true & ~found[name])]
        sums = np.array([int((one & looked).sum()) for one in counts])
        place.pixels[name] = place.pixels.get(name, np.zeros(3, dtype=np.int64)) + sums
    likely = scores.max(axis=0)[looked]
    bins = np.minimum(likely.astype(np.int64) * BINS // 256, BINS - 1)
    place.bins[:, 0] += np.bincount(bins, minlength=BINS)
    place.bins[:, 1] += np.bincount(bins, weights=masks[ANY][looked], minlength=BINS).astype(np.int64)


def _filled(polygons: Sequence[Polygon], height: int, width: int, cell: float) -> NDArray[np.bool_]:
    return painted([(polygon, 1) for polygon in polygons], height, width, cell) > 0


def _figures(places: Sequence[Place], name: str, rng: np.random.Generator) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for iou in IOUS:
        per_place = [place.tallies.get((name, iou), Tally()) for place in places]
        total = sum(per_place, Tally())
        out[f"iou_{iou}"] = {
            "precision": rounded(total.precision),
            "recall": rounded(total.recall),
            "f1": rounded(total.f1),
            "f1_interval": interval(per_place, lambda tally: tally.f1, rng),
        }
    total = sum((place.tallies.get((name, IOUS[0]), Tally()) for place in places), Tally())
    hit, false, missed = sum((place.pixels[name] for place in places), np.zeros(3, dtype=np.int64)).tolist()
    things = set().union(*(place.things for place in places))
    out |= {
        "objects": total.hits + total.missed,
        "things": sum(1 for one in things if one.startswith(f"{name} ")) if name != ANY else len(things),
        "pixel_iou": rounded(hit / (hit + false + missed) if hit + false + missed else math.nan),
        "false_per_hectare": rounded(total.false_per_hectare),
        "false_per_hectare_interval": interval(
            [place.tallies.get((name, IOUS[0]), Tally()) for place in places], lambda t: t.false_per_hectare, rng
        ),
        "hectares": rounded(total.hectares),
    }
    return out


def interval(
    tallies: Sequence[Tally], figure: Callable[[Tally], float], rng: np.random.Generator
) -> list[float] | None:
    """The 95 % interval of a figure when places are drawn anew; None where there is one place alone."""
    if len(tallies) < 2:
        return None
    drawn = []
    for _ in range(DRAWS):
        chosen = rng.integers(len(tallies), size=len(tallies))
        value = figure(sum((tallies[i] for i in chosen), Tally()))
        if not math.isnan(value):
            drawn.append(value)
    if not drawn:
        return None
    low, high = np.percentile(drawn, [2.5, 97.5]).tolist()
    return [round(low, 3), round(high, 3)]


def _calibration(places: Sequence[Place]) -> dict[str, Any]:
    """Share of pixels that are of any class, per bin of the score, and the expected calibration error."""
    bins = sum((place.bins for place in places), np.zeros((BINS, 2), dtype=np.int64))
    total = int(bins[:, 0].sum())
    curve, error = [], 0.0
    for index, (count_, true) in enumerate(bins.tolist()):
        middle = (index + 0.5) / BINS
        share = true / count_ if count_ else None
        curve.append({"score": round(middle, 2), "true": None if share is None else round(share, 4), "pixels": count_})
        if share is not None:
            error += count_ / total * abs(share - middle)
    return {"curve": curve, "expected_error": round(error, 4)}


def _chosen(places: Sequence[Place], name: str, precision: float) -> dict[str, Any] | None:
    """The lowest threshold whose precision is reached, with what it costs; None where none does."""
    for threshold in THRESHOLDS:
        tally = sum((place.swept.get((name, threshold), Tally()) for place in places), Tally())
        if not math.isnan(tally.precision) and tally.precision >= precision:
            return {
                "threshold": threshold,
                "precision": rounded(tally.precision),
                "recall": rounded(tally.recall),
                "false_per_hectare": rounded(tally.false_per_hectare),
            }
    return None


def rounded(value: float) -> float | None:
    """To four digits; None for what is no number, as JSON has no NaN."""
    return None if math.isnan(value) else round(value, 4)
