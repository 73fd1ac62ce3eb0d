"""What a finished analysis says of itself, and its files: GeoJSON, mask, and what was not looked at."""

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from detectors.base import ModelSpec
from detectors.pair import Reason
from imagery.polygons import NOT_ANALYSED
from imagery.tiles import PIXELS, GroundGrid, Window
from workers.change import Comparison
from workers.detect import Detection
from workers.disk import room_on_disk
from workers.inputs import Input
from workers.kinds import kinds
from workers.masks import finish_mask, to_source_pixels
from workers.tiling import Analysis
from workers.vectors import Feature, Label, features

Labels = Callable[[str], Label]

REASONS = {
    Reason.SHIFT: "shift",
    Reason.SHADOW: "shadow",
    Reason.PARALLAX: "parallax",
    Reason.GSD: "gsd",
    Reason.NO_DATA: "no_data",
}


def detection_features(detection: Detection, labels: Labels) -> Iterator[Feature]:
    """The polygons of one detection, small ones left out."""
    spec = detection.spec
    return features(
        detection.analysis.regions,
        detection.grid,
        spec.classes,
        labels,
        cell_m=spec.gsd,
        min_area=spec.min_area,
    )


def comparison_features(comparison: Comparison, labels: Labels) -> Iterator[Feature]:
    """The polygons of changed ground with their kind (appeared, disappeared, altered), small ones left out."""
    spec = comparison.spec
    kind = kinds(comparison)
    return features(
        comparison.analysis.regions,
        comparison.grid,
        spec.classes,
        labels,
        cell_m=comparison.cell,
        min_area=spec.min_area,
        more=lambda region: {"kind": kind(region)},
    )


def about_detection(detection: Detection) -> dict[str, Any]:
    """The run in JSON: model, source, GSD and where it came from, dtype, and what was not looked at."""
    return {
        "detector": about_model(detection.spec),
        "source": about_input(detection.input),
        "dtype": detection.dtype,
        **_about_analysis(detection.analysis, detection.grid, detection.extent, detection.spec.gsd),
    }


def about_comparison(comparison: Comparison) -> dict[str, Any]:
    """The same for two dates, with the registration that was found and the reasons why ground was not compared."""
    shift = comparison.pair.shift
    return {
        "detector": about_model(comparison.spec),
        "before": about_input(comparison.before),
        "after": about_input(comparison.after),
        "registration": {
            "shift_m": [round(shift.along_x[0] * comparison.cell, 3), round(shift.along_y[0] * comparison.cell, 3)],
            "residual_m": round(shift.residual * comparison.cell, 3),
            "votes": shift.votes,
        },
        **_about_analysis(comparison.analysis, comparison.grid, comparison.extent, comparison.cell),
    }


def about_model(spec: ModelSpec) -> dict[str, Any]:
    return {
        "name": spec.name,
        "version": spec.version,
        "classes": list(spec.classes),
        "weights_sha256": spec.weights_sha256 or None,
    }


def about_input(source: Input) -> dict[str, Any]:
    return {
        "name": source.name,
        "gsd": None if source.gsd is None else round(source.gsd, 6),
        "gsd_from": source.gsd_origin,
        "notes": list(source.notes),
    }


def gsd_words(source: Input, model_gsd: float) -> str:
    """One line for people: which GSD was used and where it came from."""
    match source.gsd_origin:
        case "georeference":
            return f"{source.name}: {source.gsd:.3g} m per pixel, read from its georeference"
        case "pose":
            return f"{source.name}: {source.gsd:.3g} m per pixel, computed from the photo's pose"
        case "given":
            return f"{source.name}: {source.gsd:.3g} m per pixel, as given"
        case "model":
            return (
                f"{source.name}: nothing tells; {model_gsd:.3g} m per pixel assumed, the model's own (--gsd M to say)"
            )


def _about_analysis(analysis: Analysis, grid: GroundGrid, extent: Window, cell_m: float) -> dict[str, Any]:
    total = extent.height * extent.width
    return {
        "coordinates": "pixels" if grid.crs == PIXELS else "EPSG:4326",
        "cell_m": cell_m,
        "analysed_m2": round((total - analysis.cells[NOT_ANALYSED]) * cell_m**2, 2),
        "not_analysed_m2": {
            word: round(analysis.why[reason] * cell_m**2, 2) for reason, word in REASONS.items() if analysis.why[reason]
        }
        | ({"failed": round(_failed_cells(analysis, extent) * cell_m**2, 2)} if analysis.failed else {}),
        "tiles": analysis.tiles,
        "failed_tiles": [{"window": _window(f.item.core), "error": f.error} for f in analysis.failed],
    }


def _failed_cells(analysis: Analysis, extent: Window) -> int:
    parts = [failure.item.core.intersect(extent) for failure in analysis.failed]
    return sum(part.height * part.width for part in parts)


def _window(window: Window) -> dict[str, int]:
    return {"row": window.row, "col": window.col, "height": window.height, "width": window.width}


def write_mask(raw: Path, out: Path, source: Input, grid: GroundGrid, extent: Window) -> None:
    """The finished mask at `out`: on the ground grid, or, for results in pixel coordinates, on the source's pixels.
    Raises `Refused` (disk-full)."""
    with room_on_disk(out):
        _write_mask(raw, out, source, grid, extent)


def _write_mask(raw: Path, out: Path, source: Input, grid: GroundGrid, extent: Window) -> None:
    width, height = source.source.width, source.source.height
    same = math.isclose(grid.cell, 1.0) and extent == Window(0, 0, height, width)
    if grid.crs != PIXELS or same:
        finish_mask(raw, out)
        return
    own = raw.with_name(raw.name + ".pixels.tif")
    try:
        to_source_pixels(raw, own, grid.cell, extent, width, height)
        finish_mask(own, out)
    finally:
        own.unlink(missing_ok=True)
