"""Frames laid on one plane, and a line that leaves no ground on both sides: against a scene whose truth is known."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from shapely import box

from detectors.places import Line, Mark, count_places, divide, marks, other_side, projected, register, side_of
from imagery.errors import Refused

SHIFTS = ((0, 0), (300, 40), (560, 90))
"""Left and top of three frames of one ground."""
SIZE = 900, 700


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three overlapping frames of one random ground, and a label on each of the same two things."""
    folder = tmp_path_factory.mktemp("site")
    rng = np.random.default_rng(4)
    ground = np.zeros((900, 1600))
    for cells in (9, 30, 100, 300):
        noise = Image.fromarray(rng.normal(0, 1, (cells, cells)).astype(np.float32))
        ground += np.asarray(noise.resize((1600, 900), Image.Resampling.BICUBIC))
    picture = Image.fromarray((128 + 40 * ground).clip(0, 255).astype(np.uint8))
    things = {"spoil_heap": box(420, 300, 480, 360), "debris": box(900, 400, 930, 440)}
    images, annotations = [], []
    for index, (left, top) in enumerate(SHIFTS):
        picture.crop((left, top, left + SIZE[0], top + SIZE[1])).save(folder / f"{index}.png")
        images.append({"id": index, "file_name": f"{index}.png"})
        for kind, thing in enumerate(things.values()):
            ring = [value for x, y in list(thing.exterior.coords)[:-1] for value in (x - left, y - top)]
            if min(ring) >= 0:
                annotations.append({"image_id": index, "category_id": kind, "segmentation": [ring]})
    categories = [{"id": index, "name": name} for index, name in enumerate(things)]
    document = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "labels.json").write_text(json.dumps(document))
    return folder


def test_frames_come_together_where_they_lay(frames: Path) -> None:
    plane = register(sorted(frames.glob("*.png")))
    corners = np.array([[0.0, 0.0], [SIZE[0], 0.0], [0.0, SIZE[1]]])
    laid = [projected(plane[f"{index}.png"], corners) for index in range(3)]
    for index in (0, 2):
        moved = laid[index] - laid[1]
        assert moved == pytest.approx(np.tile(np.subtract(SHIFTS[index], SHIFTS[1]), (3, 1)), abs=1.5)


def test_one_thing_in_several_frames_is_one_place(frames: Path) -> None:
    found = marks(frames, register(sorted(frames.glob("*.png"))))
    assert sum(mark.kind == "spoil_heap" for mark in found) == 2
    assert count_places(found, "spoil_heap") == 1
    assert count_places(found, "construction_material") == 0


def test_a_picture_of_other_ground_is_named(frames: Path, tmp_path: Path) -> None:
    stranger = tmp_path / "stranger.png"
    Image.fromarray(np.random.default_rng(1).integers(0, 255, (700, 900), dtype=np.uint8)).save(stranger)
    with pytest.raises(Refused, match=r"stranger\.png matches none"):
        register([*sorted(frames.glob("*.png")), stranger])


def mark(kind: str, x: float, y: float, side: float = 10.0) -> Mark:
    outline = box(x, y, x + side, y + side)
    return Mark("frame", kind, outline, outline)


def test_the_line_leaves_every_class_on_both_sides() -> None:
    kinds = ("spoil_heap", "construction_material", "debris")
    found = [mark(kind, x + 15 * index, 50 * y) for index, kind in enumerate(kinds) for x in (0, 300) for y in range(3)]
    line = divide(found)
    for side in (-1, 1):
        assert {m.kind for m in found if side_of(m, line) == side} == set(kinds)


def test_what_lies_across_the_line_is_on_no_side() -> None:
    line = Line(0.0, 100.0)
    assert [side_of(mark("debris", x, 0), line) for x in (20, 95, 150)] == [-1, 0, 1]


def test_pixels_of_the_other_side_are_told() -> None:
    away = other_side(np.eye(3), Line(math.pi / 2, 20.0), 1, height=10, width=4, scale=4.0)
    assert away[:5].all()
    assert not away[5:].any()
