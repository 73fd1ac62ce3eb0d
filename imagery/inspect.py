"""What any one file is and tells, decided by its content: a photo, a raster, a video or telemetry."""

from pathlib import Path

from imagery.errors import Refused
from imagery.films import telemetry_capture, video_capture
from imagery.footprints import Terrain
from imagery.photos import read_photo
from imagery.rasters import read_raster
from imagery.sidecars import world_file
from imagery.sniff import TELEMETRY, VIDEO, media_type
from imagery.tiff import tiff_shape
from imagery.values import Capture


def inspect(
    path: str | Path,
    terrain: Terrain | None = None,
    *,
    decode: bool = True,
    sent: Path | None = None,
    offset: float | None = None,
) -> Capture:
    """Read one file; changes nothing.

    `terrain`: the ground to lay the footprints of photos and frames on. `sent`: where and under which name the file
    was sent, where it is read from somewhere else: what lies beside it there belongs to it. `offset`: of a video's log,
    in seconds. Without `decode` a photo's pixels are not looked at: damage in the middle of a whole file is not found
    then. Raises `Refused` with a reason and a remedy for whatever cannot be used.
    """
    kind = media_type(path, None if sent is None else sent.name)
    if kind in TELEMETRY:
        return telemetry_capture(path, kind)
    if kind in VIDEO:
        return video_capture(path, kind, sent, offset, terrain)
    if is_photo(path) and world_file(sent or Path(path)) is None:
        return read_photo(path, terrain, decode=decode)
    return read_raster(path, sent)


def is_photo(path: str | Path) -> bool:
    """Whether the file is one that a camera writes; a TIFF is one where it has a camera's tags and no map's. Raises
    `Refused` as `media_type` does."""
    kind = media_type(path)
    if kind != "image/tiff":
        return kind in ("image/jpeg", "image/png", "image/heic")
    shape = tiff_shape(path)
    return shape is not None and shape.photo


def posed_gsd(path: str | Path) -> float | None:
    """Metres on the ground per pixel in the middle of a photo, from its camera, attitude and height; None where it does
    not tell all three, or is no capture that could be placed."""
    try:
        return inspect(path, decode=False).gsd
    except Refused:
        return None
