"""Pictures for people of a training run: its curve, and examples of what was found beside what was drawn."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from shapely import Polygon

_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP = 720, 360, 60, 40, 30
_INK, _GRID, _FAINT, _LINE = (40, 40, 40), (225, 225, 225), (190, 205, 230), (30, 80, 180)
TRUE, FOUND = (40, 220, 60), (255, 220, 0)
SMOOTH = 20
"""Steps that the drawn line is the mean of."""
ACROSS = 3
"""Examples in a row."""


@dataclass(frozen=True, slots=True)
class Example:
    """`image`: uint8 [3, S, S]; outlines in its pixels, and a few words."""

    image: NDArray[np.uint8]
    true: Sequence[Polygon]
    found: Sequence[Polygon]
    words: str


def curve(losses: Sequence[float], path: Path, title: str) -> None:
    """The loss over the steps as a PNG: every step faintly, the running mean as a line."""
    values = np.asarray(losses, dtype=np.float64)
    window = min(SMOOTH, len(values))
    mean = np.convolve(values, np.full(window, 1 / window), "valid")
    top = float(np.quantile(values, 0.99)) * 1.05 or 1.0
    picture = Image.new("RGB", (_WIDTH, _HEIGHT), "white")
    pen = ImageDraw.Draw(picture)

    def at(step: float, loss: float) -> tuple[float, float]:
        x = _LEFT + (_WIDTH - _LEFT - 20) * step / max(1, len(values))
        return x, _HEIGHT - _BOTTOM - (_HEIGHT - _BOTTOM - _TOP) * min(loss, top) / top

    for part in range(5):
        loss, step = top * part / 4, len(values) * part / 4
        pen.line([at(0, loss), at(len(values), loss)], fill=_GRID)
        pen.text((6, at(0, loss)[1] - 6), f"{loss:.3g}", fill=_INK)
        pen.text((at(step, 0)[0] - 10, _HEIGHT - _BOTTOM + 8), f"{step:.0f}", fill=_INK)
    pen.line([at(i + 1, loss) for i, loss in enumerate(values)], fill=_FAINT)
    pen.line([at(i + window, loss) for i, loss in enumerate(mean)], fill=_LINE, width=2)
    pen.text((_LEFT, 8), f"{title}: loss by step, mean of {window}", fill=_INK)
    picture.save(path)


def examples(shown: Sequence[Example], path: Path) -> None:
    """Examples side by side as a PNG: true outlines green, found ones yellow. There is at least one."""
    side = max(one.image.shape[1] for one in shown)
    rows = -(-len(shown) // ACROSS)
    sheet = Image.new("RGB", (min(ACROSS, len(shown)) * (side + 4), rows * (side + 20)), "white")
    for index, one in enumerate(shown):
        picture = Image.fromarray(np.ascontiguousarray(one.image.transpose(1, 2, 0)))
        pen = ImageDraw.Draw(picture)
        for polygons, colour in ((one.true, TRUE), (one.found, FOUND)):
            for polygon in polygons:
                pen.line([(x, y) for x, y in polygon.exterior.coords], fill=colour, width=2)
        left, top = (index % ACROSS) * (side + 4), (index // ACROSS) * (side + 20)
        sheet.paste(picture, (left, top + 16))
        ImageDraw.Draw(sheet).text((left + 2, top + 2), one.words, fill=_INK)
    sheet.save(path)


def strips(rows: Sequence[Sequence[NDArray[np.uint8]]], path: Path) -> None:
    """Rows of pictures uint8 [3, H, W] under one another as a PNG, the middle of each."""
    side = min(320, *(size for row in rows for one in row for size in one.shape[1:]))
    lines = []
    for row in rows:
        top, left = (row[0].shape[1] - side) // 2, (row[0].shape[2] - side) // 2
        lines.append(np.concatenate([one[:, top : top + side, left : left + side] for one in row], axis=2))
    Image.fromarray(np.ascontiguousarray(np.concatenate(lines, axis=1).transpose(1, 2, 0))).save(path)
