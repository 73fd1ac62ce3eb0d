"""What a person points at, and outlines drawn tighter: coordinates through SAM and back, against known squares."""

import json

import numpy as np
import pytest
from pyproj import Transformer
from shapely import box, transform
from shapely.geometry import shape
from typer.testing import CliRunner

from detectors.sam import OFFICIAL, SIDE, Sam
from flyonce.cli import app
from imagery.errors import Refused
from imagery.polygons import Region, area_m2
from imagery.tiles import Window
from workers.detect import Detection
from workers.inputs import open_input
from workers.prompts import Prompt, prompted, refined
from workers.regions import Regions
from workers.testing import SPEC, write_raster
from workers.tiling import Analysis

LEFT, TOP, GSD = 500_000.0, 3_400_000.0, 0.08
SQUARES = {"one": (60, 80, 50, 40), "two": (150, 220, 30, 60)}
"""Row, column, height, width in pixels."""


class Red(Sam):
    """In place of the network: the mask is what is red. Keeps what it was asked."""

    def __init__(self, builder):
        super().__init__(builder())
        self.asked = []

    def prompted(self, image, *, points=(), box=None):
        self.asked.append((image, tuple(points), box))
        return (image[..., 0].astype(int) - image[..., 1]) > 100, 0.9


@pytest.fixture
def ortho(tmp_path):
    data = np.full((3, 260, 320), 90, dtype=np.uint8)
    for row, col, height, width in SQUARES.values():
        data[:, row : row + height, col : col + width] = np.array([220, 30, 30], np.uint8)[:, None, None]
    return write_raster(tmp_path / "ortho.tif", data, left=LEFT, top=TOP, gsd=GSD)


def ground(name):
    row, col, height, width = SQUARES[name]
    return box(LEFT + col * GSD, TOP - (row + height) * GSD, LEFT + (col + width) * GSD, TOP - row * GSD)


def degrees(geometry):
    to_degrees = Transformer.from_crs("EPSG:32650", "OGC:CRS84", always_xy=True)
    return transform(geometry, lambda xy: np.stack(to_degrees.transform(xy[:, 0], xy[:, 1]), axis=-1))


def on_ground(polygon, grid):
    return transform(polygon, lambda cells: cells * [grid.cell, grid.y_sign * grid.cell])


def overlap(one, other):
    return one.intersection(other).area / one.union(other).area


@pytest.mark.parametrize("name", SQUARES)
def test_a_point_in_degrees_meets_the_thing_it_stands_on(ortho, tiny_sam, name):
    sam = Red(tiny_sam)
    middle = degrees(ground(name)).centroid
    grid, _ = prompted(open_input(ortho), sam, [Prompt(point=(middle.x, middle.y))])
    ((image, ((x, y),), asked_box),) = sam.asked
    assert asked_box is None
    assert image.shape == (SIDE, SIDE, 3)
    assert image[int(y), int(x), 0] > 200
    assert image[int(y), int(x), 1] < 60
    assert grid.cell == pytest.approx(sam.spec.gsd)


def test_a_box_in_degrees_is_the_box_in_the_window_and_the_largest_piece_comes_back(ortho, tiny_sam):
    sam = Red(tiny_sam)
    grid, (region,) = prompted(open_input(ortho), sam, [Prompt(box=degrees(ground("one")).bounds)])
    ((image, points, asked),) = sam.asked
    assert points == ()
    left, top, right, bottom = (round(edge) for edge in asked)
    assert (right - left, bottom - top) == pytest.approx((40, 50), abs=1)
    assert (image[top + 1 : bottom - 1, left + 1 : right - 1, 0] > 200).all()
    assert image[top - 3, left - 3, 0] < 120
    largest = max(SQUARES, key=lambda name: ground(name).area)
    assert overlap(on_ground(region.polygon, grid), ground(largest)) > 0.9
    assert region.score == pytest.approx(0.9, abs=0.01)


def test_pixels_are_prompts_where_nothing_tells_the_ground(ortho, tiny_sam):
    sam = Red(tiny_sam)
    source = open_input(ortho, pixels=True, gsd=GSD / 2)
    row, col, height, width = SQUARES["two"]
    _, regions = prompted(
        source, sam, [Prompt(point=(col + 3.0, row + 3.0)), Prompt(box=(col, row, col + width, row + height))]
    )
    assert len(regions) == 2
    for image, points, asked in sam.asked:
        (x, y) = points[0] if points else ((asked[0] + asked[2]) / 2, (asked[1] + asked[3]) / 2)
        assert image[int(y), int(x), 0] > 200


def test_a_prompt_on_nothing_shows_nothing(ortho, tiny_sam):
    far = degrees(box(LEFT + 900, TOP + 900, LEFT + 901, TOP + 901)).centroid
    assert prompted(open_input(ortho), Red(tiny_sam), [Prompt(point=(far.x, far.y))])[1] == []


def test_the_network_itself_is_asked_and_answers_within_the_window(ortho, sam_checkpoint):
    middle = degrees(ground("one")).centroid
    prompts = [Prompt(point=(middle.x, middle.y)), Prompt(box=degrees(ground("two")).bounds)]
    grid, regions = prompted(open_input(ortho), Sam.load(), prompts)
    again = prompted(open_input(ortho), Sam.load(), prompts)[1]
    assert [one.polygon for one in regions] == [one.polygon for one in again]
    for region in regions:
        assert 0 <= region.score <= 1
        assert area_m2(region.polygon, grid, grid.cell) <= (SIDE * grid.cell) ** 2


def detection(ortho, *outlines):
    source = open_input(ortho)
    grid = source.source.grid(GSD)
    regions = Regions()
    for value, outline in outlines:
        cells = transform(outline, lambda xy: xy / [grid.cell, grid.y_sign * grid.cell])
        count = round(cells.area)
        regions.add(Region(value, cells, count, count * 200))
    analysis = Analysis(regions, (0,) * 256, (0,) * 256, 1, ())
    return Detection(source, SPEC, grid, Window(0, 0, 1, 1), analysis)


def test_outlines_are_drawn_tighter_and_keep_class_and_score(ortho, tiny_sam):
    loose = ground("one").buffer(0.5, join_style="mitre")
    rough = detection(ortho, (2, loose))
    (tight,) = refined(rough, Red(tiny_sam)).analysis.regions
    assert overlap(on_ground(tight.polygon, rough.grid), ground("one")) > 0.9
    assert overlap(loose, ground("one")) < 0.8
    assert tight.value == 2
    assert tight.score == pytest.approx(200 / 255, abs=0.01)
    assert len(rough.analysis.regions) == 1, "what was found first is not touched"


def test_an_outline_stays_where_sam_sees_something_else_or_cannot_see_it_whole(ortho, tiny_sam):
    elsewhere = box(LEFT + 1, TOP - 19, LEFT + 3, TOP - 17)
    huge = box(LEFT - 60, TOP - 60, LEFT + 60, TOP + 60)
    rough = detection(ortho, (1, elsewhere), (1, huge))
    sam = Red(tiny_sam)
    kept = [one.polygon for one in refined(rough, sam).analysis.regions]
    assert kept == [one.polygon for one in rough.analysis.regions]
    assert len(sam.asked) == 1, "what does not fit into a window is not asked about"


def test_at_the_command_line_a_point_becomes_an_outline_file(ortho, tmp_path, sam_checkpoint, monkeypatch):
    monkeypatch.setenv("FLYONCE_HOME", str(tmp_path / "home"))
    middle = degrees(ground("one")).centroid
    out = tmp_path / "one.geojson"
    run = CliRunner().invoke(
        app, ["detect", "sam", str(ortho), "--point", f"{middle.x},{middle.y}", "--out", str(out), "--json"]
    )
    assert run.exit_code == 0, run.output
    document = json.loads(out.read_text())
    assert json.loads(run.stdout)["found"] == len(document["features"])
    for feature in document["features"]:
        assert feature["properties"]["class"] == "segment"
        assert shape(feature["geometry"]).is_valid


@pytest.mark.parametrize("asked", [["sam", "--point", "1,2"], ["debris", "--refine", "sam"]])
def test_a_missing_checkpoint_says_which_file_to_get_from_whom(ortho, tmp_path, monkeypatch, asked):
    monkeypatch.setenv("FLYONCE_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("FLYONCE_SAM_CHECKPOINT", raising=False)
    detector, *options = asked
    out = tmp_path / "o.geojson"
    run = CliRunner().invoke(app, ["detect", detector, str(ortho), *options, "--out", str(out)])
    assert isinstance(run.exception, Refused)
    assert run.exception.reason == "no-checkpoint"
    for word in (OFFICIAL[0].file, OFFICIAL[0].sha256, "Meta AI"):
        assert word in run.exception.remedy
    assert not out.exists()


@pytest.mark.parametrize("wrong", [["--point", "1"], ["--box", "1,2,3"], ["--refine", "other"]])
def test_prompts_that_make_no_sense_are_told_of(ortho, tmp_path, monkeypatch, wrong):
    monkeypatch.setenv("FLYONCE_HOME", str(tmp_path / "home"))
    run = CliRunner().invoke(app, ["detect", "sam", str(ortho), *wrong, "--out", str(tmp_path / "o.geojson")])
    assert run.exit_code == 1
