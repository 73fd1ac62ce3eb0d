"""Tiles, mosaics and vector tiles over HTTP, from both stores and both catalogues; rio-tiler, GDAL and OWSLib judge."""

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import mapbox_vector_tile
import morecantile
import numpy as np
import pytest
import rasterio
from owslib.wmts import WebMapTileService
from PIL import Image
from pydantic import SecretStr
from rasterio.transform import Affine
from rio_tiler.io import Reader as Oracle

from catalog_api.app import create_app
from imagery.cog import write_cog
from imagery.inspect import inspect
from records.settings import Settings
from stac.assets import COG, Stored, asset
from stac.items import Custody, item_of, orthophoto_item
from stac.runs import mask_classes
from workers.home import Home
from workers.testing import patches

KEY = "a key that nobody knows"
MATRICES = morecantile.tms.get("WebMercatorQuad")
LEFT, TOP = 500_000.0, 3_400_000.0


def stored(home: Home, path: Path, name: str, media_type: str = COG) -> Stored:
    kept = home.files.put(path)
    return Stored(name, kept.sha256, kept.size, media_type)


def raster(folder: Path, name: str, data: np.ndarray, **more: Any) -> Path:
    """A COG of these bands, 0.2 m, its upper left corner at LEFT, TOP."""
    plain, cog = folder / f"{name}.tif", folder / f"{name}.cog.tif"
    count, height, width = data.shape
    transform = Affine(0.2, 0, LEFT, 0, -0.2, TOP)
    with rasterio.open(plain, "w", "GTiff", width, height, count, "EPSG:32650", transform, data.dtype, **more) as ds:
        ds.write(data)
    write_cog(plain, cog)
    return cog


def ortho(home: Home, path: Path, name: str, created: Any, **more: Any) -> dict[str, Any]:
    item = orthophoto_item(
        inspect(path),
        name,
        custody=Custody("transport"),
        flight="f1",
        created=created,
        original=stored(home, path, f"{name}.tif"),
    )
    item["assets"]["original"] |= more
    return item


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """COGs: 8-bit RGB, 16-bit RGB, elevation, classes."""
    folder = tmp_path_factory.mktemp("rasters")
    rng = np.random.default_rng(5)
    rgb = patches(rng, 800, 1000, 25)
    rgb[:, :200, :200] = 0
    raster(folder, "rgb", rgb, nodata=0)
    raster(folder, "deep", (patches(rng, 800, 1000, 25).astype(np.uint16) * 12 + 200))
    raster(folder, "other", 255 - patches(rng, 800, 1000, 25))
    row, column = np.mgrid[:800, :1000]
    raster(folder, "dsm", (30 + 10 * np.sin(column / 60) + row / 80)[None].astype(np.float32))
    raster(folder, "mask", ((column // 200) % 3)[None].astype(np.uint8))
    return folder


@pytest.fixture(scope="module", params=["directory", "s3"])
def tiled(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, folder: Path, photo_of: Any
) -> Iterator[Home]:
    home_folder = tmp_path_factory.mktemp("tiled")
    given = request.getfixturevalue("seaweed") | {"store_url": f"s3://flyonce/{home_folder.name}"}
    given = given if request.param == "s3" else {"store_url": ""}
    # Both stores and both catalogues, each once.
    database = request.getfixturevalue("pgstac_database")() if request.param == "s3" else ""
    with Home.open(Settings(home=home_folder, database_url=database, api_key=SecretStr(KEY), **given)) as home:
        start = photo_of.start
        items = [
            ortho(home, folder / f"{name}.cog.tif", name, start, **more)
            for name, more in (
                ("rgb", {}),
                ("deep", {}),
                ("dsm", {"roles": ["data", "dsm"]}),
                ("mask", {"classification:classes": mask_classes(["heap", "debris"])}),
                ("other", {}),
            )
        ]
        items[0]["properties"] |= {"datetime": "2026-05-03T00:00:00Z", "gsd": 0.2}
        items[4]["properties"] |= {"datetime": "2026-05-02T00:00:00Z", "gsd": 0.1}
        west, south, east, north = items[0]["bbox"]
        middle = [[(west + east) / 2, (south + north) / 2]]
        square = [[west, south], [middle[0][0], south], *middle, [west, middle[0][1]], [west, south]]
        shape = {"type": "Polygon", "coordinates": [square]}
        found = {"type": "Feature", "geometry": shape, "properties": {"class": "heap", "score": 0.9, "secret": "x"}}
        (home_folder / "f.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": [found]}))
        run = item_of("detections", "r1", geometry=items[0]["geometry"], properties=dict(items[0]["properties"]))
        run["assets"]["features"] = asset(stored(home, home_folder / "f.geojson", "f.geojson"), "Findings", "data")
        picture = home_folder / "photo.jpg"
        Image.fromarray(np.zeros((60, 80, 3), np.uint8)).save(picture)
        plain = photo_of(home, 3)
        plain["assets"]["original"] = asset(stored(home, picture, "photo.jpg", "image/jpeg"), "A photo", "data")
        elsewhere = photo_of(home, 4)
        elsewhere["assets"] = {
            key: {"href": href, "type": COG, "roles": ["data"]}
            for key, href in (
                ("http", "http://127.0.0.1:1/x.tif"),
                ("file", "file:///etc/passwd"),
                ("path", "/etc/passwd"),
                ("vsi", "/vsicurl/http://127.0.0.1:1/x.tif"),
                ("up", f"/assets/{'0' * 64}/../../flyonce.sqlite"),
                ("lost", f"/assets/{'0' * 64}/x.tif"),
            )
        }
        home.catalog.put_items([*items, run, plain, elsewhere])
        yield home


@pytest.fixture(scope="module")
def where(tiled: Home, serve: Callable[..., Any]) -> Iterator[str]:
    with serve(create_app(home=tiled)) as found:
        yield found


@pytest.fixture(scope="module")
def tiles(where: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=where, headers={"x-api-key": KEY}, timeout=60) as client:
        yield client


def of(name: str, rest: str = "", key: str = "original") -> str:
    return f"/tiles/collections/orthophotos/items/{name}/assets/{key}{rest}"


def place(tiles: httpx.Client, name: str = "rgb", zoom: int = 18) -> tuple[str, Any]:
    west, south, east, north = tiles.get(of(name, "/WebMercatorQuad/tilejson.json")).json()["bounds"]
    tile = MATRICES.tile((west + east) / 2, (south + north) / 2, zoom)
    return f"{tile.z}/{tile.x}/{tile.y}", tile


def pixels(answer: httpx.Response) -> np.ndarray:
    assert answer.status_code == 200, answer.text
    return np.asarray(Image.open(io.BytesIO(answer.content)))


def test_an_item_says_where_its_map_is(tiles: httpx.Client) -> None:
    def links(item: str) -> dict[str, str]:
        found = tiles.get(f"/stac/collections/orthophotos/items/{item}").json()["links"]
        return {one["rel"]: one["href"] for one in found}

    said = links("rgb")
    bounds = tiles.get(said["tilejson"]).json()["bounds"]
    lon, lat = (bounds[0] + bounds[2]) / 2, (bounds[1] + bounds[3]) / 2
    tile = MATRICES.tile(lon, lat, 19)
    picture = tiles.get(said["xyz"].format(z=tile.z, x=tile.x, y=tile.y))
    assert np.asarray(Image.open(io.BytesIO(picture.content)).convert("RGB")).any()
    assert b"<Capabilities" in tiles.get(said["wmts"]).content
    assert "visual" in tiles.get(said["renders"]).json()["renders"]
    photo = tiles.get("/stac/search", params={"collections": "photos", "limit": 1}).json()["features"][0]
    assert "xyz" not in {one["rel"] for one in photo["links"]}


def test_a_tile_is_what_rio_tiler_makes_of_the_file(tiles: httpx.Client, folder: Path) -> None:
    path, tile = place(tiles)
    found = pixels(tiles.get(of("rgb", f"/tiles/WebMercatorQuad/{path}.png")))
    with Oracle(str(folder / "rgb.cog.tif")) as oracle:
        expected = oracle.tile(tile.x, tile.y, tile.z, resampling_method="bilinear", reproject_method="bilinear")
    seen = expected.mask > 0
    np.testing.assert_array_equal(found[..., :3][seen], np.moveaxis(expected.data, 0, -1)[seen])
    np.testing.assert_array_equal(found[..., 3], expected.mask)
    assert 0 < expected.mask.mean() < 255


def test_deep_pixels_fill_the_range_and_keep_their_hue(tiles: httpx.Client) -> None:
    path, _ = place(tiles, "deep", 17)
    found = pixels(tiles.get(of("deep", f"/tiles/WebMercatorQuad/{path}.png")))
    seen = found[..., :3][found[..., 3] > 0]
    assert seen.min() < 20
    assert seen.max() > 235
    assert (seen.max(axis=1) - seen.min(axis=1)).max() <= 1  # grey patches stay grey


def test_elevation_is_coloured_or_shaded(tiles: httpx.Client) -> None:
    assert list(tiles.get(of("dsm", "/renders")).json()["renders"]) == ["relief", "hillshade"]
    path, _ = place(tiles, "dsm")
    coloured = pixels(tiles.get(of("dsm", f"/tiles/WebMercatorQuad/{path}.png")))
    grey = pixels(tiles.get(of("dsm", f"/tiles/WebMercatorQuad/{path}.png?render=hillshade")))
    assert len(np.unique(coloured[..., :3].reshape(-1, 3), axis=0)) > 50
    assert grey.shape[:2] == (256, 256)
    assert grey[..., 0].std() > 5
    side = pixels(tiles.get(of("dsm", f"/tiles/WebMercatorQuad/{path}.png?render=hillshade&tilesize=512")))
    assert side.shape[:2] == (512, 512)
    assert pixels(tiles.get(of("dsm", "/preview.png?render=hillshade&max_size=300"))).shape[1] == 300


def test_hillshade_has_no_seams_between_tiles(tiles: httpx.Client) -> None:
    """The last column of a tile and the first of its neighbour differ no more than columns within a tile do."""
    _, tile = place(tiles, "dsm", 20)
    pair = [
        pixels(tiles.get(of("dsm", f"/tiles/WebMercatorQuad/{tile.z}/{tile.x + i}/{tile.y}.png?render=hillshade")))
        for i in (0, 1)
    ]
    both = np.concatenate(pair, axis=1)[..., 0].astype(int)
    steps = np.abs(np.diff(both, axis=1)).max(axis=0)
    assert steps[255] <= np.sort(steps)[-5:].max() + 1


def test_classes_are_drawn_flat(tiles: httpx.Client) -> None:
    path, _ = place(tiles, "mask")
    found = pixels(tiles.get(of("mask", f"/tiles/WebMercatorQuad/{path}.png")))
    assert len(np.unique(found.reshape(-1, 4), axis=0)) <= 3


def test_values_statistics_preview_and_description(tiles: httpx.Client, folder: Path) -> None:
    with rasterio.open(folder / "dsm.cog.tif") as ds:
        x, y = LEFT + 50.1, TOP - 60.1
        lon, lat = (values[0] for values in rasterio.warp.transform(ds.crs, "EPSG:4326", [x], [y]))
        expected = next(ds.sample([(x, y)]))[0]
        least = float(ds.read().min())
    assert tiles.get(of("dsm", f"/point/{lon},{lat}")).json()["values"] == pytest.approx([float(expected)])
    statistics = tiles.get(of("dsm", "/statistics")).json()["b1"]
    assert statistics["min"] == pytest.approx(least, abs=0.2)
    assert tiles.get(of("rgb", "/info")).json()["count"] == 3
    assert pixels(tiles.get(of("rgb", "/preview.png?max_size=200"))).shape[1] == 200
    assert tiles.get(of("rgb", "/tiles")).json()["tilesets"]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/tiles/WebMercatorQuad/30/0/0", 404),
        ("/tiles/WebMercatorQuad/-1/0/0", 404),
        ("/tiles/WebMercatorQuad/18/0/0", 404),
        ("/tiles/WebMercatorQuad/1/2/0", 404),
        ("/tiles/WebMercatorQuad/99999999999999999999/0/0", 404),
        ("/tiles/WebMercatorQuad/a/0/0", 400),
        ("/tiles/WebMercatorQuad/3600.0/0/0", 404),
        ("/tiles/WebMercatorQuad/nan/0/0", 400),
        ("/tiles/Elsewhere/1/0/0", 400),
        ("/tiles/WebMercatorQuad/18/{x}/{y}?render=none", 400),
        ("/tiles/WebMercatorQuad/18/{x}/{y}?tilesize=100000", 400),
        ("/tiles/WebMercatorQuad/18/{x}/{y}.exe", 400),
        ("/preview.png?max_size=100000", 400),
        ("/preview/9999x9999.png", 400),
        ("/tiles/WebMercatorQuad?maxzoom=999999999", 400),
        ("/tiles/WebMercatorQuad?maxzoom=3600.0", 400),
        ("/tiles/WebMercatorQuad?maxzoom=3_600", 400),
        ("/tiles/WebMercatorQuad?maxzoom=nan", 400),
        ("/tiles/WebMercatorQuad?minzoom=-999999999", 400),
        ("/WMTSCapabilities.xml?zooms=*::0,999999999", 400),
        ("/statistics?bins=999999999", 400),
        ("/statistics?p=101", 400),
        ("/point/0,0", 404),
        ("/point/1000,95", 404),
        ("/point/0,0?coord_crs=EPSG:999999", 400),
        ("/point/nan,inf", 404),
        ("/statistics?bidx=9", 400),
    ],
)
def test_bad_requests_for_tiles_are_told_so(tiles: httpx.Client, path: str, status: int) -> None:
    _, tile = place(tiles)
    answer = tiles.get(of("rgb", path.format(x=tile.x, y=tile.y)))
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), answer.text


@pytest.mark.parametrize("key", ["http", "file", "path", "vsi", "up", "lost"])
def test_nothing_outside_the_store_is_ever_opened(tiles: httpx.Client, key: str) -> None:
    for rest in ("/info", "/preview.png", "/renders", "/WMTSCapabilities.xml"):
        answer = tiles.get(f"/tiles/collections/photos/items/照片-04/assets/{key}{rest}")
        assert answer.status_code in (400, 404), answer.text
        assert "passwd" not in answer.text.replace("file:///etc/passwd is not", "").replace("/etc/passwd is not", "")


def test_there_is_no_address_to_name(tiles: httpx.Client) -> None:
    own = tiles.get(of("rgb", "/info")).json()
    assert tiles.get(of("rgb", "/info?url=http://127.0.0.1:1/x.tif")).json() == own
    paths = tiles.get("/openapi.json").json()["paths"]
    named = [p["name"] for path in paths.values() for op in path.values() for p in op.get("parameters", [])]
    assert "url" not in named


def test_a_photo_without_georeference_is_no_map(tiles: httpx.Client) -> None:
    answer = tiles.get("/tiles/collections/photos/items/照片-03/assets/original/info")
    assert (answer.status_code, answer.json()["code"]) == (400, "no-georeference")


def test_without_the_key_no_tile(where: str, tiles: httpx.Client) -> None:
    path, _ = place(tiles)
    for address in (
        of("rgb", f"/tiles/WebMercatorQuad/{path}"),
        f"/tiles/mosaic/tiles/WebMercatorQuad/{path}",
        f"/tiles/vector/footprints/{path}.mvt",
    ):
        assert httpx.get(where + address).status_code == 401


def test_a_link_opens_the_tiles_of_one_item(where: str, tiles: httpx.Client) -> None:
    path, _ = place(tiles)
    href = tiles.post("/api/links", json={"href": "/tiles/collections/orthophotos/items/rgb"}).json()["href"]
    base, _, query = href.partition("?")
    described = httpx.get(f"{base}/assets/original/WebMercatorQuad/tilejson.json?{query}").json()
    z, x, y = path.split("/")
    first = described["tiles"][0].replace("{z}", z).replace("{x}", x).replace("{y}", y)
    assert httpx.get(first).status_code == 200
    assert httpx.get(first.replace("/rgb/", "/deep/")).status_code == 403
    assert httpx.get(f"{where}/stac/collections/orthophotos/items/rgb?{query}").status_code == 401


# ---- mosaics


def mosaic(tiles: httpx.Client, path: str, **asked: Any) -> httpx.Response:
    return tiles.get(f"/tiles/mosaic/tiles/WebMercatorQuad/{path}.png", params=asked)


ALIKE = "id in ('rgb', 'other', 'deep')"


def test_the_newest_lies_on_top_and_the_next_fills_its_holes(tiles: httpx.Client, folder: Path) -> None:
    path, _ = place(tiles, zoom=17)
    alone = {name: pixels(tiles.get(of(name, f"/tiles/WebMercatorQuad/{path}.png"))) for name in ("rgb", "other")}
    both = pixels(mosaic(tiles, path, filter="id in ('rgb', 'other')"))
    hole = (alone["rgb"][..., 3] == 0) & (alone["other"][..., 3] > 0)
    assert hole.any()
    np.testing.assert_array_equal(both[hole][..., :3], alone["other"][hole][..., :3])
    own = alone["rgb"][..., 3] > 0
    np.testing.assert_array_equal(both[own][..., :3], alone["rgb"][own][..., :3])
    finest = pixels(mosaic(tiles, path, filter="id in ('rgb', 'other')", order="finest"))
    full = alone["other"][..., 3] > 0
    np.testing.assert_array_equal(finest[full][..., :3], alone["other"][full][..., :3])


def test_a_mosaic_says_what_it_is_made_of(tiles: httpx.Client) -> None:
    path, _ = place(tiles, zoom=18)
    assert mosaic(tiles, path, filter=ALIKE).headers["x-flyonce-items"].startswith("orthophotos/rgb/original")
    described = tiles.get("/tiles/mosaic/WebMercatorQuad/tilejson.json", params={"filter": ALIKE}).json()
    assert (described["flyonce:items"], described["flyonce:colour"]) == (3, "true colour")
    item = tiles.get("/stac/collections/orthophotos/items/rgb").json()
    assert described["bounds"] == pytest.approx(item["bbox"], abs=1e-4)
    z, x, y = path.split("/")
    assert tiles.get(described["tiles"][0].replace("{z}", z).replace("{x}", x).replace("{y}", y)).status_code == 200


@pytest.mark.parametrize("pair", ["'rgb', 'dsm'", "'rgb', 'mask'", "'deep', 'dsm'"])
def test_true_colour_and_pseudocolour_are_never_mixed(tiles: httpx.Client, pair: str) -> None:
    path, _ = place(tiles)
    for answer in (
        mosaic(tiles, path, filter=f"id in ({pair})"),
        tiles.get("/tiles/mosaic/WebMercatorQuad/tilejson.json", params={"filter": f"id in ({pair})"}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (400, "mixed-colours")
        assert "true colour" in answer.json()["detail"]


def test_pseudocolours_of_different_values_want_one_range(tiles: httpx.Client) -> None:
    path, _ = place(tiles)
    both = {"filter": "id in ('dsm', 'mask')"}
    assert mosaic(tiles, path, **both).json()["code"] == "mixed-colours"
    assert mosaic(tiles, path, filter="id = 'dsm'", rescale="20,60").status_code == 200
    assert mosaic(tiles, path, filter="id = 'dsm'", rescale="60,20").json()["code"] == "not-a-range"


@pytest.mark.parametrize(
    ("path", "asked", "status"),
    [
        ("30/0/0", {}, 404),
        ("18/0/0", {}, 404),
        ("5/1/1", {"filter": "not cql ((("}, 400),
        ("5/1/1", {"datetime": "yesterday"}, 400),
        ("5/1/1", {"order": "oldest"}, 400),
        ("5/1/1", {"tilesize": 9999}, 400),
    ],
)
def test_bad_mosaics_are_told_so(tiles: httpx.Client, path: str, asked: dict[str, Any], status: int) -> None:
    answer = mosaic(tiles, path, **asked)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), answer.text


# ---- vector tiles


def test_footprints_as_vector_tiles(tiles: httpx.Client) -> None:
    path, tile = place(tiles, zoom=15)
    answer = tiles.get(f"/tiles/vector/footprints/{path}.mvt", params={"collections": "orthophotos"})
    assert answer.headers["content-type"] == "application/vnd.mapbox-vector-tile"
    features = mapbox_vector_tile.decode(answer.content, default_options={"y_coord_down": True})["footprints"][
        "features"
    ]
    assert {feature["properties"]["id"] for feature in features} == {"rgb", "deep", "dsm", "mask", "other"}
    allowed = {
        "id",
        "collection",
        "title",
        "datetime",
        "gsd",
        "flyonce:footprint_method",
        "flyonce:footprint_error_m",
        "flyonce:flight",
    }
    assert all(set(feature["properties"]) <= allowed for feature in features)
    west = tiles.get("/stac/collections/orthophotos/items/rgb").json()["bbox"][0]
    rgb = next(feature for feature in features if feature["properties"]["id"] == "rgb")
    columns = [x for x, _ in rgb["geometry"]["coordinates"][0]]
    expected = ((west + 180) / 360 * 2**tile.z - tile.x) * 4096
    assert min(columns) == pytest.approx(expected, abs=9)


def test_findings_as_vector_tiles(tiles: httpx.Client) -> None:
    path, _ = place(tiles, zoom=17)
    answer = tiles.get(f"/tiles/vector/findings/{path}.mvt")
    (feature,) = mapbox_vector_tile.decode(answer.content)["findings"]["features"]
    assert feature["properties"] == {"class": "heap", "score": 0.9, "id": "r1", "collection": "detections"}
    assert tiles.get("/tiles/vector/findings/5/1/1.mvt").status_code == 204
    described = tiles.get("/tiles/vector/findings/tilejson.json", params={"ids": "r1"}).json()
    assert described["vector_layers"][0]["fields"]["score"] == "Number"
    assert "ids=r1" in described["tiles"][0]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("footprints/30/0/0.mvt", 404),
        ("footprints/3/8/0.mvt", 404),
        ("footprints/3/-1/0.mvt", 404),
        ("secrets/3/1/0.mvt", 400),
        ("footprints/3/1/0.mvt?datetime=x", 400),
        ("footprints/a/1/0.mvt", 400),
    ],
)
def test_bad_vector_tiles_are_told_so(tiles: httpx.Client, path: str, status: int) -> None:
    answer = tiles.get(f"/tiles/vector/{path}")
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), answer.text


# ---- outside clients


def test_owslib_reads_the_wmts(tiles: httpx.Client) -> None:
    address = f"{tiles.base_url}{of('rgb', '/WMTSCapabilities.xml')}"
    service = WebMapTileService(address, headers={"x-api-key": KEY})
    layer = service.contents["orthophotos/rgb/original_WebMercatorQuad_visual"]
    item = tiles.get("/stac/collections/orthophotos/items/rgb").json()
    assert layer.boundingBoxWGS84 == pytest.approx(item["bbox"], abs=1e-4)
    assert "WebMercatorQuad" in layer.tilematrixsetlinks
    path, tile = place(tiles)
    template = next(resource["template"] for resource in layer.resourceURLs)
    filled = (
        template.replace("{TileMatrix}", str(tile.z))
        .replace("{TileCol}", str(tile.x))
        .replace("{TileRow}", str(tile.y))
    )
    expected = tiles.get(of("rgb", f"/tiles/WebMercatorQuad/{path}.png"))
    np.testing.assert_array_equal(pixels(tiles.get(filled)), pixels(expected))


def test_gdal_reads_the_wmts(tiles: httpx.Client, folder: Path) -> None:
    address = f"{tiles.base_url}{of('rgb', '/WMTSCapabilities.xml')}"
    layer = "orthophotos/rgb/original_WebMercatorQuad_visual"
    with rasterio.open(folder / "rgb.cog.tif") as ds, rasterio.vrt.WarpedVRT(ds, crs="EPSG:3857") as warped:
        ground = LEFT + 80, TOP - 120, LEFT + 160, TOP - 60
        box = rasterio.warp.transform_bounds("EPSG:32650", "EPSG:3857", *ground)
        own = warped.read(window=warped.window(*box), out_shape=(3, 60, 80))
    with (
        rasterio.Env(GDAL_HTTP_HEADERS=f"X-API-Key: {KEY}", GDAL_ENABLE_WMS_CACHE="NO"),
        rasterio.open(f"WMTS:{address},layer={layer}") as found,
    ):
        assert found.crs.to_epsg() == 3857
        window = found.window(*box).round_offsets().round_lengths()
        seen = found.read(window=window, out_shape=(found.count, 60, 80))
    assert np.corrcoef(seen[0].ravel(), own[0].ravel())[0, 1] > 0.9


def test_gdal_reads_a_search_as_one_raster(tiles: httpx.Client, folder: Path) -> None:
    """STACIT: a page of items whose assets are opened by vsicurl. Its own request leaves GDAL_HTTP_HEADERS out."""
    address = f"{tiles.base_url}/stac/search?collections=orthophotos&ids=rgb"
    name = f'STACIT:"{address}":collection=orthophotos,asset=original'
    with (
        rasterio.Env(GDAL_HTTP_AUTH="BEARER", GDAL_HTTP_BEARER=KEY, GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR"),
        rasterio.open(name) as found,
        rasterio.open(folder / "rgb.cog.tif") as expected,
    ):
        assert (found.crs.to_epsg(), found.count) == (32650, 3)
        assert found.bounds == pytest.approx(tuple(expected.bounds), abs=0.2)
        np.testing.assert_array_equal(found.read(1)[:700, :900], expected.read(1)[:700, :900])
