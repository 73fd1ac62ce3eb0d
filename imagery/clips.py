"""A flight's video over the ground: which ground each second shows, which frames tell it all, and when a log began."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry import shape
from shapely.geometry.base import BaseGeometry

from imagery.footprints import Posed, Terrain, pose_footprint
from imagery.lens import FULL_FRAME_DIAGONAL
from imagery.track import Fix, Track
from imagery.values import Footprint, Lens, Position

STEP = 1.0
"""Seconds between the footprints that are kept."""
OVERLAP = 0.6
"""Of a key frame's ground, seen in the next one as well."""
PAUSE = 30.0
"""Seconds without a fix, over which nothing is said to have been seen."""
GNSS_ERROR = 5.0
COVERED, FIT = 0.7, 0.85
"""Of a video, the part that a log must cover, and the correlation of motion and speed, for them to be one flight's:
logs of other flights, tried at every second, come to 0.7."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What one second of a video shows. `yaw`: degrees from north that the camera looked along."""

    seconds: float
    fix: Fix
    position: Position
    """The fix's, with all that it may be off by."""
    posed: Posed
    yaw: float
    pitch: float

    @property
    def footprint(self) -> Footprint:
        return self.posed.footprint


def lens_of(fix: Fix, width: int, height: int) -> Lens | None:
    """The lens that a fix tells of, for a video of this size."""
    if fix.fov is not None and 0.1 < fix.fov < 170:
        focal = width / 2 / math.tan(math.radians(fix.fov) / 2)
        return Lens(width, height, focal, width / 2, height / 2, "field-of-view")
    if fix.equivalent is not None:
        # A video of 16:9 is cut from a sensor of 4:3 across its whole width.
        diagonal = 1.25 * width if width / height > 1.6 else math.hypot(width, height)
        focal = fix.equivalent / FULL_FRAME_DIAGONAL * diagonal
        return Lens(width, height, focal, width / 2, height / 2, "35mm-equivalent")
    return None


def footprints(
    track: Track,
    width: int,
    height: int,
    step: float = STEP,
    terrain: Terrain | None = None,
    timing: float = 0.0,
) -> list[Seen]:
    """The ground that the video shows, about once every `step` seconds; seconds whose footprint cannot be trusted are
    left out. `timing`: seconds, one sigma, that the track's times may be off the video's."""
    seen: list[Seen] = []
    speeds = _speeds(track) if timing and len(track.fixes) > 1 else np.zeros(len(track.fixes))
    last = -math.inf
    for fix, speed in zip(track.fixes, speeds, strict=True):
        if fix.seconds - last < step - 1e-6 or fix.attitude is None:
            continue
        last = fix.seconds
        lens = lens_of(fix, width, height)
        if lens is None:
            continue
        position = Position(
            fix.lon, fix.lat, fix.height, fix.above_ground, math.hypot(GNSS_ERROR, float(speed) * timing)
        )
        posed, _ = pose_footprint(position, fix.attitude, lens, terrain=terrain)
        if posed is not None:
            seen.append(Seen(fix.seconds, fix, position, posed, fix.attitude.yaw % 360, fix.attitude.pitch))
    return seen


def key_frames(seen: Sequence[Seen], overlap: float = OVERLAP) -> list[Seen]:
    """The fewest of the moments whose ground still overlaps by `overlap` from one to the next: each is the last one
    that does, seen from the one before."""
    if not seen:
        return []
    areas = [_area(one) for one in seen]
    chosen, here = [0], 0
    for i in range(1, len(seen)):
        shared = shapely.intersection(areas[here], areas[i]).area
        if shared < overlap * min(areas[here].area, areas[i].area):
            here = i - 1 if i - 1 > here else i
            chosen.append(here)
    if chosen[-1] != len(seen) - 1 and not areas[chosen[-1]].covers(areas[-1]):
        chosen.append(len(seen) - 1)
    return [seen[i] for i in dict.fromkeys(chosen)]


def _area(one: Seen) -> BaseGeometry:
    return shape(one.footprint.geometry)


def offset_of(
    motion: NDArray[np.float64], rate: float, track: Track, reach: float = 60.0
) -> tuple[float, float] | None:
    """Seconds to add to the log's to get the video's, and how sure that is (0 to 1): where the motion seen in the video
    fits the speeds flown best.

    `motion`: float64 [N], how fast the picture moves, any unit, `rate` times a second from the video's start. The
    normed cross-correlation's best against the best elsewhere. None where either never changes, or they fit nowhere.
    """
    times = np.array([fix.seconds for fix in track.fixes])
    if len(times) < 8 or len(motion) < 8:
        return None
    speeds = _speeds(track)
    grid = np.arange(len(motion)) / rate
    best: list[tuple[float, float]] = []
    for shift in np.arange(-reach, reach + 1e-9, 1 / rate):
        inside = (grid - shift >= times[0]) & (grid - shift <= times[-1])
        if inside.sum() < max(8, COVERED * len(motion)):
            continue
        a, b = motion[inside], np.interp(grid[inside] - shift, times, speeds)
        if a.std() < 1e-9 or b.std() < 1e-9:
            continue
        best.append((float(((a - a.mean()) * (b - b.mean())).mean() / (a.std() * b.std())), float(shift)))
    if not best:
        return None
    top, shift = max(best)
    others = [score for score, at in best if abs(at - shift) > 3.0]
    sure = top - max(others, default=0.0)
    return (shift, round(sure, 3)) if top > FIT and sure > 0.05 else None


def _speeds(track: Track) -> NDArray[np.float64]:
    """Metres per second at each fix."""
    from imagery.ground import WGS84

    lon = np.array([fix.lon for fix in track.fixes])
    lat = np.array([fix.lat for fix in track.fixes])
    times = np.array([fix.seconds for fix in track.fixes])
    _, _, steps = WGS84.inv(lon[:-1], lat[:-1], lon[1:], lat[1:])
    speeds = np.asarray(steps) / np.maximum(np.diff(times), 1e-3)
    return np.append(speeds, speeds[-1])
