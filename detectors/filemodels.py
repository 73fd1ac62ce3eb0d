"""Models that people bring as files, run window by window like our own: TorchScript, ONNX, torchvision, few-shot."""

import pickle
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from detectors.base import Detector
from detectors.shelf import BACKGROUND, FileModel
from imagery.errors import Refused

Run = Callable[[Tensor], Any]
"""Takes scaled pixels float32 [N, 3, H, W]; gives logits, or what a torchvision detection model gives."""
_BOX_SCORE = 0.05
"""Findings of a detection model that are surer than this are painted."""


class FileDetector:
    """A model file on its device; `scores` as `detectors.base.Detector` says."""

    def __init__(self, model: FileModel, run: Run, device: str) -> None:
        self.spec = model.spec
        self._model, self._run, self._device = model, run, torch.device(device)
        self._offset, self._by = (
            torch.tensor(part, device=self._device).view(1, 3, 1, 1) for part in (model.scale.offset, model.scale.by)
        )

    def scores(self, pixels: Tensor, valid: Tensor) -> Tensor:
        """uint8 [N, C, H, W] where `pixels` are."""
        with torch.inference_mode():
            seen = valid.to(self._device)
            scaled = (pixels.to(self._device).float() - self._offset) / self._by
            found = self._run(scaled * seen[:, None])
            size = pixels.shape[-2], pixels.shape[-1]
            if isinstance(found, list):  # torchvision's detection models
                planes = torch.stack([painted(one, self._model.outputs, self.spec.classes, size) for one in found])
            else:
                planes = self._planes(found["out"] if isinstance(found, Mapping) else found, size)
            return ((planes * 255).round().clamp(0, 255) * seen[:, None]).to(torch.uint8).to(pixels.device)

    def _planes(self, logits: Tensor, size: tuple[int, int]) -> Tensor:
        """float [N, C, H, W], 0 to 1, of a segmentation model's outputs [N, K, h, w]."""
        outputs = self._model.outputs
        if logits.dim() != 4 or logits.shape[1] != len(outputs):
            raise Refused(
                "other-network",
                f"{self._model.weights.name} gave {tuple(logits.shape)}; its item names {len(outputs)} outputs.",
                "Mend mlm:output in the item.",
            )
        if logits.shape[-2:] != size:
            logits = F.interpolate(logits, size, mode="bilinear", align_corners=False)
        chances = bool((logits >= 0).all()) and bool((logits <= 1).all())
        background = any(name in BACKGROUND for name in outputs)
        likely = logits if chances else logits.softmax(1) if background else logits.sigmoid()
        return likely[:, [outputs.index(name) for name in self.spec.classes]]


def ready(model: FileModel, device: str = "cpu") -> Detector:
    """The model on its device. Raises `Refused`: pickled, other-network, not-torchscript, not-onnx."""
    if model.kind == "few-shot":
        from detectors.few import FewShot

        return FewShot.read(model, device)
    if model.kind == "debris":
        from detectors.debris import Debris

        return Debris.read(model.weights, model.spec.weights_sha256, device, model.spec)
    runs = {"torchscript": _torchscript, "onnx": _onnx, "torchvision": _torchvision}
    return FileDetector(model, runs[model.kind](model, device), device)


def state_dict(path: Path) -> dict[str, Tensor]:
    """The tensors of a file from safetensors, or from `torch.save` without any other object in it.

    Raises `Refused`: pickled (it holds objects, and reading those runs code), no-weights.
    """
    if path.suffix == ".safetensors":
        try:
            tensors: dict[str, Tensor] = load_file(path)
        except SafetensorError as error:
            raise Refused("pickled", f"{path} is no safetensors file: {error}.", "Export the state dict.") from error
        return tensors
    try:
        kept = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise Refused("no-weights", f"There are no weights at {path}.", "Put them beside the item.") from None
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        raise Refused(
            "pickled",
            f"{path} holds more than tensors, and reading pickled objects runs code: {str(error).splitlines()[0]}",
            "Save the state dict alone: torch.save(model.state_dict(), FILE), better yet as safetensors.",
        ) from error
    kept = kept.get("model", kept) if isinstance(kept, dict) and "model" in kept else kept
    if not isinstance(kept, dict) or not all(isinstance(one, Tensor) for one in kept.values()):
        raise Refused("pickled", f"{path} is no state dict.", "Save torch.save(model.state_dict(), FILE).")
    return kept


def _torchscript(model: FileModel, device: str) -> Run:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that TorchScript is in maintenance is no news to who brings one
            loaded = torch.jit.load(str(model.weights), map_location=device)  # type: ignore[no-untyped-call]
    except RuntimeError as error:
        raise Refused(
            "not-torchscript",
            f"{model.weights} is no TorchScript program: {str(error).splitlines()[0]}",
            "Write it with torch.jit.save; a pickled module (torch.save) is never read.",
        ) from error
    run: Run = loaded.eval()
    return run


def _onnx(model: FileModel, device: str) -> Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    wanted = (
        ["CUDAExecutionProvider", "CPUExecutionProvider"] if device.startswith("cuda") else ["CPUExecutionProvider"]
    )
    try:
        session = onnxruntime.InferenceSession(
            str(model.weights),
            options,
            providers=[one for one in wanted if one in onnxruntime.get_available_providers()],
        )
    except Exception as error:
        raise Refused("not-onnx", f"{model.weights} is no ONNX model: {error}.", "Export it anew.") from error
    name = session.get_inputs()[0].name

    def run(pixels: Tensor) -> Tensor:
        out = session.run(None, {name: pixels.cpu().numpy().astype(np.float32)})[0]
        return torch.from_numpy(np.asarray(out)).to(pixels.device)

    return run


def _torchvision(model: FileModel, device: str) -> Run:
    from torchvision.models import get_model, list_models

    name = model.architecture.removeprefix("torchvision/")
    if name not in list_models():
        raise Refused("other-network", f"torchvision has no model {name}.", "`torchvision.models.list_models()` tells.")
    outputs = len(model.outputs)
    options: dict[str, Any] = {"weights": None, "weights_backbone": None, "num_classes": outputs}
    try:
        net: nn.Module = get_model(name, **options)
        net.load_state_dict(state_dict(model.weights))
    except (RuntimeError, TypeError, ValueError) as error:
        raise Refused(
            "other-network",
            f"The weights in {model.weights} are not those of a {name} with {outputs} outputs: "
            f"{str(error).splitlines()[0]}",
            "Name every output of the model in mlm:output, the background first.",
        ) from error
    net = net.eval().to(device)
    if "detection" in type(net).__module__:
        return lambda pixels: net(list(pixels))
    return net


def painted(
    found: Mapping[str, Tensor], outputs: tuple[str, ...], classes: tuple[str, ...], size: tuple[int, int]
) -> Tensor:
    """float [C, H, W] of one window's boxes, labels, scores and, where there are any, masks; the surest is on top."""
    height, width = size
    planes = torch.zeros(len(classes), height, width, device=found["scores"].device)
    for index in torch.argsort(found["scores"], stable=True).tolist():
        score = found["scores"][index]
        label = int(found["labels"][index])
        name = outputs[label] if label < len(outputs) else ""
        if name not in classes or score < _BOX_SCORE:
            continue
        plane = planes[classes.index(name)]
        if "masks" in found:
            inside = found["masks"][index, 0] >= 0.5
        else:
            inside = torch.zeros(height, width, dtype=torch.bool, device=planes.device)
            left, top, right, bottom = (round(float(edge)) for edge in found["boxes"][index])
            inside[max(0, top) : bottom, max(0, left) : right] = True
        plane[inside] = torch.maximum(plane[inside], score)
    return planes
