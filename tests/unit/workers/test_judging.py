"""What a look says of photos: quality from their pixels, doubles and poses from the photos around them, the ground."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import shapely.geometry
from PIL import Image, ImageFilter

from imagery.errors import Refused
from records.engine import transaction
from records.settings import Settings
from stac import flights
from stac.flight_tables import Sender
from stac.flight_values import Plan
from stac.store import Item, Query
from workers.flights import report_of
from workers.home import Home
from workers.ingest import ingest
from workers.looking import look
from workers.receiving import receive
from workers.taking import take

pytestmark = pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")  # rasterio's own

LON, LAT = 113.93, 30.94
ME = Sender("li", "operator")
STEP = 0.0002
"""Degrees between two photos of the track: 22 m."""
XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" xmlns:drone-dji="http://www.dji.com/drone-dji/1.0/" '
    'drone-dji:RelativeAltitude="+60.0" drone-dji:AbsoluteAltitude="+85.0" {more}/></rdf:RDF></x:xmpmeta>'
)
NADIR = (
    'drone-dji:GimbalYawDegree="+0.0" drone-dji:GimbalPitchDegree="-90.0" drone-dji:GimbalRollDegree="+0.0" '
    'drone-dji:FlightYawDegree="+0.0"'
)


def scene(number: int) -> Image.Image:
    """Blocks of grey with sharp edges, of another arrangement for each number."""
    blocks = np.random.default_rng(number).integers(40, 215, (30, 40), dtype=np.uint8)
    return Image.fromarray(np.kron(blocks, np.ones((20, 20), dtype=np.uint8))).convert("RGB")


def photo(picture: Image.Image, north: float, second: int, more: str = "") -> bytes:
    """A JPEG taken so many degrees north of the start: with a height and a lens, without an attitude."""
    exif = Image.Exif()
    degrees = LAT + north
    minutes = (degrees - 30) * 60
    exif[0x8825] = {1: "N", 2: (30.0, minutes, 0.0), 3: "E", 4: (113.0, 55.8, 0.0)}
    exif[0x010F], exif[0x0110] = "Flyonce", "Test"
    camera = exif.get_ifd(0x8769)
    camera[0x9003], camera[0x920A], camera[0xA405] = f"2026:05:01 10:00:{second:02d}", 8.8, 24
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=92, exif=exif, xmp=XMP.format(more=more).encode())
    return out.getvalue()


@pytest.fixture
def card(tmp_path: Path) -> Path:
    """Five photos of a straight track to the north; the last but one was triggered twice, the last is blurred."""
    folder = tmp_path / "card"
    folder.mkdir()
    noise = np.random.default_rng(9).integers(0, 3, (600, 800, 3), dtype=np.uint8)
    again = Image.fromarray(np.asarray(scene(3)) + noise)
    blurred = scene(4).filter(ImageFilter.GaussianBlur(4))
    dark = Image.fromarray((np.asarray(scene(2)) // 40).astype(np.uint8))
    made = [(scene(1), 0.0), (dark, 1.0), (scene(3), 2.0), (again, 2.01), (blurred, 3.0)]
    for number, (picture, steps) in enumerate(made):
        (folder / f"{number}.JPG").write_bytes(photo(picture, steps * STEP, 2 * number))
    return folder


def by_name(home: Home) -> dict[str, Item]:
    return {item["properties"]["title"]: item for item in home.catalog.search(Query(("photos",), limit=50)).items}


def flags(item: Item) -> dict[str, Any]:
    said = item["properties"]
    return {word: said[f"flyonce:{word}"] for word in ("blurred", "underexposed", "overexposed")}


def test_a_look_flags_what_is_blurred_dark_or_taken_twice(home: Home, card: Path) -> None:
    report = ingest(home, [card], "north", "UAV")
    items = by_name(home)
    good = {"blurred": False, "underexposed": False, "overexposed": False}
    assert {name: flags(item) for name, item in items.items()} == {
        "0.JPG": good,
        "1.JPG": good | {"underexposed": True},
        "2.JPG": good,
        "3.JPG": good,
        "4.JPG": good | {"blurred": True},
    }
    doubles = {name: item["properties"].get("flyonce:same_view_as") for name, item in items.items()}
    assert doubles == {f"{n}.JPG": None for n in range(5)} | {"3.JPG": f"photos/{items['2.JPG']['id']}"}
    assert {"1 张模糊 blurred", "1 张欠曝 underexposed", "1 张重复拍摄 taken twice"} <= set(report.notes)


def test_an_attitude_is_read_off_the_track_after_the_acknowledgement(home: Home, tmp_path: Path) -> None:
    """Files come by upload: acknowledged as positions, laid on the ground by the later look; ends of the track stay."""
    me = Sender("li", "operator")
    with transaction(home.engine) as conn:
        flights.open_flight(conn, Plan("north", "UAV", open_ended=True), me)
        for number in range(4):
            content = photo(scene(number), number * STEP, 2 * number)
            kept = home.files.put_bytes(content)
            receive(conn, "north", f"{number}.JPG", kept.sha256, kept.size, me)
    take(home, "north", lambda *_: None)
    assert {item["properties"]["flyonce:footprint_method"] for item in by_name(home).values()} == {"position"}
    look(home, "north", lambda *_: None)
    items = by_name(home)
    methods = {name: item["properties"]["flyonce:footprint_method"] for name, item in items.items()}
    assert methods == {"0.JPG": "position", "1.JPG": "pose", "2.JPG": "pose", "3.JPG": "position"}
    said = items["1.JPG"]["properties"]
    assert said["flyonce:attitude_from"] == "track"
    assert said["flyonce:attitude"]["pitch"] == -90
    assert abs(said["flyonce:attitude"]["yaw"]) < 0.1
    area = shapely.geometry.shape(items["1.JPG"]["geometry"])
    assert area.contains(shapely.geometry.Point(LON, LAT + STEP))
    assert items["1.JPG"]["bbox"] == list(area.bounds)
    assert any("along the track" in note for note in said["flyonce:notes"])
    told = {file["file"]: file["footprint"] for file in report_of(home, "north")["files"]}
    assert told == methods
    before = by_name(home)
    look(home, "north", lambda *_: None)  # nothing new: nothing changes
    assert by_name(home) == before


def elevation(path: Path, height: float, west: float = LON - 0.01) -> Path:
    """A level model of 0.02 degrees a side."""
    cell = 0.0001
    place = rasterio.Affine(cell, 0, west, 0, -cell, LAT + 0.01)
    with rasterio.open(path, "w", "GTiff", 200, 200, 1, "EPSG:4326", place, "float32") as ds:
        ds.write(np.full((1, 200, 200), height, dtype=np.float32))
    return path


@pytest.mark.parametrize(("west", "height"), [(LON - 0.01, 45.0), (LON + 1.0, 60.0)])
def test_footprints_lie_on_the_elevation_model_of_the_settings(tmp_path: Path, west: float, height: float) -> None:
    """The ground is 40 m high and the camera 85 m: 45 m above it, whatever it was above take-off; a model of somewhere
    else leaves the photo on flat ground, and says so."""
    (tmp_path / "card").mkdir()
    (tmp_path / "card/0.JPG").write_bytes(photo(scene(0), 0.0, 0, NADIR))
    model = elevation(tmp_path / "ground.tif", 40.0, west)
    with Home.open(Settings(home=tmp_path / "home", terrain=model)) as home:
        # Of the one height, the relative one differs from the model's by less than the doubt about their zeros.
        ingest(home, [tmp_path / "card"], "north", "UAV")
        (item,) = by_name(home).values()
    assert item["properties"]["flyonce:footprint_method"] == "pose"
    assert item["properties"]["flyonce:height_above_ground"] == pytest.approx(height)
    outside = any("does not reach" in note for note in item["properties"].get("flyonce:notes", ()))
    assert outside == (west > LON)


def test_an_elevation_model_that_is_none_stops_the_home_from_opening(tmp_path: Path) -> None:
    (tmp_path / "picture.jpg").write_bytes(photo(scene(0), 0.0, 0))
    for path in (tmp_path / "picture.jpg", tmp_path / "nothing.tif"):
        with pytest.raises(Refused, match=path.name):
            Home.open(Settings(home=tmp_path / "home", terrain=path))


def test_footprints_lie_on_the_elevation_model_of_their_flight_once_it_has_come(home: Home, tmp_path: Path) -> None:
    model = home.files.put(elevation(tmp_path / "ground.tif", 40.0))
    home.files.put(elevation(tmp_path / "secret.tif", 30.0))
    no_heights = home.files.put_bytes(photo(scene(3), 0.0, 3))
    heights = {}
    for name, terrain, sent in (
        ("on-it", model.sha256, [model]),
        ("before-it", model.sha256, []),  # the store has it, of another flight: not for this sender
        ("no-model", no_heights.sha256, [no_heights]),
    ):
        kept = home.files.put_bytes(photo(scene(0), 0.0, len(heights), NADIR))
        with transaction(home.engine) as conn:
            flights.open_flight(conn, Plan(name, "UAV", terrain=terrain), ME)
            for file in [*sent, kept]:
                receive(conn, name, f"{file.sha256[:8]}.jpg", file.sha256, file.size, ME)
        take(home, name, lambda *_: None)
        item = home.catalog.get_item("photos", kept.sha256[:20])
        assert item is not None
        said = item["properties"]
        heights[name] = said["flyonce:height_above_ground"], " ".join(said.get("flyonce:notes", ()))
    assert heights["on-it"][0] == pytest.approx(45.0)
    assert heights["before-it"][0] == heights["no-model"][0] == pytest.approx(60.0)
    assert "had not come" in heights["before-it"][1]
    assert "cannot be used (" in heights["no-model"][1]
