"""What is read from a photo or an orthophoto: small frozen values, valid once built."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from imagery.clips import Seen
    from imagery.track import Track

Kind = Literal["photo", "orthophoto", "elevation", "video", "telemetry"]
FootprintMethod = Literal["georeference", "pose", "position"]
"""`georeference`: valid pixels of a raster with a CRS. `pose`: camera, attitude and height over flat ground.
`position`: no footprint that could be trusted; the geometry is the point the capture was taken from."""


@dataclass(frozen=True, slots=True)
class Position:
    """Where a capture was taken from. Degrees on WGS84; metres."""

    lon: float
    lat: float
    height: float | None = None
    """As the file declares it, above the ellipsoid or the sea: DJI and EXIF do not say reliably which."""
    above_ground: float | None = None
    """Above the take-off point, which is taken for the ground (DJI RelativeAltitude)."""
    error_m: float = 5.0
    """Horizontal, one sigma: 5 m for a plain GNSS fix, the RTK standard deviation where the file gives one."""
    height_error_m: float | None = None
    """One sigma, where the file gives one (RTK)."""

    def __post_init__(self) -> None:
        if not (-180 <= self.lon <= 180 and -90 <= self.lat <= 90):
            raise ValueError(f"not a place on Earth: longitude {self.lon}, latitude {self.lat}")


@dataclass(frozen=True, slots=True)
class Attitude:
    """Where the camera looks, in degrees. DJI's gimbal convention: yaw clockwise from true north, pitch -90 straight
    down and 0 to the horizon, roll clockwise about the viewing axis."""

    yaw: float
    pitch: float
    roll: float


LensSource = Literal["calibrated", "35mm-equivalent", "sensor-table", "focal-plane", "field-of-view"]
"""`calibrated`: the maker's calibration in the file. `sensor-table`: focal length in millimetres over the pixel pitch
of a known sensor (`imagery.sensors`). `focal-plane`: over the pitch that the file states. `35mm-equivalent`: by the
diagonal. `field-of-view`: the angle that a video's telemetry states."""


@dataclass(frozen=True, slots=True)
class Distortion:
    """Brown-Conrady coefficients over the ideal image plane at focal length 1 (Brown 1971, as OpenCV orders them)."""

    k1: float = 0.0
    k2: float = 0.0
    p1: float = 0.0
    p2: float = 0.0
    k3: float = 0.0


@dataclass(frozen=True, slots=True)
class Lens:
    """Interior orientation of a camera, in pixels of the image as stored. x to the right, y down."""

    width: int
    height: int
    focal: float
    """Focal length in pixels."""
    cx: float
    cy: float
    source: LensSource
    distortion: Distortion | None = None
    """None: a pinhole, or an image that the camera has straightened already."""

    def __post_init__(self) -> None:
        if self.width <= 0 or self.height <= 0 or self.focal <= 0:
            raise ValueError(f"not a camera: {self.width} x {self.height} px, focal length {self.focal} px")


@dataclass(frozen=True, slots=True)
class PoseSigma:
    """How far a pose may be off: one sigma each, taken for independent. Degrees; metres."""

    yaw: float
    tilt: float
    """Of pitch and of roll each."""
    height: float
    """Of the camera above the ground it sees, unknown terrain included."""
    focal: float
    """Part of the focal length."""
    position: float
    """Horizontal, in each direction."""


@dataclass(frozen=True, slots=True)
class Ellipse:
    """Where a point on the ground lies with a probability of 95 %: half axes in metres, `bearing` of the longer one in
    degrees clockwise from north, 0 to 180."""

    semi_major: float
    semi_minor: float
    bearing: float


@dataclass(frozen=True, slots=True)
class Footprint:
    """Ground that a capture shows. `geometry` is GeoJSON in EPSG:4326: Polygon or MultiPolygon, or the Point of
    `position`. `error_m` is the estimated horizontal error of its outline, one sigma; `ellipse` the 95 % error ellipse
    of its worst corner, where it has one."""

    geometry: dict[str, Any]
    method: FootprintMethod
    error_m: float
    ellipse: Ellipse | None = None


@dataclass(frozen=True, slots=True)
class Georeference:
    """Where a raster lies. `transform` is (a, b, c, d, e, f) in rasterio's order: pixel to CRS x, y."""

    crs: str
    transform: tuple[float, float, float, float, float, float]


@dataclass(frozen=True, slots=True)
class Offset:
    """Seconds that were added to a log's times to get those of its video, how they were found, and one sigma of it."""

    seconds: float
    source: Literal["said", "length", "clock", "motion"]
    sigma: float


@dataclass(frozen=True, slots=True)
class Capture:
    """One photo, raster, video or piece of telemetry, as read from its file (and what lies beside it) alone."""

    kind: Kind
    media_type: str
    width: int
    height: int
    bands: int
    dtype: str
    footprint: Footprint
    taken: datetime | None
    """Aware. A photo's clock rarely names its zone: `taken_zone` says how it was decided."""
    taken_zone: Literal["offset", "gps", "solar", "tag", "none"] = "none"
    """`offset`: EXIF OffsetTimeOriginal; `gps`: the nearest whole quarter of an hour to the GPS clock in the file;
    `solar`: by longitude, ± 1 h or more; `tag`: the file's own absolute time; `none`: no time in the file."""
    gsd: float | None = None
    """Metres on the ground per pixel."""
    position: Position | None = None
    attitude: Attitude | None = None
    attitude_from: Literal["file", "track", "none"] = "file"
    """`track`: not in the file; straight down, the top of the picture along the track that the flight's photos make."""
    lens: Lens | None = None
    sigma: PoseSigma | None = None
    """What the footprint's error was computed from."""
    camera_height: float | None = None
    """Metres of the camera above the ground that its footprint was made over."""
    focal_mm: float | None = None
    """Of the lens, as it is built."""
    turn_in_doubt: bool = False
    """A program that turns pictures has rewritten it: the footprint of a nadir photo is the same turned by half, but no
    single pixel can be projected."""
    thermal: bool = False
    """A picture of heat: its values are no colours."""
    georeference: Georeference | None = None
    elevation: Literal["dsm", "dtm"] | None = None
    """What the heights of a raster of heights are those of."""
    make: str | None = None
    model: str | None = None
    track: "Track | None" = None
    """Of a video or of telemetry alone."""
    seen: "tuple[Seen, ...]" = ()
    """What a video shows, about once a second, where it can be trusted."""
    offset: Offset | None = None
    """Of the log that a video's track was read from, where it is no subtitle of it."""
    seconds: float | None = None
    """How long a video or a piece of telemetry lasts."""
    notes: tuple[str, ...] = field(default=())
    """What a person should know: why there is no footprint, which tag was not believed."""
