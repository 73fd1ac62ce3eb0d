"""How good change is: on simulated blocks with every nuisance, on real labelled pairs, and where nothing changed.

The simulator's truth leaves vehicles out. So does the detector's answer: a car that came or went is ground that did not
change. Figures here count every cell of a block; a cell that is answered "not comparable" counts as unchanged, so that
nothing is won by not answering, and how many those are is told beside.
"""

import io
import math
import os
import secrets
import statistics
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from detectors import change
from detectors.change_pairs import painted, sampled
from detectors.measure import LEVIR_GSD, Sheet, compared, field_of, registration_error, sheet
from detectors.pair import Reason
from imagery.simulator.canvas import View
from imagery.simulator.days import two_days
from imagery.simulator.light import develop
from imagery.simulator.scene import lay_out
from imagery.simulator.simulate import SIZE, Drawn, draw, render
from imagery.simulator.values import stream

UNSEEN = 100_000
"""Seeds from here on are for measuring; the network is trained on those below 10000, constants are chosen between."""
SHIFT = 5.0
"""Pixels between two looks at one scene."""


def unseen_seeds(count: int) -> list[int]:
    """Seeds drawn now, that nothing was trained or tuned on."""
    return sorted(UNSEEN + secrets.randbelow(10**8) for _ in range(count))


def truth_of(drawn: Drawn, rows: int, cols: int, cell: float) -> NDArray[np.bool_]:
    """bool [rows, cols]: ground that changed."""
    return painted([(one.polygon, 1) for one in drawn.changes], rows, cols, cell) > 0


def on_block(drawn: Drawn) -> dict[str, float]:
    """Pixel precision, recall and F1 on one simulated block, and how well it was registered."""
    cell = change.cell(drawn.gsd, drawn.gsd)
    before, after = (sheet(image, drawn.gsd, cell) for image in (drawn.before, drawn.after))
    scores, reasons = compared(before, after, cell)
    found = (scores >= change.spec.thresholds[0]) & (reasons == Reason.COMPARABLE)
    field = field_of(before, after)
    return {
        **agreement(found, truth_of(drawn, found.shape[0], found.shape[1], cell)),
        "not_comparable": round(float((reasons != Reason.COMPARABLE).mean()), 4),
        "registration_px": round(registration_error(drawn, field, cell), 3),
        "residual_px": round(field.residual * cell / drawn.gsd, 3),
    }


def agreement(found: NDArray[np.bool_], truth: NDArray[np.bool_]) -> dict[str, float]:
    """Of two bool arrays [H, W]."""
    hit, false, missed = (int((a & b).sum()) for a, b in ((found, truth), (found, ~truth), (~found, truth)))
    return {
        "precision": round(hit / max(1, hit + false), 4),
        "recall": round(hit / max(1, hit + missed), 4),
        "f1": round(2 * hit / max(1, 2 * hit + false + missed), 4),
        "unlabelled_changed": round(false / max(1, int((~truth).sum())), 4),
    }


def on_blocks(seeds: Sequence[int], gsd: float = 0.03) -> dict[str, Any]:
    """Every block, the median and the worst."""
    every = {str(seed): on_block(draw(seed, gsd=gsd)) for seed in seeds}
    f1 = [one["f1"] for one in every.values()]
    registered = [one["registration_px"] for one in every.values()]
    return {
        "seeds": every,
        "f1_median": statistics.median(f1),
        "f1_worst": min(f1),
        "registration_px_median": statistics.median(registered),
        "registration_px_worst": max(registered),
    }


def on_pairs(folder: Path, gsd: float = LEVIR_GSD) -> dict[str, Any]:
    """Labelled pairs in folders A, B and label. They are measured on; nothing is trained or tuned on them."""
    each, found, truth = {}, [], []
    for path in sorted((folder / "A").glob("*.png")):
        dates = [sheet(picture(folder / name / path.name), gsd, gsd) for name in ("A", "B")]
        with Image.open(folder / "label" / path.name) as opened:
            truth.append(np.asarray(opened.convert("L")) > 127)
        scores, reasons = compared(dates[0], dates[1], gsd)
        found.append((scores >= change.spec.thresholds[0]) & (reasons == Reason.COMPARABLE))
        each[path.name] = agreement(found[-1], truth[-1])
    return {"pairs": each, **agreement(np.stack(found), np.stack(truth))}


def same_block_twice(seed: int, gsd: float = 0.06) -> float:
    """Share of a simulated block that is called changed though it only lies in other light, `SHIFT` pixels aside."""
    width, height = SIZE
    scene = lay_out(seed, width, height)
    still = replace(
        scene,
        things=tuple(replace(one, before=True, after=True) for one in scene.things if one.before),
        cars=tuple(replace(one, before=True, after=True) for one in scene.cars if one.before),
        buildings=tuple(replace(one, after=one.before, changed=None) for one in scene.buildings),
    )
    rows, cols, pad = round(height / gsd), round(width / gsd), 16
    days = two_days(seed)
    first, second = render(still, View(-pad * gsd, -pad * gsd, gsd, rows + 2 * pad, cols + 2 * pad), days)
    dates = []
    for name, picture, day, aside in (("before", first, days[0], 0), ("after", second, days[1], round(SHIFT))):
        part = picture[pad - aside : pad - aside + rows, pad - aside : pad - aside + cols]
        dates.append(sheet(develop(part, gsd, day, stream(seed, "sensor", name)).transpose(2, 0, 1), gsd, gsd))
    return _changed_inside(dates[0], dates[1], gsd)


def same_frame_twice(path: Path, gsd: float, seed: int = 1) -> float:
    """The same for a real picture: brought to 6 cm, and again `SHIFT` and a third pixels aside, in other light, with
    noise, packed as JPEG."""
    cell = 0.06
    small = sheet(picture(path), gsd, cell)
    rng = np.random.default_rng(seed)
    rows, cols = small.valid.shape
    y, x = np.meshgrid(np.arange(rows, dtype=np.float32), np.arange(cols, dtype=np.float32), indexing="ij")
    moved = sampled(small.data, x - (SHIFT + 0.33), y - SHIFT).astype(np.float32)
    gain = np.array([0.84, 0.87, 0.94], dtype=np.float32)[:, None, None]
    lit = 255 * (np.clip(moved * gain, 0, 255) / 255) ** 1.1 + 6 + rng.normal(0, 2.5, moved.shape)
    packed = io.BytesIO()
    Image.fromarray(np.clip(lit, 0, 255).astype(np.uint8).transpose(1, 2, 0)).save(packed, "JPEG", quality=90)
    with Image.open(packed) as opened:
        again = np.ascontiguousarray(np.asarray(opened).transpose(2, 0, 1))
    return _changed_inside(small, Sheet(again, small.valid), cell)


def _changed_inside(before: Sheet, after: Sheet, cell: float) -> float:
    """Share that is called changed, but for the rim that the shift leaves without a counterpart."""
    scores, reasons = compared(before, after, cell)
    rim = math.ceil(SHIFT) + 2
    inside = (slice(rim, -rim), slice(rim, -rim))
    found = (scores >= change.spec.thresholds[0]) & (reasons == Reason.COMPARABLE)
    return float(found[inside].mean())


def picture(path: Path) -> NDArray[np.uint8]:
    """uint8 [3, H, W], RGB, of a JPEG, PNG or TIFF."""
    with Image.open(path) as opened:
        return np.asarray(opened.convert("RGB")).transpose(2, 0, 1)


def data_folder() -> Path:
    """Where the real imagery for measuring lies."""
    return Path(os.environ.get("FLYONCE_DATA", "../shared/data"))
