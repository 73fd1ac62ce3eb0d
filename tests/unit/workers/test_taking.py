"""From received to answered: each file once, bad ones by name, damage that only a look at the pixels finds."""

import io

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from PIL import Image

from records import jobs, receipts
from records.engine import transaction
from stac import flights
from stac.flight_states import State
from stac.flight_tables import Sender
from stac.flight_values import Plan
from stac.store import Query
from workers.flights import report_of
from workers.ingest import ingest
from workers.looking import look
from workers.receiving import close, receive
from workers.taking import take
from workers.testing import write_raster

pytestmark = pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")  # rasterio's own

ME = Sender("li", "operator")


def nothing(*_):
    return


def bring(home, name, content, flight="north"):
    kept = home.files.put_bytes(content)
    with transaction(home.engine) as conn:
        flights.open_flight(conn, Plan(flight, "UAV"), ME)
        receive(conn, flight, name, kept.sha256, kept.size, ME)
    return kept.sha256


def photo_from(original, seed, make="Flyonce", noise=0):
    """A small photo with the original's tags, of another camera."""
    with Image.open(original) as image:
        exif = image.getexif()
        exif[0x010F], exif[0x0110] = make, "Test"
        pixels = np.asarray(image.resize((640, 360)))
    pixels = pixels ^ np.random.default_rng(seed).integers(0, 2 + noise, pixels.shape, dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", exif=exif, quality=90)
    return out.getvalue()


@pytest.fixture
def original(data):
    return data / "flights/brighton_beach/DJI_0024.JPG"


def test_what_was_received_is_answered_and_then_looked_at(home, original, tmp_path):
    ortho = write_raster(tmp_path / "o.tif", np.full((3, 60, 80), 90, dtype=np.uint8), gsd=0.1).read_bytes()
    for name, content in (("a.JPG", original.read_bytes()), ("o.tif", ortho), ("text.JPG", b"no picture")):
        bring(home, name, content)
    assert take(home, "north", nothing) == {"flight": "north", "answered": 3, "state": State.PROCESSED}
    assert {job.kind for job in jobs.recent(home.engine)} == {"take", "look"}
    files = {file["file"]: file for file in report_of(home, "north")["files"]}
    assert {name: file["state"] for name, file in files.items()} == {
        "a.JPG": "accepted",
        "o.tif": "accepted",
        "text.JPG": "quarantined",
    }
    assert files["text.JPG"]["message"].startswith("text.JPG: ")
    (photo,) = home.catalog.search(Query(collections=("photos",))).items
    assert set(photo["assets"]) == {"original"}  # catalogued before anybody looked at its pixels
    assert look(home, "north", nothing) == {"flight": "north", "looked": 2, "damaged": 0}
    (photo,) = home.catalog.search(Query(collections=("photos",))).items
    (raster,) = home.catalog.search(Query(collections=("orthophotos",))).items
    assert set(photo["assets"]) == {"original", "thumbnail"}
    assert set(raster["assets"]) == {"original", "thumbnail", "cog"}
    assert look(home, "north", nothing)["looked"] == 0
    assert take(home, "north", nothing)["answered"] == 0


@pytest.fixture
def damaged(tmp_path):
    """A GeoTIFF with a whole header whose compressed pixels were hit in the middle."""
    pixels = np.random.default_rng(2).integers(1, 255, (3, 400, 500), dtype=np.uint8)
    plain = write_raster(tmp_path / "plain.tif", pixels, gsd=0.1)
    path = tmp_path / "damaged.tif"
    rasterio.shutil.copy(plain, path, driver="GTiff", compress="deflate")
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 4000] = bytes(4000)
    path.write_bytes(content)
    return path


def test_damage_in_the_middle_is_found_by_the_look_and_leaves_the_catalogue(home, damaged):
    sha256 = bring(home, "damaged.tif", damaged.read_bytes())
    bring(home, "good.tif", damaged.with_name("plain.tif").read_bytes())
    take(home, "north", nothing)
    assert len(home.catalog.search(Query(collections=("orthophotos",))).items) == 2
    with home.engine.connect() as conn:
        assert receipts.item_of_file(conn, sha256) == f"orthophotos/{sha256[:20]}"
    assert look(home, "north", nothing) == {"flight": "north", "looked": 2, "damaged": 1}
    (left,) = home.catalog.search(Query(collections=("orthophotos",))).items
    assert left["properties"]["title"] == "good.tif"
    files = {file["file"]: file for file in report_of(home, "north")["files"]}
    assert {name: file["state"] for name, file in files.items()} == {
        "damaged.tif": "quarantined",
        "good.tif": "accepted",
    }
    assert files["damaged.tif"]["reason"] == "unreadable"
    assert home.files.path(sha256).read_bytes() == damaged.read_bytes()
    (flight,) = home.catalog.search(Query(collections=("flights",))).items
    assert flight["properties"]["flyonce:captures"] == 1
    with home.engine.connect() as conn:
        assert receipts.item_of_file(conn, sha256) is None  # sent again, it is read again


def test_an_ingest_at_home_has_looked_when_it_ends(home, damaged):
    report = ingest(home, [damaged, damaged.with_name("plain.tif")], "north", "UAV")
    assert [one.file for one in report.accepted] == [str(damaged.with_name("plain.tif"))]
    (bad,) = report.quarantined
    assert (bad.file, bad.reason) == (str(damaged), "unreadable")
    assert report.state == "processed"
    assert all(job.state is jobs.State.DONE for job in jobs.recent(home.engine))


def test_a_file_that_takes_its_reader_down_is_named_and_the_rest_goes_through(home, original, monkeypatch):
    for seed in range(3):
        bring(home, f"{seed}.JPG", photo_from(original, seed))
    poison = bring(home, "poison.JPG", photo_from(original, 9))

    class Killed(BaseException):
        """Stands for the process that ends."""

    from workers import taking

    inspected = taking.inspected

    def deadly(home, flight, path, **how):
        if path.name == poison:
            raise Killed
        return inspected(home, flight, path, **how)

    monkeypatch.setattr(taking, "inspected", deadly)
    deaths = 0
    while True:
        try:
            take(home, "north", nothing)
            break
        except Killed:
            deaths += 1
    assert deaths == taking.MOST_TRIES + 1
    states = {file["file"]: (file["state"], file["reason"]) for file in report_of(home, "north")["files"]}
    assert states.pop("poison.JPG") == ("quarantined", "reader-died")
    assert set(states.values()) == {("accepted", "")}
    assert home.files.path(poison).is_file()


def test_a_batch_of_two_cameras_is_told_in_the_report(home, original):
    bring(home, "a.JPG", photo_from(original, 1, "Canon"))
    bring(home, "b.JPG", photo_from(original, 2, "DJI"))
    take(home, "north", nothing)
    notes = report_of(home, "north")["notes"]
    assert any("several-cameras" in note and "Canon Test (1), DJI Test (1)" in note for note in notes)


def test_closing_a_flight_completes_its_item(home, original):
    with transaction(home.engine) as conn:
        flights.open_flight(conn, Plan("north", "UAV", open_ended=True), ME)
    for seed in range(4):
        bring(home, f"{seed}.JPG", photo_from(original, seed))
        take(home, "north", nothing)
    (item,) = home.catalog.search(Query(collections=("flights",))).items
    assert item["properties"]["flyonce:captures"] < 4  # made anew only now and then while files still come
    with transaction(home.engine) as conn:
        close(conn, "north", "li")
    take(home, "north", nothing)
    (item,) = home.catalog.search(Query(collections=("flights",))).items
    assert item["properties"]["flyonce:captures"] == 4


@pytest.mark.parametrize("name", ["site_dtm.tif", "高程" * 50 + "_dtm.tif"])
def test_an_uploaded_terrain_model_is_known_by_its_name(home, tmp_path, name):
    heights = np.linspace(20, 40, 60 * 80, dtype=np.float32).reshape(1, 60, 80)
    with rasterio.open(
        tmp_path / "h.tif", "w", "GTiff", 80, 60, 1, "EPSG:32649", rasterio.Affine(1, 0, 5e5, 0, -1, 3.4e6), "float32"
    ) as ds:
        ds.write(heights)
    bring(home, name, (tmp_path / "h.tif").read_bytes())
    take(home, "north", nothing)
    (item,) = home.catalog.search(Query(collections=("elevation",))).items
    assert item["properties"]["flyonce:elevation"] == "dtm"
