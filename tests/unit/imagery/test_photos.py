"""Photos: every real one against ExifTool; places, lenses and footprints against what is known of the flights."""

import itertools
import json
import math
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import shapely
from PIL.TiffImagePlugin import IFDRational
from pyproj import Geod, Transformer
from shapely.geometry import shape

from imagery.errors import Refused
from imagery.photos import read_photo
from imagery.values import Capture

GEOD = Geod(ellps="WGS84")
FLOWN = ("RelativeAltitude", "GimbalYawDegree", "GimbalPitchDegree", "GimbalRollDegree")
REAL = ("flights/brighton_beach/*.JPG", "flights/caliterra_east/*.jpg", "photos/dji_thermal/*.jpg", "photos/misc/*.JPG")


@pytest.fixture(scope="module")
def captures(data: Path) -> dict[Path, Capture]:
    return {path: read_photo(path) for pattern in REAL for path in sorted(data.glob(pattern))}


@pytest.fixture(scope="module")
def exiftool(captures: dict[Path, Capture], need_program: Callable[[str], str]) -> dict[Path, dict[str, Any]]:
    """ExifTool's reading of the same files: numbers, each tag with its group."""
    command = [need_program("exiftool"), "-j", "-n", "-G1", *map(str, captures)]
    done = subprocess.run(command, capture_output=True, check=True)
    return {Path(tags["SourceFile"]): tags for tags in json.loads(done.stdout)}


def test_every_tag_is_what_exiftool_reads(captures: dict[Path, Capture], exiftool: dict[Path, dict[str, Any]]) -> None:
    assert len(captures) == 18 + 19 + 2 + 1
    for path, capture in captures.items():
        tags = exiftool[path]
        assert (capture.width, capture.height) == (tags["File:ImageWidth"], tags["File:ImageHeight"])
        assert capture.media_type == tags["File:MIMEType"]
        assert (capture.make, capture.model) == (tags["IFD0:Make"], tags["IFD0:Model"])
        place = capture.position
        assert place is not None
        assert place.lat == pytest.approx(tags["Composite:GPSLatitude"], abs=1e-9)
        assert place.lon == pytest.approx(tags["Composite:GPSLongitude"], abs=1e-9)
        assert place.height == pytest.approx(tags["Composite:GPSAltitude"], abs=1e-6)
        flown = [float(tags[f"XMP-drone-dji:{tag}"]) for tag in FLOWN if f"XMP-drone-dji:{tag}" in tags]
        looked = capture.attitude
        assert ([place.above_ground, looked.yaw, looked.pitch, looked.roll] if looked else []) == flown
        assert capture.taken is not None
        assert capture.taken.strftime("%Y:%m:%d %H:%M:%S") == tags["ExifIFD:DateTimeOriginal"]


def test_brighton_beach_has_trusted_footprints(captures: dict[Path, Capture]) -> None:
    flight = [capture for path, capture in captures.items() if "brighton_beach" in path.parts]
    to_metres = Transformer.from_crs(4326, 32615, always_xy=True)
    grounds = [
        shapely.transform(shape(capture.footprint.geometry), to_metres.transform, interleaved=False)
        for capture in flight
    ]
    for capture, ground in zip(flight, grounds, strict=True):
        assert capture.footprint.method == "pose"
        corners = list(ground.exterior.coords)[:-1]
        sides = [(math.dist(a, b), a, b) for a, b in zip(corners, corners[1:] + corners[:1], strict=True)]
        width = max(length for length, *_ in sides)
        assert 65 <= width <= 76
        # A FC300S sees 6.17 mm of sensor through 3.61 mm: 68.4 m from 40 m up.
        assert capture.position is not None
        assert width == pytest.approx(6.17 / 3.61 * (capture.position.above_ground or 0), rel=0.03)
        # The short sides point where the gimbal did (from true north; the grid's north is 0.7 degrees off).
        (_, a, b) = min(sides)
        heading = math.degrees(math.atan2(b[0] - a[0], b[1] - a[1]))
        assert capture.attitude is not None
        off = (heading - capture.attitude.yaw + 90) % 180 - 90
        assert abs(off) < 1.5
        assert 3 < capture.footprint.error_m < 10
        assert capture.gsd == pytest.approx(width / 4000, rel=0.01)
    for before, after in itertools.pairwise(grounds):
        assert before.intersection(after).area > 0.3 * before.area


def test_caliterra_is_known_by_position_alone(captures: dict[Path, Capture]) -> None:
    flight = [capture for path, capture in captures.items() if "caliterra_east" in path.parts]
    for capture in flight:
        assert capture.footprint.method == "position"
        assert capture.footprint.geometry["type"] == "Point"
        assert capture.gsd is None
        assert "the file does not say which way the camera looked" in capture.notes
        # Texas in October keeps UTC-5; the camera's GPS clock tells.
        assert capture.taken_zone == "gps"
        assert capture.taken is not None
        assert capture.taken.utcoffset() is not None
        assert capture.taken.isoformat().endswith("-05:00")


def test_odd_photos_are_read_sensibly(captures: dict[Path, Capture]) -> None:
    by_name = {path.name: capture for path, capture in captures.items()}
    cut = by_name["AWPE Pigeon Lake 2020 DJI_0005.JPG"]
    assert cut.footprint.method == "position"  # its tags are those of the 5472 x 3078 picture that it was cut from
    assert any("cut or resized" in note for note in cut.notes)
    hand_held = by_name["DJI_XT2.jpg"]
    assert hand_held.footprint.method == "position"
    oblique = by_name["DJI_H20T.jpg"]
    assert any("horizon" in note for note in oblique.notes)
    assert oblique.position is not None
    reach = [GEOD.inv(oblique.position.lon, oblique.position.lat, *corner)[2] for corner in _corners(oblique)]
    assert max(reach) <= 5 * 16.508 * math.sqrt(2)


def _corners(capture: Capture) -> list[tuple[float, float]]:
    return [(lon, lat) for lon, lat in capture.footprint.geometry["coordinates"][0]]


def refusal(path: Path) -> Refused:
    with pytest.raises(Refused) as caught:
        read_photo(path)
    assert path.name in caught.value.message
    assert caught.value.remedy
    return caught.value


DJI = {
    "drone-dji:RelativeAltitude": "+50.00",
    "drone-dji:GimbalYawDegree": "+0.00",
    "drone-dji:GimbalPitchDegree": "-90.00",
    "drone-dji:GimbalRollDegree": "+0.00",
}


def test_a_posed_photo_has_a_footprint_a_bare_one_a_point(make_photo: Callable[..., Path]) -> None:
    posed = read_photo(make_photo(xmp=DJI, exif={"FocalLengthIn35mmFilm": 24}))
    assert posed.footprint.method == "pose"
    # 24 mm on a diagonal of 43.27 mm: 500 px of diagonal, 50 m up
    assert posed.gsd == pytest.approx(50 / (24 / 43.2666 * 500))
    bare = read_photo(make_photo("bare.jpg"))
    assert bare.footprint.geometry == {"type": "Point", "coordinates": [114.3, 30.5]}
    assert bare.taken is None
    assert bare.taken_zone == "none"


@pytest.mark.parametrize(
    ("changes", "exif", "said"),
    [
        ({"drone-dji:RelativeAltitude": "-3.0"}, {}, "not from above"),
        ({"drone-dji:RelativeAltitude": "1.2"}, {}, "too much for"),
        ({"drone-dji:GimbalPitchDegree": "+30.0"}, {}, "over the horizon"),
        ({"drone-dji:GimbalYawDegree": "999"}, {}, "impossible attitude"),
        ({"drone-dji:CamReverse": "1"}, {}, "other way up"),
        ({}, {"DigitalZoomRatio": 2.0}, "digital zoom"),
        ({}, {"ExifImageWidth": 4000}, "cut or resized"),
        ({}, {"FocalLengthIn35mmFilm": 0}, "no focal length"),
        ({"drone-dji:RelativeAltitude": "abc"}, {}, "how high"),
    ],
)
def test_a_pose_that_cannot_be_trusted_leaves_the_position(
    make_photo: Callable[..., Path], changes: dict[str, str], exif: dict[str, Any], said: str
) -> None:
    capture = read_photo(make_photo(xmp=DJI | changes, exif={"FocalLengthIn35mmFilm": 24} | exif))
    assert capture.footprint.method == "position"
    assert capture.gsd is None
    assert any(said in note for note in capture.notes)


def test_calibration_goes_before_the_equivalent(make_photo: Callable[..., Path]) -> None:
    calibrated = {
        "drone-dji:CalibratedFocalLength": "280.5",
        "drone-dji:CalibratedOpticalCenterX": "203.0",
        "drone-dji:CalibratedOpticalCenterY": "148.0",
    }
    capture = read_photo(make_photo(xmp=DJI | calibrated, exif={"FocalLengthIn35mmFilm": 24}))
    assert capture.lens is not None
    assert (capture.lens.focal, capture.lens.cx, capture.lens.source) == (280.5, 203.0, "calibrated")


def test_rtk_tells_its_own_error(make_photo: Callable[..., Path]) -> None:
    rtk = {"drone-dji:RtkFlag": "50", "drone-dji:RtkStdLon": "0.031", "drone-dji:RtkStdLat": "0.027"}
    position = read_photo(make_photo(xmp=rtk)).position
    assert position is not None
    assert position.error_m == 0.031
    void = read_photo(make_photo("void.jpg", gps={"GPSStatus": "V"})).position
    assert void is not None
    assert void.error_m == 100


def test_dji_s_own_position_serves_where_exif_has_none(make_photo: Callable[..., Path]) -> None:
    xmp = {"drone-dji:GpsLatitude": "-30.25", "drone-dji:GpsLongtitude": "114.75"}  # so spelt by DJI
    position = read_photo(make_photo(lat=None, lon=None, xmp=xmp)).position
    assert position is not None
    assert (position.lat, position.lon) == (-30.25, 114.75)


def test_the_southern_and_western_halves(make_photo: Callable[..., Path]) -> None:
    position = read_photo(
        make_photo(lat=-33.125, lon=-70.5, gps={"GPSAltitude": 12.5, "GPSAltitudeRef": b"\x01"})
    ).position
    assert position is not None
    assert (position.lat, position.lon, position.height) == pytest.approx((-33.125, -70.5, -12.5))


@pytest.mark.parametrize(
    ("lat", "lon", "reason"),
    [(None, None, "no-position"), (0.0, 0.0, "impossible-position"), (91.0, 10.0, "impossible-position")],
)
def test_places_that_are_none(
    make_photo: Callable[..., Path], lat: float | None, lon: float | None, reason: str
) -> None:
    assert refusal(make_photo(lat=lat, lon=lon)).reason == reason


def test_half_a_position_is_none(make_photo: Callable[..., Path]) -> None:
    no_hemisphere = make_photo(
        lat=None, lon=None, gps={"GPSLatitude": (30.0, 0.0, 0.0), "GPSLongitude": (114.0, 0.0, 0.0)}
    )
    assert refusal(no_hemisphere).reason == "no-position"
    not_numbers = make_photo("nan.jpg", gps={"GPSLatitude": (IFDRational(0, 0), 0.0, 0.0)})
    assert refusal(not_numbers).reason == "no-position"


@pytest.mark.parametrize("kept", [0.02, 0.1, 0.5, 0.9, 0.99])
def test_a_truncated_jpeg_is_refused_wherever_it_breaks_off(make_photo: Callable[..., Path], kept: float) -> None:
    path = make_photo(size=(1600, 1200), quality=90)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * kept)])
    assert refusal(path).reason == "truncated"


def test_real_photos_are_refused_when_cut(data: Path, tmp_path: Path) -> None:
    whole = (data / "flights/brighton_beach/DJI_0018.JPG").read_bytes()
    for kept in (len(whole) // 10, len(whole) // 2, 3_700_000):
        path = tmp_path / f"{kept}.JPG"
        path.write_bytes(whole[:kept])
        assert refusal(path).reason == "truncated"
    # Its preview cut off, the picture itself is whole.
    path.write_bytes(whole[:3_900_000])
    assert "lacks the further pictures (previews) that its index names" in read_photo(path).notes


def test_zeros_after_the_break_are_no_picture(make_photo: Callable[..., Path]) -> None:
    path = make_photo(size=(1600, 1200), quality=90)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2] + bytes(len(content) // 2))
    assert refusal(path).reason == "truncated"


def test_a_truncated_png_is_refused(make_photo: Callable[..., Path]) -> None:
    path = make_photo("photo.png", size=(600, 400))
    assert read_photo(path).media_type == "image/png"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert refusal(path).reason in ("truncated", "damaged")


def test_damaged_tags_are_told_not_raised(make_photo: Callable[..., Path]) -> None:
    path = make_photo(xmp={"drone-dji:RelativeAltitude": "+5.00"})
    content = path.read_bytes()
    path.write_bytes(content.replace(b"</rdf:RDF>", b"</rdf:RDX>"))
    capture = read_photo(path)
    assert any("XMP is damaged" in note for note in capture.notes)
    start = content.index(b"Exif\0\0")
    path.write_bytes(content[: start + 10] + b"\xff" * 40 + content[start + 50 :])
    assert refusal(path).reason == "no-position"


def test_entities_in_xmp_are_not_expanded(make_photo: Callable[..., Path]) -> None:
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><x:xmpmeta xmlns:x="adobe:ns:meta/">&b;</x:xmpmeta>'
    path = make_photo()
    head, tail = path.read_bytes()[:2], path.read_bytes()[2:]
    segment = b"http://ns.adobe.com/xap/1.0/\0" + bomb
    path.write_bytes(head + b"\xff\xe1" + (len(segment) + 2).to_bytes(2, "big") + segment + tail)
    assert any("XMP is damaged" in note for note in read_photo(path).notes)
