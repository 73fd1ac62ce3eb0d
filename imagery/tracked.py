"""Attitudes that files lack, read off the track that a flight's photos make: straight down, the picture's top ahead.

Marked as such, and trusted as far as `TRACK_YAW_SIGMA` and `TRACK_TILT_SIGMA` let them be."""

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from imagery.footprints import Terrain
from imagery.ground import WGS84
from imagery.photos import with_footprint
from imagery.values import Attitude, Capture

NEVER = datetime.max.replace(tzinfo=UTC)
LONGEST_GAP = timedelta(seconds=30)
"""Between two photos of one line."""
SHORTEST_STEP = 3.0
"""Metres; a step that is not longer than the positions' errors has no direction."""
BEND = 35.0
"""Degrees: where the way turns by more, nobody knows how the camera stood."""


def with_tracked_attitudes(captures: Sequence[Capture], terrain: Terrain | None = None) -> list[Capture]:
    """The captures in their order; those that lack an attitude alone get the one of their track, where a track passes
    them straight: a position, a height above ground, a lens and a neighbour in time on either side."""
    order = sorted(
        (i for i, one in enumerate(captures) if one.taken is not None and one.position is not None),
        key=lambda i: captures[i].taken or NEVER,
    )
    found = list(captures)
    for at, i in enumerate(order):
        one = captures[i]
        if one.attitude is not None or one.lens is None or one.position is None:
            continue
        if (one.position.above_ground is None and terrain is None) or not 0 < at < len(order) - 1:
            continue
        yaw = _course(captures[order[at - 1]], one, captures[order[at + 1]])
        if yaw is not None:
            note = "its attitude is not in the file: straight down, along the track of the flight"
            posed = replace(one, attitude=Attitude(yaw, -90.0, 0.0), attitude_from="track", notes=(*one.notes, note))
            made = with_footprint(posed, terrain)
            # An attitude that makes no footprint is of no use to anyone.
            found[i] = made if made.footprint.method == "pose" else one
    return found


def _course(before: Capture, here: Capture, after: Capture) -> float | None:
    """Degrees from north along the way before-here-after, None where it bends or its steps are short or far apart."""
    legs = []
    for a, b in ((before, here), (here, after)):
        if a.position is None or b.position is None or a.taken is None or b.taken is None:
            return None
        azimuth, _, distance = WGS84.inv(a.position.lon, a.position.lat, b.position.lon, b.position.lat)
        if distance < max(SHORTEST_STEP, a.position.error_m) or b.taken - a.taken > LONGEST_GAP:
            return None
        legs.append(math.radians(azimuth))
    if abs(math.degrees(math.remainder(legs[1] - legs[0], 2 * math.pi))) > BEND:
        return None
    return math.degrees(math.atan2(sum(math.sin(leg) for leg in legs), sum(math.cos(leg) for leg in legs)))
