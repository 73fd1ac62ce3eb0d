"""What any one file is and tells: a photo or an orthophoto, decided by its content."""

from pathlib import Path

from imagery.footprints import Terrain
from imagery.photos import read_photo
from imagery.rasters import read_raster
from imagery.sniff import media_type
from imagery.tiff import tiff_shape
from imagery.values import Capture


def inspect(path: str | Path, terrain: Terrain | None = None) -> Capture:
    """Read one file; changes nothing. `terrain`: the ground to lay photos' footprints on.

    Raises `Refused` with a reason and a remedy for whatever cannot be used.
    """
    return read_photo(path, terrain) if is_photo(path) else read_raster(path)


def is_photo(path: str | Path) -> bool:
    """Whether the file is one that a camera writes; a TIFF is one where it has a camera's tags and no map's. Raises
    `Refused` as `media_type` does."""
    kind = media_type(path)
    if kind != "image/tiff":
        return kind != "image/jp2"
    shape = tiff_shape(path)
    return shape is not None and shape.photo
