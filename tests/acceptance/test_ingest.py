"""`flyonce ingest` as an operator uses it: every file is answered, and sending again does no harm."""

import itertools
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pyproj import Geod
from shapely.geometry import shape

from imagery.errors import Refused
from records import receipts
from records.receipts import Outcome
from stac.store import Query
from workers.ingest import ingest
from workers.testing import write_raster

pytestmark = pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")  # rasterio's own


def flyonce(home: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "FLYONCE_HOME": str(home)}
    return subprocess.run(
        [sys.executable, "-m", "flyonce", *map(str, arguments)], capture_output=True, text=True, env=environment
    )


def items_of(home, collection):
    return home.catalog.search(Query(collections=(collection,), limit=100)).items


def everything_in(home):
    """Items but for their time of making, and the names of all stored files."""
    items = {name: items_of(home, name) for name in ("flights", "photos", "orthophotos")}
    stored = {path.name for path in home.settings.files_dir.rglob("*") if path.is_file()}
    return json.dumps(items, sort_keys=True), stored


@pytest.fixture(scope="module")
def beach(data, tmp_path_factory):
    """The report of the first and of the second run, by the command line, and the home they went to."""
    folder = tmp_path_factory.mktemp("beach") / "home"
    runs = []
    for _ in range(2):
        run = flyonce(
            folder, "ingest", data / "flights/brighton_beach", "--flight", "beach", "--department", "UAV", "--json"
        )
        assert run.returncode == 0, run.stderr
        runs.append(json.loads(run.stdout))
    return runs, folder


def open_home(folder):
    from records.settings import Settings
    from workers.home import Home

    return Home.open(Settings(home=folder), create=False)


def test_a_flight_is_accepted_and_a_second_time_known(beach):
    (first, second), folder = beach
    assert first["counts"] == {"accepted": 18, "duplicate": 0, "quarantined": 0, "ignored": 1}
    assert second["counts"] == {"accepted": 0, "duplicate": 18, "quarantined": 0, "ignored": 1}
    assert {one["item"] for one in first["accepted"]} == {one["item"] for one in second["duplicate"]}
    assert first["ignored"][0]["file"].endswith("LICENSE")
    with open_home(folder) as home:
        assert len(items_of(home, "photos")) == 18
        (flight,) = items_of(home, "flights")
        with home.engine.connect() as conn:
            outcomes = Counter(receipt.outcome for receipt in receipts.of_flight(conn, "beach"))
    assert outcomes == {Outcome.ACCEPTED: 18, Outcome.DUPLICATE: 18}
    assert flight["properties"]["flyonce:captures"] == 18
    assert flight["properties"]["created"] < flight["properties"]["datetime"] or flight["geometry"]["type"] == "Polygon"


def test_footprints_are_as_wide_as_the_camera_sees_and_overlap_along_the_flight(beach):
    _, folder = beach
    geod = Geod(ellps="WGS84")
    with open_home(folder) as home:
        photos = sorted(items_of(home, "photos"), key=lambda item: item["properties"]["title"])
        for photo in photos:
            assert photo["properties"]["flyonce:footprint_method"] == "pose"
            ring = shape(photo["geometry"]).exterior.coords
            sides = [geod.inv(*a[:2], *b[:2])[2] for a, b in itertools.pairwise(ring)]
            assert 65 <= max(sides) <= 76
            assert (
                home.asset_path(photo["assets"]["original"]["href"]).stat().st_size
                == photo["assets"]["original"]["file:size"]
            )
            with Image.open(home.asset_path(photo["assets"]["thumbnail"]["href"])) as small:
                assert max(small.size) == 512
        shapes = [shape(photo["geometry"]) for photo in photos]
        assert all(a.intersection(b).area > 0 for a, b in itertools.pairwise(shapes))


def test_photos_without_attitude_are_accepted_by_their_position(home, data):
    report = ingest(home, [data / "flights/caliterra_east"], "east", "UAV")
    assert len(report.accepted) == 19
    assert {one.footprint for one in report.accepted} == {"position"}
    assert report.quarantined == ()
    (flight,) = items_of(home, "flights")
    assert flight["geometry"]["type"] == "MultiPoint"


@pytest.fixture
def mixed(data, tmp_path):
    """A batch with three bad files among good ones."""
    folder = tmp_path / "card"
    (folder / "sub").mkdir(parents=True)
    originals = sorted((data / "flights/brighton_beach").glob("*.JPG"))
    (folder / "a.JPG").write_bytes(originals[0].read_bytes())
    (folder / "b_truncated.JPG").write_bytes(originals[1].read_bytes()[:400_000])
    (folder / "c_text.JPG").write_text("not a picture\n" * 50)
    with Image.open(originals[2]) as image:
        image.resize((400, 225)).save(folder / "d_nowhere.JPG")
    (folder / "e_empty.JPG").write_bytes(b"")
    (folder / "sub" / "f.JPG").write_bytes(originals[3].read_bytes())
    (folder / ".hidden.JPG").write_text("left alone")
    return folder


def test_bad_files_are_kept_with_their_own_reason_and_the_rest_goes_through(home, mixed):
    report = ingest(home, [mixed], "mixed", "UAV")
    assert [Path(one.file).name for one in report.accepted] == ["a.JPG", "f.JPG"]
    reasons = {Path(one.file).name: one.reason for one in report.quarantined}
    assert reasons == {
        "b_truncated.JPG": "truncated",
        "c_text.JPG": "not-an-image",
        "d_nowhere.JPG": "no-position",
        "e_empty.JPG": "empty",
    }
    with home.engine.connect() as conn:
        receipt_of = {receipt.name: receipt for receipt in receipts.of_flight(conn, "mixed")}
    for one in report.quarantined:
        assert one.file in one.message
        assert one.remedy
        sent = Path(one.file)
        assert home.files.path(one.sha256).read_bytes() == sent.read_bytes()
        assert receipt_of[sent.name].reason == one.reason
    assert receipt_of["sub/f.JPG"].outcome is Outcome.ACCEPTED
    assert len(receipt_of) == 6


def test_the_same_picture_under_two_names_is_one_item(home, data, tmp_path):
    original = data / "flights/brighton_beach/DJI_0018.JPG"
    (tmp_path / "one.JPG").write_bytes(original.read_bytes())
    (tmp_path / "two.JPG").write_bytes(original.read_bytes())
    report = ingest(home, [tmp_path / "one.JPG", tmp_path / "two.JPG", tmp_path / "one.JPG"], "twice", "UAV")
    assert [Path(one.file).name for one in report.accepted] == ["one.JPG"]
    assert [Path(one.file).name for one in report.duplicate] == ["two.JPG"]
    assert len(items_of(home, "photos")) == 1


def test_an_orthophoto_comes_with_a_cog_and_sending_it_again_adds_nothing(home, tmp_path):
    rng = np.random.default_rng(3)
    path = write_raster(tmp_path / "ortho.tif", rng.integers(1, 255, (3, 700, 900), dtype=np.uint8), gsd=0.1)
    report = ingest(home, [path], "街区 2026-05", "UAV")
    assert [one.footprint for one in report.accepted] == ["georeference"]
    (ortho,) = items_of(home, "orthophotos")
    (flight,) = items_of(home, "flights")
    assert flight["properties"]["title"] == "街区 2026-05"
    assert ortho["properties"]["flyonce:flight"] == flight["id"] == report.flight
    import rasterio

    with rasterio.open(home.asset_path(ortho["assets"]["cog"]["href"])) as cog, rasterio.open(path) as original:
        assert cog.overviews(1)
        assert (cog.read() == original.read()).all()
    before = everything_in(home)
    again = ingest(home, [path], "街区 2026-05", "UAV")
    assert len(again.duplicate) == 1
    assert everything_in(home) == before


def test_where_nothing_could_be_received_the_command_fails_and_says_why(tmp_path):
    run = flyonce(tmp_path / "home", "ingest", tmp_path / "nowhere", "--flight", "f", "--department", "d")
    assert run.returncode != 0
    assert "nothing-there" in run.stderr
    assert str(tmp_path / "nowhere") in run.stderr


def test_a_path_that_is_not_there_is_answered_beside_the_rest(home, data, tmp_path):
    report = ingest(home, [tmp_path / "gone.JPG", data / "flights/brighton_beach/DJI_0018.JPG"], "part", "UAV")
    assert len(report.accepted) == 1
    (missing,) = report.quarantined
    assert (missing.reason, missing.sha256) == ("unreadable", None)
    assert "gone.JPG" in missing.message


def test_a_flight_of_another_department_is_not_added_to(home, data):
    photo = data / "flights/brighton_beach/DJI_0018.JPG"
    ingest(home, [photo], "shared name", "UAV")
    with pytest.raises(Refused, match="belongs to UAV") as refusal:
        ingest(home, [photo], "shared name", "TRANSPORT")
    assert refusal.value.reason == "flight-of-another-department"
