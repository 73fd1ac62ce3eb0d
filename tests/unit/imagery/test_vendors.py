"""Each maker's tags: one camera, said in five ways, stands alike; calibrations, thermal frames, tracked attitudes."""

import math
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pyproj import Geod

from imagery.camera import Camera
from imagery.inspect import inspect
from imagery.photos import CLOCK_NEVER_SET, read_photo
from imagery.quality import assess, same_view
from imagery.tracked import with_tracked_attitudes
from imagery.values import Attitude, Capture, Footprint, Lens, Position
from imagery.vendors import from_body
from imagery.xmp import parse_xmp

MakePhoto = Callable[..., Path]
PLACE = {"GPSAltitude": 120.0, "GPSAltitudeRef": b"\0"}


def packet(body: str, attributes: str = "") -> bytes:
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<rdf:Description rdf:about="" {attributes}>{body}</rdf:Description></rdf:RDF></x:xmpmeta>'
    ).encode()


def with_packet(path: Path, content: bytes) -> Path:
    segment = b"http://ns.adobe.com/xap/1.0/\0" + content
    head, tail = path.read_bytes()[:2], path.read_bytes()[2:]
    path.write_bytes(head + b"\xff\xe1" + (len(segment) + 2).to_bytes(2, "big") + segment + tail)
    return path


AUTEL = 'xmlns:drone="http://www.autelrobotics.com/drone/1.0/" ' + " ".join(
    f'drone:{name}="{value}"'
    for name, value in {
        "GimbalYawDegree": 30, "GimbalPitchDegree": -70, "GimbalRollDegree": 0, "RelativeAltitude": 50,
    }.items()
)  # fmt: skip
SKYDIO = (
    "<k:RelativeAltitude>50</k:RelativeAltitude><k:CameraOrientationNED><k:Roll>0</k:Roll><k:Pitch>-70</k:Pitch>"
    "<k:Yaw>30</k:Yaw></k:CameraOrientationNED><k:GpsHorizontalAccuracy>0.8</k:GpsHorizontalAccuracy>"
    '<k:CalibratedFocalLength k:X="310" k:Y="310"/><k:CalibratedOpticalCenter k:X="201" k:Y="149"/>'
)
PARROT = (
    'xmlns:p="http://www.parrot.com/drone-parrot/1.0/" p:CameraYawDegree="30" p:CameraPitchDegree="-70" '
    'p:CameraRollDegree="0" xmlns:c="http://pix4d.com/camera/1.0" c:AboveGroundAltitude="50"'
)
PIX4D = (
    'xmlns:Camera="http://pix4d.com/camera/1.0/" Camera:Yaw="30" Camera:Pitch="20" Camera:Roll="0" '
    'Camera:AboveGroundAltitude="50" Camera:GPSXYAccuracy="1.2" Camera:GPSZAccuracy="2.5"'
)


@pytest.mark.parametrize(
    ("maker", "xmp"),
    [
        ("Autel", packet("", AUTEL)),
        ("Skydio", packet(SKYDIO, 'xmlns:k="https://www.skydio.com/drone-skydio/1.0/"')),
        ("Parrot", packet("", PARROT)),
        ("Pix4D", packet("", PIX4D)),
    ],
)
def test_one_camera_said_in_each_maker_s_way(make_photo: MakePhoto, maker: str, xmp: bytes) -> None:
    capture = read_photo(with_packet(make_photo(f"{maker}.jpg", exif={"FocalLengthIn35mmFilm": 24}, gps=PLACE), xmp))
    assert capture.attitude is not None
    assert (capture.attitude.yaw, capture.attitude.pitch) == pytest.approx((30, -70))
    assert capture.attitude.roll == pytest.approx(0, abs=1e-9)
    assert capture.position is not None
    assert capture.position.above_ground == 50
    assert capture.footprint.method == "pose"
    if maker == "Pix4D":
        assert (capture.position.error_m, capture.position.height_error_m) == (1.2, 2.5)
    if maker == "Skydio":
        assert capture.position.error_m == 0.8
        assert capture.lens is not None
        assert (capture.lens.focal, capture.lens.cx, capture.lens.source) == (310, 201, "calibrated")


@given(st.floats(-180, 180), st.floats(-60, 60), st.floats(-60, 60))
def test_a_body_s_angles_are_a_rotation_of_the_camera(yaw: float, pitch: float, roll: float) -> None:
    """Oracle: the three elementary rotations, multiplied."""
    y, p, r = np.radians([yaw, pitch, roll])
    about_z = np.array([[np.cos(y), -np.sin(y), 0], [np.sin(y), np.cos(y), 0], [0, 0, 1]])
    about_y = np.array([[np.cos(p), 0, np.sin(p)], [0, 1, 0], [-np.sin(p), 0, np.cos(p)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(r), -np.sin(r)], [0, np.sin(r), np.cos(r)]])
    body = about_z @ about_y @ about_x  # columns: nose, right wing, belly, in north, east, down
    enu = np.array([[0, 1, 0], [1, 0, 0], [0, 0, -1]]) @ body
    axes = Camera(Lens(10, 10, 10, 5, 5, "calibrated"), from_body(yaw, pitch, roll), 1.0).axes
    np.testing.assert_allclose(axes, np.stack([enu[:, 1], -enu[:, 0], enu[:, 2]]), atol=1e-9)


def test_dji_s_dewarp_data_bend_the_lens_only_where_the_picture_is_bent(make_photo: MakePhoto) -> None:
    numbers = "2026-01-01;300.0,302.0,2.5,-1.5,-0.1,0.02,0.001,-0.002,0.003"
    dji = {
        "drone-dji:RelativeAltitude": "+50", "drone-dji:GimbalYawDegree": "0", "drone-dji:GimbalPitchDegree": "-90",
        "drone-dji:GimbalRollDegree": "0", "drone-dji:DewarpData": numbers,
    }  # fmt: skip
    bent = read_photo(make_photo("bent.jpg", xmp=dji | {"drone-dji:DewarpFlag": "0"})).lens
    straight = read_photo(make_photo("straight.jpg", xmp=dji | {"drone-dji:DewarpFlag": "1"})).lens
    assert bent is not None
    assert straight is not None
    assert bent.distortion is not None
    assert (bent.distortion.k1, bent.distortion.p2, bent.distortion.k3) == (-0.1, -0.002, 0.003)
    assert (bent.cx, bent.cy, bent.focal) == pytest.approx((202.5, 148.5, math.sqrt(300 * 302)))
    assert straight.distortion is None
    unsaid = read_photo(make_photo("unsaid.jpg", xmp=dji))
    assert any("straightened" in note for note in unsaid.notes)


def test_a_known_sensor_goes_before_the_equivalent(data: Path) -> None:
    beach = read_photo(data / "flights/brighton_beach/DJI_0018.JPG").lens
    assert beach is not None
    assert beach.source == "sensor-table"
    assert beach.focal == pytest.approx(3.61 / 6.17 * 4000)
    canon = read_photo(data / "flights/caliterra_east/IMG_9362.jpg").lens
    assert canon is not None
    assert canon.focal == pytest.approx(4.5 / (25.4 / 16393.44262), rel=0.005), "what its own focal plane tags say"


def test_thermal_frames_are_known_as_such(data: Path) -> None:
    found = {path.name: read_photo(path) for path in sorted((data / "photos/dji_thermal").glob("*.jpg"))}
    assert {name: capture.thermal for name, capture in found.items()} == {"DJI_H20T.jpg": True, "DJI_XT2.jpg": True}
    assert not read_photo(data / "flights/brighton_beach/DJI_0018.JPG").thermal


def test_a_clock_of_1970_is_no_time(make_photo: MakePhoto) -> None:
    capture = read_photo(make_photo(exif={"DateTimeOriginal": "1970:01:01 00:01:02"}))
    assert capture.taken is None
    assert CLOCK_NEVER_SET in capture.notes


def test_a_camera_s_tiff_is_a_photo_and_a_broken_one_is_refused(make_photo: MakePhoto, tmp_path: Path) -> None:
    from imagery.errors import Refused

    with Image.open(make_photo(exif={"FocalLengthIn35mmFilm": 24})) as jpeg:
        path = tmp_path / "band_1.tif"
        tags = jpeg.getexif()
        tags[271] = "MicaSense"
        jpeg.convert("L").save(path, exif=tags)
    capture = inspect(path)
    assert (capture.kind, capture.media_type, capture.width) == ("photo", "image/tiff", 400)
    assert capture.position is not None
    assert capture.position.lat == pytest.approx(30.5)
    path.write_bytes(path.read_bytes().replace(b"MicaSense", b"MicaSensf")[: path.stat().st_size // 2])
    with pytest.raises(Refused) as refused:
        inspect(path)
    assert refused.value.reason in ("truncated", "damaged", "unreadable", "no-position", "no-crs")


def capture_at(i: int, lon: float, lat: float) -> Capture:
    return Capture(
        kind="photo", media_type="image/jpeg", width=4000, height=3000, bands=3, dtype="uint8",
        footprint=Footprint({"type": "Point", "coordinates": [lon, lat]}, "position", 1.0),
        taken=datetime(2026, 5, 1, tzinfo=UTC) + timedelta(seconds=4 * i), position=Position(lon, lat, None, 60.0, 1.0),
        attitude_from="none", lens=Lens(4000, 3000, 3000.0, 2000.0, 1500.0, "sensor-table"),
    )  # fmt: skip


def test_an_attitude_is_read_off_a_straight_track_and_said_to_be(make_photo: MakePhoto) -> None:
    geod, place, flown = Geod(ellps="WGS84"), (114.3, 30.6), []
    for i in range(6):
        flown.append(capture_at(i, *place))
        lon, lat, _ = geod.fwd(*place, 60.0 if i < 3 else 150.0, 20.0)
        place = (lon, lat)
    found = with_tracked_attitudes(flown)
    methods = [one.footprint.method for one in found]
    assert methods == ["position", "pose", "pose", "position", "pose", "position"], "ends and turns are not guessed"
    assert found[1].attitude is not None
    assert found[1].attitude.yaw == pytest.approx(60, abs=0.1)
    assert found[1].attitude_from == "track"
    assert any("along the track" in note for note in found[1].notes)
    own = replace(flown[1], attitude=Attitude(10, -90, 0), attitude_from="file")
    assert with_tracked_attitudes([flown[0], own, *flown[2:]])[1] == own


def test_quality_tells_sharp_from_blurred_and_views_from_each_other(data: Path) -> None:
    pictures = []
    for number in (18, 19):
        with Image.open(data / f"flights/brighton_beach/DJI_00{number}.JPG") as image:
            pictures.append(np.asarray(image.convert("L").reduce(4)))
    import cv2

    sharp, other = (assess(picture) for picture in pictures)
    blurred = assess(cv2.GaussianBlur(pictures[0], (0, 0), 3.0))
    assert not sharp.blurred
    assert blurred.blurred
    assert not sharp.underexposed
    assert assess((pictures[0] // 40).astype(np.uint8)).underexposed
    assert assess(np.clip(pictures[0].astype(int) * 4 + 100, 0, 255).astype(np.uint8)).overexposed
    noise = np.random.default_rng(1).normal(0, 3, pictures[0].shape)
    again = assess(np.clip(pictures[0] + noise, 0, 255).astype(np.uint8))
    assert same_view(sharp, again)
    assert not same_view(sharp, other)


PACKETS = st.one_of(st.binary(max_size=400), st.text('<>/:="& rdfxmlnsDescription', max_size=200).map(str.encode))


def check_packet(content: bytes) -> None:
    from xml.etree.ElementTree import ParseError

    from defusedxml import DefusedXmlException

    for body in (content, packet("").replace(b"</rdf:RDF>", content + b"</rdf:RDF>")):
        try:
            found = parse_xmp(body)
        except (ParseError, DefusedXmlException, ValueError, LookupError):
            continue
        assert all(isinstance(name, str) and isinstance(value, str) for name, value in found.items())


@settings(max_examples=150)
@given(PACKETS)
def test_a_packet_of_any_bytes_is_read_or_refused(content: bytes) -> None:
    check_packet(content)


@pytest.mark.soak
@settings(max_examples=20_000)
@given(PACKETS)
def test_a_packet_of_any_bytes_for_long(content: bytes) -> None:
    check_packet(content)
