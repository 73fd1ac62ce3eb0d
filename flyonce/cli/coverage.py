"""`flyonce coverage`: what a flight really saw, and what of the ordered area it did not."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from flyonce.cli.output import print_json, stdout
from imagery.errors import Refused


def coverage(
    flight: Annotated[str, typer.Argument(help="Id of the flight.")],
    area: Annotated[Path | None, typer.Option(help="The ordered area: GeoJSON in EPSG:4326.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write a COG: captures, captures for certain, finest metres per pixel.")
    ] = None,
    gaps: Annotated[Path | None, typer.Option(help="Write the gaps as GeoJSON.")] = None,
    cell: Annotated[float, typer.Option(min=0.05, max=50, help="Metres of a cell.")] = 0.5,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """How often and how finely a flight saw the ground, and where it did not 架次实际覆盖与漏拍."""
    from imagery.coverage import area_of, write_coverage
    from records.settings import Settings
    from workers.home import Home
    from workers.seen import flight_coverage

    ordered = None if area is None else _area(area)
    with Home.open(Settings(), create=False) as home:
        found, trusted, captures = flight_coverage(home, flight, ordered, cell)
    missed = found.gaps()
    if out is not None:
        write_coverage(found, out)
    if gaps is not None:
        features = [
            {"type": "Feature", "geometry": one, "properties": {"area_m2": round(area_of(one), 1)}} for one in missed
        ]
        gaps.write_text(json.dumps({"type": "FeatureCollection", "features": features}), encoding="utf-8")
    told: dict[str, Any] = {
        "flight": flight,
        "captures": captures,
        "with_footprint": trusted,
        "seen_m2": round(found.seen_m2, 1),
        "share": round(found.share, 4),
        "certain_share": round(found.certain_share, 4),
        "gaps": len(missed),
        "gaps_m2": round(sum(area_of(one) for one in missed), 1),
        "cell_m": found.cell,
    }
    if as_json:
        print_json(told)
        return
    words = {
        "captures": "影像数", "with_footprint": "有可信范围的", "seen_m2": "覆盖面积 m²", "share": "覆盖率",
        "certain_share": "可靠覆盖率", "gaps": "漏拍处", "gaps_m2": "漏拍面积 m²", "cell_m": "格网 m",
    }  # fmt: skip
    for name, word in words.items():
        stdout.print(f"{name:14} {word}: {told[name]}", highlight=False)


def _area(path: Path) -> Any:
    """The union of a GeoJSON file's geometries. Raises `Refused` (not-an-area)."""
    import shapely
    from shapely.geometry import shape

    try:
        document = json.loads(path.read_text("utf-8"))
        parts = [feature["geometry"] for feature in document.get("features", [])] or [
            document.get("geometry", document)
        ]
        found = shapely.union_all([shape(part) for part in parts])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, shapely.errors.GEOSException) as error:
        raise Refused(
            "not-an-area", f"{path}: is no GeoJSON of an area: {error}.", "Draw it and save it as GeoJSON."
        ) from error
    west, south, east, north = found.bounds if not found.is_empty else (999.0,) * 4
    if found.area == 0 or not (west >= -180 and east <= 180 and south >= -90 and north <= 90):
        raise Refused("not-an-area", f"{path}: holds no area in degrees.", "Save polygons in EPSG:4326.")
    return found
