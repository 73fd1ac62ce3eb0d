"""Spoil heaps, construction material and debris seen from above: a small U-Net of our own, one file.

Fully convolutional, no operation over the whole picture, batch normalisation folded into the convolutions when loaded:
a pixel's score depends on the ground within `spec.halo` cells of it and on nothing else. The encoder is the first five
stages of EfficientNet-Lite0 (Tan and Le, ICML 2019; without squeeze-and-excitation, so that nothing looks at the whole
picture), which training starts from weights learned on ImageNet; the decoder comes back from a sixteenth to half of
the resolution (Ronneberger, Fischer, Brox, "U-Net", MICCAI 2015).
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
"""The last output: learned so that vehicles, and what people rejected, are told apart; never reported."""
GSD = 0.08
STRIDE = 16
"""Windows must start and end on multiples of this many cells of the grid."""

spec = ModelSpec(
    name="debris",
    version="3",
    classes=CLASSES,
    gsd=GSD,
    core=1024,
    halo=128,
    batch=1,
    thresholds=(245, 245, 245),
    min_area=1.0,
    licence="Apache-2.0",
    weights_sha256="468aa7bf11423ec5b9d8ab96df23bedfcafb3f7c418dd3a014c711a903db5f0e",
    lattice=2 * STRIDE,
)


class Step(nn.Module):
    """Convolution, normalisation, and ReLU6 unless `linear`."""

    def __init__(
        self, inputs: int, outputs: int, side: int = 3, stride: int = 1, *, groups: int = 1, linear: bool = False
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, side, stride, side // 2, groups=groups, bias=False)
        self.norm: nn.Module = nn.BatchNorm2d(outputs, eps=1e-3)
        self._linear = linear

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.conv(x))
        return x if self._linear else F.relu6(x, inplace=True)

    def fold(self) -> None:
        """Take the normalisation's trained statistics into the convolution."""
        if isinstance(self.norm, nn.BatchNorm2d):
            self.conv, self.norm = fuse_conv_bn_eval(self.conv, self.norm), nn.Identity()


class Inverted(nn.Module):
    """Inverted residual: widen, look around in every channel by itself, narrow (Sandler et al., "MobileNetV2")."""

    def __init__(self, inputs: int, outputs: int, side: int, stride: int, widen: int) -> None:
        super().__init__()
        wide = inputs * widen
        self.expand = Step(inputs, wide, 1) if widen > 1 else nn.Identity()
        self.depthwise = Step(wide, wide, side, stride, groups=wide)
        self.project = Step(wide, outputs, 1, linear=True)
        self._adds = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.project(self.depthwise(self.expand(x)))
        return x + found if self._adds else found


STAGES = (
    ((32, 16, 3, 1, 1),),
    ((16, 24, 3, 2, 6), (24, 24, 3, 1, 6)),
    ((24, 40, 5, 2, 6), (40, 40, 5, 1, 6)),
    ((40, 80, 3, 2, 6), (80, 80, 3, 1, 6), (80, 80, 3, 1, 6)),
)
"""Of EfficientNet-Lite0: inputs, outputs, side of the kernel, stride, widening of every block; a stage ends at a half,
a quarter, an eighth and a sixteenth of the resolution."""


class Net(nn.Module):
    """RGB and validity of `prepared` in, logits of background, the classes and vehicles out."""

    def __init__(self, classes: int = len(CLASSES)) -> None:
        super().__init__()
        self.stem = Step(4, 32, 3, 2)
        self.stages = nn.ModuleList(nn.Sequential(*(Inverted(*block) for block in stage)) for stage in STAGES)
        self.context = Step(80, 96)
        self.to_eighth = Step(96 + 40, 64)
        self.to_quarter = Step(64 + 24, 40)
        self.to_half = Step(40 + 16, 24)
        self.head = nn.Conv2d(24, classes + 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        """`x`: float [N, 4, H, W] of `prepared`, H and W multiples of 16. Returns logits [N, 2 + C, H, W]."""
        half = self.stages[0](self.stem(x))
        quarter = self.stages[1](half)
        eighth = self.stages[2](quarter)
        up = self.context(self.stages[3](eighth))
        up = self.to_eighth(torch.cat((_twice(up), eighth), 1))
        up = self.to_quarter(torch.cat((_twice(up), quarter), 1))
        up = self.to_half(torch.cat((_twice(up), half), 1))
        return _twice(self.head(up))


def prepared(pixels: Tensor, valid: Tensor) -> Tensor:
    """float32 [N, 4, H, W] from uint8 [N, 3, H, W] and bool [N, H, W]: what is not valid is mid grey and marked."""
    seen = valid[:, None].float()
    return torch.cat(((pixels.float() / 128 - 1) * seen, seen), 1)


def planes(logits: Tensor) -> Tensor:
    """uint8 [N, C, H, W] from logits [N, 2 + C, H, W]: how likely it is any of the classes, in the plane of the
    likeliest. A brick heap that half looks like rubble is still found once."""
    likely = logits.softmax(1)[:, 1:-1]
    score = (likely.sum(1) * 255).round().to(torch.uint8)
    # The first of equals, as `argmax` has it, which took a fifth of a window's time on classes that lie side by side.
    top, best = likely[:, 0], torch.zeros_like(score)
    for index in range(1, likely.shape[1]):
        best.masked_fill_(likely[:, index] > top, index)
        top = torch.maximum(top, likely[:, index])
    return torch.stack([score * (best == index) for index in range(likely.shape[1])], 1)


class Debris:
    """The detector on its device; `scores` as `detectors.base.Detector` says."""

    def __init__(self, net: Net, device: str = "cpu", spec: ModelSpec = spec) -> None:
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
    def read(cls, path: Path, sha256: str, device: str = "cpu", spec: ModelSpec = spec) -> Self:
        """With the weights at `path`, whose SHA-256 must be `sha256`; `spec`: of weights that were taught anew.

        Refused: other-network; see `checkpoint.read`.
        """
        net, tensors = Net(len(spec.classes)), checkpoint.read(path, sha256)
        needed = {name: tensor.shape for name, tensor in net.state_dict().items()}
        if needed != {name: tensor.shape for name, tensor in tensors.items()}:
            raise Refused("other-network", f"The weights in {path} are not those of this network.", "Train them anew.")
        net.load_state_dict(tensors)
        return cls(net, device, spec)

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
