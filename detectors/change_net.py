"""A small Siamese network that tells what changed between two registered dates: one file, torch alone.

Both dates go through one encoder; at four scales their features and the distance between them are fused, and a decoder
comes back to half the resolution (fully convolutional Siamese differencing: Daudt, Le Saux, Boulch, "Fully
convolutional Siamese networks for change detection", ICIP 2018). Nothing in it looks over the whole picture, so a
cell's answer depends on the ground around it and on nothing else. The cell size goes in as a plane of its own: a
thing of twenty cells is a heap at 6 cm and a house at half a metre.
"""

import math
from pathlib import Path
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from detectors import checkpoint
from imagery.errors import Refused

KINDS = ("appeared", "disappeared", "altered")
"""What a change can be, in the order of the outputs behind "unchanged"."""
VEHICLE = len(KINDS) + 1
"""The last output: a vehicle that came, went or moved. Learned so that it is told from a change, never reported."""
STRIDE = 16
"""Both sides of a window are multiples of it."""
WIDTHS = (24, 48, 80, 128)
FINEST, COARSEST = 0.03, 1.0
"""Cell sizes in metres, a little beyond those that the network was shown, between which it is asked."""


class Step(nn.Module):
    """Convolution, normalisation, ReLU."""

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


class Pair(nn.Module):
    """Features of both dates and their distance, brought to one width."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.mix = Step(3 * width, width, side=1)
        self.look = Step(width, width)

    def forward(self, before: Tensor, after: Tensor) -> Tensor:
        out: Tensor = self.look(self.mix(torch.cat((before, after, (before - after).abs()), 1)))
        return out


class Block(nn.Module):
    """Two steps around a shortcut; the first may halve the resolution."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.enter = Step(inputs, outputs, stride)
        self.again = Step(outputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = self.enter(x)
        out: Tensor = x + self.again(x)
        return out


class Net(nn.Module):
    """Two dates in, logits of unchanged, the kinds of change and moved vehicles out."""

    def __init__(self, widths: tuple[int, int, int, int] = WIDTHS) -> None:
        super().__init__()
        a, b, c, d = widths
        self.stem = nn.Sequential(Step(5, a, 2, 5), Step(a, a))
        self.down = nn.ModuleList([Block(a, b, 2), Block(b, c, 2), Block(c, d, 2)])
        self.pairs = nn.ModuleList([Pair(width) for width in widths])
        self.deep = Step(d, d)
        self.up = nn.ModuleList([Step(d + c, c), Step(c + b, b), Step(b + a, 2 * a)])
        self.head = nn.Conv2d(2 * a, 4 * (VEHICLE + 1), 1)

    def forward(self, before: Tensor, after: Tensor) -> Tensor:
        """Both float [N, 5, H, W] of `prepared`, sides multiples of 16. Returns logits [N, 2 + kinds, H, W]."""
        count = before.shape[0]
        levels = [self.stem(torch.cat((before, after)))]
        for step in self.down:
            levels.append(step(levels[-1]))
        fused = [fuse(each[:count], each[count:]) for fuse, each in zip(self.pairs, levels, strict=True)]
        x = self.deep(fused[-1])
        for step, skip in zip(self.up, fused[-2::-1], strict=True):
            x = step(torch.cat((F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False), skip), 1))
        return F.pixel_shuffle(self.head(x), 2)


def prepared(pixels: Tensor, valid: Tensor, cell: Tensor) -> Tensor:
    """float32 [N, 5, H, W]: scaled RGB, validity, cell size. `pixels`: [N, 3, H, W] in 0..255; `valid`: bool
    [N, H, W]; `cell`: float [N], metres."""
    seen = valid[:, None].float()
    size = (torch.log2(cell / 0.06) / 3)[:, None, None, None].expand_as(seen)
    return torch.cat(((pixels.float() / 64 - 1.75) * seen, seen, size), 1)


class ChangeNet:
    """The network on its device. Stateless: equal input gives equal output."""

    def __init__(self, net: Net, device: str = "cpu") -> None:
        self._device = torch.device(device)
        net = net.eval()
        for module in net.modules():
            if isinstance(module, Step):
                module.fold()
        self._net = net.to(self._device).to(memory_format=torch.channels_last)

    @classmethod
    def read(cls, path: Path, sha256: str, device: str = "cpu") -> Self:
        """With the weights at `path`. Refused: other-network; see `checkpoint.read`."""
        net, tensors = Net(), checkpoint.read(path, sha256)
        needed = {name: tensor.shape for name, tensor in net.state_dict().items()}
        if needed != {name: tensor.shape for name, tensor in tensors.items()}:
            raise Refused("other-network", f"The weights in {path} are not those of this network.", "Train them anew.")
        net.load_state_dict(tensors)
        return cls(net, device)

    def likely(self, before: Tensor, after: Tensor, valid: Tensor, cell: float) -> Tensor:
        """float32 [kinds, H, W] on the CPU: how likely each kind of change is, 0 where not valid.

        `before`, `after`: [3, H, W] in 0..255, the second registered on the first; `valid`: bool [H, W], seen on both.
        ValueError where a side is no multiple of 16.
        """
        if before.shape[-1] % STRIDE or before.shape[-2] % STRIDE:
            raise ValueError(f"a window of {tuple(before.shape[-2:])} px: both sides must be multiples of {STRIDE}")
        size = torch.tensor([cell], device=self._device)
        seen = valid[None].to(self._device)
        with torch.inference_mode():
            dates = [
                prepared(date[None].to(self._device), seen, size).contiguous(memory_format=torch.channels_last)
                for date in (before, after)
            ]
            kinds = self._net(*dates).float().softmax(1)[0, 1:VEHICLE]
            return torch.as_tensor(kinds * seen).cpu()


def fits(cell: float) -> bool:
    """Whether the network was shown grounds of about this cell size, in metres."""
    return FINEST <= cell <= COARSEST or math.isclose(cell, COARSEST)
