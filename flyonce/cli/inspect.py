"""`flyonce inspect`: what is read from any one file, changing nothing."""

from pathlib import Path
from typing import Annotated, Any

import typer

from flyonce.cli.output import print_json, stdout
from imagery.errors import Refused

SHOWN = 5
"""Fixes of a track, printed for a person."""


def inspect(
    path: Annotated[Path, typer.Argument(help="A photo, a raster, a video or telemetry.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    dem: Annotated[
        Path | None, typer.Option(help="Elevation model (GeoTIFF) to lay photos' footprints on, not a plane.")
    ] = None,
    offset: Annotated[float | None, typer.Option(help="Seconds to add to the times of the log beside a video.")] = None,
) -> None:
    """Show what one file tells: kind, time, position, footprint and its error, or why it is refused. 查看单个文件。"""
    from imagery.inspect import inspect as read
    from imagery.terrain import Elevation

    try:
        told = {
            "file": str(path),
            "refused": None,
            **_told(read(path, None if dem is None else Elevation(dem), offset=offset)),
        }
    except Refused as refused:
        if not as_json:
            raise
        answer = {"reason": refused.reason, "message": refused.message, "remedy": refused.remedy}
        print_json({"file": str(path), "refused": answer})
        raise typer.Exit(1) from refused
    if as_json:
        print_json(told)
        return
    for name, value in told.items():
        if name == "track" and len(value) > SHOWN:
            value = f"{len(value)} fixes, from {value[0]} to {value[-1]}"
        if value not in (None, [], ()):
            stdout.print(f"[bold]{name:14}[/] {value}", highlight=False, soft_wrap=True)


def _told(capture: Any) -> dict[str, Any]:
    """The capture as a person or a program reads it; `datetime` with its zone, `track` of a still is its position."""
    from dataclasses import asdict

    taken = capture.taken.isoformat() if capture.taken else None
    position = capture.position
    track = capture.track.listed() if capture.track else []
    if position:
        track = [[position.lon, position.lat, position.height, taken]]
    return {
        "kind": capture.kind,
        "media_type": capture.media_type,
        "datetime": taken,
        "datetime_zone": capture.taken_zone,
        "width": capture.width,
        "height": capture.height,
        "bands": capture.bands,
        "dtype": capture.dtype,
        "gsd": capture.gsd,
        "seconds": capture.seconds,
        "position": asdict(position) if position else None,
        "attitude": asdict(capture.attitude) if capture.attitude else None,
        "attitude_from": capture.attitude_from,
        "turn_in_doubt": capture.turn_in_doubt,
        "thermal": capture.thermal,
        "lens": asdict(capture.lens) if capture.lens else None,
        "georeference": asdict(capture.georeference) if capture.georeference else None,
        "footprint": {
            "geometry": capture.footprint.geometry,
            "method": capture.footprint.method,
            "error_m": capture.footprint.error_m,
            "ellipse": asdict(capture.footprint.ellipse) if capture.footprint.ellipse else None,
        },
        "track": track,
        "make": capture.make,
        "model": capture.model,
        "notes": list(capture.notes),
    }
