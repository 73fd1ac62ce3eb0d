"""Which files a batch consists of: folders walked in sorted order, with an answer for what is left out."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from imagery.errors import Refused
from imagery.sniff import media_type

CAPTURE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".png", ".tif", ".tiff", ".dng", ".heic", ".mp4", ".mov", ".jp2", ".img", ".webp"}
)
"""Names that promise a capture. A file in a folder with another name is taken only if its content is an image."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file that was sent. `name` is its path below the folder that was given, or its own name."""

    path: Path
    name: str


@dataclass(frozen=True, slots=True)
class Ignored:
    """A file of a folder that is no capture and does not claim to be one: a licence, a log, a list of labels."""

    path: Path
    message: str


def walk(paths: Sequence[Path]) -> Iterator[Candidate | Ignored]:
    """Every file of `paths` once, in the order given; folders sorted by name, hidden entries and links to folders left
    out. A file that was named itself is always a candidate, also one that is not there."""
    seen: set[Path] = set()
    for path in paths:
        for candidate in _below(path) if path.is_dir() else [Candidate(path, path.name)]:
            place = candidate.path.absolute()
            if place not in seen:
                seen.add(place)
                yield candidate


def _below(folder: Path) -> Iterator[Candidate | Ignored]:
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            path = Path(place, name)
            if name.startswith("."):
                continue
            if path.suffix.lower() not in CAPTURE_SUFFIXES and not _is_image(path):
                yield Ignored(path, f"{path}: neither its name nor its content is that of a capture.")
            else:
                yield Candidate(path, path.relative_to(folder).as_posix())


def _is_image(path: Path) -> bool:
    try:
        media_type(path)
    except Refused:
        return False
    return True
