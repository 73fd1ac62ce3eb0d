"""Every item that the builders make is valid STAC, offline, under each extension it names."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import jsonschema
import pytest
import shapely

from imagery.values import Capture
from stac import extensions
from stac.assets import COG, Stored
from stac.collections import all_collections
from stac.items import Custody, flight_item, orthophoto_item, photo_item, strictest
from stac.runs import Model, RunFiles, mask_classes, model_item, run_item

Validate = Callable[[dict[str, Any]], None]
Item = dict[str, Any]
NOW = datetime(2026, 5, 3, 9, 30, tzinfo=UTC)
CUSTODY = Custody("transport")
SHA = "ab" * 32
DEBRIS = Model("debris", "1.0.0", ("spoil_heap", "debris"), 0.05, 512, 4, "U-Net", "Apache-2.0")


def stored(name: str, media_type: str = "image/jpeg") -> Stored:
    return Stored(name, SHA, 1234, media_type)


def photo_of(capture: Capture, item_id: str = "p1", **changes: Any) -> Item:
    kind = {"custody": CUSTODY, "flight": "f1", "created": NOW, "original": stored("DJI_0001.JPG"), **changes}
    return photo_item(capture, item_id, thumbnail=stored("thumbnail.jpg"), **kind)


def ortho_of(capture: Capture, **changes: Any) -> Item:
    original = stored("ortho.tif", "image/tiff; application=geotiff")
    kind = {"custody": CUSTODY, "flight": "f1", "created": NOW, "original": original, "cog": stored("o.tif", COG)}
    return orthophoto_item(capture, "o1", **{**kind, **changes})


def run_of(inputs: list[Item]) -> Item:
    return run_item(
        "r1",
        model=DEBRIS,
        inputs=inputs,
        input_hashes=[SHA],
        geometry=inputs[0]["geometry"],
        custody=CUSTODY,
        started=NOW,
        finished=NOW,
        software={"flyonce": "0.1.0", "torch": "2.15.0"},
        parameters={"gsd": 0.05, "thresholds": [128, 128]},
        found={"spoil_heap": 3, "debris": 0},
        analysed_m2=1234.567,
        files=RunFiles(
            stored("f.geojson", "application/geo+json"),
            stored("m.tif", COG),
            stored("t.jpg"),
            (("crop-1", stored("c.jpg")),),
        ),
        notes=["simulated"],
    )


def test_a_photo_with_a_pose_is_valid_and_says_its_pose(validate: Validate, photo: Capture) -> None:
    item = photo_of(photo)
    validate(item)
    said = item["properties"]
    assert said["datetime"] == "2026-05-01T03:04:05.250000Z"
    assert said["flyonce:footprint_method"] == "pose"
    assert said["flyonce:footprint_error_m"] == 4.2
    assert said["view:off_nadir"] == pytest.approx(0.1)
    assert said["view:azimuth"] == pytest.approx(208.8)
    assert said["pers:perspective_center"] == [102.7003, 25.0003, 1930.5]
    assert said["pers:interior_orientation"]["field_of_view"] == pytest.approx(83.97, abs=0.01)
    assert (said["platform"], said["instruments"]) == ("DJI FC300S", ["FC300S"])
    assert item["bbox"] == [102.7, 25.0, 102.7006, 25.0006]
    assert item["assets"]["original"]["href"] == f"/assets/{SHA}/DJI_0001.JPG"
    assert item["assets"]["original"]["file:checksum"] == "1220" + SHA


def test_a_photo_without_a_footprint_keeps_its_point_and_says_so(validate: Validate, position_only: Capture) -> None:
    item = photo_of(position_only)
    validate(item)
    assert item["geometry"] == {"type": "Point", "coordinates": [102.71, 25.01]}
    assert item["properties"]["flyonce:footprint_method"] == "position"
    assert item["properties"]["flyonce:taken_zone"] == "none"
    assert item["properties"]["datetime"] == "2026-05-03T09:30:00Z", "when received, for want of better"
    assert extensions.VIEW not in item["stac_extensions"]
    assert "gsd" not in item["properties"]


def test_a_camera_looking_above_the_horizon_has_no_off_nadir_angle(validate: Validate, photo: Capture) -> None:
    from dataclasses import replace

    from imagery.values import Attitude

    item = photo_of(replace(photo, attitude=Attitude(10.0, 12.0, 0.0)))
    validate(item)
    assert "view:off_nadir" not in item["properties"]
    assert item["properties"]["flyonce:attitude"]["pitch"] == 12.0


def test_an_orthophoto_is_valid_and_keeps_its_system(validate: Validate, orthophoto: Capture) -> None:
    from dataclasses import replace

    from imagery.values import Georeference

    item = ortho_of(orthophoto)
    validate(item)
    assert item["properties"]["proj:code"] == "EPSG:4547"
    assert item["properties"]["proj:shape"] == [3500, 3000]
    assert {band["name"] for band in item["assets"]["cog"]["bands"]} == {"red", "green", "blue", "alpha"}
    wkt = 'PROJCRS["local grid"]'
    local = ortho_of(replace(orthophoto, georeference=Georeference(wkt, (1.0, 0.0, 0.0, 0.0, -1.0, 0.0))), cog=None)
    validate(local)
    assert (local["properties"]["proj:code"], local["properties"]["proj:wkt2"]) == (None, wkt)


def test_a_flight_covers_what_its_trustworthy_footprints_cover(
    validate: Validate, photo: Capture, position_only: Capture
) -> None:
    captures = [photo_of(photo, "a"), photo_of(position_only, "b")]
    item = flight_item("f1", title="五月航拍", custody=CUSTODY, captures=captures, created=NOW, notes=["one refused"])
    validate(item)
    covered = shapely.geometry.shape(item["geometry"])
    assert covered.equals(shapely.geometry.shape(captures[0]["geometry"]))
    assert item["properties"]["flyonce:captures"] == 2
    assert item["properties"]["start_datetime"] == "2026-05-01T03:04:05.250000Z"
    assert [link["title"] for link in item["links"] if link["rel"] == "item"] == ["DJI_0001.JPG", "DJI_0001.JPG"]


def test_a_flight_of_positions_is_their_multipoint(validate: Validate, position_only: Capture) -> None:
    item = flight_item("f", title="t", custody=CUSTODY, captures=[photo_of(position_only)] * 2, created=NOW)
    validate(item)
    assert item["geometry"]["type"] == "MultiPoint"
    assert item["properties"]["flyonce:footprint_method"] == "position"


def test_a_flight_without_captures_is_refused() -> None:
    with pytest.raises(ValueError, match="f1 has no captures"):
        flight_item("f1", title="t", custody=CUSTODY, captures=[], created=NOW)


def test_runs_say_what_they_come_from(validate: Validate, orthophoto: Capture, photo: Capture) -> None:
    before, after = ortho_of(orthophoto), ortho_of(orthophoto)
    change, detection = run_of([before, after]), run_of([photo_of(photo)])
    for item, collection, sources in ((change, "changes", 2), (detection, "detections", 1)):
        validate(item)
        assert item["collection"] == collection
        assert [link["rel"] for link in item["links"]] == ["collection"] + ["derived_from"] * (sources + 1)
        assert item["links"][-1]["href"] == "/stac/collections/models/items/debris-1.0.0"
    assert change["assets"]["mask"]["classification:classes"][-1]["value"] == 255
    assert change["assets"]["crop-1"]["roles"] == ["overview"]
    with pytest.raises(ValueError, match="has 3 inputs"):
        run_of([before, after, after])


@pytest.mark.parametrize("weights", [stored("debris.safetensors", "application/octet-stream"), None])
def test_models_are_valid_with_and_without_weights(validate: Validate, weights: Stored | None) -> None:
    item = model_item(
        DEBRIS,
        custody=CUSTODY,
        created=NOW,
        description="starter",
        metrics={"f1": 0.5},
        weights=weights,
        code=stored("debris.py", "text/x-python"),
    )
    validate(item)
    assert item["geometry"] is None
    assert ("code" in item["assets"]) == (weights is not None)


def test_mask_values_are_those_of_the_surfaces() -> None:
    assert [entry["value"] for entry in mask_classes(("a", "b"))] == [0, 1, 2, 255]


def test_collections_are_valid_and_distinct(validate: Validate) -> None:
    collections = all_collections()
    for collection in collections:
        validate(collection)
        assert collection["summaries"]
    assert len({collection["id"] for collection in collections}) == len(collections) == 9
    collections[0]["extent"]["spatial"]["bbox"][0][0] = 0.0
    assert all_collections()[0]["extent"]["spatial"]["bbox"][0][0] == -180.0, "copies are fresh"


def test_custody_is_always_said_and_results_are_as_secret_as_their_strictest_input(photo: Capture) -> None:
    open_, closed = (photo_of(photo, custody=Custody("d", security)) for security in ("public", "sensitive"))
    assert strictest([open_, closed]) == "sensitive"
    assert strictest([]) == "internal"
    assert photo_of(photo)["properties"]["flyonce:retain_until"] == "2029-05-03"
    assert Custody("d", retain_until=date(2030, 1, 2)).properties(NOW)["flyonce:retain_until"] == "2030-01-02"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("flyonce:security", "secret"),
        ("flyonce:footprint_method", "guessed"),
        ("flyonce:footprint_error_m", -1),
        ("flyonce:unknown", 1),
        ("flyonce:model", "no version"),
    ],
)
def test_our_schema_refuses_what_it_does_not_know(validate: Validate, photo: Capture, name: str, value: object) -> None:
    item = photo_of(photo)
    item["properties"][name] = value
    with pytest.raises(jsonschema.ValidationError):
        validate(item)


def test_our_schema_wants_custody(validate: Validate, photo: Capture) -> None:
    item = photo_of(photo)
    del item["properties"]["flyonce:security"]
    with pytest.raises(jsonschema.ValidationError, match="flyonce:security"):
        validate(item)
