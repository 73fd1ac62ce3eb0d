"""Pictures of a demo's outcome: what was filed, missed and wrong, drawn over both dates."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from PIL import Image, ImageDraw, ImageFont
from pyproj import Transformer
from shapely.geometry import shape

from imagery.reader import reader
from imagery.sources import open_source
from imagery.tiles import GroundGrid, Window

if TYPE_CHECKING:
    from flyonce.demo import Outcome

CELL = 0.1
"""Metres per pixel of the picture."""
FILED, FALSE, MISSED = (60, 255, 90), (255, 50, 50), (255, 220, 0)
_LINE = 3


def overview(outcome: "Outcome", path: Path) -> Path:
    """Both orthophotos side by side (before left, after right) as a JPEG. Green: a ticket on true change, numbered as
    in the summary; red: a ticket on nothing; yellow: a heap that was missed."""
    after = open_source(outcome.folder / "simulated" / "after" / "orthophoto.tif")
    before = open_source(outcome.folder / "simulated" / "before" / "orthophoto.tif")
    grid = after.grid(CELL)
    window = after.extent(grid)
    panels = []
    for source in (before, after):
        with reader(source) as opened:
            pixels = opened.read(grid, window)
        panels.append(Image.fromarray(np.ascontiguousarray(pixels.data.transpose(1, 2, 0))))
    draw = ImageDraw.Draw(panels[1])
    font = ImageFont.load_default(size=26)
    for number, ticket in enumerate(outcome.tickets, start=1):
        color = FALSE if ticket["id"] in outcome.score.false else FILED
        corner = _outline(draw, ticket["geometry"], grid, window, color)
        draw.text(corner, str(number), fill=color, font=font, stroke_width=3, stroke_fill=(0, 0, 0), anchor="lb")
    for feature in outcome.truth:
        if str(feature["id"]) in outcome.score.missed:
            _outline(draw, feature["geometry"], grid, window, MISSED)
    both = Image.new("RGB", (2 * window.width + 10, window.height), (255, 255, 255))
    both.paste(panels[0], (0, 0))
    both.paste(panels[1], (window.width + 10, 0))
    both.save(path, "JPEG", quality=88)
    return path


def _outline(
    draw: ImageDraw.ImageDraw, geometry: dict[str, Any], grid: GroundGrid, window: Window, color: tuple[int, int, int]
) -> tuple[float, float]:
    """Draw the rings of a geometry in degrees; the upper right corner of its box in the picture."""
    to_grid = Transformer.from_crs("OGC:CRS84", grid.crs, always_xy=True)
    for ring in shapely.get_parts(shapely.get_rings(shape(geometry))):
        lonlat = shapely.get_coordinates(ring)
        x, y = to_grid.transform(lonlat[:, 0], lonlat[:, 1])
        points = np.stack([x / grid.cell - window.col, -y / grid.cell - window.row], axis=-1)
        draw.line([(float(u), float(v)) for u, v in points], fill=color, width=_LINE, joint="curve")
    _, _, east, north = shape(geometry).bounds
    x, y = to_grid.transform(east, north)
    return x / grid.cell - window.col, -y / grid.cell - window.row
