"""A flight over the simulated block: the lines it flies, and its photos."""

import io
import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from imagery.camera import Camera, Relief
from imagery.simulator.canvas import View
from imagery.simulator.days import Day
from imagery.simulator.light import Picture, grain
from imagery.simulator.options import Hills, HillsBelow, Options
from imagery.simulator.place import GROUND, Place, convergence, to_degrees
from imagery.simulator.tags import EQUIVALENT, Recorded, exif, xmp
from imagery.simulator.values import stream
from imagery.values import Attitude, Lens

WIDTH, HEIGHT = 1600, 1200
FOCAL = EQUIVALENT / math.hypot(36, 24) * math.hypot(WIDTH, HEIGHT)
LENS = Lens(WIDTH, HEIGHT, FOCAL, WIDTH / 2 + 2.6, HEIGHT / 2 - 1.7, "calibrated")
ABOVE = 60.0
"""Metres above ground that the flight is planned at: 3.0 cm per pixel."""
FORWARD, SIDE = 0.66, 0.40
"""Overlap of consecutive photos and of neighbouring lines."""
SPEED = 5.0
"""Metres per second."""
RTK = (0.012, 0.012, 0.025)
GIMBAL_ERROR = (0.3, 0.08, 0.08)
"""Standard deviation of what the gimbal reports in yaw, pitch, roll, degrees."""


@dataclass(frozen=True, slots=True)
class Pose:
    """Where one photo was really taken from."""

    name: str
    x: float
    """Scene metres."""
    y: float
    above_ground: float
    attitude: Attitude
    """Yaw against the y axis of the scene, which is grid north."""
    taken: datetime
    lens: Lens = LENS
    hills: Hills | None = None
    """The ground, where it is not flat; `above_ground` is over its level."""

    @property
    def camera(self) -> Camera:
        """The camera; its east is scene x, its north is minus scene y, both from (`x`, `y`)."""
        return Camera(self.lens, self.attitude, self.above_ground)

    @property
    def relief(self) -> Relief | None:
        return None if self.hills is None else HillsBelow(self.hills, self.x, self.y)

    def ground(self, pixels: NDArray[np.float64]) -> NDArray[np.float64]:
        """Scene points [..., 2] that pixels [..., 2] show."""
        return np.asarray(self.camera.to_ground(pixels, self.relief) * (1, -1) + (self.x, self.y))

    def corners(self) -> NDArray[np.float64]:
        """Scene points [4, 2] of the image's corners, from the top left, clockwise in the image."""
        return self.ground(np.array([[0, 0], [WIDTH, 0], [WIDTH, HEIGHT], [0, HEIGHT]], dtype=np.float64))


PLAIN = Options()


def fly(
    seed: int, name: str, width: float, height: float, day: Day, options: Options = PLAIN, hills: Hills | None = None
) -> tuple[Pose, ...]:
    """Poses of a flight that covers `width` x `height` metres of the scene in lines along x, there and back. An oblique
    one flies so much behind that the middles of its pictures are where a nadir flight's are."""
    rng = stream(seed, "flight", name)
    pixel = ABOVE / FOCAL
    ahead, aside = HEIGHT * pixel * (1 - FORWARD), WIDTH * pixel * (1 - SIDE)
    lines = math.ceil((height - WIDTH * pixel) / aside + 1e-9) + 1
    shots = math.ceil((width - HEIGHT * pixel) / ahead + 1e-9) + 1
    level = ABOVE + float(rng.normal(0, 0.4))
    lens = LENS if options.distortion is None else replace(LENS, distortion=options.distortion)
    behind = 0.0 if options.pitch == -90 else ABOVE / math.tan(math.radians(-options.pitch))
    poses: list[Pose] = []
    for line in range(lines):
        back = line % 2 == 1
        for shot in range(shots):
            step = shot if not back else shots - 1 - shot
            x = width / 2 + (step - (shots - 1) / 2) * ahead + rng.normal(0, 0.35)
            y = height / 2 + (line - (lines - 1) / 2) * aside + rng.normal(0, 0.35)
            seconds = (line * (shots + 4) + shot) * ahead / SPEED + rng.uniform(0, 0.2)
            attitude = Attitude(
                (90.0 if not back else 270.0) + float(rng.normal(0, 1.2)),
                float(max(-90.0, options.pitch + abs(rng.normal(0, 0.5)))),
                float(rng.normal(0, 0.4)),
            )
            poses.append(
                Pose(
                    f"DJI_{len(poses) + 1:04d}.JPG", float(x) + (behind if back else -behind), float(y),
                    level + float(rng.normal(0, 0.15)), attitude, day.taken + timedelta(seconds=round(seconds, 3)),
                    lens, hills,
                )
            )  # fmt: skip
    return tuple(poses)


def shoot(world: Picture, view: View, pose: Pose) -> Picture:
    """The photo of `world` as `view` shows it, seen from the pose; uint8 [HEIGHT, WIDTH, 3].

    Over a plane a pinhole camera is a homography, which its four corners fix.
    """
    if pose.hills is not None or pose.lens.distortion is not None or pose.attitude.pitch > STEEP:
        return bent(world, view, pose, (WIDTH, HEIGHT))
    corners = np.array([[0, 0], [WIDTH, 0], [WIDTH, HEIGHT], [0, HEIGHT]], dtype=np.float64)
    source = (pose.ground(corners) - (view.x, view.y)) / view.gsd
    rows: list[list[float]] = []
    for (x, y), (u, v) in zip(corners, source, strict=True):
        rows.append([x, y, 1, 0, 0, 0, -u * x, -u * y])
        rows.append([0, 0, 0, x, y, 1, -v * x, -v * y])
    mapping = np.linalg.solve(np.array(rows), source.reshape(-1))
    image = Image.fromarray(world).transform(
        (WIDTH, HEIGHT), Image.Transform.PERSPECTIVE, [float(value) for value in mapping], Image.Resampling.BICUBIC
    )
    return np.asarray(image)


STEEP = -80.0
"""Degrees: a view less steep looks further than the world is drawn."""
LATTICE = 8
"""Pixels between those whose ground is computed; between them a lens and a hill are straight to a hundredth."""
HAZE = (214, 222, 232)


def bent(world: Picture, view: View, pose: Pose, size: tuple[int, int]) -> Picture:
    """The same through a lens that bends, or over hills: each pixel looked up where its line of sight ends. `size`:
    width and height of the picture, which shows the whole of the sensor."""
    import cv2

    width, height = size
    x, y = np.arange(0, WIDTH + 1, LATTICE, dtype=np.float64), np.arange(0, HEIGHT + 1, LATTICE, dtype=np.float64)
    nodes = (pose.ground(np.stack(np.meshgrid(x, y), axis=-1)) - (view.x, view.y)) / view.gsd - 0.5
    across = _between(len(x), (np.arange(width) + 0.5) * (WIDTH / width) / LATTICE)
    down = _between(len(y), (np.arange(height) + 0.5) * (HEIGHT / height) / LATTICE)
    col, row = ((down @ np.nan_to_num(nodes[..., i], nan=-1e6) @ across.T).astype(np.float32) for i in (0, 1))
    return np.asarray(cv2.remap(world, col, row, cv2.INTER_CUBIC, borderMode=cv2.BORDER_CONSTANT, borderValue=HAZE))


def _between(nodes: int, at: NDArray[np.float64]) -> NDArray[np.float64]:
    """[N, nodes]: the weights that interpolate linearly at places `at` [N], in nodes."""
    i = np.minimum(at.astype(int), nodes - 2)
    weights = np.zeros((len(at), nodes))
    weights[np.arange(len(at)), i] = 1 - (at - i)
    weights[np.arange(len(at)), i + 1] = at - i
    return weights


def record(seed: int, flight: str, pose: Pose, place: Place) -> Recorded:
    """What the instruments write down of a pose: RTK and gimbal errors added, DJI's roundings made."""
    rng = stream(seed, "instruments", flight, pose.name)
    error = rng.normal(0, 1, 3) * RTK
    easting, northing = place.to_map(pose.x, pose.y)
    lon, lat = to_degrees(easting + error[0], northing + error[1])
    turn = convergence(lon, lat)
    yaw, pitch, roll = rng.normal(0, 1, 3) * GIMBAL_ERROR
    gimbal = Attitude(
        round(pose.attitude.yaw + turn + yaw, 1),
        round(min(max(pose.attitude.pitch + pitch, -90.0), 0.0), 1),
        round(pose.attitude.roll + roll, 1),
    )
    above = pose.above_ground + error[2]
    flight_yaw = round(gimbal.yaw + float(rng.normal(0, 0.8)), 1)
    return Recorded(lon, lat, GROUND + above, above, gimbal, flight_yaw, RTK, pose.taken)


def write_photos(
    folder: Path, seed: int, flight: str, world: Picture, view: View, day: Day, poses: tuple[Pose, ...], place: Place,
    on_photo: Callable[[], None],
) -> list[Path]:  # fmt: skip
    """Write the photos of a flight into `folder`, in order. `on_photo` is called as each is done."""
    folder.mkdir(parents=True)

    def one(pose: Pose) -> Path:
        rng = stream(seed, "photo", flight, pose.name)
        picture = _lens(shoot(world, view, pose), float(np.exp(rng.normal(0, 0.02))))
        recorded = record(seed, flight, pose, place)
        note = f"simulated by flyonce, seed {seed}, flight {flight}"
        packed = io.BytesIO()
        Image.fromarray(grain(picture, ABOVE / FOCAL, day, rng)).save(
            packed, "JPEG", quality=day.quality, subsampling=1,
            exif=exif(recorded, pose.lens, note), xmp=xmp(recorded, pose.lens, note),
        )  # fmt: skip
        path = folder / pose.name
        path.write_bytes(packed.getvalue())
        on_photo()
        return path

    # Pillow and NumPy work outside the interpreter's lock; each photo has its own stream, so order does not matter.
    with ThreadPoolExecutor() as pool:
        return list(pool.map(one, poses))


def _lens(picture: Picture, gain: float) -> Picture:
    """Exposure of one shot, and corners a little darker than the middle."""
    x = (np.arange(WIDTH, dtype=np.float32) - LENS.cx) / FOCAL
    y = (np.arange(HEIGHT, dtype=np.float32) - LENS.cy) / FOCAL
    falloff = np.float32(gain) * (1 - np.float32(0.35) * (x[None, :] ** 2 + y[:, None] ** 2))
    return np.asarray(np.clip(picture * falloff[..., None] + np.float32(0.5), 0, 255), dtype=np.uint8)


def describe(flight: str, poses: tuple[Pose, ...], place: Place) -> Iterator[dict[str, Any]]:
    """The exact poses for `poses.json`, as drawn, without the instruments' errors."""
    for pose in poses:
        easting, northing = place.to_map(pose.x, pose.y)
        yield {
            "file": f"{flight}/photos/{pose.name}",
            "easting": easting,
            "northing": northing,
            "height_above_ground": pose.above_ground,
            "attitude": asdict(pose.attitude),
            "lens": {name: value for name, value in asdict(pose.lens).items() if value is not None},
            "taken": pose.taken.isoformat(),
        }
