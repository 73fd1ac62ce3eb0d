"""What a drone writes into its photos: EXIF and XMP in DJI's manner, marked as simulated."""

from dataclasses import dataclass
from datetime import UTC, datetime

from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from imagery.values import Attitude, Lens

MAKE, MODEL = "flyonce", "simulated camera"
SOFTWARE = "flyonce simulator"
EQUIVALENT = 43
"""Focal length in millimetres on 35 mm film, by the diagonal."""
PIXEL_MM = 0.005
"""Pitch of the sensor's pixels."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """What the drone's instruments say of one photo, with their errors."""

    lon: float
    lat: float
    height: float
    """Metres above the sea."""
    above_ground: float
    """Metres above the take-off point."""
    gimbal: Attitude
    """Yaw against true north."""
    flight_yaw: float
    rtk: tuple[float, float, float]
    """Standard deviation of the position in longitude, latitude, height, metres."""
    taken: datetime


def exif(recorded: Recorded, lens: Lens, note: str) -> Image.Exif:
    """The EXIF block. `note` is the ImageDescription."""
    local = recorded.taken.strftime("%Y:%m:%d %H:%M:%S")
    offset = recorded.taken.strftime("%z")
    utc = recorded.taken.astimezone(UTC)
    block = Image.Exif()
    block.update({270: note, 271: MAKE, 272: MODEL, 274: 1, 305: SOFTWARE, 306: local})
    block.get_ifd(0x8769).update(
        {
            0x829A: IFDRational(1, 640),  # ExposureTime
            0x829D: IFDRational(28, 10),  # FNumber
            0x8827: 100,  # ISOSpeedRatings
            0x9000: b"0232",
            0x9003: local,  # DateTimeOriginal
            0x9004: local,
            0x9010: f"{offset[:3]}:{offset[3:]}",  # OffsetTime
            0x9011: f"{offset[:3]}:{offset[3:]}",  # OffsetTimeOriginal
            0x9291: f"{recorded.taken.microsecond // 1000:03d}",  # SubSecTimeOriginal
            0x920A: IFDRational(round(lens.focal * PIXEL_MM * 1000), 1000),  # FocalLength
            0xA001: 1,  # sRGB
            0xA002: lens.width,
            0xA003: lens.height,
            0xA405: EQUIVALENT,  # FocalLengthIn35mmFilm
        }
    )
    block.get_ifd(0x8825).update(
        {
            0: b"\x02\x03\x00\x00",
            1: "N" if recorded.lat >= 0 else "S",
            2: _dms(recorded.lat),
            3: "E" if recorded.lon >= 0 else "W",
            4: _dms(recorded.lon),
            5: b"\x00",  # above the sea
            6: IFDRational(round(recorded.height * 1000), 1000),
            7: (IFDRational(utc.hour, 1), IFDRational(utc.minute, 1), IFDRational(utc.second, 1)),
            18: "WGS-84",
            29: utc.strftime("%Y:%m:%d"),
        }
    )
    return block


def _dms(angle: float) -> tuple[IFDRational, IFDRational, IFDRational]:
    """Degrees, minutes and seconds; the seconds to a hundred-thousandth, which is 0.3 mm on the ground."""
    units = round(abs(angle) * 3600 * 100_000)
    minutes, seconds = divmod(units, 60 * 100_000)
    return IFDRational(minutes // 60, 1), IFDRational(minutes % 60, 1), IFDRational(seconds, 100_000)


def xmp(recorded: Recorded, lens: Lens, note: str) -> bytes:
    """The XMP packet, with the names that DJI gives."""
    gimbal = recorded.gimbal
    fields = {
        "AbsoluteAltitude": f"{recorded.height:+.3f}",
        "RelativeAltitude": f"{recorded.above_ground:+.3f}",
        "GpsLatitude": f"{recorded.lat:.9f}",
        "GpsLongitude": f"{recorded.lon:.9f}",
        "GimbalRollDegree": f"{gimbal.roll:+.2f}",
        "GimbalYawDegree": f"{_half_turn(gimbal.yaw):+.2f}",
        "GimbalPitchDegree": f"{gimbal.pitch:+.2f}",
        "FlightRollDegree": "+0.00",
        "FlightYawDegree": f"{_half_turn(recorded.flight_yaw):+.2f}",
        "FlightPitchDegree": "+0.00",
        "RtkFlag": "50",
        "RtkStdLon": f"{recorded.rtk[0]:.5f}",
        "RtkStdLat": f"{recorded.rtk[1]:.5f}",
        "RtkStdHgt": f"{recorded.rtk[2]:.5f}",
        "CalibratedFocalLength": f"{lens.focal:.6f}",
        "CalibratedOpticalCenterX": f"{lens.cx:.6f}",
        "CalibratedOpticalCenterY": f"{lens.cy:.6f}",
    }
    if (bent := lens.distortion) is not None:
        # DJI's order: focal lengths, centre from the middle of the picture, k1, k2, p1, p2, k3.
        numbers = (
            lens.focal, lens.focal, lens.cx - lens.width / 2, lens.cy - lens.height / 2,
            bent.k1, bent.k2, bent.p1, bent.p2, bent.k3,
        )  # fmt: skip
        fields["DewarpFlag"] = "0"
        fields["DewarpData"] = "2026-01-01;" + ",".join(f"{number:.9f}" for number in numbers)
    attributes = "\n".join(f'   drone-dji:{name}="{value}"' for name, value in fields.items())
    return f"""<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about="{note}"
   xmlns:tiff="http://ns.adobe.com/tiff/1.0/"
   xmlns:xmp="http://ns.adobe.com/xap/1.0/"
   xmlns:drone-dji="http://www.dji.com/drone-dji/1.0/"
   tiff:Make="{MAKE}"
   tiff:Model="{MODEL}"
   xmp:CreatorTool="{SOFTWARE}"
   xmp:CreateDate="{recorded.taken.isoformat(timespec="seconds")}"
{attributes}/>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>""".encode()


def _half_turn(angle: float) -> float:
    """An angle in -180..180, as DJI writes it."""
    return (angle + 180) % 360 - 180
