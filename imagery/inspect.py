"""What any one file is and tells: a photo or an orthophoto, decided by its content."""

from pathlib import Path

from imagery.footprints import Terrain
from imagery.photos import read_photo
from imagery.rasters import read_raster
from imagery.sniff import media_type
from imagery.values import Capture


def inspect(path: str | Path, terrain: Terrain | None = None) -> Capture:
    """Read one file; changes nothing. `terrain`: the ground to lay photos' footprints on.

    Raises `Refused` with a reason and a remedy for whatever cannot be used.
    """
    return read_raster(path) if media_type(path) == "image/tiff" else read_photo(path, terrain)
