"""What was sent beside a file and belongs to it: the SRT of a video, the world file of a picture.

A file in the store has lost its neighbours. Those of one on this machine still lie beside it; those of an upload are
other files of the same flight, with the same name but for its ending.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from imagery import endings
from imagery.errors import Refused
from stac import flight_queries
from stac.flight_tables import Flight
from workers.home import Home

MOST_STEM = 50
"""Characters, of four bytes each, that fit a file system with an ending."""
ALONE = frozenset({".heic", ".dng", ""})
"""Of an upload, these are taken for photos, which need no neighbour."""


@contextmanager
def beside(home: Home, flight: Flight, name: str, shown: str = "") -> Iterator[Path]:
    """A path under which the file's neighbours can be looked for by their endings; nothing else is read there.

    What is refused within is told by the sender's names. Raises `Refused`.
    """
    local, sent = Path(shown), PurePosixPath(name)
    if shown and local.is_file():
        yield local
        return
    suffix = sent.suffix.lower()
    wanted = endings.beside(suffix) or (() if suffix in ALONE else endings.TELEMETRY)
    if not wanted:
        yield Path(name)
        return
    stem = sent.with_suffix("").as_posix()
    with home.engine.connect() as conn:
        names = [stem + ending for plain in wanted for ending in (plain, plain.upper())]
        known = flight_queries.files_named(conn, flight.id, names).values()
        others = [file for file in known if file.state != "expected"]
    with tempfile.TemporaryDirectory(prefix="beside-") as folder:
        place = Path(folder, sent.stem[-MOST_STEM:] + sent.suffix)  # by its name a DTM is told from a DSM
        for other in others:
            if other.sha256:
                place.with_suffix(PurePosixPath(other.name).suffix).symlink_to(home.files.path(other.sha256))
        try:
            yield place
        except Refused as refused:
            told = refused.message.replace(str(place.with_suffix("")), stem)
            raise Refused(refused.reason, told, refused.remedy) from refused
