"""A video or a piece of telemetry to a `Capture`: its track, and the ground that it shows second by second."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import shapely
from shapely.geometry import shape

from imagery.clips import Seen, footprints, offset_of
from imagery.errors import Refused
from imagery.footprints import Terrain
from imagery.ground import as_geojson
from imagery.klv import packets, track_of
from imagery.logs import read_csv, read_gpx
from imagery.moving import RATE, motion
from imagery.mpegts import timed_packets
from imagery.sniff import MediaType, media_type
from imagery.srt import parse_srt, read_srt
from imagery.track import Track
from imagery.values import Capture, Footprint, Offset
from imagery.video import Clip, probe, subtitles

GNSS_ERROR = 5.0
SIDECARS = (".SRT", ".srt", ".Srt", ".gpx", ".GPX", ".csv", ".CSV", ".klv")
SLACK = 5.0
"""Seconds, and a tenth of the video: telemetry that is longer or shorter by more is that of another video."""
DIGITS = 7
LEAST_SECONDS, LEAST_SURE = 20.0, 0.1
"""Of a video whose motion is held against a log, and of the best fit ahead of the next best: a flight of even lines
fits itself in many places, and a wrong time is worse than none."""
MOST_KLV = 512 << 20


def read_telemetry(path: str | Path, kind: MediaType) -> Track:
    """The track of a telemetry file. Raises `Refused` as the readers of its kind do."""
    if kind == "application/x-subrip":
        return read_srt(path)
    if kind == "application/x-misb-klv":
        if Path(path).stat().st_size > MOST_KLV:
            raise Refused("too-large", f"{path}: too much KLV at once.", "Send the flight in parts.")
        return track_of([(None, packet) for packet in packets(Path(path).read_bytes())], path)
    return read_gpx(path) if kind == "application/gpx+xml" else read_csv(path)


def telemetry_capture(path: str | Path, kind: MediaType) -> Capture:
    """Telemetry that came without its video: a track, and nothing seen."""
    track = read_telemetry(path, kind)
    return _capture("telemetry", kind, track, None, ())


def video_capture(
    path: str | Path,
    kind: MediaType,
    beside: Path | None = None,
    offset: float | None = None,
    terrain: Terrain | None = None,
) -> Capture:
    """A video with the telemetry that it holds, or that lies beside it under its name.

    `beside`: where the video lay when it was sent; `offset`: seconds to add to the times of a GPX or CSV log, where its
    clock and the video's do not tell; `terrain`: the ground that frames are laid on. Raises `Refused`: no-telemetry,
    offset-unknown, telemetry-of-another-video, and all that `probe` and the readers raise.
    """
    clip = probe(path)
    inside = _inside(path, kind, clip)
    found = (inside, None) if inside is not None else _beside(path, Path(beside or path), clip, offset)
    if found is None:
        raise Refused(
            "no-telemetry",
            f"{path}: holds no telemetry, and none lies beside it under its name (.SRT, .gpx, .csv).",
            "Send the SRT or the log of the flight with the video.",
        )
    track, moved = found
    span = track.fixes[-1].seconds
    if clip.seconds and not -SLACK <= clip.seconds - span <= max(SLACK, 0.5 * clip.seconds):
        raise Refused(
            "telemetry-of-another-video",
            f"{path}: lasts {clip.seconds:.0f} s, its telemetry {span:.0f} s.",
            "Send the telemetry that was recorded with this video.",
        )
    timing = 0.0 if moved is None else moved.sigma
    seen = footprints(track, clip.width, clip.height, terrain=terrain, timing=timing)
    return replace(_capture("video", kind, track, clip, seen), offset=moved)


def moments(capture: Capture) -> dict[str, Any]:
    """The index from place to second, as GeoJSON: what each second of the video shows, and from which side."""
    features = [
        {
            "type": "Feature",
            "geometry": one.footprint.geometry,
            "properties": {
                "seconds": round(one.seconds, 3),
                "lon": round(one.fix.lon, DIGITS),
                "lat": round(one.fix.lat, DIGITS),
                "height": one.fix.height,
                "above_ground": one.fix.above_ground,
                "yaw": round(one.yaw, 2),
                "pitch": round(one.pitch, 2),
                "error_m": one.footprint.error_m,
            },
        }
        for one in capture.seen
    ]
    return {"type": "FeatureCollection", "features": features}


def write_moments(capture: Capture, path: Path) -> None:
    path.write_text(json.dumps(moments(capture), separators=(",", ":")), encoding="utf-8")


def _inside(path: str | Path, kind: MediaType, clip: Clip) -> Track | None:
    if kind == "video/mp2t":
        found = list(timed_packets(path))
        return track_of(found, path) if found else None
    if clip.subtitles:
        text = subtitles(path)
        try:
            return parse_srt(text, path) if text.strip() else None
        except Refused as refused:
            if refused.reason in ("no-telemetry", "no-position"):
                return None
            raise
    return None


def _beside(path: str | Path, video: Path, clip: Clip, said: float | None) -> tuple[Track, Offset | None] | None:
    """The track that lies beside `video`, in its time; `path`: where its pictures are read from."""
    found = next((video.with_suffix(ending) for ending in SIDECARS if video.with_suffix(ending).is_file()), None)
    if found is None:
        return None
    kind = media_type(found)
    track = read_telemetry(found, kind)
    if kind == "application/x-subrip":
        return track, None
    offset = _offset(path, track, clip, said)
    try:
        return shifted(track, offset.seconds, clip.seconds), offset
    except ValueError as error:
        first, last = track.fixes[0].seconds, track.fixes[-1].seconds
        raise Refused(
            "offset-unknown",
            f"{path}: moved by {offset.seconds:.1f} s, nothing of {found.name} falls into the video's "
            f"{clip.seconds:.1f} s.",
            f"The log runs from {first:.1f} to {last:.1f} s; say what is added to that: --offset SECONDS.",
        ) from error


def _offset(path: str | Path, track: Track, clip: Clip, said: float | None) -> Offset:
    """What to add to a log's times. A log that is as long as the video began with it; else both clocks tell, where
    they overlap (containers keep the start or the end of the recording); else how fast the picture moves, held against
    the speeds that were flown; else a person must."""
    if said is not None:
        return Offset(said, "said", 0.5)
    if clip.seconds and abs(track.duration - clip.seconds) <= 1.0:
        return Offset(-track.fixes[0].seconds, "length", 0.5)
    start = track.start
    if start is not None and track.zone == "utc" and clip.created is not None:
        ahead = (start - clip.created).total_seconds() - track.fixes[0].seconds
        if -track.fixes[-1].seconds <= ahead <= clip.seconds:
            return Offset(ahead, "clock", 1.0)
    if clip.seconds >= LEAST_SECONDS:
        seen = offset_of(motion(path), RATE, track, track.fixes[-1].seconds + clip.seconds)
        if seen is not None and seen[1] >= LEAST_SURE:
            return Offset(seen[0], "motion", 0.5)
    raise Refused(
        "offset-unknown",
        f"{path}: neither the clocks of video and log nor the motion in the pictures tell when in the log it began.",
        "Say it: --offset SECONDS is added to the log's times.",
    )


def shifted(track: Track, seconds: float, end: float) -> Track:
    """The track in the video's time, without what was before its start and after its end. Raises ValueError where
    nothing is left."""
    moved = [replace(fix, seconds=fix.seconds + seconds) for fix in track.fixes]
    fixes = [fix for fix in moved if -0.001 <= fix.seconds <= end + 0.5]
    note = f"the log's times were moved by {seconds:.1f} s"
    return replace(track, fixes=tuple(fixes), notes=(*track.notes, note) if seconds else track.notes)


def _capture(
    kind: str, media: MediaType, track: Track, clip: Clip | None, seen: list[Seen] | tuple[Seen, ...]
) -> Capture:
    trusted = [shape(one.footprint.geometry) for one in seen]
    notes = list(track.notes)
    if trusted:
        # A micrometre of snapping keeps hundreds of nearly equal footprints from making slivers.
        area = shapely.union_all(trusted, grid_size=1e-8)
        error = max(one.footprint.error_m for one in seen)
        footprint = Footprint(as_geojson(shapely.simplify(area, 1e-7)), "pose", error)
    else:
        footprint = Footprint(track.geometry(1e-6), "position", GNSS_ERROR)
        if kind == "video":
            notes.append("nothing tells which ground the video shows: its geometry is the track of the aircraft")
    return Capture(
        kind=kind,  # type: ignore[arg-type]
        media_type=media,
        width=clip.width if clip else 0,
        height=clip.height if clip else 0,
        bands=3 if clip else 0,
        dtype="uint8",
        footprint=footprint,
        taken=track.start or (clip.created if clip else None),
        taken_zone={"utc": "tag", "solar": "solar"}.get(track.zone, "tag" if clip and clip.created else "none"),  # type: ignore[arg-type]
        track=track,
        seen=tuple(seen),
        seconds=clip.seconds if clip else track.duration,
        notes=tuple(notes),
    )
