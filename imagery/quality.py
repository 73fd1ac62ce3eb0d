"""Flags of a photo's quality, from its pixels alone: blur, exposure, and whether it repeats another view."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from imagery.photos import picture

Grey = NDArray[np.uint8]
"""uint8 [H, W]; look at a picture of about 1,000 pixels a side."""

BLURRED = 0.263
"""Of the edges' energy in the finest octave against the next: a ramp has 0.25, so has a picture blurred by 1.5 pixels
and more; sharp ones of brighton_beach and caliterra_east have 0.30 to 0.40, blurred by one pixel 0.266."""
DARK, BRIGHT = 8, 247
CLIPPED = 0.35
"""Share of pixels without any light or with all of it, from which a picture is under- or overexposed."""
SIDE = 1000
"""Pixels of the longer side of what is looked at."""
HASH_SIDE = 16
SAME_VIEW_BITS = 20
"""Of 256: two pictures of one view differ in no more of them."""


@dataclass(frozen=True, slots=True)
class Quality:
    sharpness: float
    """Energy of the finest edges as a part of that of edges twice as wide; NaN where there are none."""
    blurred: bool
    dark: float
    """Share of pixels that hold no light."""
    bright: float
    view: int
    """A difference hash of 256 bits: near for pictures of one view."""

    @property
    def underexposed(self) -> bool:
        return self.dark > CLIPPED

    @property
    def overexposed(self) -> bool:
        return self.bright > CLIPPED


def grey_of(path: str | Path) -> Grey:
    """A photo as it is looked at here: grey, at most `SIDE` pixels a side. Raises `Refused` as `picture` does."""
    with picture(path) as image:
        image.draft("L", (SIDE, SIDE))
        if image.mode.startswith("I"):
            deep = np.asarray(image).astype(np.float64)
            low, high = float(deep.min()), float(deep.max())
            small = Image.fromarray(((deep - low) * (255 / max(high - low, 1.0))).astype(np.uint8))
        else:
            small = image.convert("L")
        small.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
        return np.asarray(small)


def assess(grey: Grey) -> Quality:
    """The flags of one picture, at least 64 pixels a side. Raises ValueError for a smaller one."""
    if min(grey.shape) < 64:
        raise ValueError(f"a picture of {grey.shape[1]} x {grey.shape[0]} pixels tells nothing of its quality")
    sharp = sharpness(grey)
    flat = math.isnan(sharp)
    dark, bright = float((grey <= DARK).mean()), float((grey >= BRIGHT).mean())
    return Quality(sharp, not flat and sharp < BLURRED, dark, bright, view_hash(grey))


def sharpness(grey: Grey) -> float:
    """Energy of edges one pixel wide over that of edges two pixels wide, on the strongest edges: whatever the picture
    shows, a blur of a pixel takes the first and leaves the second (Crete et al., 2007, ask the same by blurring once
    more)."""
    image = grey.astype(np.float32)
    fine = np.diff(image, axis=1)[:-1] ** 2 + np.diff(image, axis=0)[:, :-1] ** 2
    wide = (image[:, 2:] - image[:, :-2])[:-2, :] ** 2 + (image[2:] - image[:-2])[:, :-2] ** 2
    fine = fine[: wide.shape[0], : wide.shape[1]]
    strong = wide >= np.percentile(wide, 95)
    total = float(wide[strong].mean())
    return float(fine[strong].mean()) / total if total > 16 else math.nan


def view_hash(grey: Grey) -> int:
    """A difference hash: whether each of 16 x 16 block means is brighter than its neighbour to the right."""
    rows, cols = HASH_SIDE, HASH_SIDE + 1
    h, w = grey.shape[0] // rows * rows, grey.shape[1] // cols * cols
    means = grey[:h, :w].reshape(rows, h // rows, cols, w // cols).mean(axis=(1, 3))
    bits = (means[:, 1:] > means[:, :-1]).ravel()
    return int("".join("1" if bit else "0" for bit in bits), 2)


def same_view(one: Quality, other: Quality) -> bool:
    """Whether two pictures show one view: as a camera leaves them that was triggered twice."""
    return same_bits(one.view, other.view)


def same_bits(one: int, other: int) -> bool:
    """`same_view` of two hashes."""
    return (one ^ other).bit_count() <= SAME_VIEW_BITS
