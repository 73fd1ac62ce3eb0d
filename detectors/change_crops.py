"""What the change network sees of its pairs: random crops, each date as another camera in other light would show it."""

import hashlib
import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from detectors.change_net import VEHICLE, prepared
from detectors.change_pairs import APPEARED, DISAPPEARED, IGNORE, Pair

CROP = 256
SHARES = {"block": 0.5, "suburb": 0.25, "real": 0.25}
"""Of the crops that are learned from."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run depends on besides its pairs."""

    seed: int = 1
    batch: int = 96
    rate: float = 3e-3
    warm: int = 100
    """Steps until the rate is reached."""
    near_share: float = 0.6
    """Share of crops about something that changed, or a vehicle."""


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """A pair on the device: `stack` uint8 [7, H, W] of before, after and label; `places` per value that occurs."""

    stack: Tensor
    gsd: float
    places: list[np.ndarray]


class Pool:
    """All pairs that are there, and random crops of them."""

    def __init__(self, plan: Plan, device: torch.device) -> None:
        self._plan, self._device = plan, device
        self._random = np.random.default_rng(plan.seed)
        self._noise = torch.Generator(device).manual_seed(plan.seed)
        self.pairs: dict[str, list[Kept]] = {name: [] for name in SHARES}
        self.hashes: dict[str, str] = {}

    def add(self, pair: Pair) -> None:
        stack = np.concatenate((pair.before, pair.after, pair.label[None]))
        self.hashes[pair.name] = hashlib.sha256(stack.tobytes()).hexdigest()
        places = []
        for value in range(1, VEHICLE + 1):
            found = np.argwhere(pair.label == value).astype(np.int32)
            if len(found):
                places.append(found[:: max(1, len(found) // 4000)])
        self.pairs[pair.source].append(Kept(torch.from_numpy(stack).to(self._device), pair.gsd, places))

    @property
    def digest(self) -> str:
        """SHA-256 over the names and contents of all pairs, by name."""
        lines = "".join(f"{name} {value}\n" for name, value in sorted(self.hashes.items()))
        return hashlib.sha256(lines.encode()).hexdigest()

    def batch(self) -> tuple[Tensor, Tensor, Tensor]:
        """Both dates as the network takes them, float [N, 5, CROP, CROP], and int64 labels [N, CROP, CROP]."""
        names = [name for name, some in self.pairs.items() if some]
        weights = np.array([SHARES[name] for name in names])
        crops: list[Tensor] = []
        cells: list[float] = []
        for _ in range(self._plan.batch):
            some = self.pairs[names[self._random.choice(len(names), p=weights / weights.sum())]]
            crop, size = self._crop(some[int(self._random.integers(len(some)))])
            crops.append(crop)
            cells.append(size)
        stack = torch.stack(crops)
        dates, label = stack[:, :6].float(), stack[:, 6].long()
        cell = torch.tensor(cells, device=self._device, dtype=torch.float32)
        before, after = (disguised(dates[:, at : at + 3], self._noise) for at in (0, 3))
        valid = self._seen(len(crops))
        label[~valid] = IGNORE
        return prepared(before, valid, cell), prepared(after, valid, cell), label

    def _crop(self, kept: Kept) -> tuple[Tensor, float]:
        rng = self._random
        height, width = kept.stack.shape[1:]
        side = CROP if rng.random() < 0.6 else round(CROP * math.exp(rng.uniform(-0.28, 0.28)))
        side = min(side, height, width)
        if kept.places and rng.random() < self._plan.near_share:
            some = kept.places[rng.integers(len(kept.places))]
            row, col = some[rng.integers(len(some))] - rng.integers(side // 8, side - side // 8, 2)
        else:
            row, col = rng.integers(0, height - side + 1), rng.integers(0, width - side + 1)
        row, col = int(np.clip(row, 0, height - side)), int(np.clip(col, 0, width - side))
        crop = kept.stack[:, row : row + side, col : col + side]
        if side != CROP:
            dates = F.interpolate(
                crop[None, :6].float(), (CROP, CROP), mode="bilinear", align_corners=False, antialias=side > CROP
            )[0]
            label = F.interpolate(crop[None, 6:].float(), (CROP, CROP), mode="nearest")[0]
            crop = torch.cat((dates, label)).round().clamp(0, 255).to(torch.uint8)
        crop = torch.rot90(crop, int(rng.integers(4)), (1, 2))
        if rng.random() < 0.5:
            crop = crop.flip(2)
        if rng.random() < 0.5:  # the other way round in time
            label = crop[6].clone()
            label[crop[6] == APPEARED] = DISAPPEARED
            label[crop[6] == DISAPPEARED] = APPEARED
            crop = torch.cat((crop[3:6], crop[:3], label[None]))
        return crop, kept.gsd * side / CROP

    def _seen(self, count: int) -> Tensor:
        """bool [N, CROP, CROP]: now and then a corner or a border is not covered by both dates."""
        device, noise = self._device, self._noise
        angle, offset, cut = torch.rand((3, count, 1, 1), generator=noise, device=device)
        y, x = torch.meshgrid(*[torch.linspace(-1, 1, CROP, device=device)] * 2, indexing="ij")
        inside = x * torch.cos(6.283 * angle) + y * torch.sin(6.283 * angle) < 1.6 * offset
        return torch.logical_or(inside, cut > 0.12)


def disguised(image: Tensor, noise: torch.Generator) -> Tensor:
    """float [N, 3, H, W] in 0..255 as another camera in other light would show them, each in its own way."""
    count, device = len(image), image.device

    def normal(spread: float, channels: int = 1) -> Tensor:
        return torch.randn((count, channels, 1, 1), generator=noise, device=device) * spread

    def uniform(low: float, high: float) -> Tensor:
        return torch.rand((count, 1, 1, 1), generator=noise, device=device) * (high - low) + low

    soft = F.avg_pool2d(image, 3, 1, 1, count_include_pad=False)
    image = torch.lerp(image, soft, uniform(-0.7, 1.0).clamp_min(-0.4))
    grey = image.mean(1, keepdim=True)
    image = grey + (image - grey) * uniform(0.5, 1.4)
    middle = image.mean((1, 2, 3), keepdim=True)
    image = middle + (image - middle) * uniform(0.7, 1.35)
    image = 255 * (image.clamp(0, 255) / 255) ** torch.exp(normal(0.2))
    image = image * torch.exp(normal(0.15) + normal(0.05, 3)) + normal(7)
    grain = torch.randn(image.shape, generator=noise, device=device)
    return (image + grain * uniform(0, 6)).round().clamp(0, 255)
