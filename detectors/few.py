"""More like these five: a class taught from a handful of outlines, in seconds.

The debris detector's network stays as it is; a logistic regression (Newton's method, ridge) on its features at a
quarter of the resolution tells the outlined ground from the rest of the same pictures. Each outline is left out once to
see whether the others would have found it, and the threshold is set so that most of what was left out is found.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from shapely import affinity
from torch import Tensor

from detectors import checkpoint, debris
from detectors.change_pairs import painted
from detectors.labels import IGNORE, Labelled, Labels, few
from detectors.shelf import FileModel
from detectors.taught import item_of
from imagery.errors import Refused
from imagery.reader import reader
from imagery.sources import open_source
from imagery.tiles import PIXELS, GroundGrid, Window

LEAST = 5
"""Outlines of a class."""
MOST_ROWS = 6000
"""Rows, of each side, that the regression is fitted to."""
RIDGE = 1e-2
FOUND = 0.85
"""Share of what was left out that the threshold is to find."""
_SIDE = 1024
"""Cells of a window."""


class Features:
    """The debris detector's network, giving what it sees instead of what it concludes."""

    def __init__(self, device: str = "cpu") -> None:
        net = debris.Net()
        spec = debris.spec
        net.load_state_dict(
            checkpoint.read(checkpoint.FOLDER / f"debris-{spec.version}.safetensors", spec.weights_sha256)
        )
        net = net.eval()
        for module in net.modules():
            if isinstance(module, debris.Step):
                module.fold()
        self._net = net.to(device).to(memory_format=torch.channels_last)
        self._seen: list[Tensor] = []
        for part in (net.to_eighth, net.to_quarter, net.to_half):
            part.register_forward_pre_hook(lambda _, given: self._seen.append(given[0]))
        self.device = torch.device(device)

    def __call__(self, pixels: Tensor, valid: Tensor) -> Tensor:
        """float32 [N, D, H / 4, W / 4] of uint8 [N, 3, H, W] and bool [N, H, W]; sides are multiples of 16."""
        self._seen.clear()
        with torch.inference_mode():
            x = debris.prepared(pixels.to(self.device), valid.to(self.device))
            self._net(x.contiguous(memory_format=torch.channels_last))
            size = (pixels.shape[-2] // 4, pixels.shape[-1] // 4)
            parts = [F.interpolate(part, size, mode="bilinear", align_corners=False) for part in self._seen]
        self._seen.clear()
        return torch.cat(parts, 1)


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """chance = sigmoid(((features - mean) / spread) · weight + bias)."""

    mean: Tensor
    spread: Tensor
    weight: Tensor
    bias: Tensor

    def __call__(self, features: Tensor) -> Tensor:
        """[N, H, W] of features [N, D, H, W]."""
        scaled = (features - self.mean[:, None, None]) / self.spread[:, None, None]
        return (torch.einsum("ndhw,d->nhw", scaled, self.weight) + self.bias).sigmoid()


class FewShot:
    """A taught class on its device; `scores` as `detectors.base.Detector` says."""

    def __init__(self, model: FileModel, head: Head, features: Features) -> None:
        self.spec = model.spec
        self._head, self._features = head, features

    @classmethod
    def read(cls, model: FileModel, device: str = "cpu") -> Self:
        """Refused: other-encoder where the head was taught on other debris weights than are installed."""
        about = checkpoint.about(model.weights)
        if about.get("encoder") != debris.spec.weights_sha256:
            raise Refused(
                "other-encoder",
                f"{model.spec.name} was taught on debris weights {about.get('encoder', '?')[:12]}; installed are "
                f"{debris.spec.weights_sha256[:12]}.",
                "Teach it again from its labels: flyonce train few-shot.",
            )
        kept = checkpoint.read(model.weights, model.spec.weights_sha256)
        head = Head(*(kept[name].to(device) for name in ("mean", "spread", "weight", "bias")))
        return cls(model, head, Features(device))

    def scores(self, pixels: Tensor, valid: Tensor) -> Tensor:
        """uint8 [N, 1, H, W] where `pixels` are."""
        with torch.inference_mode():
            chance = self._head(self._features(pixels, valid))[:, None]
            full = F.interpolate(chance, pixels.shape[-2:], mode="bilinear", align_corners=False)
            return ((full * 255).round() * valid.to(full.device)[:, None]).to(torch.uint8).to(pixels.device)


def teach(name: str, labels: Labels, folder: Path, *, seed: int = 1) -> dict[str, Any]:
    """Teach the one class that the labels hold, and put it on the shelf in `folder` as detector `name`.

    Returns what was learned, JSON-ready. Raises `Refused`: few-labels, several-classes.
    """
    kinds = [kind for kind in labels.kinds if kind != IGNORE]
    if len(kinds) != 1:
        raise Refused(
            "several-classes", f"The labels hold {len(kinds)} classes: {', '.join(kinds)}.", "Teach one at a time."
        )
    (kind,) = kinds
    few(labels, [kind], LEAST)
    rows, groups, others = _samples(labels.pictures, kind, np.random.default_rng(seed))
    head = fit(rows, others)
    left_out = [_left_out(rows, groups, others, group) for group in range(int(groups.max()) + 1)]
    each = np.concatenate(left_out)
    threshold = int(np.clip(np.quantile(each, 1 - FOUND) * 255, 30, 230))
    found_again = sum(bool((part * 255 >= threshold).mean() >= 0.3) for part in left_out)
    folder.mkdir(parents=True, exist_ok=True)
    about = {
        "encoder": debris.spec.weights_sha256,
        "class": kind,
        "frames": " ".join(one.path.name for one in labels.pictures),
        "frames_sha256": " ".join(one.sha256 for one in labels.pictures),
        "seed": str(seed),
    }
    weights = folder / f"{name}.safetensors"
    tensors = {"mean": head.mean, "spread": head.spread, "weight": head.weight, "bias": head.bias.reshape(1)}
    sha256 = checkpoint.write(weights, tensors, about)
    metrics = {"outlines": len(left_out), "found_when_left_out": found_again, "threshold": threshold}
    spec = replace(
        debris.spec,
        name=name,
        version=sha256[:8],
        classes=(kind,),
        thresholds=(threshold,),
        weights_sha256=sha256,
    )
    item = item_of(
        spec,
        architecture="flyonce/few-shot",
        description=f"{kind}, taught from {len(left_out)} outlines.",
        weights=weights.name,
        metrics=metrics,
        training={**about, "seed": seed},
    )
    (folder / f"{name}.json").write_text(json.dumps(item, indent=1))
    return {"name": name, "class": kind, "weights_sha256": sha256, **metrics}


def fit(rows: NDArray[np.float32], others: NDArray[np.float32]) -> Head:
    """Regression of rows [N, D] that are the class against [M, D] that are not, both sides weighing the same."""
    x = np.concatenate((rows, others)).astype(np.float64)
    y = np.concatenate((np.ones(len(rows)), np.zeros(len(others))))
    share = np.where(y == 1, 0.5 / len(rows), 0.5 / len(others))
    mean, spread = others.mean(0).astype(np.float64), others.std(0).astype(np.float64) + 1e-3
    z = np.concatenate(((x - mean) / spread, np.ones((len(x), 1))), axis=1)
    ridge = np.full(z.shape[1], RIDGE)
    ridge[-1] = 0
    beta = np.zeros(z.shape[1])
    for _ in range(25):
        chance = 1 / (1 + np.exp(-np.clip(z @ beta, -30, 30)))
        slope = z.T @ (share * (y - chance)) - ridge * beta
        bend = (z * (share * chance * (1 - chance))[:, None]).T @ z + np.diag(ridge + 1e-9)
        step = np.linalg.solve(bend, slope)
        beta += step
        if np.abs(step).max() < 1e-6:
            break
    tensors = [torch.from_numpy(part.astype(np.float32)) for part in (mean, spread, beta[:-1], beta[-1:])]
    return Head(*tensors)


def _left_out(
    rows: NDArray[np.float32], groups: NDArray[np.intp], others: NDArray[np.float32], group: int
) -> NDArray[np.float32]:
    """Chances of one outline's rows when it was not learned from."""
    head = fit(rows[groups != group], others)
    held = torch.from_numpy(rows[groups == group]).T[None, :, :, None]
    return np.asarray(head(held)[0, :, 0].numpy())


def _samples(
    pictures: Sequence[Labelled], kind: str, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.intp], NDArray[np.float32]]:
    """Features of outlined cells [N, D], the number of the outline of each [N], and of cells without outline [M, D]."""
    features = Features()
    inside: list[NDArray[np.float32]] = []
    groups: list[NDArray[np.intp]] = []
    outside: list[NDArray[np.float32]] = []
    first = 0
    for picture in pictures:
        gsd = picture.scale
        source = open_source(picture.path, pixels=True, gsd=gsd)
        grid = GroundGrid(PIXELS, debris.GSD / gsd)
        height, width = math.ceil(picture.height / grid.cell), math.ceil(picture.width / grid.cell)
        shapes = [(affinity.scale(one.polygon, gsd, gsd, origin=(0, 0)), one.kind) for one in picture.shapes]
        wanted = [polygon for polygon, name in shapes if name == kind]
        number = painted([(polygon, 1 + i % 250) for i, polygon in enumerate(wanted)], height, width, debris.GSD)
        hidden = painted([(polygon.buffer(0.3), 1) for polygon, _ in shapes], height, width, debris.GSD)
        side = min(_SIDE, math.ceil(max(height, width) / debris.STRIDE) * debris.STRIDE)
        with reader(source) as opened:
            for row in range(0, height, side):
                for col in range(0, width, side):
                    window = Window(row, col, side, side)
                    pixels = opened.read(grid, window)
                    part = np.zeros((2, side, side), dtype=np.uint8)
                    cut = (slice(row, row + side), slice(col, col + side))
                    some = np.stack((number[cut], hidden[cut]))
                    part[:, : some.shape[1], : some.shape[2]] = some
                    data, valid = torch.from_numpy(pixels.data)[None], torch.from_numpy(pixels.valid)[None]
                    found = features(data, valid)[0].permute(1, 2, 0).numpy()
                    which, covered = part[:, 2::4, 2::4]
                    seen = pixels.valid[2::4, 2::4]
                    here = (which > 0) & seen
                    inside.append(found[here])
                    groups.append(first + which[here].astype(np.intp) - 1)
                    free = np.argwhere((covered == 0) & seen)
                    chosen = free[rng.permutation(len(free))[: MOST_ROWS // max(1, len(pictures))]]
                    outside.append(found[chosen[:, 0], chosen[:, 1]])
        first += len(wanted)
    rows, numbers, others = np.concatenate(inside), np.concatenate(groups), np.concatenate(outside)
    _, numbers = np.unique(numbers, return_inverse=True)
    keep = rng.permutation(len(rows))[:MOST_ROWS]
    _, renumbered = np.unique(numbers[keep], return_inverse=True)
    return rows[keep], renumbered.astype(np.intp), others[rng.permutation(len(others))[:MOST_ROWS]]
