"""A source ready to be analysed: how it is read, how fine it is, and where that was learnt."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from imagery.inspect import posed_gsd
from imagery.mosaic import Mosaic, Raster
from imagery.sources import Source, open_source
from imagery.tiles import PIXELS
from records.files import DirectoryStore
from workers.located import address

GsdOrigin = Literal["georeference", "pose", "given", "model"]
"""`model`: nothing tells, so a pixel is taken for one of the model's; sizes and areas are no better than that."""


@dataclass(frozen=True, slots=True)
class Input:
    """One source and what its results will be labelled with."""

    source: Raster
    name: str
    """The file's name or the item's `collection/id`."""
    gsd: float | None
    """Metres on the ground per pixel of the source; None where only the model's own can be assumed."""
    gsd_origin: GsdOrigin
    notes: tuple[str, ...] = ()

    @property
    def pixels(self) -> bool:
        """Whether results are in pixel coordinates."""
        return self.source.crs == PIXELS


def open_input(path: Path, *, pixels: bool = False, gsd: float | None = None, name: str = "") -> Input:
    """Open a file for analysis.

    `gsd` is used where the source has no georeference or `pixels` asks to leave it aside; else the georeference tells
    and a note says so. Raises `Refused` as `imagery.sources.open_source` does.
    """
    source = open_source(path, pixels=pixels, gsd=gsd)
    name = name or path.name
    if source.crs != PIXELS:
        notes = (f"--gsd {gsd:g} was not used: the georeference of {name} tells {source.gsd:.3g} m.",) if gsd else ()
        return Input(source, name, source.gsd, "georeference", notes)
    if gsd:
        return Input(source, name, gsd, "given")
    if source.gsd:
        return Input(source, name, source.gsd, "georeference")
    posed = posed_gsd(path)
    if posed:
        return Input(replace(source, gsd=posed), name, posed, "pose")
    return Input(source, name, None, "model", (f"Nothing tells how fine {name} is: --gsd M gives metres per pixel.",))


def open_mosaic(paths: Sequence[Path]) -> Input:
    """Several georeferenced files as one; earlier ones cover later ones. Raises `Refused`: mixed-coordinates, and as
    `open_input`."""
    mosaic = Mosaic(tuple(open_source(path) for path in paths))
    return Input(mosaic, " + ".join(path.name for path in paths), mosaic.gsd, "georeference")


def stored(source: Input, files: DirectoryStore) -> Input:
    """The same input, its files put into the store and read from there by workers on other hosts."""

    def put(one: Source) -> Source:
        path = Path(one.path)
        return replace(one, path=address(files.put(path).sha256, path.name))

    whole = source.source
    there = Mosaic(tuple(put(one) for one in whole.sources)) if isinstance(whole, Mosaic) else put(whole)
    return replace(source, source=there)
