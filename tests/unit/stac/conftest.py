"""Offline validation of what the builders make, and captures to build from."""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import event

from imagery.values import Attitude, Capture, Footprint, Georeference, Lens, Position
from records.engine import migrate, open_engine
from stac.collections import all_collections
from stac.sqlite import SqliteCatalog


@pytest.fixture
def photo() -> Capture:
    """A nadir photo with a full pose."""
    square = [[102.7, 25.0], [102.7, 25.0006], [102.7006, 25.0006], [102.7006, 25.0], [102.7, 25.0]]
    return Capture(
        kind="photo",
        media_type="image/jpeg",
        width=4000,
        height=2250,
        bands=3,
        dtype="uint8",
        footprint=Footprint({"type": "Polygon", "coordinates": [square]}, "pose", 4.2),
        taken=datetime(2026, 5, 1, 3, 4, 5, 250000, tzinfo=UTC),
        taken_zone="gps",
        gsd=0.017,
        position=Position(102.7003, 25.0003, 1930.5, 40.1),
        attitude=Attitude(-151.2, -89.9, 0.0),
        lens=Lens(4000, 2250, 2222.2, 2000.0, 1125.0, "35mm-equivalent"),
        make="DJI",
        model="FC300S",
    )


@pytest.fixture
def position_only() -> Capture:
    """A photo that tells nothing but where it was taken from, not even when."""
    return Capture(
        kind="photo",
        media_type="image/jpeg",
        width=400,
        height=300,
        bands=1,
        dtype="uint8",
        footprint=Footprint({"type": "Point", "coordinates": [102.71, 25.01]}, "position", 5.0),
        taken=None,
        position=Position(102.71, 25.01),
        notes=("no attitude: the ground it shows is not known",),
    )


@pytest.fixture
def orthophoto() -> Capture:
    square = [[102.7, 25.0], [102.7, 25.001], [102.701, 25.001], [102.701, 25.0], [102.7, 25.0]]
    return Capture(
        kind="orthophoto",
        media_type="image/tiff; application=geotiff",
        width=3000,
        height=3500,
        bands=4,
        dtype="uint8",
        footprint=Footprint({"type": "Polygon", "coordinates": [square]}, "georeference", 1.0),
        taken=datetime(2026, 5, 2, tzinfo=UTC),
        taken_zone="tag",
        gsd=0.03,
        georeference=Georeference("EPSG:4547", (0.03, 0.0, 369000.0, 0.0, -0.03, 2766000.0)),
    )


@pytest.fixture(scope="session")
def empty_catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with the catalogue's tables and collections, to be copied."""
    path = tmp_path_factory.mktemp("catalog") / "empty.sqlite"
    engine = open_engine(f"sqlite:///{path}")
    migrate(engine)
    for collection in all_collections():
        SqliteCatalog(engine).put_collection(collection)
    engine.dispose()
    return path


@pytest.fixture
def catalog(tmp_path: Path, empty_catalog: Path) -> Iterator[SqliteCatalog]:
    path = tmp_path / "catalog.sqlite"
    shutil.copy(empty_catalog, path)
    engine = open_engine(f"sqlite:///{path}")
    # Thousands of small commits: what is tested here is what is found, not what survives a power cut.
    event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA synchronous = OFF"))
    yield SqliteCatalog(engine)
    engine.dispose()
