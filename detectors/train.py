"""Train the debris detector: `python -m detectors.train debris --out weights.safetensors`.

Reproducible on one machine and thread count: one seed draws the order, the crops and their disguises; every picture's
SHA-256 goes into one data hash that is printed and kept in the weights' header. Simulated blocks have seeds below
10000; 10000 to 99999 are for choosing thresholds, 100000 and above for measuring.
"""

import argparse
import hashlib
import math
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from detectors import checkpoint
from detectors.debris import CLASSES, GSD, VEHICLE, Net, prepared
from detectors.samples import IGNORE, LOOK_ALIKE, Sample, kept, labelled_frames

CROP = 144
FRAME_GSD = 0.019
"""Of the labelled frames, from labels.md."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a training run depends on besides its pictures."""

    seed: int = 1
    steps: int = 3000
    batch: int = 8
    rate: float = 3e-3
    frames_share: float = 0.15
    """Share of crops from labelled frames, where there are any."""
    near_share: float = 0.55
    """Share of crops that hold an object, or a car."""


class Crops:
    """Random crops of samples, disguised: turned, scaled, in other light and focus."""

    def __init__(self, simulated: Sequence[Sample], frames: Sequence[Sample], plan: Plan) -> None:
        self._groups = [list(simulated), list(frames)]
        self._plan = plan
        self._random = np.random.default_rng(plan.seed)
        self._places = [[_places(sample) for sample in group] for group in self._groups]

    def batch(self) -> tuple[Tensor, Tensor]:
        """float32 [N, 4, CROP, CROP] as the network takes it, and int64 [N, CROP, CROP] labels."""
        pairs = [self._one() for _ in range(self._plan.batch)]
        return torch.stack([image for image, _ in pairs]), torch.stack([label for _, label in pairs])

    def _one(self) -> tuple[Tensor, Tensor]:
        rng = self._random
        group = 1 if self._groups[1] and (not self._groups[0] or rng.random() < self._plan.frames_share) else 0
        index = int(rng.integers(len(self._groups[group])))
        sample, places = self._groups[group][index], self._places[group][index]
        height, width = sample.label.shape
        side = min(round(CROP * math.exp(rng.uniform(-0.25, 0.25))), height, width)
        if places and rng.random() < self._plan.near_share:
            of_class = places[int(rng.integers(len(places)))]
            row, col = of_class[int(rng.integers(len(of_class)))] - rng.integers(side // 8, side - side // 8, 2)
        else:
            row, col = rng.integers(0, max(1, height - side + 1)), rng.integers(0, max(1, width - side + 1))
        row, col = int(np.clip(row, 0, height - side)), int(np.clip(col, 0, width - side))
        image = torch.from_numpy(sample.image[:, row : row + side, col : col + side]).float()[None]
        label = torch.from_numpy(sample.label[row : row + side, col : col + side]).float()[None, None]
        image = F.interpolate(image, (CROP, CROP), mode="bilinear", align_corners=False, antialias=side > CROP)[0]
        label = F.interpolate(label, (CROP, CROP), mode="nearest")[0]
        turns, mirrored = int(rng.integers(4)), bool(rng.integers(2))
        image, label = (torch.rot90(part, turns, (1, 2)) for part in (image, label))
        if mirrored:
            image, label = image.flip(2), label.flip(2)
        label[label == LOOK_ALIKE] = VEHICLE
        pixels = disguised(image, rng).round().clamp(0, 255).to(torch.uint8)
        valid = torch.ones(1, CROP, CROP, dtype=torch.bool)
        if rng.random() < 0.15:  # the border of an orthophoto
            valid[0, : int(rng.integers(CROP // 2))] = False
            label[~valid] = IGNORE
        return prepared(pixels[None], valid)[0], label[0].long()


def _places(sample: Sample) -> list[NDArray[np.int32]]:
    """Rows and columns, int32 [K, 2], of the pixels of each class, and of what looks like one, that occurs."""
    values = (*range(1, len(CLASSES) + 1), LOOK_ALIKE)
    found = [np.argwhere(sample.label == value).astype(np.int32) for value in values]
    return [pixels for pixels in found if len(pixels)]


def disguised(image: Tensor, rng: np.random.Generator) -> Tensor:
    """`image`, float32 [3, H, W] in 0..255, as another camera on another day would show it."""
    if rng.random() < 0.4:
        soft = F.avg_pool2d(image[None], 3, 1, 1, count_include_pad=False)[0]
        image = torch.lerp(image, soft, float(rng.uniform(0.2, 1)))
    elif rng.random() < 0.3:
        soft = F.avg_pool2d(image[None], 3, 1, 1, count_include_pad=False)[0]
        image = image + (image - soft) * float(rng.uniform(0.2, 0.8))
    grey = image.mean(0, keepdim=True)
    image = grey + (image - grey) * float(rng.uniform(0.6, 1.35))
    image = 255 * (image.clamp(0, 255) / 255) ** float(math.exp(rng.normal(0, 0.2)))
    gain = np.exp(rng.normal(0, 0.16) + rng.normal(0, 0.05, 3))
    image = image * torch.tensor(gain, dtype=torch.float32)[:, None, None] + float(rng.normal(0, 8))
    noise = torch.from_numpy(rng.standard_normal(image.shape, dtype=np.float32))
    return image + noise * float(rng.uniform(0, 5))


def loss_of(logits: Tensor, label: Tensor) -> Tensor:
    """Cross entropy, objects weighing double, plus the Dice loss of "any of the classes" over the batch."""
    weight = torch.tensor([1.0] + [2.0] * len(CLASSES) + [2.0])
    entropy = F.cross_entropy(logits, label, weight, ignore_index=IGNORE)
    learned = (label != IGNORE).float()
    likely = logits.softmax(1)[:, 1:VEHICLE].sum(1) * learned
    truth = ((label > 0) & (label < VEHICLE)).float()
    dice = 1 - (2 * (likely * truth).sum() + 1) / (likely.sum() + truth.sum() + 1)
    return entropy + 0.5 * dice


def train(
    simulated: Sequence[Sample], frames: Sequence[Sample], plan: Plan, start: Mapping[str, Tensor] | None = None
) -> tuple[Net, list[float]]:
    """A network trained from scratch, or on from `start`, and its loss at every step."""
    torch.manual_seed(plan.seed)
    net = Net()
    if start is not None:
        net.load_state_dict(start)
    net = net.to(memory_format=torch.channels_last).train()
    crops = Crops(simulated, frames, plan)
    optimiser = torch.optim.AdamW(net.parameters(), lr=plan.rate, weight_decay=1e-2)
    losses: list[float] = []
    started = time.monotonic()
    for step in range(plan.steps):
        rate = plan.rate * min(1, (step + 1) / 50) * (0.5 + 0.5 * math.cos(math.pi * step / plan.steps))
        for part in optimiser.param_groups:
            part["lr"] = rate
        image, label = crops.batch()
        with torch.autocast("cpu", torch.bfloat16):
            logits = net(image.contiguous(memory_format=torch.channels_last))
        loss = loss_of(logits.float(), label)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optimiser.step()
        losses.append(loss.item())
        if step % 50 == 49:
            print(f"step {step + 1}: loss {np.mean(losses[-50:]):.4f}, {time.monotonic() - started:.0f} s", flush=True)
    return net.eval(), losses


def data_hash(samples: Sequence[Sample]) -> str:
    """SHA-256 over every sample's name and content, in order."""
    return hashlib.sha256("".join(f"{s.name} {s.sha256}\n" for s in samples).encode()).hexdigest()


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line; see `--help`."""
    usual = Plan()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("detector", choices=["debris"])
    parser.add_argument("--out", type=Path, required=True, help="safetensors file to write")
    parser.add_argument("--seeds", type=int, default=100, help="simulated blocks, seeds 0 to this")
    parser.add_argument("--fine", type=int, default=10, help="one block in so many is drawn at half the GSD; 0: none")
    parser.add_argument("--seed", type=int, default=usual.seed)
    parser.add_argument("--steps", type=int, default=usual.steps)
    parser.add_argument("--rate", type=float, default=usual.rate)
    parser.add_argument("--start", type=Path, help="weights to go on from; from scratch without")
    parser.add_argument("--threads", type=int, default=1, help="more only pay on idle cores")
    parser.add_argument("--cache", type=Path, default=Path(".cache/samples"), help="where drawn blocks are kept")
    parser.add_argument("--leave-out", nargs="*", default=[], help="labelled frames not to train on")
    given = parser.parse_args(arguments)
    if not 0 < given.seeds <= 10000:
        parser.error("simulated seeds for training are 0 to 9999")
    torch.set_num_threads(given.threads)
    # Blocks drawn finer and then averaged have the noise of an orthophoto that was read at a coarser GSD than its own.
    fine = [given.fine > 0 and seed % given.fine == given.fine - 1 for seed in range(given.seeds)]
    simulated = [s for seed in range(given.seeds) for s in kept(given.cache, seed, gsd=GSD / 2 if fine[seed] else GSD)]
    folder = Path(os.environ.get("FLYONCE_DATA", "../shared/data")) / "flights/caliterra_east"
    frames = [s for s in labelled_frames(folder, FRAME_GSD) if s.name not in given.leave_out] if folder.exists() else []
    plan = Plan(seed=given.seed, steps=given.steps, rate=given.rate)
    hashed = data_hash([*simulated, *frames])
    print(f"{len(simulated)} simulated pictures, {len(frames)} labelled frames, data {hashed}, {plan}")
    start = hashlib.sha256(given.start.read_bytes()).hexdigest() if given.start else ""
    net, losses = train(simulated, frames, plan, checkpoint.read(given.start, start) if given.start else None)
    about = {
        "start_sha256": start,
        "data_sha256": hashed,
        "plan": str(plan),
        "steps": str(len(losses)),
        "frames": " ".join(s.name for s in frames),
    }
    print(f"{given.out} {checkpoint.write(given.out, net.state_dict(), about)}")


if __name__ == "__main__":
    main()
