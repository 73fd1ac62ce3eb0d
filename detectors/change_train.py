"""Train the change network: `flyonce train change --out weights.safetensors`.

Pairs are drawn by worker processes from `change_pairs` and `change_real` while the network learns. With `--steps` all
pairs are there before the first step, in the order of their numbers, so that one seed, one machine and one thread count
repeat a run; with `--seconds` learning fills the time that there is, and the log says what was drawn in it.
`detectors.change_stock` makes the folder of real pictures; without it pairs come from the simulator alone. Nothing of
pairs/levir_7, brighton_beach or OSBS_029 is in it.
"""

import argparse
import hashlib
import json
import math
import time
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from detectors import checkpoint, sketches
from detectors.change_crops import SHARES, Kept, Plan, Pool
from detectors.change_drawing import Drawing
from detectors.change_net import KINDS, VEHICLE, Net, prepared
from detectors.change_pairs import ALTERED, APPEARED, IGNORE, TRAINING_SEEDS, Pair

HELD = 24
"""The last numbers below the end of the training seeds, by whose pairs the log follows the learning."""
_WEIGHT = (1.0, 2.0, 2.0, 2.0, 1.5)
_AVERAGED = 0.998
_CLOSING = 8.0
"""Seconds kept for counting and writing."""


def loss_of(logits: Tensor, label: Tensor) -> Tensor:
    """Cross entropy, what changed weighing double, plus the Dice loss of "changed" over the batch."""
    weight = torch.tensor(_WEIGHT, device=logits.device)
    entropy = F.cross_entropy(logits, label, weight, ignore_index=IGNORE, label_smoothing=0.01)
    learned = (label != IGNORE).float()
    likely = logits.softmax(1)[:, 1:VEHICLE].sum(1) * learned
    truth = ((label >= APPEARED) & (label <= ALTERED)).float()
    dice = 1 - (2 * (likely * truth).sum() + 1) / (likely.sum() + truth.sum() + 1)
    return entropy + 0.7 * dice


def counted(net: nn.Module, pairs: Sequence[Kept], device: torch.device) -> dict[str, float]:
    """Pixel F1 of "changed" at three thresholds over whole pairs that were not learned from."""
    totals = dict.fromkeys((0.35, 0.5, 0.65), np.zeros(3))
    for kept in pairs:
        height, width = (side // 16 * 16 for side in kept.stack.shape[1:])
        stack = kept.stack[:, :height, :width]
        valid = torch.ones((1, height, width), dtype=torch.bool, device=device)
        cell = torch.tensor([kept.gsd], device=device)
        with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            dates = [prepared(stack[None, at : at + 3], valid, cell) for at in (0, 3)]
            likely = net(*dates).float().softmax(1)[0, 1:VEHICLE].sum(0)
        label = stack[6]
        truth, learned = (label >= APPEARED) & (label <= ALTERED), label != IGNORE
        for threshold in totals:
            found = (likely >= threshold) & learned
            counts = [(found & truth).sum(), (found & ~truth).sum(), (~found & truth).sum()]
            totals[threshold] = totals[threshold] + np.array([float(one) for one in counts])
    return {
        f"f1_at_{threshold}": round(float(2 * hit / max(1.0, 2 * hit + false + missed)), 4)
        for threshold, (hit, false, missed) in totals.items()
    }


class Run:
    """One training run."""

    def __init__(self, plan: Plan, device: torch.device, pool: Pool, start: Mapping[str, Tensor] | None = None) -> None:
        """`start`: weights to go on from."""
        torch.manual_seed(plan.seed)
        self.plan, self.device, self.pool = plan, device, pool
        net = Net()
        if start is not None:
            net.load_state_dict(start)
        self.net = net.to(device).to(memory_format=torch.channels_last).train()
        self.averaged = deepcopy(self.net)
        self._optimiser = torch.optim.AdamW(self.net.parameters(), lr=plan.rate, weight_decay=1e-2)
        self.steps = 0

    def step(self, progress: float) -> Tensor:
        """One step; `progress`: 0 at the run's start, 1 at its end. Returns the loss, on the device."""
        warm = min(1.0, (self.steps + 1) / self.plan.warm)
        for part in self._optimiser.param_groups:
            part["lr"] = self.plan.rate * warm * (0.5 + 0.5 * math.cos(math.pi * min(1.0, progress)))
        before, after, label = self.pool.batch()
        # Many CPUs have no bfloat16 of their own and are ten times slower with it.
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
            logits = self.net(
                before.contiguous(memory_format=torch.channels_last),
                after.contiguous(memory_format=torch.channels_last),
            )
        loss = loss_of(logits.float(), label)
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.net.parameters(), 5.0)
        self._optimiser.step()
        self.steps += 1
        share = 1 - min(_AVERAGED, self.steps / (self.steps + 10))
        with torch.no_grad():
            for mean, now in zip(self.averaged.state_dict().values(), self.net.state_dict().values(), strict=True):
                if mean.is_floating_point():
                    mean.lerp_(now, share)
                else:
                    mean.copy_(now)
        return loss.detach()


class Log:
    """What happened when, printed as it does."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []
        self._started = time.monotonic()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._started

    def note(self, **told: Any) -> None:
        self.lines.append({"seconds": round(self.seconds, 1), **told})
        print(json.dumps(self.lines[-1]), flush=True)


@dataclass(frozen=True, slots=True)
class Trained:
    """What a run gives."""

    net: Net
    steps: int
    data_sha256: str
    pairs: dict[str, int]
    held: dict[str, dict[str, float]]
    losses: tuple[float, ...]
    examples: tuple[Kept, ...]
    """Pairs to show: held out where some were, else learned from."""

    def about(self, plan: Plan, start_sha256: str, real_pictures: bool) -> dict[str, str]:
        """What the weights' header says of them."""
        trained_on = "orthos/banepa; orthos/naip_2009_2016; flights/caliterra_east" if real_pictures else ""
        return {
            "plan": str(plan),
            "seed": str(plan.seed),
            "start_sha256": start_sha256,
            "steps": str(self.steps),
            "kinds": " ".join(KINDS),
            "data_sha256": self.data_sha256,
            "pairs": json.dumps(self.pairs),
            "trained_on": "; ".join(part for part in ("simulated seeds 0 to 9999", trained_on) if part),
            "frames": " ".join(f"IMG_{n}.jpg" for n in (*range(9361, 9375), *range(9379, 9384))),
            "held": json.dumps(self.held),
        }


def train(
    plan: Plan,
    device: torch.device,
    drawing: Drawing,
    log: Log,
    *,
    seconds: float,
    steps: int,
    start: Mapping[str, Tensor] | None = None,
    real_pictures: bool = True,
) -> Trained:
    """Learn from what `drawing` draws: `steps` steps on all of it, or as many as fit into `seconds` from the log's
    start."""
    pool, watched = Pool(plan, device), Pool(plan, device)

    def sort(pairs: Iterable[Pair]) -> None:
        for pair in sorted(pairs, key=lambda pair: pair.number):
            (watched if pair.number >= TRAINING_SEEDS - HELD else pool).add(pair)

    if steps:
        sort(drawing.every())
    wanted = [name for name in SHARES if name != "real" or real_pictures]
    while not steps and not all(pool.pairs[name] for name in wanted) and log.seconds < seconds / 2:
        sort(drawing.ready(wait=0.5))
    log.note(drawn=len(pool.hashes), device=str(device))
    run, losses, every = Run(plan, device, pool, start), list[Tensor](), list[Tensor]()
    while (run.steps < steps) if steps else (log.seconds < seconds):
        losses.append(run.step(run.steps / steps if steps else log.seconds / seconds))
        if not steps and run.steps % 10 == 0:
            sort(drawing.ready())
        if run.steps % (max(1, steps // 10) if steps else 200) == 0:
            log.note(step=run.steps, loss=round(float(torch.stack(losses).mean()), 4), drawn=len(pool.hashes))
            every += losses
            losses = []
    net = run.averaged.eval()
    held = {name: counted(net, some, device) for name, some in watched.pairs.items() if some}
    log.note(step=run.steps, held=held)
    pairs = {name: len(some) for name, some in pool.pairs.items()}
    shown = [some[0] for some in (watched if held else pool).pairs.values() if some]
    losses_ = tuple(loss.item() for loss in [*every, *losses])
    return Trained(net, run.steps, pool.digest, pairs, held, losses_, tuple(shown))


def shown(net: nn.Module, kept: Kept, device: torch.device) -> list[NDArray[np.uint8]]:
    """uint8 [3, H, W] each: before, after, the chance that the ground changed, and the truth (grey: not learned)."""
    height, width = (side // 16 * 16 for side in kept.stack.shape[1:])
    stack = kept.stack[:, :height, :width]
    valid = torch.ones((1, height, width), dtype=torch.bool, device=device)
    cell = torch.tensor([kept.gsd], device=device)
    with torch.inference_mode():
        dates = [prepared(stack[None, at : at + 3], valid, cell) for at in (0, 3)]
        likely = net(*dates).float().softmax(1)[0, 1:VEHICLE].sum(0)
    label = stack[6].cpu().numpy()
    truth = np.where(label == IGNORE, 90, np.where((label >= APPEARED) & (label <= ALTERED), 255, 0)).astype(np.uint8)
    chance = (255 * likely).round().to(torch.uint8).cpu().numpy()
    pictures = [stack[at : at + 3].cpu().numpy() for at in (0, 3)]
    return [*pictures, *(np.repeat(one[None], 3, axis=0) for one in (chance, truth))]


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line; see `--help`."""
    log, usual = Log(), Plan()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="safetensors file to write; its log beside it")
    parser.add_argument("--stock", type=Path, help="folder that detectors.change_stock packed; else simulated alone")
    parser.add_argument("--start", type=Path, help="weights to go on from")
    parser.add_argument("--seconds", type=float, default=0.0, help="how long the run may take, all in all")
    parser.add_argument("--steps", type=int, default=0, help="steps of a repeatable run, instead of --seconds")
    parser.add_argument("--pairs", type=int, default=400, help="pairs of a repeatable run")
    parser.add_argument("--workers", type=int, default=6, help="processes that draw")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--batch", type=int, default=usual.batch)
    parser.add_argument("--rate", type=float, default=usual.rate)
    parser.add_argument("--seed", type=int, default=usual.seed)
    given = parser.parse_args(arguments)
    if (given.seconds > 0) == (given.steps > 0):
        parser.error("say either --seconds or --steps")
    warm = min(100, max(1, given.steps // 4)) if given.steps else 100
    plan = Plan(seed=given.seed, batch=given.batch, rate=given.rate, warm=warm)
    start, sha256 = _start(given.start)
    numbers = range(given.pairs if given.steps else TRAINING_SEEDS - HELD)
    held = range(TRAINING_SEEDS - HELD, TRAINING_SEEDS) if given.seconds else ()
    drawing = Drawing(given.stock, [*held, *numbers], given.workers)
    try:
        seconds = max(1.0, given.seconds - _CLOSING) if given.seconds else 0.0
        trained = train(
            plan, torch.device(given.device), drawing, log,
            seconds=seconds, steps=given.steps, start=start, real_pictures=given.stock is not None,
        )  # fmt: skip
    finally:
        drawing.stop()
    about = trained.about(plan, sha256, given.stock is not None)
    print(f"{given.out} {checkpoint.write(given.out, trained.net.state_dict(), about)}")
    given.out.with_suffix(".json").write_text(json.dumps({"about": about, "log": log.lines}, indent=1))
    sketches.curve(trained.losses, given.out.with_name(f"{given.out.stem}-curve.png"), given.out.stem)
    strips = [shown(trained.net, kept, torch.device(given.device)) for kept in trained.examples]
    sketches.strips(strips, given.out.with_name(f"{given.out.stem}-examples.png"))


def _start(path: Path | None) -> tuple[Mapping[str, Tensor] | None, str]:
    """Weights to go on from and their SHA-256. Raises `Refused`: see `checkpoint.read`."""
    if path is None:
        return None, ""
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return checkpoint.read(path, sha256), sha256


if __name__ == "__main__":
    main()
