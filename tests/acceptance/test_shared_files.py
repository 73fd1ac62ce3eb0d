"""Every file of the shared flights, rasters, telemetry and photos is read, or refused for its own reason, by name."""

from pathlib import Path

import pytest

from imagery.errors import Refused
from imagery.inspect import inspect

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
