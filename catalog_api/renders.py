"""How a raster is shown: presets with names, from the item's own `renders` (STAC render extension) and from what the
raster is. Pure."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from rio_tiler.colormap import cmap

from imagery.errors import Refused
from stac.store import Item

Span = tuple[float, float]
RGBA = tuple[int, int, int, int]


class Kind(StrEnum):
    """What a raster holds."""

    RGB = "rgb"
    GREY = "grey"
    ELEVATION = "elevation"
    CLASSES = "classes"


class Colour(StrEnum):
    """What a picture's colours mean; pictures of two kinds are never laid into one mosaic."""

    TRUE = "true colour"
    GREY = "grey"
    PSEUDO = "pseudocolour"


@dataclass(frozen=True, slots=True)
class Look:
    """What was learnt from the raster itself."""

    bands: tuple[int, ...]
    """Those that are shown, from 1: three for red, green, blue, else one."""
    span: Span | None
    """Values that become black and white; None for 8-bit rasters."""
    count: int = 1
    """Of all its bands."""
    palette: bool = False
    """Whether it brings a colour table of its own."""
    placed: bool = True
    """Whether it has a place on the ground."""


@dataclass(frozen=True, slots=True)
class Render:
    """One way to show a raster. `span`: values at the ends of the colours, None to take 8-bit values as they are."""

    title: str
    colour: Colour
    bands: tuple[int, ...]
    span: Span | None = None
    spans: tuple[Span, ...] | None = None
    """A span for each band, where they differ."""
    colormap: str | None = None
    classes: Mapping[int, RGBA] | None = None
    hillshade: bool = False
    smooth: bool = True
    """Whether values between pixels mean anything: not for classes."""


_ELEVATION_ROLES = frozenset(("elevation", "dsm", "dtm", "dem", "height"))
_CLASS_COLOURS: tuple[RGBA, ...] = ((230, 30, 30, 255), (245, 150, 20, 255), (150, 60, 200, 255), (20, 110, 220, 255))
_CLEAN, _UNKNOWN = (0, 0, 0, 0), (128, 128, 128, 255)


def kind_of(asset: Mapping[str, Any], look: Look) -> Kind:
    """Classes and elevations are told by the asset (classification extension, roles, names of bands), colours by the
    raster."""
    if look.palette or "classification:classes" in asset:
        return Kind.CLASSES
    if len(look.bands) == 3:
        return Kind.RGB
    names = {str(band.get("name", "")).lower() for band in asset.get("bands", []) if isinstance(band, Mapping)}
    roles = {str(role).lower() for role in asset.get("roles", [])}
    return Kind.ELEVATION if _ELEVATION_ROLES & (names | roles) else Kind.GREY


def presets(item: Item, key: str, look: Look) -> dict[str, Render]:
    """By name, the first being the default. Those of the item come first; one that cannot be drawn here (band
    arithmetic, several assets in one picture, an unknown colour map) is left out."""
    own = item["properties"].get("renders")
    found = {}
    for name, stated in own.items() if isinstance(own, Mapping) else ():
        if isinstance(stated, Mapping) and stated.get("assets") == [key] and (render := _stated(name, stated, look)):
            found[str(name)] = render
    return found | _natural(item["assets"][key], look)


def choose(available: Mapping[str, Render], name: str | None) -> Render:
    """Raises `Refused` (no-such-render)."""
    if name is None:
        return next(iter(available.values()))
    if name not in available:
        raise Refused("no-such-render", f"render: there is no {name[:40]!r}.", f"There are: {', '.join(available)}.")
    return available[name]


def _natural(asset: Mapping[str, Any], look: Look) -> dict[str, Render]:
    span = look.span
    match kind_of(asset, look):
        case Kind.RGB:
            return {"visual": Render("真彩色 True colour", Colour.TRUE, look.bands, span)}
        case Kind.GREY:
            return {
                "grey": Render("灰度 Grey", Colour.GREY, look.bands, span),
                "heat": Render("伪彩色 Pseudocolour", Colour.PSEUDO, look.bands, span or (0, 255), colormap="viridis"),
            }
        case Kind.ELEVATION:
            return {
                "relief": Render("高程设色 Heights", Colour.PSEUDO, look.bands, span or (0, 255), colormap="terrain"),
                "hillshade": Render("山体阴影 Hillshade", Colour.GREY, look.bands, hillshade=True),
            }
        case Kind.CLASSES:
            classes = None if look.palette else _class_colours(asset["classification:classes"])
            return {"classes": Render("分类 Classes", Colour.PSEUDO, look.bands, classes=classes, smooth=False)}


def _class_colours(classes: list[Mapping[str, Any]]) -> dict[int, RGBA]:
    """Of the standard's `color_hint`, else in turn; what is clean is not drawn, what was not looked at is grey."""
    colours: dict[int, RGBA] = dict.fromkeys(range(256), (0, 0, 0, 0))
    turn = 0
    for one in classes:
        value, name, hint = int(one["value"]), str(one.get("name", "")), str(one.get("color_hint", ""))
        if len(hint) == 6:
            colours[value] = (int(hint[:2], 16), int(hint[2:4], 16), int(hint[4:], 16), 255)
        elif name == "clean":
            colours[value] = _CLEAN
        elif name == "not_analysed":
            colours[value] = _UNKNOWN
        else:
            colours[value] = _CLASS_COLOURS[turn % len(_CLASS_COLOURS)]
            turn += 1
    return colours


def _stated(name: object, stated: Mapping[str, Any], look: Look) -> Render | None:
    """A preset of the render extension (rescale, colormap_name, title, bidx), if it can be drawn."""
    colormap = stated.get("colormap_name")
    if {"expression", "colormap", "color_formula"} & stated.keys() or (colormap and colormap not in cmap.list()):
        return None
    try:
        bands = tuple(int(band) for band in stated.get("bidx", look.bands))
        spans = tuple((float(low), float(high)) for low, high in stated.get("rescale", []))
    except (TypeError, ValueError):
        return None
    if len(bands) not in (1, 3) or (colormap and len(bands) != 1) or len(spans) not in (0, 1, len(bands)):
        return None
    if any(not (math.isfinite(low) and math.isfinite(high) and low < high) for low, high in spans):
        return None
    colour = Colour.PSEUDO if colormap else Colour.TRUE if len(bands) == 3 else Colour.GREY
    span = (0.0, 255.0) if colormap else look.span
    return Render(
        title=str(stated.get("title", name)),
        colour=colour,
        bands=bands,
        span=spans[0] if len(spans) == 1 else span,
        spans=spans if len(spans) > 1 else None,
        colormap=colormap,
    )
