"""What `flyonce evaluate` runs: one detector on labels, change on pairs, or the whole table of what was asked for."""

import hashlib
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from detectors import assess_change, checkpoint, debris, registry
from detectors.assess import ANY, assess
from detectors.base import Detector
from detectors.evaluate import Tally, match
from detectors.labels import read_labels
from detectors.measure import LEVIR_GSD, NATIVE, debris_on, outlines, score, sheet
from imagery.errors import Refused
from imagery.simulator.simulate import draw

DRONE_GSD = {"brighton_beach": 40 * 36 / 20 / 4000, "OSBS_029": 0.1}
"""Metres per pixel of real scenes that hold none of the debris classes."""


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


def rows(count: int) -> list[dict[str, Any]]:
    """Every figure that was asked for: what, data, what to reach, what was measured, whether it is reached (None: not
    measured, for want of data)."""
    out = [_left_out()]
    out += _alarms(count)
    out += _change(count)
    return out


def _row(what: str, data: str, reach: str, measured: str, reached: bool | None) -> dict[str, Any]:
    return {"what": what, "data": data, "reach": reach, "measured": measured, "reached": reached}


def _left_out() -> dict[str, Any]:
    """The folds' weights are kept outside the repository."""
    return _row(
        "debris, leave-one-place-out, object F1 at IoU 0.3", "caliterra_east",
        "material 0.70, heap 0.50, debris 0.40",
        "needs the folds' weights: docs/models/debris.md", None,
    )  # fmt: skip


def _alarms(count: int) -> list[dict[str, Any]]:
    """False alarms per hectare where nothing is to be found."""
    folder = assess_change.data_folder()
    ready = debris.Debris.load()
    scenes = {
        "brighton_beach": sorted((folder / "flights/brighton_beach").glob("*.JPG")),
        "OSBS_029": sorted((folder / "photos/misc").glob("OSBS_029.tif")),
    }
    out = []
    for name, paths in scenes.items():
        total = sum((_false_on(ready, path, DRONE_GSD[name]) for path in paths), Tally())
        measured = f"{total.false_per_hectare:.1f} per ha on {total.hectares:.2f} ha" if paths else "not there"
        out.append(_row("debris, false alarms", name, "≤ 2 per ha", measured, _at_most(total, paths)))
    total = sum((_false_on_block(ready, seed) for seed in assess_change.unseen_seeds(min(count, 4))), Tally())
    measured = f"{total.false_per_hectare:.1f} per ha on {total.hectares:.2f} ha"
    out.append(_row("debris, false alarms", "simulator", "≤ 2 per ha", measured, total.false_per_hectare <= 2))
    return out


def _at_most(total: Tally, paths: Sequence[Path]) -> bool | None:
    return total.false_per_hectare <= 2 if paths else None


def _false_on(ready: Detector, path: Path, gsd: float) -> Tally:
    seen = sheet(assess_change.picture(path), gsd, ready.spec.gsd)
    found = outlines(score(ready, seen), ready.spec.thresholds, ready.spec.gsd, ready.spec.min_area)
    area = float(seen.valid.sum()) * ready.spec.gsd**2
    return match([one for some in found for one in some], [], area_m2=area)


def _false_on_block(ready: Detector, seed: int) -> Tally:
    tallies, _ = debris_on(draw(seed, gsd=NATIVE), ready, after=True)
    return tallies[ANY]


def _change(count: int) -> list[dict[str, Any]]:
    seeds = assess_change.unseen_seeds(count)
    blocks = assess_change.on_blocks(seeds)
    data = f"simulator, seeds {' '.join(map(str, seeds))}"
    f1 = f"median {blocks['f1_median']:.2f}, worst {blocks['f1_worst']:.2f}"
    registered = f"median {blocks['registration_px_median']:.2f}, worst {blocks['registration_px_worst']:.2f} px"
    out = [
        _row("change, pixel F1", data, "0.90, 0.80", f1, blocks["f1_median"] >= 0.9 and blocks["f1_worst"] >= 0.8),
        _row("registration residual", data, "≤ 0.5 px median", registered, blocks["registration_px_median"] <= 0.5),
    ]
    same = [assess_change.same_block_twice(seed) for seed in seeds]
    told = f"median {statistics.median(same):.2%}, worst {max(same):.2%}"
    out.append(_row("the same twice, other light, 5 px", data, "≤ 0.3 %", told, max(same) <= 0.003))
    folder = assess_change.data_folder()
    frames = sorted((folder / "flights/brighton_beach").glob("*.JPG"))[:1]
    for path in frames:
        share = assess_change.same_frame_twice(path, DRONE_GSD["brighton_beach"])
        out.append(_row("the same twice, other light, 5 px", path.name, "≤ 0.3 %", f"{share:.2%}", share <= 0.003))
    if (folder / "pairs/levir_7").is_dir():
        pairs = assess_change.on_pairs(folder / "pairs/levir_7")
        told = (
            f"recall {pairs['recall']:.2f}, unlabelled changed {pairs['unlabelled_changed']:.1%}, F1 {pairs['f1']:.2f}"
        )
        good = pairs["recall"] >= 0.6 and pairs["unlabelled_changed"] <= 0.15
        out.append(_row("change, buildings", "pairs/levir_7", "recall 0.6, ≤ 15 %, F1 0.40", told, good))
    return out
