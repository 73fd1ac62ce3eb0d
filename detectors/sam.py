"""Segment Anything (Kirillov et al., ICCV 2023) from a checkpoint that a person fetched: masks of everything, or of
what points and boxes show. The official package runs it; its weights are too large to ship, and are never downloaded.

`FLYONCE_SAM_CHECKPOINT` names the file. Its SHA-256 must be that of one of the official checkpoints, or the one in
`FLYONCE_SAM_SHA256`, with `FLYONCE_SAM_TYPE` saying which network it is. Only tensors are read from it.
"""

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from detectors.base import ModelSpec
from detectors.filemodels import state_dict
from detectors.registry import Shelved
from imagery.errors import Refused


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """An official one."""

    kind: str
    file: str
    sha256: str
    megabytes: int


OFFICIAL = (
    Checkpoint(
        "vit_b", "sam_vit_b_01ec64.pth", "ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912", 375
    ),
    Checkpoint(
        "vit_l", "sam_vit_l_0b3195.pth", "3adcc4315b642a4d2101128f611684e8734c41232a17c648ed1693702a49a622", 1249
    ),
    Checkpoint(
        "vit_h", "sam_vit_h_4b8939.pth", "a7bf3b02f3ebf1267aba913ff637d9a2d5c33d3173bb679e46d9f338c26f262e", 2564
    ),
)
SIDE = 1024
"""Cells of a window: what the network was trained on."""
QUALITY, STABILITY = 0.88, 0.95
"""Of a mask by the network's own estimate, as the official generator has them."""
BATCH_OF_POINTS = 64


def get(environment: Mapping[str, str] = os.environ) -> tuple[Path, str, str]:
    """The checkpoint's file, which network it is, and its SHA-256.

    Refused: no-checkpoint (with the file to get, and from whom), wrong-checksum.
    """
    named = environment.get("FLYONCE_SAM_CHECKPOINT", "")
    path = Path(named)
    if not named or not path.is_file():
        wanted = OFFICIAL[0]
        found = f"{named} is not there" if named else "FLYONCE_SAM_CHECKPOINT is not set"
        raise Refused(
            "no-checkpoint",
            f"sam needs its weights, which flyonce does not ship: {found}.",
            f"Get {wanted.file} ({wanted.megabytes} MB, Apache-2.0, SHA-256 {wanted.sha256}) from Meta AI, as the "
            "README of facebookresearch/segment-anything says under Model Checkpoints, and set FLYONCE_SAM_CHECKPOINT.",
        )
    sha256 = _sha256(str(path.resolve()), path.stat().st_mtime_ns)
    for one in OFFICIAL:
        if one.sha256 == sha256:
            return path, one.kind, sha256
    if environment.get("FLYONCE_SAM_SHA256", "").lower() == sha256:
        return path, environment.get("FLYONCE_SAM_TYPE", "vit_b"), sha256
    raise Refused(
        "wrong-checksum",
        f"{path} is none of the official checkpoints: its SHA-256 is {sha256}.",
        "Fetch it again; for weights of your own set FLYONCE_SAM_SHA256 and FLYONCE_SAM_TYPE.",
    )


@lru_cache(maxsize=4)
def _sha256(path: str, _changed: int) -> str:
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def specification(sha256: str = "") -> ModelSpec:
    """SAM as a detector of everything: one class, `segment`, on cells of 8 cm."""
    return ModelSpec(
        name="sam",
        version="1",
        classes=("segment",),
        gsd=0.08,
        core=SIDE - 256,
        halo=128,
        batch=1,
        thresholds=(128,),
        min_area=1.0,
        licence="Apache-2.0",
        weights_sha256=sha256,
    )


def shelved() -> Shelved:
    """SAM on the shelf; without a checkpoint it is shown, and refuses to load with what to do."""
    try:
        _, kind, sha256 = get()
    except Refused:
        kind, sha256 = "vit", ""
    return Shelved(
        specification(sha256),
        Sam.load,
        None,
        f"Segment Anything {kind}",
        "Outlines everything, or what points and boxes show; tightens other detectors' outlines.",
    )


def build(kind: str) -> Any:
    """The official network of that kind, without weights. Refused: other-network."""
    from segment_anything import sam_model_registry

    if kind not in sam_model_registry:
        raise Refused("other-network", f"There is no SAM of type {kind}.", "FLYONCE_SAM_TYPE is vit_b, vit_l or vit_h.")
    return sam_model_registry[kind](checkpoint=None)


class Sam:
    """The network on its device."""

    def __init__(self, net: Any, device: str = "cpu", sha256: str = "", points: int = 32) -> None:
        """`points`: a side of the grid of points that automatic masks start from."""
        self.spec = specification(sha256)
        self._net = net.eval().to(device)
        self._points = points

    @classmethod
    def load(cls, device: str = "cpu", builder: Callable[[str], Any] = build) -> "Sam":
        """From `FLYONCE_SAM_CHECKPOINT`. Refused: see `get`; pickled, other-network."""
        path, kind, sha256 = get()
        net = builder(kind)
        try:
            net.load_state_dict(state_dict(path))
        except RuntimeError as error:
            raise Refused(
                "other-network",
                f"{path} is no SAM of type {kind}: {str(error).splitlines()[0]}",
                "Set FLYONCE_SAM_TYPE.",
            ) from error
        return cls(net, device, sha256)

    def scores(self, pixels: Tensor, valid: Tensor) -> Tensor:
        """uint8 [N, 1, H, W] where `pixels` are: the network's own estimate of each mask's quality. Masks are drawn
        without their rims, the smallest on top, so that neighbours stay apart."""
        out = torch.zeros((len(pixels), 1, *pixels.shape[-2:]), dtype=torch.uint8)
        for index, (window, seen) in enumerate(zip(pixels.cpu(), valid.cpu(), strict=True)):
            for mask, quality in self.everything(window.permute(1, 2, 0).contiguous().numpy()):
                inside = torch.from_numpy(_without_rim(mask)) & seen
                rim = torch.from_numpy(mask) & seen & ~inside
                out[index, 0][rim] = 0
                out[index, 0][inside] = round(255 * min(1.0, quality))
        return out.to(pixels.device)

    def everything(self, image: NDArray[np.uint8]) -> list[tuple[NDArray[np.bool_], float]]:
        """All masks of an image uint8 [H, W, 3] with their quality, the largest first."""
        from segment_anything import SamAutomaticMaskGenerator

        maker = SamAutomaticMaskGenerator(
            self._net,
            points_per_side=self._points,
            points_per_batch=BATCH_OF_POINTS,
            pred_iou_thresh=QUALITY,
            stability_score_thresh=STABILITY,
        )
        with torch.inference_mode():
            found = maker.generate(image)
        found.sort(key=lambda one: (-one["area"], one["bbox"]))
        return [(one["segmentation"], float(one["predicted_iou"])) for one in found]

    def prompted(
        self,
        image: NDArray[np.uint8],
        *,
        points: Sequence[tuple[float, float]] = (),
        box: tuple[float, float, float, float] | None = None,
    ) -> tuple[NDArray[np.bool_], float]:
        """The best mask of an image uint8 [H, W, 3] for points (x, y) on a thing, a box (left, top, right, bottom)
        about it, or both, and its quality. ValueError where neither is given."""
        from segment_anything import SamPredictor

        if not points and box is None:
            raise ValueError("a prompt is a point or a box")
        predictor = SamPredictor(self._net)
        with torch.inference_mode():
            predictor.set_image(image)
            masks, quality, _ = predictor.predict(
                point_coords=np.array(points, dtype=np.float32) if points else None,
                point_labels=np.ones(len(points), dtype=np.int32) if points else None,
                box=np.array(box, dtype=np.float32) if box else None,
                multimask_output=box is None,
            )
        best = int(quality.argmax())
        return masks[best], float(quality[best])


def _without_rim(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The mask less the cells that have a neighbour outside of it."""
    padded = np.pad(mask, 1)
    return mask & padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
