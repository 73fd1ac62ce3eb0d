"""Coverage against exact geometry: nothing is called seen that no footprint covers, and gaps are what is left."""

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Transformer
from rio_cogeo.cogeo import cog_validate
from shapely.geometry import Polygon, box, shape
from shapely.geometry.base import BaseGeometry
from typer.testing import CliRunner

from flyonce import cli
from imagery.coverage import Coverage, Sight, cover, write_coverage
from imagery.errors import Refused
from imagery.simulator.simulate import simulate
from workers.home import Home
from workers.ingest import ingest

UTM = "EPSG:32649"
TO_DEGREES = Transformer.from_crs(UTM, 4326, always_xy=True)
EAST, NORTH = 783_000.0, 3_425_000.0


def lonlat(geometry: BaseGeometry) -> BaseGeometry:
    def degrees(xy: np.ndarray) -> np.ndarray:
        return np.stack(TO_DEGREES.transform(EAST + xy[:, 0], NORTH + xy[:, 1]), axis=-1)

    return shapely.transform(geometry, degrees)


def cells(found: Coverage, which: np.ndarray) -> BaseGeometry:
    rows, cols = np.nonzero(which)
    left, top = found.left + cols * found.cell - EAST, found.top - rows * found.cell - NORTH
    return shapely.union_all(shapely.box(left, top - found.cell, left + found.cell, top))


corners = st.tuples(st.floats(0, 60), st.floats(0, 60))
quads = st.lists(corners, min_size=3, max_size=6).map(lambda c: Polygon(c).convex_hull).filter(
    lambda p: p.geom_type == "Polygon" and p.area > 4
)  # fmt: skip


@settings(max_examples=40)
@given(st.lists(st.tuples(quads, st.just(0.0) | st.floats(1e-3, 5)), min_size=1, max_size=5))
def test_nothing_is_seen_that_no_footprint_covers(flown: list[tuple[Polygon, float]]) -> None:
    ordered = box(5, 5, 55, 50)
    found = cover([Sight(lonlat(p), error, 0.02) for p, error in flown], lonlat(ordered), cell=1.0)
    union = shapely.union_all([p for p, _ in flown])
    seen = cells(found, found.counts > 0)
    assert seen.difference(union.buffer(1e-3)).area < 1e-3
    assert found.counts.max() <= len(flown)
    # What is inside by more than a cell's diagonal is not missed.
    deep = shapely.union_all([p.buffer(-1.5) for p, _ in flown]).intersection(ordered.buffer(-1.5))
    assert deep.difference(seen.buffer(1e-3)).area < 1e-3
    sure = cells(found, found.certain > 0)
    kept = shapely.union_all([p.buffer(-error) for p, error in flown])
    assert sure.difference(kept.buffer(1e-3)).area < 1e-3
    assert (found.certain <= found.counts).all()


def test_counts_finest_gsd_and_gaps_by_hand(tmp_path: Path) -> None:
    sights = [Sight(lonlat(box(0, 0, 40, 40)), 1.0, 0.05), Sight(lonlat(box(20, 0, 60, 40)), 1.0, 0.02)]
    found = cover(sights, lonlat(box(0, 0, 60, 60)), cell=1.0)
    assert found.crs == UTM
    assert found.share == pytest.approx(2 / 3, abs=0.05)
    assert sorted(set(found.counts.ravel().tolist())) == [0, 1, 2]
    assert float(np.nanmin(found.gsd)) == pytest.approx(0.02)
    (gap,) = found.gaps()
    missed = shape(gap)
    truth = lonlat(box(0, 40, 60, 60))
    assert missed.intersection(truth).area > 0.97 * truth.area
    write_coverage(found, path := tmp_path / "coverage.tif")
    assert cog_validate(str(path), quiet=True)[0]
    with rasterio.open(path) as file:
        assert file.descriptions == ("captures", "captures for certain", "finest metres per pixel")
        assert np.nanmax(file.read(1)) == 2


def test_captures_known_by_position_alone_show_nothing() -> None:
    with pytest.raises(Refused) as refused:
        cover([])
    assert refused.value.reason == "nothing-seen"
    found = cover([], lonlat(box(0, 0, 20, 20)))
    assert found.share == 0
    assert len(found.gaps()) == 1


def test_the_command_tells_what_a_flight_saw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from records.settings import Settings

    made = simulate(tmp_path / "flight", 5, size_m=(48.0, 34.0))
    with Home.open(Settings(home=tmp_path / "home")) as home:
        ingest(home, [made.folder / "before/photos"], "f1", "420902")
    monkeypatch.setenv("FLYONCE_HOME", str(tmp_path / "home"))
    gaps = tmp_path / "gaps.geojson"
    run = CliRunner().invoke(
        cli.app, ["coverage", "f1", "--json", "--out", str(tmp_path / "c.tif"), "--gaps", str(gaps)]
    )
    assert run.exit_code == 0, run.output
    told = json.loads(run.stdout)
    assert told["captures"] == told["with_footprint"] == len(made.photos[0])
    assert told["seen_m2"] > 1000
    assert 0 < told["certain_share"] <= told["share"] <= 1
    assert json.loads(gaps.read_text())["type"] == "FeatureCollection"
