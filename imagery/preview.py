"""A quick mosaic of photos: laid by their poses, pulled together where they show the same things, drawn nearest first.

Photos are tied together by features that several show (SIFT: Lowe, IJCV 2004) and adjusted as one block
(`imagery.adjustment`). It corrects no relief; it is a preview, and says by how much it is off: the median distance on
the ground of matched points that had no part in the fit.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import rasterio
from numpy.typing import NDArray
from PIL import Image
from shapely.geometry import Polygon

from imagery.adjustment import Match, Photo, Points, connected, similar, solve, to_metres
from imagery.camera import Camera
from imagery.errors import Refused
from imagery.footprints import from_position
from imagery.ground import LONLAT, transformation
from imagery.photos import picture
from imagery.values import Capture

SIDE = 1600
"""Pixels of the longer side that a photo is drawn from."""
LOOK = 900
"""The same, that features are looked for in."""
FEATURES, RATIO, LEAST_MATCHES = 1500, 0.75, 14
NEIGHBOURS = 8
"""Photos, the nearest by position, that one is matched with."""
MOST_PIXELS = 40_000_000

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True, eq=False)
class Mosaic:
    """`rgb` uint8 [H, W, 3] and `valid` bool [H, W], north up."""

    rgb: NDArray[np.uint8]
    valid: NDArray[np.bool_]
    crs: str
    transform: rasterio.Affine
    used: tuple[int, ...]
    """Which of the photos are in it."""
    matched: int
    """Pairs of photos that were tied together."""
    residual_m: float
    """Median distance on the ground of matched points that were kept out of the fit; NaN where none were."""
    position_rms_m: float
    """Root mean square distance between where the photos were taken and where the mosaic has them."""


def preview(photos: Sequence[tuple[Path, Capture]], progress: Progress | None = None) -> Mosaic:
    """The mosaic of a flight's photos. Raises `Refused`: too-few-photos, not-matching."""
    if len(photos) < 2:
        raise Refused("too-few-photos", "A mosaic needs two photos or more.", "Add the flight's other photos.")
    crs = _utm(photos[0][1])
    loaded = []
    for done, (path, capture) in enumerate(photos):
        if progress:
            progress(path.name, done, 2 * len(photos))
        loaded.append(_load(path, capture, crs))
    matches = _matches(loaded)
    used = connected(loaded, matches)
    if len(used) < 2:
        raise Refused(
            "not-matching",
            "The photos show no ground in common that could be recognised, and tell no poses.",
            "Fly with more overlap, or send photos that tell their attitude.",
        )
    if not any(loaded[i].posed and not loaded[i].turned for i in used):
        loaded, matches = to_metres(loaded, matches, used)
    fitted, residual = solve(loaded, matches, used)
    if progress:
        progress("mosaic", 2 * len(photos) - 1, 2 * len(photos))
    return _draw([path for path, _ in photos], loaded, fitted, used, crs, len(matches), residual)


def write_mosaic(mosaic: Mosaic, path: str | Path) -> None:
    """Write it as a GeoTIFF of four bands, red, green, blue and alpha."""
    with rasterio.open(
        path, "w", driver="GTiff", width=mosaic.rgb.shape[1], height=mosaic.rgb.shape[0], count=4, dtype="uint8",
        crs=mosaic.crs, transform=mosaic.transform, photometric="RGB", alpha="YES", tiled=True, compress="deflate",
    ) as file:  # fmt: skip
        for band in range(3):
            file.write(np.ascontiguousarray(mosaic.rgb[..., band]), band + 1)
        file.write(np.where(mosaic.valid, 255, 0).astype(np.uint8), 4)


def _load(path: Path, capture: Capture, crs: str) -> Photo:
    grey = _pixels(path, LOOK).convert("L")
    position = capture.position
    if position is None:
        raise ValueError(f"{path}: a photo in the catalogue has a position")
    x, y = transformation(LONLAT, crs).transform(position.lon, position.lat)
    place = np.array([x, y])
    w, h = float(capture.width), float(capture.height)
    frame = np.array([[0, 0], [w, 0], [w, h], [0, h]])
    posed = capture.footprint.method == "pose" and capture.lens is not None and capture.attitude is not None
    corners = np.array([[-w / 2, h / 2], [w / 2, h / 2], [w / 2, -h / 2], [-w / 2, -h / 2]])
    if posed and capture.lens is not None and capture.attitude is not None and capture.camera_height is not None:
        ground = Camera(capture.lens, capture.attitude, capture.camera_height).to_ground(frame)
        posed = bool(np.isfinite(ground).all())
        if posed:
            lonlat = from_position(position, ground)
            corners = np.stack(transformation(LONLAT, crs).transform(lonlat[:, 0], lonlat[:, 1]), axis=-1) - place
    scale = min(1.0, SIDE / max(w, h))
    size = round(w * scale), round(h * scale)
    return Photo(capture, np.asarray(grey), size, corners, posed, capture.turn_in_doubt, place)


def _pixels(path: Path, side: int) -> Image.Image:
    with picture(path) as image:
        image.draft("RGB", (side, side))
        found = image.convert("RGB")
    found.thumbnail((side, side), Image.Resampling.BILINEAR)
    return found


def _to_base(photo: Photo, size: tuple[int, int]) -> NDArray[np.float64]:
    """[3, 3]: from the pixels of a picture of `size` (width, height) to the photo's base: a homography, which is exact
    for a plane and a straight lens."""
    w, h = size
    frame = np.array([[0, 0], [w, 0], [w, h], [0, h]], dtype=np.float32)
    return np.asarray(cv2.getPerspectiveTransform(frame, photo.corners.astype(np.float32)), dtype=np.float64)


def _matches(photos: list[Photo]) -> list[Match]:
    sift, matcher = cv2.SIFT.create(FEATURES), cv2.BFMatcher()
    points: list[Points] = []
    words = []
    for photo in photos:
        found, described = sift.detectAndCompute(photo.grey, None)
        h, w = photo.grey.shape
        at = np.array([one.pt for one in found], dtype=np.float64).reshape(-1, 2) + 0.5
        points.append(_through(_to_base(photo, (w, h)), at))
        words.append(described)
    found_matches = []
    places = np.array([photo.place for photo in photos])
    pairs = set()
    for i in range(len(photos)):
        near = np.argsort(np.hypot(*(places - places[i]).T))[1 : NEIGHBOURS + 1].tolist()
        pairs |= {(min(i, j), max(i, j)) for j in (*near, *((i + 1,) if i + 1 < len(photos) else ())) if j != i}
    for i, j in sorted(pairs):
        if words[i] is None or words[j] is None or min(len(words[i]), len(words[j])) < LEAST_MATCHES:
            continue
        good = [
            pair[0]
            for pair in matcher.knnMatch(words[i], words[j], k=2)
            if len(pair) == 2 and pair[0].distance < RATIO * pair[1].distance
        ]
        if len(good) < LEAST_MATCHES:
            continue
        a, b = points[i][[m.queryIdx for m in good]], points[j][[m.trainIdx for m in good]]
        unit = np.ptp(photos[i].corners[:, 0]) / LOOK
        _, kept = cv2.estimateAffinePartial2D(a, b, ransacReprojThreshold=6 * float(unit), maxIters=4000)
        inside = np.zeros(len(a), dtype=bool) if kept is None else kept[:, 0] > 0
        if inside.sum() >= LEAST_MATCHES:
            found_matches.append(Match(i, j, a[inside][:80], b[inside][:80]))
    return found_matches


def _draw(
    paths: list[Path], photos: list[Photo], fitted: dict[int, Points], used: tuple[int, ...], crs: str, matched: int,
    residual: float,
) -> Mosaic:  # fmt: skip
    corners = {i: similar(fitted[i], photos[i].corners) for i in used}
    everything = np.concatenate(list(corners.values()))
    left, bottom = everything.min(axis=0)
    right, top = everything.max(axis=0)
    gsd = float(np.median([math.sqrt(Polygon(corners[i]).area / math.prod(photos[i].size)) for i in used]))
    gsd = max(gsd, math.sqrt((right - left) * (top - bottom) / MOST_PIXELS), 0.005)
    rows, cols = math.ceil((top - bottom) / gsd), math.ceil((right - left) / gsd)
    rgb, nearest = np.zeros((rows, cols, 3), dtype=np.uint8), np.zeros((rows, cols), dtype=np.float32)
    for i in used:
        image = np.asarray(_pixels(paths[i], SIDE))
        h, w = image.shape[:2]
        target = (corners[i] - (left, top)) / (gsd, -gsd)
        (c0, r0), (c1, r1) = np.floor(target.min(axis=0)).astype(int), np.ceil(target.max(axis=0)).astype(int)
        c0, r0, c1, r1 = max(c0, 0), max(r0, 0), min(c1, cols), min(r1, rows)
        frame = np.array([[0, 0], [w, 0], [w, h], [0, h]], dtype=np.float32)
        to_window = cv2.getPerspectiveTransform(frame, (target - (c0, r0)).astype(np.float32))
        size = int(c1 - c0), int(r1 - r0)
        if min(size) <= 0:
            continue
        drawn = cv2.warpPerspective(image, to_window, size, flags=cv2.INTER_LINEAR)
        weight = cv2.warpPerspective(_middleness(h, w), to_window, size, flags=cv2.INTER_LINEAR)
        here = weight > nearest[r0:r1, c0:c1]
        rgb[r0:r1, c0:c1][here] = drawn[here]
        nearest[r0:r1, c0:c1][here] = weight[here]
    transform = rasterio.Affine(gsd, 0, float(left), 0, -gsd, float(top))
    off = np.array([fitted[i][2:] - photos[i].place for i in used])
    rms = float(np.sqrt((off**2).sum(axis=1).mean()))
    return Mosaic(rgb, nearest > 0, crs, transform, used, matched, residual, rms)


def _middleness(height: int, width: int) -> NDArray[np.float32]:
    """1 in the middle of a picture, falling towards its border, 0 there."""
    y = 1 - np.abs(np.linspace(-1, 1, height, dtype=np.float32))
    x = 1 - np.abs(np.linspace(-1, 1, width, dtype=np.float32))
    return np.asarray(np.minimum(y[:, None], x[None, :]) + np.float32(1e-4), dtype=np.float32)


def _through(homography: Points, points: Points) -> Points:
    made = np.concatenate([points, np.ones((len(points), 1))], axis=1) @ homography.T
    return np.asarray(made[:, :2] / made[:, 2:])


def _utm(capture: Capture) -> str:
    position = capture.position
    if position is None:
        raise ValueError("a photo in the catalogue has a position")
    zone = int((position.lon + 180) // 6) % 60 + 1
    return f"EPSG:{(32600 if position.lat >= 0 else 32700) + zone}"
