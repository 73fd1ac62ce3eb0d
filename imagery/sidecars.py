"""What lies beside a picture and says where it lies: a world file, and a `.prj` with the coordinate system."""

from pathlib import Path

from pyproj import CRS
from pyproj.exceptions import CRSError

from imagery import gcj02
from imagery.endings import SYSTEM, WORLD
from imagery.errors import Refused
from imagery.ground import Affine

MOST_BYTES = 64 << 10


def world_file(picture: Path) -> Affine | None:
    """The transform of a picture's world file, in rasterio's order; None where there is none.

    Six lines: the size of a pixel along x, two turns, its size along y, and the middle of the upper left pixel. Raises
    `Refused` (damaged-sidecar).
    """
    path = _beside(picture, WORLD.get(picture.suffix.lower(), ()))
    return None if path is None else _affine(path)


def system(picture: Path) -> str | None:
    """The coordinate system of a picture's `.prj`, as an authority's code where it has one, else as WKT. Raises
    `Refused` (damaged-sidecar)."""
    path = _beside(picture, (SYSTEM,))
    return None if path is None else _named(path)


def check(path: Path, name: str) -> None:
    """See that a file called `name` can place a picture. Raises `Refused` (damaged-sidecar)."""
    if name.lower().endswith(SYSTEM):
        _named(path)
    else:
        _affine(path)


def _affine(path: Path) -> Affine:
    try:
        a, d, b, e, c, f = (float(part.replace(",", ".")) for part in _text(path).split()[:6])
    except ValueError as error:
        raise Refused(
            "damaged-sidecar", f"{path}: is no world file: {error}.", "Export the picture with its world file again."
        ) from error
    return a, b, c - (a + b) / 2, d, e, f - (d + e) / 2


def _named(path: Path) -> str:
    text = _text(path).strip()
    try:
        found = CRS.from_user_input(text)
    except CRSError as error:
        raise Refused(
            "damaged-sidecar", f"{path}: names no coordinate system.", "Export the picture with its .prj again."
        ) from error
    # A name that says GCJ-02 must not be lost to the code of the ellipsoid that it is said of.
    code = None if gcj02.declared(text) else found.to_epsg(min_confidence=70)
    return f"EPSG:{code}" if code else str(found.to_wkt())


def _beside(picture: Path, endings: tuple[str, ...]) -> Path | None:
    names = [ending for plain in endings for ending in (plain, plain.upper())]
    return next((picture.with_suffix(ending) for ending in names if picture.with_suffix(ending).is_file()), None)


def _text(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(MOST_BYTES).decode("utf-8-sig", "replace")
