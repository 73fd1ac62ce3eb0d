"""Photos made on the spot, with just the tags that a test is about."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image

MakePhoto = Callable[..., Path]

XMP = """<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""
 xmlns:drone-dji="http://www.dji.com/drone-dji/1.0/" xmlns:xmp="http://ns.adobe.com/xap/1.0/" {}/>
</rdf:RDF></x:xmpmeta><?xpacket end="w"?>"""


def _sexagesimal(degrees: float) -> tuple[float, float, float]:
    whole = math.floor(abs(degrees))
    minutes = (abs(degrees) - whole) * 60
    return float(whole), float(math.floor(minutes)), (minutes - math.floor(minutes)) * 60


@pytest.fixture
def make_photo(tmp_path: Path) -> MakePhoto:
    """`make_photo(name, lat=…, lon=…, exif={tag name: value}, gps={…}, xmp={property: text}, size=(w, h))`."""

    def make(
        name: str = "photo.jpg",
        lat: float | None = 30.5,
        lon: float | None = 114.3,
        exif: dict[str, Any] | None = None,
        gps: dict[str, Any] | None = None,
        xmp: dict[str, str] | None = None,
        size: tuple[int, int] = (400, 300),
        **save: Any,
    ) -> Path:
        tags = Image.Exif()
        camera = tags.get_ifd(ExifTags.IFD.Exif)
        for tag, value in (exif or {}).items():
            (tags if tag in ("Make", "Model", "Orientation") else camera)[ExifTags.Base[tag]] = value
        place = tags.get_ifd(ExifTags.IFD.GPSInfo)
        if lat is not None and lon is not None:
            place[ExifTags.GPS.GPSLatitudeRef] = "N" if lat >= 0 else "S"
            place[ExifTags.GPS.GPSLatitude] = _sexagesimal(lat)
            place[ExifTags.GPS.GPSLongitudeRef] = "E" if lon >= 0 else "W"
            place[ExifTags.GPS.GPSLongitude] = _sexagesimal(lon)
        for tag, value in (gps or {}).items():
            place[ExifTags.GPS[tag]] = value
        if xmp:
            save["xmp"] = XMP.format(" ".join(f'{key}="{value}"' for key, value in xmp.items())).encode()
        noise = np.random.default_rng(1).integers(0, 256, (size[1] // 4, size[0] // 4, 3), dtype=np.uint8)
        path = tmp_path / name
        Image.fromarray(noise).resize(size).save(path, exif=tags.tobytes(), **save)
        return path

    return make
