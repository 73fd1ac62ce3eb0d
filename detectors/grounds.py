"""Real ground without debris, cut out of public photographs for training: `python -m detectors.grounds CLONES FOLDER`.

`grounds.csv` beside this file names each rectangle: repository and commit, file, pixels, and metres per pixel. The
photographs carry no altitude, so their scale was read off cars, lanes and goalposts and is good to a quarter, less than
what training varies it by. Rectangles leave out whatever may be one of the classes: yards, roadworks, rubble.
"""

import argparse
import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from PIL import Image

from detectors.debris import GSD
from detectors.samples import rescaled
from imagery.tiles import Window

LIST = Path(__file__).with_suffix(".csv")


@dataclass(frozen=True, slots=True)
class Ground:
    """One rectangle of one photograph. `gsd`: metres per pixel."""

    repository: str
    commit: str
    path: str
    window: Window
    gsd: float

    @classmethod
    def of(cls, row: dict[str, str]) -> Self:
        left, top, width, height = (int(row[name]) for name in ("left", "top", "width", "height"))
        return cls(row["repository"], row["commit"], row["path"], Window(top, left, height, width), float(row["gsd"]))

    @property
    def name(self) -> str:
        """As `detectors.samples.backgrounds` reads it."""
        place = f"{Path(self.path).stem}-{self.window.col}-{self.window.row}"
        return f"{self.repository.rpartition('/')[2]}_{place}@{GSD:g}.jpg"


def grounds(path: Path = LIST) -> list[Ground]:
    """All of a list."""
    with path.open(newline="") as lines:
        return [Ground.of(row) for row in csv.DictReader(lines)]


def cut(clones: Path, folder: Path, wanted: Sequence[Ground]) -> Iterator[Path]:
    """Write each rectangle into `folder` at the model's GSD; `clones` holds a checkout of every repository under its
    name after the slash. Raises FileNotFoundError where one lacks the photograph."""
    folder.mkdir(parents=True, exist_ok=True)
    for ground in wanted:
        window = ground.window
        box = (window.col, window.row, window.col + window.width, window.row + window.height)
        with Image.open(clones / ground.repository.rpartition("/")[2] / ground.path) as photo:
            pixels = np.asarray(photo.convert("RGB").crop(box)).transpose(2, 0, 1)
        small = Image.fromarray(rescaled(pixels, ground.gsd).transpose(1, 2, 0))
        small.save(folder / ground.name, quality=90)
        yield folder / ground.name


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line; see `--help`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clones", type=Path, help="folder with a checkout of each repository of grounds.csv")
    parser.add_argument("folder", type=Path, help="where the pictures go; `train debris --backgrounds` reads it")
    given = parser.parse_args(arguments)
    for path in cut(given.clones, given.folder, grounds()):
        print(path)


if __name__ == "__main__":
    main()
