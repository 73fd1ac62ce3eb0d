"""Findings in oblique pictures on the ground: against a simulated flight whose poses and heaps are known exactly."""

import json
import math
from typing import Any

import numpy as np
import pytest
from pyproj import Geod, Transformer
from shapely import Polygon, box
from shapely.geometry import shape

from detectors.labels import read_labels
from imagery.camera import Camera
from imagery.errors import Refused
from imagery.simulator.options import Options
from imagery.simulator.place import CRS
from imagery.simulator.simulate import Simulation, simulate
from imagery.values import Attitude, Lens
from records.engine import transaction
from stac.store import Item, Query
from tickets import store
from tickets.codes import load_codes
from workers.captures import open_captured
from workers.cluster import connect
from workers.home import Home
from workers.ingest import ingest
from workers.jobs import DetectJob
from workers.labels import labels_of
from workers.placing import place
from workers.propose import proposals
from workers.publish import run_detection

GEOD = Geod(ellps="WGS84")
TO_DEGREES = Transformer.from_crs(CRS, "OGC:CRS84", always_xy=True)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Simulation:
    """A small block, flown looking 55 degrees down."""
    return simulate(tmp_path_factory.mktemp("oblique") / "out", 21, size_m=(60.0, 34.0), options=Options(pitch=-55.0))


@pytest.fixture(scope="module")
def poses(made: Simulation) -> dict[str, dict[str, Any]]:
    """The exact poses of the later flight by file name."""
    photos = json.loads(made.poses.read_text())["photos"]
    return {one["file"].rpartition("/")[2]: one for one in photos if one["file"].startswith("after/")}


@pytest.fixture(scope="module")
def heaps(made: Simulation) -> list[dict[str, Any]]:
    """What lies there on the later date, with its outline on the ground."""
    truth = json.loads(made.truth.read_text())["features"]
    kinds = {"spoil_heap", "construction_material", "debris"}
    there = [
        one for one in truth if one["properties"]["class"] in kinds and one["properties"]["change"] != "disappeared"
    ]
    assert there
    return there


@pytest.fixture(scope="module")
def flown(made: Simulation, tmp_path_factory: pytest.TempPathFactory):
    """A home with the later flight's photos."""
    from records.settings import Settings

    with Home.open(Settings(home=tmp_path_factory.mktemp("home"))) as home:
        ingest(home, [made.folder / "after/photos"], flight="oblique", department="420902")
        yield home


def photos(home: Home) -> list[Item]:
    return sorted(home.catalog.search(Query(("photos",), limit=100)).items, key=lambda one: one["properties"]["title"])


def seen_by(pose: dict[str, Any], outline: Polygon) -> Polygon | None:
    """The pixels that a photo shows ground at, by its exact pose; None where they are not all in the picture."""
    camera = Camera(Lens(**pose["lens"]), Attitude(**pose["attitude"]), pose["height_above_ground"])
    lonlat = np.asarray(outline.exterior.coords)[:, :2]
    east, north = TO_DEGREES.transform(lonlat[:, 0], lonlat[:, 1], direction="INVERSE")
    pixels = camera.to_pixel(np.stack([east - pose["easting"], north - pose["northing"]], axis=-1))
    inside = np.isfinite(pixels).all() and (pixels >= 0).all() and (pixels <= (1600, 1200)).all()
    return Polygon(pixels) if inside else None


def metres(one: Polygon, other: Polygon) -> float:
    a, b = one.centroid, other.centroid
    return float(GEOD.inv(a.x, a.y, b.x, b.y)[2])


def test_every_heap_stands_within_the_error_that_is_stated_for_it(flown, poses, heaps):
    checked, far = 0, []
    for item in photos(flown):
        pose = poses[item["properties"]["title"]]
        outlines = {
            i: one for i, heap in enumerate(heaps) if (one := seen_by(pose, shape(heap["geometry"]))) is not None
        }
        placed, lost = place(item, outlines)
        assert lost == 0
        for index, one in placed.items():
            truth = shape(heaps[index]["geometry"])
            assert metres(one.outline, truth) <= one.error_m
            # The position's and the yaw's true errors are far smaller than what a file without RTK is taken for.
            assert 0.5 < one.error_m < 8
            ground = abs(GEOD.geometry_area_perimeter(truth)[0])
            assert one.area_m2 == pytest.approx(ground, rel=0.05)
            checked += 1
            far.append(one.error_m)
    assert checked > 3
    assert max(far) > min(far), "what is further from the camera is less certain"


def test_what_reaches_the_horizon_is_not_placed_and_is_counted(flown):
    item = photos(flown)[0]
    properties = {**item["properties"], "flyonce:attitude": {**item["properties"]["flyonce:attitude"], "pitch": -8.0}}
    tilted = {**item, "properties": properties}
    low, sky = box(700, 1100, 800, 1180), box(700, 10, 800, 90)
    placed, lost = place(tilted, {0: low, 1: sky})
    assert set(placed) <= {0}
    assert lost == 2 - len(placed)


@pytest.mark.parametrize("missing", ["flyonce:attitude", "flyonce:pose_sigma", "flyonce:focal_px"])
def test_a_photo_without_a_pose_has_no_place_for_what_is_in_it(flown, missing):
    item = photos(flown)[0]
    properties = {name: value for name, value in item["properties"].items() if name != missing}
    with pytest.raises(Refused) as refused:
        place({**item, "properties": properties}, {0: box(1, 1, 2, 2)})
    assert refused.value.reason == "no-pose"


def test_a_photo_is_analysed_at_the_gsd_that_its_item_tells(flown):
    item = photos(flown)[0]
    opened = open_captured(flown, f"photos/{item['id']}").input
    assert opened.gsd_origin == "pose"
    assert opened.gsd == pytest.approx(item["properties"]["gsd"])
    assert opened.gsd > 60 / math.sin(math.radians(55)) / 3000


def test_outlines_drawn_on_a_photo_are_as_large_as_its_pose_tells(made, flown, tmp_path):
    item = photos(flown)[0]
    name = item["properties"]["title"]
    (tmp_path / name).write_bytes((made.folder / "after/photos" / name).read_bytes())
    ring = [100, 100, 200, 100, 200, 200, 100, 200]
    document = {
        "images": [{"id": 1, "file_name": name}],
        "categories": [{"id": 1, "name": "debris"}],
        "annotations": [{"image_id": 1, "category_id": 1, "segmentation": [ring]}],
    }
    (tmp_path / "labels.json").write_text(json.dumps(document))
    (labelled,) = read_labels([tmp_path / "labels.json"]).pictures
    assert labelled.gsd == pytest.approx(item["properties"]["gsd"], rel=1e-6)


def test_the_detector_s_sightings_of_one_thing_in_several_photos_are_one_event(flown, poses, heaps):
    views: dict[int, set[str]] = {index: set() for index in range(len(heaps))}
    events: dict[int, list[list[str]]] = {index: [] for index in views}
    labels = labels_of(load_codes())
    with connect(workers=1, processes=False) as client:
        for item in photos(flown):
            run = run_detection(flown, client, DetectJob("debris", f"photos/{item['id']}"), labels)
            seen, notes = proposals(flown, run)
            assert notes == ()
            with transaction(flown.engine) as conn:
                known = store.record(conn, seen)
            for index, heap in enumerate(heaps):
                truth = shape(heap["geometry"])
                if seen_by(poses[item["properties"]["title"]], truth) is None:
                    continue
                views[index].add(f"detections/{run['id']}")
                of_class = [
                    (one, event)
                    for one, event in zip(seen, known, strict=True)
                    if one.class_ == heap["properties"]["class"]
                ]
                events[index].append([event for one, event in of_class if metres(shape(one.geometry), truth) < 2])
    several = [index for index, runs in views.items() if len(runs) > 1]
    assert len(several) >= 2
    for index in several:
        truth = shape(heaps[index]["geometry"])
        common = set(events[index][0]).intersection(*events[index][1:])
        assert len(common) == 1, f"thing {index}: {events[index]}"
        with transaction(flown.engine) as conn:
            joined = store.sightings_of(conn, common.pop())
        assert {one.run for one in joined} >= views[index]
        for one in joined:
            assert metres(shape(one.geometry), truth) <= one.error_m
            ground = abs(GEOD.geometry_area_perimeter(truth)[0])
            # By the model's outline, and by its flat ground: what stands up covers ground behind it.
            assert one.area_m2 == pytest.approx(ground, rel=0.4)
