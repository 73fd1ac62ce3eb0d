"""What was sent beside a file and belongs to it: the SRT of a video, the world file of a picture.

A file in the store has lost its neighbours. Those of one on this machine still lie beside it; those of an upload are
other files of the same flight, with the same name but for its ending.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from stac import flights
from stac.flight_tables import Flight
from workers.home import Home

ENDINGS = frozenset(
    {".srt", ".gpx", ".csv", ".klv", ".jgw", ".jpgw", ".pgw", ".pngw", ".tfw", ".tifw", ".j2w", ".wld", ".prj"}
)

ALONE = frozenset({".jpg", ".jpeg", ".heic", ".dng", ""})
"""Of an upload, these are taken for photos, which need no neighbour: thousands of them are not looked up one by one."""


@contextmanager
def beside(home: Home, flight: Flight, name: str, shown: str = "") -> Iterator[Path]:
    """A path under which the file's neighbours can be looked for by their endings; nothing else is read there."""
    local = Path(shown)
    if shown and local.is_file():
        yield local
        return
    if PurePosixPath(name).suffix.lower() in ALONE:
        yield Path(name)
        return
    stem = PurePosixPath(name).with_suffix("").as_posix()
    with home.engine.connect() as conn:
        others = [
            (PurePosixPath(file.name).suffix, file.sha256)
            for file in flights.files_of(conn, flight.id)
            if file.sha256
            and file.state != "expected"  # announced, and not here yet
            and PurePosixPath(file.name).suffix.lower() in ENDINGS
            and PurePosixPath(file.name).with_suffix("").as_posix() == stem
        ]
    with tempfile.TemporaryDirectory(prefix="beside-") as folder:
        place = Path(folder, "file" + PurePosixPath(name).suffix)
        for ending, sha256 in others:
            place.with_suffix(ending).symlink_to(home.files.path(sha256))
        yield place
