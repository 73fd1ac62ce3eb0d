"""A folder that is watched: files are taken once they have stopped growing."""

from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Event

from imagery.errors import Refused
from workers.intake import Candidate, Ignored, Linked, walk

Shape = tuple[int, int]
"""Size in bytes and time of the last change in nanoseconds: what differs while a file is being written."""
Found = Candidate | Linked | Ignored


class Settling:
    """Tells which files have had the same size and time for `seconds`. Each is told once, and again when it changes."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._since: dict[Path, tuple[Shape, float]] = {}
        self._told: dict[Path, Shape] = {}

    def look(self, shapes: Mapping[Path, Shape], now: float) -> list[Path]:
        """`shapes` of all files that are there now; `now` in seconds of any steady clock."""
        self._since = {path: kept for path, kept in self._since.items() if path in shapes}
        settled = []
        for path, shape in shapes.items():
            seen, since = self._since.get(path, (None, now))
            if seen != shape:
                self._since[path] = shape, now
                since = now
            if now - since >= self._seconds and self._told.get(path) != shape:
                self._told[path] = shape
                settled.append(path)
        return settled

    def forget(self, path: Path) -> None:
        """Tell this file again: taking it did not succeed."""
        self._told.pop(path, None)


def watch(
    folder: Path,
    take: Callable[[list[Found]], bool],
    clock: Callable[[], float],
    stop: Event,
    *,
    settle: float = 5.0,
    every: float = 1.0,
) -> None:
    """Follow a folder until `stop` is set; `take` gets what has settled, a batch at a time, and says whether it could
    be taken (if not, it is offered again).

    Raises `Refused` (not-a-folder).
    """
    if not folder.is_dir():
        raise Refused("not-a-folder", f"{folder} is not a folder.", "Name the folder that the files are copied to.")
    settling = Settling(settle)
    while True:
        ending = stop.is_set()  # and then one last look
        found = {one.path: one for one in walk([folder]) if not isinstance(one, Ignored)}
        shapes = {path: shape for path in found if (shape := _shape(path)) is not None}
        settled = settling.look(shapes, clock())
        if settled and not take([found[path] for path in settled]):
            for path in settled:
                settling.forget(path)
        if ending:
            return
        stop.wait(every)


def _shape(path: Path) -> Shape | None:
    """None where it is gone by now."""
    try:
        status = path.lstat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns
