"""What `flyonce evaluate` runs: one detector on labels, change on pairs, or the whole table of what was asked for."""

import hashlib
import math
import statistics
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from shapely import union_all

from detectors import assess_change, checkpoint, debris, registry
from detectors.assess import assess
from detectors.assess_change import data_folder
from detectors.base import Detector
from detectors.evaluate import Tally, match
from detectors.folds import SITE, learned_from, left_out, open_site
from detectors.labels import read_labels
from detectors.measure import LEVIR_GSD, NATIVE, outlines, score, sheet
from detectors.samples import objects
from imagery.errors import Refused
from imagery.simulator.simulate import Drawn, draw

Say = Callable[[str], None]
"""Is told what is measured next."""

DRONE_GSD = {"brighton_beach": 40 * 36 / 20 / 4000, "OSBS_029": 0.1}
"""Metres per pixel of real scenes that hold none of the debris classes."""
SCENES = {"brighton_beach": "flights/brighton_beach/*.JPG", "OSBS_029": "photos/misc/OSBS_029.tif"}
REACH = {"spoil_heap": 0.5, "construction_material": 0.7, "debris": 0.4}
MOST_ALARMS = 2
"""Per hectare."""
MOST_CHANGED = 0.003


def silent(_: str) -> None:
    """Says nothing."""


def detector(
    name: str,
    labels: Sequence[Path],
    *,
    sources: Sequence[Path],
    gsd: float | None,
    weights: Path | None,
    precision: float | None,
    seed: int,
) -> dict[str, Any]:
    """One detector on label files. Raises `Refused`: see `labels.read_labels`, `assess.assess`, `registry.load`."""
    if weights is not None and name != debris.spec.name:
        raise Refused(
            "other-network", f"{name} takes no weights of yours.", "Put them on the shelf: flyonce models add."
        )
    if weights is not None:
        about = checkpoint.about(weights)
        ready: Detector = debris.Debris.read(weights, hashlib.sha256(weights.read_bytes()).hexdigest())
    else:
        about, ready = registry.about(name), registry.load(name)
    read = read_labels(labels, classes=ready.spec.classes, sources=sources, gsd=gsd)
    return assess(ready, read, about, precision=precision, seed=seed)


def change(folders: Sequence[Path], count: int, gsd: float | None) -> dict[str, Any]:
    """Change on blocks drawn now, and on folders of labelled pairs (A, B, label)."""
    out: dict[str, Any] = {"simulated": assess_change.on_blocks(assess_change.unseen_seeds(count))}
    for folder in folders:
        if not (folder / "A").is_dir() or not (folder / "B").is_dir() or not (folder / "label").is_dir():
            raise Refused("no-pairs", f"{folder} holds no labelled pairs.", "It needs folders A, B and label of PNGs.")
        out[folder.name] = assess_change.on_pairs(folder, gsd or LEVIR_GSD)
    return out


def rows(count: int, folds: Sequence[Path] = (), say: Say = silent) -> Iterator[dict[str, Any]]:
    """Every figure that was asked for, as it is measured: what, data, what to reach, what was measured, whether it is
    reached (None: not measured, `measured` says why).

    `folds`: debris weights that each left one side of the labelled site out. Raises `Refused`: other-fold,
    trained-on.
    """
    yield from _left_out(folds, say)
    yield from _scenes(say)
    yield from _blocks(assess_change.unseen_seeds(count), say)
    yield from _real(say)


def _row(what: str, data: str, reach: str, measured: str, reached: bool | None) -> dict[str, Any]:
    return {"what": what, "data": data, "reach": reach, "measured": measured, "reached": reached}


def _left_out(folds: Sequence[Path], say: Say) -> Iterator[dict[str, Any]]:
    """Both sides of the labelled site, each by weights that never saw it. Shipped weights learned from all of it."""
    what, folder = "debris, leave-one-place-out, object F1 at IoU 0.3", data_folder() / SITE
    if len(folds) != 2 or not folder.is_dir():
        why = "needs the weights of both folds: --fold W --fold W" if folder.is_dir() else "not there"
        yield _row(what, "caliterra_east", "material 0.70, heap 0.50, debris 0.40", why, None)
        return
    say("caliterra_east")
    weights = {learned_from(path): path for path in folds}
    for name, found in left_out(open_site(folder), weights)[None].items():
        low, high = found["f1_interval"] or (math.nan, math.nan)
        told = (
            f"{found['f1']:.2f} (95 % {low:.2f} to {high:.2f}); {found['hits']} found, {found['missed']} missed, "
            f"{found['false']} false; {found['things_found']} of {found['things']} things"
        )
        goal = REACH[name]
        yield _row(f"{what}: {name}", "caliterra_east", f"≥ {goal:.2f}", told, found["f1"] >= goal)


def _scenes(say: Say) -> Iterator[dict[str, Any]]:
    """False alarms per hectare on real scenes where nothing is to be found."""
    ready = debris.Debris.load()
    for name, pattern in SCENES.items():
        paths = sorted(data_folder().glob(pattern))
        unheld("debris", paths)
        total = Tally()
        for path in paths:
            say(path.name)
            total += _false_on(ready, path, DRONE_GSD[name])
        told = f"{total.false_per_hectare:.1f} ({total.false} on {total.hectares:.2f} ha)" if paths else "not there"
        reached = total.false_per_hectare <= MOST_ALARMS if paths else None
        yield _row("debris, false alarms per hectare", name, f"≤ {MOST_ALARMS}", told, reached)


def unheld(name: str, paths: Sequence[Path]) -> None:
    """Refused (trained-on) where the header of a detector's weights names one of these pictures."""
    about = registry.about(name)
    held = {*about.get("frames", "").split(), *about.get("backgrounds", "").split()}
    named = [path.name for path in paths if path.name in held]
    if named:
        raise Refused(
            "trained-on",
            f"{name} was trained on {', '.join(named)}: a score there would say nothing.",
            "Measure on other pictures.",
        )


def _false_on(ready: Detector, path: Path, gsd: float) -> Tally:
    seen = sheet(assess_change.picture(path), gsd, ready.spec.gsd)
    found = outlines(score(ready, seen), ready.spec.thresholds, ready.spec.gsd, ready.spec.min_area)
    area = float(seen.valid.sum()) * ready.spec.gsd**2
    return match([one for some in found for one in some], [], area_m2=area)


def false_on_clean(drawn: Drawn, ready: Detector) -> Tally:
    """Findings on ground of the later date on which nothing lies: of each, more than half is off all objects."""
    spec = ready.spec
    image = sheet(drawn.after, drawn.gsd, spec.gsd)
    found = outlines(score(ready, image), spec.thresholds, spec.gsd, spec.min_area)
    ground = union_all([polygon for _, polygon in objects(drawn, after=True)])
    area = float(image.valid.sum()) * spec.gsd**2 - ground.area
    return match([one for some in found for one in some], [], ignore=[ground], area_m2=area)


def _blocks(seeds: Sequence[int], say: Say) -> Iterator[dict[str, Any]]:
    """Simulated blocks: the two detectors on each, and the same block twice."""
    ready = debris.Debris.load()
    alarms, each, same = Tally(), [], []
    for seed in seeds:
        say(f"block {seed}")
        drawn = draw(seed, gsd=NATIVE)
        alarms += false_on_clean(drawn, ready)
        each.append(assess_change.on_block(drawn))
        same.append(assess_change.same_block_twice(seed))
    data = f"simulator, seeds {' '.join(map(str, seeds))}"
    per_hectare = alarms.false_per_hectare
    told = f"{per_hectare:.1f} ({alarms.false} on {alarms.hectares:.2f} ha)"
    yield _row("debris, false alarms per hectare", data, f"≤ {MOST_ALARMS}", told, per_hectare <= MOST_ALARMS)
    f1, shift = [one["f1"] for one in each], [one["registration_px"] for one in each]
    told = f"median {statistics.median(f1):.3f}, worst {min(f1):.3f}"
    reached = statistics.median(f1) >= 0.9 and min(f1) >= 0.8
    yield _row("change, pixel F1", data, "median ≥ 0.90, worst ≥ 0.80", told, reached)
    far = [str(seed) for seed, one in zip(seeds, shift, strict=True) if one > 0.5]
    told = f"median {statistics.median(shift):.2f}, worst {max(shift):.2f} px; above 0.5: {' '.join(far) or 'none'}"
    yield _row("registration residual", data, "median ≤ 0.5 px", told, statistics.median(shift) <= 0.5)
    told = f"median {statistics.median(same):.2%}, worst {max(same):.2%}"
    yield _row("the same twice, other light, 5 px", data, "≤ 0.3 %", told, max(same) <= MOST_CHANGED)


def _real(say: Say) -> Iterator[dict[str, Any]]:
    """Change on real pictures."""
    for path in sorted(data_folder().glob(SCENES["brighton_beach"]))[:1]:
        say(path.name)
        unheld("change", [path])
        share = assess_change.same_frame_twice(path, DRONE_GSD["brighton_beach"])
        yield _row("the same twice, other light, 5 px", path.name, "≤ 0.3 %", f"{share:.2%}", share <= MOST_CHANGED)
    folder = data_folder() / "pairs/levir_7"
    if folder.is_dir():
        say("levir_7")
        unheld("change", sorted((folder / "A").glob("*.png")))
        pairs = assess_change.on_pairs(folder)
        told = (
            f"recall {pairs['recall']:.2f}, unlabelled changed {pairs['unlabelled_changed']:.1%}, F1 {pairs['f1']:.2f}"
        )
        good = pairs["recall"] >= 0.6 and pairs["unlabelled_changed"] <= 0.15
        yield _row("change, buildings", "pairs/levir_7", "recall ≥ 0.6, ≤ 15 % (F1 aim 0.40)", told, good)
