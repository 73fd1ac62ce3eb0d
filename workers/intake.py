"""Which files a batch consists of: folders walked in sorted order, with an answer for what is left out."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from imagery import endings
from imagery.errors import Refused
from imagery.sniff import media_type

VIDEO_SUFFIXES = frozenset({".mp4", ".mov", ".ts"})
TELEMETRY_SUFFIXES = frozenset(endings.TELEMETRY)
CAPTURE_SUFFIXES = (
    frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff", ".dng", ".heic", ".jp2", ".img", ".webp", ".srt", ".gpx"})
    | VIDEO_SUFFIXES
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


@dataclass(frozen=True, slots=True)
class Linked:
    """A link in a folder that is named like a capture: refused, for it may lead to a file that nobody meant to send."""

    path: Path
    name: str
    refused: Refused


def walk(paths: Sequence[Path]) -> Iterator[Candidate | Linked | Ignored]:
    """Every file of `paths` once, in the order given; folders sorted by name, hidden entries left out. A file that was
    named itself is always a candidate, also one that is not there and one that is a link."""
    seen: set[Path] = set()
    for path in paths:
        for candidate in _below(path) if path.is_dir() else _named(path):
            place = candidate.path.absolute()
            if place not in seen:
                seen.add(place)
                yield candidate


def _named(path: Path) -> list[Candidate]:
    """A file that was named itself, and what it is of no use without: the telemetry of a video, the place of a
    picture."""
    beside: list[Path] = []
    wanted = endings.TELEMETRY if path.suffix.lower() in VIDEO_SUFFIXES else endings.beside(path.suffix)
    if wanted and path.is_file():
        same = (other for other in path.parent.iterdir() if other.stem == path.stem and other.is_file())
        beside = sorted(other for other in same if other.suffix.lower() in wanted)
    return [Candidate(path, path.name), *(Candidate(other, other.name) for other in beside)]


def _below(folder: Path) -> Iterator[Candidate | Linked | Ignored]:
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in folders:
            if (path := Path(place, name)).is_symlink():  # os.walk does not go there
                yield Ignored(path, f"{path}: a link to a folder; only real folders are read.")
        pictures = [Path(name) for name in files]
        placing = {one.stem + ending for one in pictures for ending in endings.beside(one.suffix)}
        for name in sorted(files):
            path = Path(place, name)
            places = path.stem + path.suffix.lower() in placing
            if name.startswith("."):
                continue
            if path.is_symlink() and path.suffix.lower() in CAPTURE_SUFFIXES:
                refused = Refused("link", f"{path}: is a link to another file.", "Send that file itself.")
                yield Linked(path, path.relative_to(folder).as_posix(), refused)
            elif path.is_symlink() or not (places or path.suffix.lower() in CAPTURE_SUFFIXES or _is_image(path)):
                yield Ignored(path, f"{path}: neither its name nor its content is that of a capture.")
            else:
                yield Candidate(path, path.relative_to(folder).as_posix())


def _is_image(path: Path) -> bool:
    try:
        media_type(path)
    except Refused:
        return False
    return True
