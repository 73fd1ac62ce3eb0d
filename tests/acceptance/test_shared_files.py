"""Every file of the shared flights, rasters, telemetry and photos is taken in, or refused for its reason, by name."""

from pathlib import Path

import pytest

from imagery.errors import Refused
from imagery.inspect import inspect
from records import receipts
from workers.home import Home
from workers.ingest import ingest

FOLDERS = ("flights", "orthos", "telemetry", "photos")
NOT_CAPTURES = {"LICENSE", "LICENSE.txt", "license.html", "labels.json", "labels.md", "detection_labels.json"}
REFUSED = {
    "telemetry/srt/broken_empty.SRT": "empty",
    "telemetry/srt/broken_empty2.SRT": "no-telemetry",
    "telemetry/srt/broken_incomplete.SRT": "ambiguous-order",
    "telemetry/srt/mavic_air.SRT": "no-position",
}
KINDS = {
    "flights/brighton_beach": ("photo", "pose"),
    "flights/caliterra_east": ("photo", "position"),
    "orthos/naip_2009_2016": ("orthophoto", "georeference"),
    "telemetry/srt": ("telemetry", "position"),
    "telemetry/klv": ("telemetry", "position"),
}


def expected(name: str) -> tuple[str, str] | str:
    """What a file is and how its place is known, or why it is refused."""
    if name in REFUSED:
        return REFUSED[name]
    if "/oam/OAM-" in name:
        return "no-position"  # bare JPEGs that are called .tif: no georeference, no tags
    if name.startswith("photos/"):
        alone = {
            "photos/misc/OSBS_029.tif": ("orthophoto", "georeference"),
            "photos/dji_thermal/DJI_H20T.jpg": ("photo", "pose"),
        }
        return alone.get(name, ("photo", "position"))
    return next(found for folder, found in KINDS.items() if name.startswith(folder))


@pytest.fixture(scope="module")
def captures(data: Path) -> list[Path]:
    found = [path for folder in FOLDERS for path in sorted((data / folder).rglob("*")) if path.is_file()]
    return [path for path in found if path.name not in NOT_CAPTURES and path.suffix not in (".json", ".geojson")]


def test_every_file_is_read_or_refused_for_its_reason(data: Path, captures: list[Path]) -> None:
    wrong = {}
    for path in captures:
        name = path.relative_to(data).as_posix()
        found: tuple[str, str] | str
        try:
            capture = inspect(path, decode=False)
            found = capture.kind, capture.footprint.method
        except Refused as refused:
            found = refused.reason
            if path.name not in refused.message or not refused.remedy:
                wrong[name] = "refused without name or remedy"
        if found != expected(name):
            wrong[name] = str(found)
    assert wrong == {}
    assert len(captures) > 120


def test_every_file_is_ingested_or_refused_for_its_reason(home: Home, data: Path, captures: list[Path]) -> None:
    """The real thing: stored, catalogued, looked at, in one home."""
    report = ingest(home, [data / folder for folder in FOLDERS], "everything", "UAV")
    refused = {Path(one.file).relative_to(data).as_posix(): one for one in report.quarantined}
    assert {name: one.reason for name, one in refused.items()} == {
        name: found
        for name in (path.relative_to(data).as_posix() for path in captures)
        if isinstance(found := expected(name), str)
    }
    for name, one in refused.items():
        assert Path(name).name in one.message
        assert one.remedy
        assert one.sha256 is not None  # kept
        assert home.files.exists(one.sha256)
    every = {str(path) for folder in FOLDERS for path in (data / folder).rglob("*") if path.is_file()}
    assert set(report.ignored) == every - {str(path) for path in captures}  # licences and labels, by name
    wrong = {}
    for accepted in report.accepted:
        name = Path(accepted.file).relative_to(data).as_posix()
        item = home.catalog.get_item(*accepted.item.split("/"))
        assert item is not None, name
        kind, method = expected(name)
        kinds = {"photos": "photo", "orthophotos": "orthophoto", "videos": "telemetry"}
        if (kinds[item["collection"]], item["properties"]["flyonce:footprint_method"]) != (kind, method):
            wrong[name] = (item["collection"], item["properties"]["flyonce:footprint_method"])
        if kind != "telemetry":
            assert "thumbnail" in item["assets"], name
        if kind == "orthophoto":
            assert "cog" in item["assets"], name
    assert wrong == {}
    answered = len(report.accepted) + len(report.duplicate) + len(report.quarantined)
    assert answered == len(captures)
    with home.engine.connect() as conn:
        assert len(receipts.of_flight(conn, report.flight)) >= answered
    assert report.state == "processed"
