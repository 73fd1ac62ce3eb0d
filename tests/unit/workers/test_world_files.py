"""A picture that only a world file and a `.prj` place: from a folder or file by file, it keeps its place for good."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from PIL import Image
from pyproj import CRS, Transformer
from shapely.geometry import Point, shape

from records.engine import transaction
from stac import flights
from stac.flight_tables import Sender
from stac.flight_values import Announced, Plan
from stac.store import Item, Query
from workers.flights import report_of
from workers.home import Home
from workers.ingest import ingest
from workers.looking import look
from workers.receiving import receive
from workers.taking import take

ME, OTHER = Sender("li", "operator"), Sender("wang", "anonymous")
"""The second one may not see what the first has sent."""
EAST, NORTH, STEP = 500_120.0, 3_425_300.0, 0.2
WIDTH, HEIGHT = 80, 60
WORLD = {".jpg": ".jgw", ".png": ".pgw", ".tif": ".tfw"}


of_every_kind = pytest.mark.parametrize("folder", list(WORLD), indirect=True)


def nothing(*_: object) -> None:
    return


@pytest.fixture
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A map of 16 x 12 m as a picture (a JPEG, or what the test asks for), its world file and its `.prj`."""
    ending = getattr(request, "param", ".jpg")
    path = tmp_path / "sent"
    path.mkdir()
    pixels = np.random.default_rng(4).integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    tags = Image.Exif()
    tags[0x010F] = "Scanner"  # a camera's tags do not make it a photo
    tags.get_ifd(0x8769)[0x9003] = "2026:05:01 10:00:00"
    Image.fromarray(pixels).save(path / f"map{ending}", exif=tags)
    lines = [STEP, 0.0, 0.0, -STEP, EAST + STEP / 2, NORTH - STEP / 2]
    (path / f"map{WORLD[ending]}").write_text("\n".join(map(str, lines)))
    (path / "map.prj").write_text(CRS.from_epsg(4547).to_wkt("WKT1_ESRI"))
    return path


def bring(home: Home, path: Path) -> None:
    kept = home.files.put(path)
    with transaction(home.engine) as conn:
        flights.open_flight(conn, Plan("north", "UAV"), ME)
        receive(conn, "north", path.name, kept.sha256, kept.size, ME)


def only(home: Home) -> Item:
    (item,) = home.catalog.search(Query(collections=("orthophotos",))).items
    return item


def lies_right(home: Home, item: Item) -> bool:
    """Whether footprint and COG are where the world file says."""
    lon, lat = Transformer.from_crs(4547, 4326, always_xy=True).transform(EAST + 8, NORTH - 6)
    with rasterio.open(home.asset_path(item["assets"]["cog"]["href"])) as cog:
        assert cog.crs.to_epsg() == 4547
        assert cog.transform.almost_equals(rasterio.Affine(STEP, 0, EAST, 0, -STEP, NORTH), 1e-9)
        assert (cog.width, cog.height) == (WIDTH, HEIGHT)
    return bool(shape(item["geometry"]).centroid.distance(Point(lon, lat)) < 1e-7)


@of_every_kind
def test_one_from_a_folder_keeps_its_place_in_the_look(home: Home, folder: Path) -> None:
    report = ingest(home, [folder], "north", "UAV")
    assert report.quarantined == ()
    assert report.ignored == ()
    assert {one.footprint for one in report.accepted} == {
        "georeference",
        "",
    }  # the two beside it have none of their own
    assert lies_right(home, only(home))


def test_one_that_was_named_itself_brings_what_places_it(home: Home, folder: Path) -> None:
    (picture,) = (path for path in folder.iterdir() if path.suffix in WORLD)
    report = ingest(home, [picture], "north", "UAV")
    assert {Path(one.file).name for one in report.accepted} == {path.name for path in folder.iterdir()}
    assert lies_right(home, only(home))


@of_every_kind
@pytest.mark.parametrize("order", [sorted, lambda names: sorted(names, reverse=True)], ids=["first", "last"])
def test_one_that_was_uploaded_keeps_its_place_whatever_comes_first(
    home: Home, folder: Path, order: Callable[[Any], list[Path]]
) -> None:
    for path in order(folder.iterdir()):
        bring(home, path)
        take(home, "north", nothing)
    files = {file["file"]: file for file in report_of(home, "north")["files"]}
    assert {file["state"] for file in files.values()} == {"accepted"}
    assert sum(file["item"] is not None for file in files.values()) == 1
    assert look(home, "north", nothing)["damaged"] == 0
    assert lies_right(home, only(home))


def test_all_at_once(home: Home, folder: Path) -> None:
    names = sorted(folder.iterdir())
    with transaction(home.engine) as conn:
        flights.open_flight(conn, Plan("north", "UAV"), ME)
        flights.announce(conn, "north", [Announced(path.name) for path in names], ME)
    for path in names:
        bring(home, path)
    take(home, "north", nothing)
    look(home, "north", nothing)
    assert lies_right(home, only(home))


def test_the_place_holds_where_another_flight_looks_first(home: Home, folder: Path) -> None:
    """A second owner has the picture alone: what placed it is of a flight that it may not know."""
    for path in sorted(folder.iterdir()):
        bring(home, path)
    take(home, "north", nothing)
    (picture,) = (path for path in folder.iterdir() if path.suffix in WORLD)
    kept = home.files.put(picture)
    with transaction(home.engine) as conn:
        flights.open_flight(conn, Plan("south", "OTHER"), OTHER)
        receive(conn, "south", "scan" + picture.suffix, kept.sha256, kept.size, OTHER)
    take(home, "south", nothing)
    assert look(home, "south", nothing)["damaged"] == 0
    assert lies_right(home, only(home))


def test_a_damaged_world_file_is_named_and_a_right_one_mends_it(home: Home, folder: Path) -> None:
    (world,) = (path for path in folder.iterdir() if path.suffix in WORLD.values())
    right = world.read_text()
    world.write_text("no numbers")
    for path in sorted(folder.iterdir()):
        bring(home, path)
    take(home, "north", nothing)
    told = {file["file"]: file for file in report_of(home, "north")["files"]}
    assert told[world.name]["reason"] == "damaged-sidecar"
    picture = next(file for name, file in told.items() if Path(name).suffix in WORLD)
    assert picture["reason"] == "damaged-sidecar"
    assert picture["message"].startswith(f"{world.name}: ")  # by its sender's name, not by where it was read
    world.write_text(right)
    bring(home, world)
    take(home, "north", nothing)
    assert {file["state"] for file in report_of(home, "north")["files"]} == {"accepted"}
    look(home, "north", nothing)
    assert lies_right(home, only(home))
