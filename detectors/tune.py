"""Teach the debris network from a person's outlines: its own classes in a new city, or classes of one's own.

The encoder stays as it is and the decoder learns, which a CPU does in minutes. Part of the places is held out; there
thresholds are chosen for a wanted precision. One seed, machine and thread count repeat a run bit for bit.
"""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from shapely import Polygon, affinity, transform
from torch import Tensor

from detectors import checkpoint, debris, sketches
from detectors.assess import assess
from detectors.base import ModelSpec
from detectors.change_pairs import painted
from detectors.crops import Group
from detectors.debris import Debris, Net
from detectors.few import LEAST as FEWEST
from detectors.labels import IGNORE, REJECTED, Labelled, Labels, Shape, few
from detectors.measure import Sheet, outlines
from detectors.samples import IGNORE as UNKNOWN
from detectors.samples import LOOK_ALIKE, Sample, rasterise
from detectors.shelf import BACKGROUND
from detectors.split import Split, kinds, split
from detectors.taught import item_of
from detectors.train import Plan, Say, data_hash, drawn, told, train
from imagery.errors import Refused
from imagery.reader import reader
from imagery.sources import open_source
from imagery.tiles import PIXELS, GroundGrid, Window

LEAST = 10
"""Outlines that a network is tuned from; for fewer there is `detectors.few`."""
ARCHITECTURE = "flyonce/debris"
NEW_THRESHOLD = 128
"""Of a new class for which nothing was held out."""
_ABOUT_M = 1.5
"""Metres about a reviewed outline that its reviewer saw, on pictures of which nothing else is known."""
_EXAMPLES, _SIDE, _MARGIN = 6, 320, 96
"""Pictures, their side in cells, and the cells about them that the network sees too."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person asks for."""

    name: str
    classes: tuple[str, ...] = debris.CLASSES
    steps: int = 300
    batch: int = 8
    rate: float = 1e-3
    seed: int = 1
    precision: float = 0.8
    blocks: int = 0
    """Simulated blocks that are learned from beside the outlines, so that what the shipped weights know stays known;
    for the shipped classes alone."""

    @property
    def own(self) -> bool:
        """Whether the classes are those of the shipped weights."""
        return self.classes == debris.CLASSES


def tune(
    labels: Labels,
    wish: Wish,
    folder: Path,
    *,
    cache: Path,
    say: Say = told,
    stage: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Write NAME.safetensors, its item NAME.json, NAME-curve.png and NAME-examples.png into `folder`.

    It goes on from the shipped weights. `cache`: of simulated blocks. `stage`: is told what comes next. Returns what
    was learned, JSON-ready. Raises `Refused`: few-labels, unknown-class, no-gsd, and as reading
    pictures does.
    """
    check(labels, wish)
    parts = split(labels.pictures, wish.seed)
    stage(f"{len(kept(parts.learn))} pictures to learn from; {parts.how}")
    learn = [sample_of(one, wish.classes) for one in kept(parts.learn)]
    replayed = drawn(cache, wish.blocks, 0) if wish.blocks and wish.own else []
    plan = Plan(wish.seed, wish.steps, wish.batch, wish.rate, frames_share=0.7, backgrounds_share=0.0)
    groups = [Group(learn, 0.7, pasted=0.1), Group(replayed, 0.3, pasted=0.1)]
    net, losses = train(groups, plan, _start(wish), classes=len(wish.classes), frozen=True, say=say)
    about = _about(wish, plan, parts, data_hash([*learn, *replayed]), losses)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{wish.name}.safetensors"
    sha256 = checkpoint.write(path, net.state_dict(), about)
    spec = _spec(wish, sha256)
    stage("choosing thresholds")
    thresholds, figures = _measured(Debris.read(path, sha256, spec=spec), parts, wish)
    spec = replace(spec, thresholds=thresholds)
    learned = dict(kinds(parts.learn))
    metrics = {"outlines": sum(learned.values()), "loss": round(float(np.mean(losses[-50:])), 4)}
    for name, at in figures.items():
        metrics |= {f"{name} precision": at["precision"], f"{name} recall": at["recall"]}
    item = item_of(
        spec,
        architecture=ARCHITECTURE,
        description=f"{', '.join(wish.classes)}: debris {debris.spec.version}, tuned on {len(learn)} pictures.",
        weights=path.name,
        metrics=metrics,
        training={**about, "learned": learned, "held": dict(kinds(parts.held)), "split": parts.how}
        | {"held_out": figures, "wanted_precision": wish.precision},
    )
    (folder / f"{wish.name}.json").write_text(json.dumps(item, indent=1, ensure_ascii=False))
    sketches.curve(losses, folder / f"{wish.name}-curve.png", wish.name)
    shown = _examples(Debris.read(path, sha256, spec=spec), parts)
    sketches.examples(shown, folder / f"{wish.name}-examples.png")
    return {
        "name": wish.name,
        "weights": str(path),
        "weights_sha256": sha256,
        "data_sha256": about["data_sha256"],
        "learned": learned,
        "held": dict(kinds(parts.held)),
        "split": parts.how,
        "thresholds": dict(zip(wish.classes, thresholds, strict=True)),
        "held_out": figures,
        "loss": metrics["loss"],
        "pictures": [str(folder / f"{wish.name}-{kind}.png") for kind in ("curve", "examples")],
    }


def check(labels: Labels, wish: Wish) -> None:
    """Refused: unknown-class where a wanted class cannot be one, few-labels where there is too little to learn from."""
    wrong = [name for name in wish.classes if name in (*BACKGROUND, IGNORE, REJECTED) or not name]
    if wrong or len(set(wish.classes)) != len(wish.classes):
        raise Refused(
            "unknown-class", f"{', '.join(wish.classes)} are no classes to learn.", "Name each class once, by a word."
        )
    counts = {kind: count for kind, count in labels.kinds.items() if kind in (*wish.classes, REJECTED)}
    if not wish.own:
        few(labels, wish.classes, LEAST)
    # What was rejected alone would teach that nothing is anything, unless blocks show the classes.
    if sum(counts.values()) < LEAST or (not wish.blocks and set(counts) == {REJECTED}):
        there = ", ".join(f"{count} of {kind}" for kind, count in counts.items()) or "none"
        raise Refused(
            "few-labels",
            f"Too few labels to tune a network: {there}.",
            f"Draw at least {LEAST}; `flyonce train few-shot` learns one class from {FEWEST}.",
        )


def kept(pictures: Sequence[Labelled]) -> list[Labelled]:
    """Those of which anything is known."""
    return [one for one in pictures if one.whole or kinds([one])]


def sample_of(picture: Labelled, classes: Sequence[str]) -> Sample:
    """A picture at the model's GSD with its label: what was rejected is a look-alike, what nobody looked at unknown."""
    gsd = picture.scale
    seen = sheet_of(picture)
    height, width = seen.valid.shape
    shapes = [(one.kind, affinity.scale(one.polygon, gsd, gsd, origin=(0, 0))) for one in picture.shapes]
    values = {IGNORE: UNKNOWN, REJECTED: LOOK_ALIKE} | {name: index + 1 for index, name in enumerate(classes)}
    label = rasterise(shapes, height, width, debris.GSD, values)
    if not picture.whole:
        about = [(polygon.buffer(_ABOUT_M), 1) for kind, polygon in shapes if kind != IGNORE]
        label[(label == 0) & (painted(about, height, width, debris.GSD) == 0)] = UNKNOWN
    label[~seen.valid] = UNKNOWN
    return Sample(picture.path.name, seen.data, label)


def sheet_of(picture: Labelled) -> Sheet:
    """The picture at the model's GSD."""
    gsd = picture.scale
    grid = GroundGrid(PIXELS, debris.GSD / gsd)
    window = Window(0, 0, math.ceil(picture.height / grid.cell), math.ceil(picture.width / grid.cell))
    with reader(open_source(picture.path, pixels=True, gsd=gsd)) as opened:
        pixels = opened.read(grid, window)
    return Sheet(pixels.data, pixels.valid)


def _start(wish: Wish) -> dict[str, Tensor]:
    """The shipped weights. For classes of one's own the last layer keeps what it knows of the ground and of
    look-alikes, and begins the classes anew."""
    shipped = checkpoint.FOLDER / f"debris-{debris.spec.version}.safetensors"
    given = dict(checkpoint.read(shipped, debris.spec.weights_sha256))
    if not wish.own:
        torch.manual_seed(wish.seed)
        fresh = Net(len(wish.classes)).head.state_dict()
        for part in ("weight", "bias"):
            old = given[f"head.{part}"]
            given[f"head.{part}"] = torch.cat((old[:1], fresh[part][1:-1], old[-1:]))
    return given


def _spec(wish: Wish, sha256: str) -> ModelSpec:
    thresholds = debris.spec.thresholds if wish.own else (NEW_THRESHOLD,) * len(wish.classes)
    return replace(
        debris.spec,
        name=wish.name,
        version=sha256[:8],
        classes=wish.classes,
        thresholds=thresholds,
        weights_sha256=sha256,
    )


def _about(wish: Wish, plan: Plan, parts: Split, hashed: str, losses: Sequence[float]) -> dict[str, str]:
    """What the weights' header says."""
    return {
        "start_sha256": debris.spec.weights_sha256,
        "seed": str(wish.seed),
        "plan": json.dumps(asdict(plan)),
        "classes": " ".join(wish.classes),
        "data_sha256": hashed,
        "frames": " ".join(one.path.name for one in parts.learn),
        "frames_sha256": " ".join(one.sha256 for one in parts.learn),
        "chosen_on_sha256": " ".join(one.sha256 for one in parts.held),
        "blocks": str(wish.blocks if wish.own else 0),
        "torch": str(torch.__version__),
        "loss": f"{np.mean(losses[-50:]):.4f}",
    }


def _measured(ready: Debris, parts: Split, wish: Wish) -> tuple[tuple[int, ...], dict[str, Any]]:
    """A threshold per class that reaches the wanted precision on what was held out (where none does, the one there
    was), and the figures at it."""
    if not kinds(parts.held):
        return ready.spec.thresholds, {}
    figure = assess(ready, Labels([_bounded(one) for one in parts.held]), {}, precision=wish.precision, seed=wish.seed)
    thresholds, figures = [], {}
    for name, usual in zip(ready.spec.classes, ready.spec.thresholds, strict=True):
        chosen = figure["chosen"]["thresholds"][name]
        thresholds.append(chosen["threshold"] if chosen else usual)
        at = chosen or figure["classes"][name]["iou_0.3"]
        figures[name] = {
            "threshold": thresholds[-1],
            "reached": bool(chosen),
            "precision": at["precision"],
            "recall": at["recall"],
            "held": figure["classes"][name]["objects"],
        }
    return tuple(thresholds), figures


def _bounded(picture: Labelled) -> Labelled:
    """A picture on which nothing but its shapes is known, with the rest marked so; what was rejected is false."""
    if picture.whole:
        return picture
    rest: Any = Polygon([(0, 0), (picture.width, 0), (picture.width, picture.height), (0, picture.height)])
    for one in picture.shapes:
        rest = rest.difference(one.polygon)
    unknown = [Shape(IGNORE, part) for part in getattr(rest, "geoms", [rest]) if isinstance(part, Polygon)]
    return replace(picture, shapes=(*(one for one in picture.shapes if one.kind != REJECTED), *unknown))


def _examples(ready: Debris, parts: Split) -> list[sketches.Example]:
    """Places with outlines, held out ones first, at the thresholds that were chosen; what was rejected is not true."""
    out: list[sketches.Example] = []
    for words, pictures in (("held out", parts.held), ("learned", parts.learn)):
        for picture in pictures:
            seen = sheet_of(picture)
            share = picture.scale / debris.GSD
            cells = [(one.kind, affinity.scale(one.polygon, share, share, origin=(0, 0))) for one in picture.shapes]
            for kind, polygon in cells:
                if kind != IGNORE and len(out) < _EXAMPLES:
                    true = [other for name, other in cells if name in ready.spec.classes]
                    out.append(_example(ready, seen, polygon, true, f"{words}: {kind}"))
    return out


def _example(ready: Debris, seen: Sheet, middle: Polygon, true: Sequence[Polygon], words: str) -> sketches.Example:
    full = _SIDE + 2 * _MARGIN
    row, col = (round(value) - full // 2 for value in (middle.centroid.y, middle.centroid.x))
    part = seen.window(Window(row, col, full, full))
    scores = ready.scores(torch.from_numpy(part.data)[None], torch.from_numpy(part.valid)[None])[0].numpy()
    inner = slice(_MARGIN, -_MARGIN)
    corner = np.array([col + _MARGIN, row + _MARGIN], dtype=np.float64)
    spec = ready.spec
    found = [
        affinity.scale(one.polygon, 1 / spec.gsd, 1 / spec.gsd, origin=(0, 0))
        for some in outlines(scores[:, inner, inner], spec.thresholds, spec.gsd, spec.min_area)
        for one in some
    ]

    def moved(points: NDArray[np.float64]) -> NDArray[np.float64]:
        return points - corner

    return sketches.Example(part.data[:, inner, inner], [transform(one, moved) for one in true], found, words)
