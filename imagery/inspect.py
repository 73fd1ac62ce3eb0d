"""What any one file is and tells: a photo or an orthophoto, decided by its content."""

from pathlib import Path

from imagery.photos import read_photo
from imagery.rasters import read_raster
from imagery.sniff import media_type
from imagery.values import Capture


def inspect(path: str | Path, *, decode: bool = True) -> Capture:
    """Read one file; changes nothing. Raises `Refused` with a reason and a remedy for whatever cannot be used.

    Without `decode` a photo's pixels are not looked at: damage in the middle of a whole file is not found then.
    """
    return read_raster(path) if media_type(path) == "image/tiff" else read_photo(path, decode=decode)
