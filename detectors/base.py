"""What every detector is: a specification that fixes its windows, and a function from pixels to quantised scores."""

from dataclasses import dataclass
from typing import Protocol

import torch

from imagery.tiles import TilePlan


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """One version of one model. Everything that its result depends on is named here and goes into the result's key."""

    name: str
    version: str
    classes: tuple[str, ...]
    """Class k of this tuple is value k + 1 in masks; 0 is clean, 255 not analysed."""
    gsd: float
    """Metres on the ground per pixel that the model sees."""
    core: int
    halo: int
    """Cells; core + 2 * halo is the side of the window the network is given."""
    batch: int
    """Fixed, the last batch padded, so that results do not depend on how windows were grouped."""
    thresholds: tuple[int, ...]
    """Per class, on the quantised 0..255 score; at or above is a detection."""
    min_area: float
    """Square metres; smaller polygons are dropped after seams are merged."""
    licence: str
    weights_sha256: str = ""
    lattice: int = 0
    """Where only part of a window has pixels, the network may be given just that part with `halo` around it, its edges
    on multiples of this many cells: for networks whose scores depend on nothing further away. 0: whole windows only."""

    @property
    def plan(self) -> TilePlan:
        return TilePlan(self.core, self.halo)


class Detector(Protocol):
    """A model ready on its device. Stateless: equal input gives equal output."""

    spec: ModelSpec

    def scores(self, pixels: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
        """Scores of a batch.

        `pixels`: uint8 [N, 3, H, W], RGB at `spec.gsd`. `valid`: bool [N, H, W], True where the source has pixels.
        Returns uint8 [N, C, H, W] on the device of `pixels`, one plane per class, 0 where not valid.
        """
        ...
