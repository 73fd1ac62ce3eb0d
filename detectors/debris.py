"""Spoil heaps, construction material and debris seen from above: a small U-Net of our own, one file.

Fully convolutional, no operation over the whole picture, batch normalisation folded into the convolutions when loaded:
a pixel's score depends on the ground within `spec.halo` cells of it and on nothing else. The encoder halves the
resolution four times (Ronneberger, Fischer, Brox, "U-Net", MICCAI 2015), the decoder comes back to half of it.
"""

from pathlib import Path
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from detectors import checkpoint
from detectors.base import ModelSpec
from imagery.errors import Refused

CLASSES = ("spoil_heap", "construction_material", "debris")
VEHICLE = len(CLASSES) + 1
"""The last output: learned so that vehicles are told apart, never reported."""
GSD = 0.08
STRIDE = 16
"""Windows must start and end on multiples of this many cells of the grid."""

spec = ModelSpec(
    name="debris",
    version="1",
    classes=CLASSES,
    gsd=GSD,
    core=1024,
    halo=128,
    batch=1,
    thresholds=(154, 154, 154),
    min_area=1.0,
    licence="Apache-2.0",
    weights_sha256="c8c50ae048cc26071afbdaf66d505f9b0ed4a17943cfa8db117c31b0bbc50302",
)


class Step(nn.Module):
    """3 x 3 convolution, normalisation, ReLU."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1, side: int = 3) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, side, stride, side // 2, bias=False)
        self.norm: nn.Module = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.norm(self.conv(x)), inplace=True)

    def fold(self) -> None:
        """Take the normalisation's trained statistics into the convolution."""
        if isinstance(self.norm, nn.BatchNorm2d):
            self.conv, self.norm = fuse_conv_bn_eval(self.conv, self.norm), nn.Identity()


class Net(nn.Module):
    """uint8-scaled RGB and validity in, logits of background, the classes and vehicles out."""

    def __init__(self, widths: tuple[int, int, int, int] = (16, 32, 64, 96)) -> None:
        super().__init__()
        a, b, c, d = widths
        self.at_half = nn.Sequential(Step(4, a, 2, 5), Step(a, a))
        self.at_quarter = nn.Sequential(Step(a, b, 2), Step(b, b), Step(b, b))
        self.at_eighth = nn.Sequential(Step(b, c, 2), Step(c, c), Step(c, c))
        self.at_sixteenth = nn.Sequential(Step(c, d, 2), Step(d, d), Step(d, d))
        self.to_eighth = Step(d + c, c)
        self.to_quarter = Step(c + b, b)
        self.to_half = Step(b + a, a)
        self.head = nn.Conv2d(a, VEHICLE + 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """`x`: float [N, 4, H, W] of `prepared`, H and W multiples of 16. Returns logits [N, 2 + C, H, W]."""
        half = self.at_half(x)
        quarter = self.at_quarter(half)
        eighth = self.at_eighth(quarter)
        sixteenth = self.at_sixteenth(eighth)
        up = self.to_eighth(torch.cat((_twice(sixteenth), eighth), 1))
        up = self.to_quarter(torch.cat((_twice(up), quarter), 1))
        up = self.to_half(torch.cat((_twice(up), half), 1))
        return _twice(self.head(up))


def prepared(pixels: Tensor, valid: Tensor) -> Tensor:
    """float32 [N, 4, H, W] from uint8 [N, 3, H, W] and bool [N, H, W]: what is not valid is mid grey and marked."""
    seen = valid[:, None].float()
    return torch.cat(((pixels.float() / 64 - 1.75) * seen, seen), 1)


def planes(logits: Tensor) -> Tensor:
    """uint8 [N, C, H, W] from logits [N, 2 + C, H, W]: how likely it is any of the classes, in the plane of the
    likeliest. A brick heap that half looks like rubble is still found once."""
    likely = logits.softmax(1)[:, 1:VEHICLE]
    score = (likely.sum(1, keepdim=True) * 255).round()
    best = likely.argmax(1, keepdim=True)
    return torch.zeros_like(likely).scatter_(1, best, score).to(torch.uint8)


class Debris:
    """The detector on its device; `scores` as `detectors.base.Detector` says."""

    def __init__(self, net: Net, device: str = "cpu") -> None:
        self.spec = spec
        self._device = torch.device(device)
        net = net.eval()
        for module in net.modules():
            if isinstance(module, Step):
                module.fold()
        self._net = net.to(self._device).to(memory_format=torch.channels_last)

    @classmethod
    def load(cls, device: str = "cpu") -> Self:
        """With the weights that ship with flyonce. Refused: see `checkpoint.read`."""
        return cls.read(checkpoint.FOLDER / f"debris-{spec.version}.safetensors", spec.weights_sha256, device)

    @classmethod
    def read(cls, path: Path, sha256: str, device: str = "cpu") -> Self:
        """With the weights at `path`, whose SHA-256 must be `sha256`. Refused: other-network; see `checkpoint.read`."""
        net, tensors = Net(), checkpoint.read(path, sha256)
        needed = {name: tensor.shape for name, tensor in net.state_dict().items()}
        if needed != {name: tensor.shape for name, tensor in tensors.items()}:
            raise Refused("other-network", f"The weights in {path} are not those of this network.", "Train them anew.")
        net.load_state_dict(tensors)
        return cls(net, device)

    def scores(self, pixels: Tensor, valid: Tensor) -> Tensor:
        """uint8 [N, C, H, W] where `pixels` are. ValueError where H or W is no multiple of 16."""
        if pixels.shape[-1] % STRIDE or pixels.shape[-2] % STRIDE:
            raise ValueError(f"a window of {tuple(pixels.shape[-2:])} px: both sides must be multiples of {STRIDE}")
        with torch.inference_mode():
            x = prepared(pixels.to(self._device), valid.to(self._device))
            found = planes(self._net(x.contiguous(memory_format=torch.channels_last)))
            return (found * valid.to(self._device)[:, None]).to(pixels.device)


def _twice(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
