"""Crops to learn from: cut out of labelled pictures, turned and scaled, pasted onto other ground, in other light.

Everything but the choice of places happens on the device that trains, whole batches at a time.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from detectors.debris import CLASSES, prepared
from detectors.samples import IGNORE, LOOK_ALIKE, Sample
from imagery.tiles import Window

CROP = 160
_PATCH = 304
"""Cut first: a crop turned by 45° and a third smaller fits into it."""
_REACH = math.log(1.34)


@dataclass(frozen=True, slots=True)
class Group:
    """Samples of one kind. `share` of the crops of a batch come from it, `near` of them from about an object; onto
    `pasted` of them the objects of another crop are pasted."""

    samples: Sequence[Sample]
    share: float
    near: float = 0.55
    pasted: float = 0.0
    zoom: float = 0.25
    """Crops are scaled by up to exp(± zoom); enlarged by up to twice that where nothing in them is labelled."""


class Crops:
    """Random crops of the groups' samples, the same for the same seed and device. `classes`: how many there are."""

    def __init__(
        self, groups: Sequence[Group], batch: int, seed: int, device: str = "cpu", classes: int = len(CLASSES)
    ) -> None:
        self._groups = [group for group in groups if group.samples]
        shares = np.array([group.share for group in self._groups])
        self._shares = shares / shares.sum()
        self._batch, self._classes = batch, classes
        self._device = torch.device(device)
        self._random = np.random.default_rng(seed)
        self._noise = torch.Generator(self._device).manual_seed(seed)
        self._images = [[torch.from_numpy(s.image).to(device) for s in group.samples] for group in self._groups]
        self._labels = [[torch.from_numpy(s.label).to(device) for s in group.samples] for group in self._groups]
        self._places = [[_places(sample, classes) for sample in group.samples] for group in self._groups]
        self._sizes = [_sizes(group.samples) for group in self._groups]

    def batch(self) -> tuple[Tensor, Tensor]:
        """float32 [N, 4, CROP, CROP] as the network takes it, and int64 [N, CROP, CROP] labels."""
        rng = self._random
        chosen = rng.choice(len(self._groups), self._batch, p=self._shares)
        image, label, seen = (torch.stack(part) for part in zip(*map(self._cut, chosen), strict=True))
        zooms = [self._zoom(self._groups[index]) for index in chosen]
        image, label, seen = _turned(image, label, seen, _transforms(rng, zooms).to(self._device))
        gets = torch.tensor([rng.random() < self._groups[index].pasted for index in chosen], device=self._device)
        image = disguised(image, rng, self._noise)
        image, label = pasted(image, label, gets, rng, self._classes)
        label[~seen] = IGNORE
        label[label == LOOK_ALIKE] = self._classes + 1
        pixels = image.round().clamp(0, 255).to(torch.uint8)
        return prepared(pixels, seen), label.long()

    def _cut(self, group: int) -> tuple[Tensor, Tensor, Tensor]:
        """uint8 [3, P, P], uint8 [P, P] and bool [P, P]: a patch, its label, and where the sample has pixels."""
        rng = self._random
        index = int(rng.choice(len(self._images[group]), p=self._sizes[group]))
        image, label, places = self._images[group][index], self._labels[group][index], self._places[group][index]
        height, width = label.shape
        if places and rng.random() < self._groups[group].near:
            of_class = places[int(rng.integers(len(places)))]
            row, col = of_class[int(rng.integers(len(of_class)))] + rng.integers(-CROP // 2 + 16, CROP // 2 - 16, 2)
        else:
            row, col = rng.integers(0, height), rng.integers(0, width)
        top, left = int(row) - _PATCH // 2, int(col) - _PATCH // 2
        window = Window(top, left, _PATCH, _PATCH)
        inside = window.intersect(Window(0, 0, height, width))
        (rows, cols), (to_rows, to_cols) = inside.slices_in(Window(0, 0, height, width)), inside.slices_in(window)
        patch = torch.zeros(3, _PATCH, _PATCH, dtype=torch.uint8, device=self._device)
        marks = torch.full((_PATCH, _PATCH), IGNORE, dtype=torch.uint8, device=self._device)
        seen = torch.zeros(_PATCH, _PATCH, dtype=torch.bool, device=self._device)
        patch[:, to_rows, to_cols] = image[:, rows, cols]
        marks[to_rows, to_cols] = label[rows, cols]
        seen[to_rows, to_cols] = True
        return patch, marks, seen

    def _zoom(self, group: Group) -> float:
        """Cells of the sample per cell of the crop. Half of the crops stay as sharp as what is met later."""
        rng = self._random
        if rng.random() < 0.5:
            return 1.0
        smaller = min(group.zoom, _REACH)
        larger = group.zoom * (1 if group.near else 2)
        return math.exp(rng.uniform(-larger, smaller))


def _sizes(samples: Sequence[Sample]) -> NDArray[np.float64]:
    """How likely a crop comes from each: its share of the pixels, so that all ground is seen as often."""
    sizes = np.array([sample.label.size for sample in samples], dtype=np.float64)
    shares: NDArray[np.float64] = sizes / sizes.sum()
    return shares


def _places(sample: Sample, classes: int) -> list[NDArray[np.int32]]:
    """Rows and columns, int32 [K, 2], of the pixels of each class, and of what looks like one, that occurs."""
    marked = np.flatnonzero((sample.label > 0) & (sample.label < IGNORE))
    values = sample.label.ravel()[marked]
    found = [marked[values == value] for value in (*range(1, classes + 1), LOOK_ALIKE)]
    shape = sample.label.shape
    return [np.stack(np.unravel_index(some, shape), axis=1).astype(np.int32) for some in found if len(some)]


def _transforms(rng: np.random.Generator, zooms: Sequence[float]) -> Tensor:
    """float32 [N, 2, 3] for `affine_grid`: quarter turns where the zoom is 1, so that pixels stay pixels; any other."""
    rows = []
    for zoom in zooms:
        turn = rng.integers(4) * math.pi / 2 if zoom == 1 else rng.uniform(0, 2 * math.pi)
        size, mirror = zoom * CROP / _PATCH, 1 if rng.random() < 0.5 else -1
        cos, sin = math.cos(turn) * size, math.sin(turn) * size
        rows.append([[cos * mirror, -sin, 0.0], [sin * mirror, cos, 0.0]])
    return torch.tensor(rows, dtype=torch.float32)


def _turned(image: Tensor, label: Tensor, seen: Tensor, transforms: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """float32 [N, 3, C, C], uint8 [N, C, C], bool [N, C, C] from patches."""
    grid = F.affine_grid(transforms, [len(image), 3, CROP, CROP], align_corners=False)
    picture = F.grid_sample(image.float(), grid, mode="bilinear", padding_mode="border", align_corners=False)
    marks = torch.stack((label, seen.to(torch.uint8)), 1).float()
    marks = F.grid_sample(marks, grid, mode="nearest", align_corners=False)
    return picture, marks[:, 0].round().to(torch.uint8), marks[:, 1] > 0.5


def pasted(
    image: Tensor, label: Tensor, gets: Tensor, rng: np.random.Generator, classes: int = len(CLASSES)
) -> tuple[Tensor, Tensor]:
    """The objects of one crop laid onto the ground of another where `gets`, bool [N], with a shadow beside them.

    `image`: float32 [N, 3, C, C]; `label`: uint8 [N, C, C]. The rim of what was pasted is not learned from.
    """
    giver = torch.from_numpy(rng.permutation(len(image))).to(image.device)
    object_ = ((label[giver] > 0) & (label[giver] <= classes) & gets[:, None, None]).float()[:, None]
    # What lies on an object already would be seen through it.
    object_ = object_ * ((label == 0) | (label == IGNORE)).float()[:, None]
    soft = F.avg_pool2d(object_, 3, 1, 1)
    away = torch.from_numpy(rng.integers(-9, 10, 2))
    shade = F.avg_pool2d(torch.roll(object_, (int(away[0]), int(away[1])), (2, 3)), 3, 1, 1)
    dark = 1 - shade * float(rng.uniform(0.0, 0.55))
    image = torch.lerp(image * dark, image[giver], soft)
    inside, touched = object_[:, 0] > 0, soft[:, 0] > 0
    label = torch.where(inside, label[giver], torch.where(touched, IGNORE, label)).to(torch.uint8)
    return image, label


def disguised(image: Tensor, rng: np.random.Generator, noise: torch.Generator) -> Tensor:
    """`image`, float32 [N, 3, H, W] in 0..255, as other cameras on other days would show it."""
    count, _, height, width = image.shape

    def each(values: NDArray[np.float64]) -> Tensor:
        return torch.from_numpy(values).float().to(image.device).reshape(count, -1, 1, 1)

    soft = F.avg_pool2d(image, 3, 1, 1, count_include_pad=False)
    blur = np.where(rng.random(count) < 0.35, rng.uniform(0.2, 1, count), 0)
    sharp = np.where(rng.random(count) < 0.25, rng.uniform(0.2, 0.8, count), 0)
    image = image + (soft - image) * each(blur - sharp)
    coarse = count // 4  # seen at up to 15 cm, in company of a common factor
    if coarse and rng.random() < 0.7:
        factor = rng.uniform(1.2, 2.1)
        size = (round(height / factor), round(width / factor))
        small = F.interpolate(image[:coarse], size, mode="bilinear", antialias=True, align_corners=False)
        back = F.interpolate(small, (height, width), mode="bilinear", align_corners=False)
        image = torch.cat((back, image[coarse:]))
    grey = image.mean(1, keepdim=True)
    image = grey + (image - grey) * each(rng.uniform(0.5, 1.4, count))
    image = 255 * (image.clamp(0, 255) / 255) ** each(np.exp(rng.normal(0, 0.25, count)))
    gain = np.exp(rng.normal(0, 0.2, (count, 1)) + rng.normal(0, 0.06, (count, 3)))
    image = image * each(gain) + each(rng.normal(0, 8, count))
    grain = torch.randn(image.shape, generator=noise, device=image.device)
    return image + grain * each(rng.uniform(0, 6, count))
