"""What people draw, with the mistakes they make: each is named, and the rest is used."""

import json

import numpy as np
import pytest
import rasterio
from PIL import Image

from detectors.labels import few, read_labels
from imagery.errors import Refused

CLASSES = ("spoil_heap", "debris")


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "site.png"
    Image.fromarray(np.full((80, 100, 3), 120, dtype=np.uint8)).save(path)
    return path


def coco(folder, rings, kinds=("spoil_heap", "debris"), **image):
    document = {
        "images": [{"id": 1, "file_name": "site.png", "width": 100, "height": 80, **image}],
        "categories": [{"id": i, "name": name} for i, name in enumerate((*kinds, "ignore"), start=1)],
        "annotations": [
            {"id": i, "image_id": 1, "category_id": kind, "segmentation": [ring], "attributes": {"note": f"thing {i}"}}
            for i, (kind, ring) in enumerate(rings)
        ],
    }
    path = folder / "labels.json"
    path.write_text(json.dumps(document))
    return path


SQUARE = [10, 10, 30, 10, 30, 30, 10, 30]
BOW_TIE = [10, 40, 30, 60, 30, 40, 10, 60]
OUTSIDE = [200, 10, 220, 10, 220, 30, 200, 30]


def test_what_is_wrong_is_named_and_the_rest_is_used(tmp_path, picture):
    path = coco(tmp_path, [(1, SQUARE), (1, BOW_TIE), (2, OUTSIDE), (2, [1, 2]), (2, SQUARE)], ("spoil_heap", "cat"))
    labels = read_labels([path], classes=CLASSES, gsd=0.1)
    (seen,) = labels.pictures
    assert [(one.kind, one.polygon.area, one.thing) for one in seen.shapes] == [("spoil_heap", 400.0, "thing 0")]
    assert (seen.gsd, seen.width, seen.height) == (0.1, 100, 80)
    reasons = {left.index: left.reason for left in labels.left}
    assert reasons == {1: "self-crossing", 2: "unknown-class", 3: "no-outline", 4: "unknown-class"}
    assert read_labels([coco(tmp_path, [(2, OUTSIDE), (1, SQUARE)])], classes=CLASSES).left[0].reason == "outside"


def test_files_that_hold_nothing_to_use_are_refused(tmp_path, picture):
    def reason(path, **more):
        with pytest.raises(Refused) as refused:
            read_labels([path], classes=CLASSES, **more)
        return refused.value.reason

    assert reason(coco(tmp_path, [(1, BOW_TIE)])) == "nothing-labelled"
    assert reason(tmp_path / "gone.json") == "no-labels"
    broken = tmp_path / "broken.json"
    broken.write_text("{")
    assert reason(broken) == "no-labels"
    broken.write_text('{"a": 1}')
    assert reason(broken) == "other-labels"
    picture.unlink()
    assert reason(coco(tmp_path, [(1, SQUARE)])) == "no-picture"


def test_geojson_in_degrees_lies_on_its_orthophoto(tmp_path):
    path = tmp_path / "ortho.tif"
    with rasterio.open(
        path, "w", driver="GTiff", width=100, height=80, count=3, dtype="uint8", crs="EPSG:32650",
        transform=rasterio.Affine(0.5, 0, 500_000, 0, -0.5, 3_400_000),
    ) as ds:  # fmt: skip
        ds.write(np.full((3, 80, 100), 99, dtype=np.uint8))
    box = {"type": "Polygon", "coordinates": [[[500_005, 3_399_995], [500_015, 3_399_995], [500_015, 3_399_985],
                                               [500_005, 3_399_985], [500_005, 3_399_995]]]}  # fmt: skip
    turned = rasterio.warp.transform_geom("EPSG:32650", "OGC:CRS84", box)
    feature = {"type": "Feature", "geometry": turned, "properties": {"class": "debris"}}
    labels_file = tmp_path / "drawn.geojson"
    labels_file.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    labels = read_labels([labels_file], classes=CLASSES, sources=[path])
    assert labels.pictures[0].shapes[0].polygon.bounds == pytest.approx((10, 10, 30, 30), abs=1e-4)
    assert labels.pictures[0].gsd == pytest.approx(0.5, rel=1e-3)
    with pytest.raises(Refused, match="which picture"):
        read_labels([labels_file], classes=CLASSES)


def test_five_of_each_class_are_needed(tmp_path, picture):
    labels = read_labels([coco(tmp_path, [(1, SQUARE)] * 5 + [(2, SQUARE)])], classes=CLASSES)
    few(labels, ["spoil_heap"])
    with pytest.raises(Refused) as refused:
        few(labels, CLASSES)
    assert refused.value.reason == "few-labels"
    assert "1 of debris" in refused.value.message
