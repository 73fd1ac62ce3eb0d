"""The files of a simulated flight, read by others: ExifTool, rasterio, pyproj."""

import itertools
import json
import math
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from PIL import Image
from pyproj import Geod, Proj, Transformer
from rasterio.transform import rowcol
from shapely import unary_union
from shapely.geometry import Polygon, box, shape
from typer.testing import CliRunner

from flyonce import cli
from imagery.camera import Camera
from imagery.errors import Refused
from imagery.simulator import simulate as simulator
from imagery.simulator.days import two_days
from imagery.simulator.flights import fly
from imagery.simulator.place import convergence, place, to_degrees
from imagery.simulator.simulate import GSD, Simulation, simulate
from imagery.values import Attitude, Lens

SEED, SIZE = 7, (66.0, 54.0)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Simulation:
    return simulate(tmp_path_factory.mktemp("simulated") / "out", SEED, size_m=SIZE)


@pytest.fixture(scope="module")
def tags(made: Simulation, need_program: Callable[[str], str]) -> dict[str, dict[str, Any]]:
    """What ExifTool reads of every photo, by its path in the simulation."""
    program = need_program("exiftool")
    paths = [str(path) for flight in made.photos for path in flight]
    told = subprocess.run([program, "-j", "-n", "-G1", *paths], capture_output=True, check=True, timeout=120)
    rows = json.loads(told.stdout)
    return {str(Path(row["SourceFile"]).relative_to(made.folder)): row for row in rows}


@pytest.fixture(scope="module")
def poses(made: Simulation) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(made.poses.read_text())["photos"]
    return found


def camera_of(pose: dict[str, Any]) -> Camera:
    return Camera(Lens(**pose["lens"]), Attitude(**pose["attitude"]), pose["height_above_ground"])


def test_everything_says_that_it_is_simulated(made: Simulation, tags: dict[str, dict[str, Any]]) -> None:
    for row in tags.values():
        assert "simulated" in row["IFD0:ImageDescription"]
        assert "simulator" in row["IFD0:Software"]
        assert "simulated" in row["IFD0:Model"]
    for path in made.orthophotos:
        with rasterio.open(path) as file:
            assert "simulated" in file.tags()["TIFFTAG_IMAGEDESCRIPTION"]
    for path in (made.truth, made.poses):
        assert json.loads(path.read_text())["simulated"] is True


def test_orthophotos_lie_in_epsg_4547_where_the_place_is(made: Simulation) -> None:
    origin = place(SEED)
    for i, path in enumerate(made.orthophotos):
        with rasterio.open(path) as file:
            assert file.crs.to_epsg() == 4547
            assert file.res == (GSD, GSD)
            assert (file.count, file.dtypes[0]) == (3, "uint8")
            assert file.profile["tiled"]
            lon, lat = file.lnglat()
            assert file.bounds.left == pytest.approx(origin.easting, abs=2)
            assert file.bounds.top == pytest.approx(origin.northing, abs=2)
            if i == 0:
                assert (file.width, file.height) == (2200, 1800)
        assert 113.9 < lon < 114.0
        assert 30.87 < lat < 30.97


def test_exiftool_reads_the_camera_and_the_time(made: Simulation, tags: dict[str, dict[str, Any]]) -> None:
    assert len(made.photos[0]) == len(made.photos[1]) >= 6
    for name, row in tags.items():
        taken = made.taken[0] if name.startswith("before") else made.taken[1]
        assert row["ExifIFD:DateTimeOriginal"].startswith(taken.strftime("%Y:%m:%d "))
        assert row["ExifIFD:OffsetTimeOriginal"] == "+08:00"
        assert (row["ExifIFD:ExifImageWidth"], row["ExifIFD:ExifImageHeight"]) == (1600, 1200)
        assert (row["File:ImageWidth"], row["File:ImageHeight"]) == (1600, 1200)
        # 35 mm film by the diagonal gives the focal length in pixels that XMP tells as calibrated.
        by_film = row["ExifIFD:FocalLengthIn35mmFormat"] / math.hypot(36, 24) * math.hypot(1600, 1200)
        assert row["XMP-drone-dji:CalibratedFocalLength"] == pytest.approx(by_film, rel=1e-6)
        assert row["ExifIFD:FocalLength"] / 0.005 == pytest.approx(by_film, rel=1e-3)


def test_exiftool_reads_poses_that_agree_with_the_exact_ones(
    tags: dict[str, dict[str, Any]], poses: list[dict[str, Any]]
) -> None:
    to_map = Transformer.from_crs("EPSG:4326", "EPSG:4547")  # in the authorities' order: lat, lon to north, east
    assert len(poses) == len(tags)
    for pose in poses:
        row = tags[pose["file"]]
        assert row["Composite:GPSLatitude"] == pytest.approx(row["XMP-drone-dji:GPSLatitude"], abs=1e-8)
        assert row["Composite:GPSLongitude"] == pytest.approx(row["XMP-drone-dji:GPSLongitude"], abs=1e-8)
        north, east = to_map.transform(row["XMP-drone-dji:GPSLatitude"], row["XMP-drone-dji:GPSLongitude"])
        assert math.hypot(north - pose["northing"], east - pose["easting"]) < 0.08
        assert float(row["XMP-drone-dji:RelativeAltitude"]) == pytest.approx(pose["height_above_ground"], abs=0.15)
        assert float(row["XMP-drone-dji:AbsoluteAltitude"]) == pytest.approx(row["GPS:GPSAltitude"], abs=0.002)
        attitude = pose["attitude"]
        yaw = (float(row["XMP-drone-dji:GimbalYawDegree"]) - attitude["yaw"] + 180) % 360 - 180
        assert abs(yaw) < 1.5
        assert float(row["XMP-drone-dji:GimbalPitchDegree"]) == pytest.approx(attitude["pitch"], abs=0.5)
        assert float(row["XMP-drone-dji:GimbalRollDegree"]) == pytest.approx(attitude["roll"], abs=0.5)
        assert -90 <= float(row["XMP-drone-dji:GimbalPitchDegree"]) < -87


def test_grid_north_turns_against_true_north_as_pyproj_says() -> None:
    lon, lat = to_degrees(495_000.0, 3_422_000.0)
    assert convergence(lon, lat) == pytest.approx(
        Proj("EPSG:4547").get_factors(lon, lat).meridian_convergence, abs=1e-3
    )


def test_a_ground_point_is_in_the_photo_at_the_pixel_the_camera_says(
    made: Simulation, poses: list[dict[str, Any]]
) -> None:
    """Below each camera photo and orthophoto show the same picture; a metre beside it they do not."""
    scores, elsewhere = [], []
    with rasterio.open(made.orthophotos[0]) as file:
        ground = file.read().mean(axis=0)
        for pose in [pose for pose in poses if pose["file"].startswith("before")]:
            camera, photo = (
                camera_of(pose),
                np.asarray(Image.open(made.folder / pose["file"]).convert("L"), dtype=float),
            )
            steps = np.arange(-70, 71, 2) * GSD
            east, north = np.meshgrid(steps, -steps)
            offsets = np.stack([east, north], axis=-1)
            pixels = camera.to_pixel(offsets)
            columns, rows = np.floor(pixels[..., 0]).astype(int), np.floor(pixels[..., 1]).astype(int)
            seen = photo[rows, columns]
            for shift, into in ((0.0, scores), (1.0, elsewhere)):
                x, y = pose["easting"] + east + shift, pose["northing"] + north
                row, column = (np.reshape(part, east.shape) for part in rowcol(file.transform, x.ravel(), y.ravel()))
                inside = (row >= 0) & (row < file.height) & (column >= 0) & (column < file.width)
                if inside.mean() < 0.9:
                    continue
                into.append(np.corrcoef(seen[inside], ground[row[inside], column[inside]])[0, 1])
    assert len(scores) >= 3
    assert min(scores) > 0.6
    assert np.median(scores) > np.median(elsewhere) + 0.2


@pytest.mark.parametrize("flight", ["before", "after"])
def test_a_flight_overlaps_and_covers_the_block(flight: str) -> None:
    poses = fly(1, flight, 120.0, 90.0, two_days(1)[0])
    assert 24 <= len(poses) <= 36
    feet = [Polygon(pose.corners()) for pose in poses]
    ahead = [one.intersection(two).area / one.area for one, two in itertools.pairwise(feet)]
    assert 0.58 < float(np.median(ahead)) < 0.72
    aside = [feet[0].intersection(other).area / feet[0].area for other in feet[len(feet) // 3 : 2 * len(feet) // 3]]
    assert 0.3 < max(aside) < 0.5
    assert box(0, 0, 120, 90).difference(unary_union(feet)).area < 1


def test_truth_is_valid_geojson_with_geodesic_areas(made: Simulation) -> None:
    document = json.loads(made.truth.read_text())
    assert document["type"] == "FeatureCollection"
    assert len({feature["id"] for feature in document["features"]}) == len(document["features"])
    with rasterio.open(made.orthophotos[1]) as file:
        middle = file.lnglat()
    geod = Geod(ellps="WGS84")
    for feature in document["features"]:
        outline = shape(feature["geometry"])
        assert outline.is_valid
        area, _ = geod.geometry_area_perimeter(outline)
        assert area > 0, "the exterior ring runs counter-clockwise (RFC 7946)"
        assert feature["properties"]["area_m2"] == pytest.approx(area, abs=0.01)
        assert feature["properties"]["class"] in {"spoil_heap", "construction_material", "debris", "roof"}
        assert feature["properties"]["change"] in {"appeared", "disappeared", "altered", "unchanged"}
        assert outline.distance(shape({"type": "Point", "coordinates": middle})) < 0.001
    heaps = [f["properties"] for f in document["features"] if f["properties"]["class"] == "spoil_heap"]
    assert all(1.9 < heap["area_m2"] < 41 for heap in heaps)
    assert made.changes == sum(f["properties"]["change"] != "unchanged" for f in document["features"])


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(Refused, match="not an empty folder") as refused:
        simulate(tmp_path, 1)
    assert refused.value.reason == "not-empty"
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_the_same_seed_writes_the_same_bytes(tmp_path: Path) -> None:
    one, two = (simulate(tmp_path / name, 3, size_m=(32.0, 30.0)) for name in ("one", "two"))
    files = sorted(path.relative_to(one.folder) for path in one.folder.rglob("*") if path.is_file())
    assert len(files) >= 6
    for file in files:
        assert (one.folder / file).read_bytes() == (two.folder / file).read_bytes(), file


def test_the_command_refuses_a_folder_that_is_not_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    monkeypatch.setattr("sys.argv", ["flyonce", "simulate", str(tmp_path), "--seed", "1"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 1
    assert "nothing is overwritten" in capsys.readouterr().err


def test_the_command_tells_what_it_wrote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a small block; everything else is the real thing."""
    monkeypatch.setattr(simulator, "simulate", partial(simulate, size_m=(32.0, 30.0)))
    result = CliRunner().invoke(cli.app, ["simulate", str(tmp_path / "out"), "--seed", "5", "--json"])
    assert result.exit_code == 0
    told = json.loads(result.stdout)
    assert told["simulated"] is True
    assert [flight["name"] for flight in told["flights"]] == ["before", "after"]
    for flight in told["flights"]:
        assert all(Path(path).is_file() for path in [flight["orthophoto"], *flight["photos"]])
    assert Path(told["truth"]).is_file()
