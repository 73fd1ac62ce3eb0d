"""Presets, hillshade and vector geometry, without a server."""

import math
from typing import Any

import mapbox_vector_tile
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Transformer
from rasterio.crs import CRS
from rio_tiler.models import ImageData

from catalog_api.relief import hillshade, shaded
from catalog_api.renders import Colour, Kind, Look, choose, kind_of, presets
from catalog_api.vectors import EXTENT, Feature, box_of, encode, fitted
from imagery.errors import Refused

RGB = Look((1, 2, 3), None)
DEEP = Look((1, 2, 3), (100.0, 3000.0))
ONE = Look((1,), (-5.0, 80.0))


def item(asset: dict[str, Any], **properties: Any) -> dict[str, Any]:
    return {"properties": properties, "assets": {"cog": asset}}


@pytest.mark.parametrize(
    ("asset", "look", "kind", "names"),
    [
        ({}, RGB, Kind.RGB, ["visual"]),
        ({}, DEEP, Kind.RGB, ["visual"]),
        ({}, ONE, Kind.GREY, ["grey", "heat"]),
        ({"roles": ["data", "dsm"]}, ONE, Kind.ELEVATION, ["relief", "hillshade"]),
        ({"bands": [{"name": "elevation"}]}, ONE, Kind.ELEVATION, ["relief", "hillshade"]),
        ({"roles": ["dsm"]}, RGB, Kind.RGB, ["visual"]),
        ({"classification:classes": [{"value": 1, "name": "a"}]}, Look((1,), None), Kind.CLASSES, ["classes"]),
        ({}, Look((1,), None, palette=True), Kind.CLASSES, ["classes"]),
    ],
)
def test_what_a_raster_is_and_how_it_can_be_shown(
    asset: dict[str, Any], look: Look, kind: Kind, names: list[str]
) -> None:
    assert kind_of(asset, look) is kind
    assert list(presets(item(asset), "cog", look)) == names


def test_the_items_own_presets_come_first() -> None:
    stated = {
        "heights": {"assets": ["cog"], "rescale": [[0, 40]], "colormap_name": "terrain", "title": "Heights"},
        "of another asset": {"assets": ["original"], "rescale": [[0, 40]]},
        "sum": {"assets": ["cog"], "expression": "b1+b2"},
        "unknown": {"assets": ["cog"], "colormap_name": "nothing"},
        "nonsense": {"assets": ["cog"], "rescale": "wide"},
        "upside down": {"assets": ["cog"], "rescale": [[5, 1]]},
        "not an object": 5,
    }
    found = presets(item({}, renders=stated), "cog", ONE)
    assert list(found) == ["heights", "grey", "heat"]
    assert (found["heights"].span, found["heights"].colour) == ((0.0, 40.0), Colour.PSEUDO)
    assert choose(found, None).title == "Heights"
    with pytest.raises(Refused, match=r"renders?: .*'sum'.*heights, grey, heat"):
        choose(found, "sum")


@settings(max_examples=40)
@given(st.dictionaries(st.text(max_size=5), st.none() | st.integers() | st.text(max_size=4) | st.lists(st.integers())))
def test_no_stated_preset_breaks_the_natural_ones(stated: dict[str, Any]) -> None:
    for renders in (stated, {"a": {"assets": ["cog"], **stated}}, {"a": {"assets": ["cog"], "rescale": stated}}):
        assert "visual" in presets(item({}, renders=renders), "cog", RGB)


def test_classes_have_the_colours_that_the_standard_hints_at() -> None:
    classes = [
        {"value": 0, "name": "clean"},
        {"value": 1, "name": "a", "color_hint": "0A0B0C"},
        {"value": 2, "name": "b"},
    ]
    (render,) = presets(item({"classification:classes": classes}), "cog", Look((1,), None)).values()
    assert render.classes is not None
    assert (render.classes[0][3], render.classes[1], render.classes[2][3]) == (0, (10, 11, 12, 255), 255)
    assert not render.smooth


@given(st.floats(-3, 3), st.floats(-3, 3), st.floats(0.05, 20), st.floats(0.05, 20))
def test_a_plane_is_lit_as_lambert_says(east: float, north: float, cell_x: float, cell_y: float) -> None:
    """Oracle: the angle between the plane's normal and the light in the north-west, 45 degrees high."""
    column, row = np.meshgrid(np.arange(5) * cell_x, -np.arange(5) * cell_y)
    found = hillshade(column * east + row * north, cell_x, cell_y)
    normal = np.array([-east, -north, 1]) / math.sqrt(1 + east**2 + north**2)
    light = np.array([-0.5, 0.5, math.sqrt(0.5)])
    assert found.shape == (3, 3)
    assert np.abs(found.astype(float) - 255 * max(0.0, float(normal @ light))).max() <= 0.51


@pytest.mark.parametrize("crs", ["EPSG:3857", "EPSG:4326", "EPSG:32650"])
def test_slopes_are_taken_on_the_ground(crs: str) -> None:
    """The same hillside at 60 degrees north is lit the same in every system, though map units differ by half."""
    ground = Transformer.from_crs("EPSG:32650", crs, always_xy=True)
    x, y = Transformer.from_crs("EPSG:4326", "EPSG:32650", always_xy=True).transform(117.0, 60.0)
    size = 100.0
    (west, east), (south, north) = ground.transform([x, x + size], [y, y + size])
    heights = np.tile(np.linspace(0, size * 0.7, 52), (52, 1))  # rises to the east by 0.7
    image = ImageData(np.ma.MaskedArray(heights[None]), crs=CRS.from_string(crs), bounds=(west, south, east, north))
    expected = 255 * (math.sqrt(0.5) + 0.5 * 0.7) / math.sqrt(1 + 0.7**2)
    assert np.abs(shaded(image, 1).array.data[0][5:-5, 5:-5] - expected).max() < 3


def test_a_ring_is_cut_off_and_none_is_padded() -> None:
    image = ImageData(np.ma.MaskedArray(np.zeros((1, 20, 30))), crs=CRS.from_epsg(32650), bounds=(0, 0, 30, 20))
    cut = shaded(image, 2)
    assert (cut.height, cut.width, cut.bounds) == (16, 26, (2, 2, 28, 18))
    assert (shaded(image, 0).height, shaded(image, 0).width) == (20, 30)


tiles = st.integers(0, 22).flatmap(lambda z: st.tuples(st.just(z), st.integers(0, 2**z - 1), st.integers(0, 2**z - 1)))


@given(tiles)
def test_the_box_of_a_tile_is_morecantiles(place: tuple[int, int, int]) -> None:
    import morecantile

    z, x, y = place
    assert box_of(z, x, y) == pytest.approx(tuple(morecantile.tms.get("WebMercatorQuad").bounds(x, y, z)), abs=1e-6)


@given(tiles, st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=3, max_size=12))
def test_what_is_drawn_lies_where_it_is_and_within_the_tile(
    place: tuple[int, int, int], corners: list[tuple[float, float]]
) -> None:
    west, south, east, north = box_of(*place)
    hull = shapely.MultiPoint([(west + (east - west) * (2 * u - 0.5), south + (north - south) * v) for u, v in corners])
    shape = hull.convex_hull
    found = fitted(shape, *place)
    if found is None:
        assert not shapely.box(west, south, east, north).buffer(-1e-9).intersects(shape)
        return
    box = found.bounds
    assert min(box) >= -64 - 1e-6
    assert max(box) <= EXTENT + 64 + 1e-6


def test_a_tile_holds_clipped_shapes_few_properties_and_points_for_the_smallest() -> None:
    z, x, y = 16, 53_000, 27_000
    west, south, east, north = box_of(z, x, y)
    big = shapely.box(west - 1, south - 1, (west + east) / 2, north + 1)
    small = shapely.Point((west + east) / 2, (south + north) / 2).buffer((east - west) / 5000)
    ring = shapely.Point((west + east) / 2, (south + north) / 2).buffer((east - west) / 4, quad_segs=500)
    away = shapely.box(east + 1, north + 1, east + 2, north + 2)
    named = [Feature(shape, {"name": str(index)}) for index, shape in enumerate((big, small, ring, away))]
    layer = mapbox_vector_tile.decode(encode("things", named, z, x, y))["things"]
    found = {feature["properties"]["name"]: feature["geometry"] for feature in layer["features"]}
    assert set(found) == {"0", "1", "2"}
    assert (found["0"]["type"], found["1"]["type"], found["2"]["type"]) == ("Polygon", "Point", "Polygon")
    assert len(found["2"]["coordinates"][0]) < 100
    stretched = math.pi * (EXTENT / 4) ** 2 / math.cos(math.radians((south + north) / 2))
    assert shapely.geometry.shape(found["2"]).area == pytest.approx(stretched, rel=0.02)
    assert encode("things", named[3:], z, x, y) == b""
