"""A load of more than one chunk is checked in other processes, and is what one process would have made of it."""

import json
from pathlib import Path
from typing import Any

import pytest

from imagery.errors import Refused
from records.settings import Settings
from workers import bulk
from workers.home import Home


@pytest.fixture
def home(tmp_path: Path) -> Any:
    with Home.open(Settings(home=tmp_path / "home", database_url="", api_key=None)) as home:
        yield home


def item(number: int, **changes: Any) -> dict[str, Any]:
    lon = 102 + number / 100_000
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "id": f"p{number}",
        "collection": "photos",
        "geometry": {"type": "Point", "coordinates": [lon, 25.0]},
        "bbox": [lon, 25.0, lon, 25.0],
        "properties": {"datetime": "2026-05-01T00:00:00Z", "title": "原片 " + "x" * 200},
        "links": [],
        "assets": {},
        **changes,
    }


def written(path: Path, items: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(one) + "\n" for one in items), "utf-8")
    return path


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "CHUNK_BYTES", 8 << 10)


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("workers", [0, 1, 3])
def test_the_later_of_two_lines_stays_whoever_checked_them(home: Home, tmp_path: Path, workers: int) -> None:
    later = [{**item(n), "properties": {"datetime": "2026-06-01T00:00:00Z"}} for n in range(0, 3_000, 7)]
    path = written(tmp_path / "items.ndjson", [item(n) for n in range(3_000)] + later)
    assert bulk.load(home, path, workers) == 3_000 + len(later)
    found = {one["id"]: one["properties"]["datetime"] for one in home.catalog.items()}
    assert len(found) == 3_000
    assert all(found[f"p{n}"].startswith("2026-05" if n % 7 else "2026-06") for n in range(3_000))


@pytest.mark.usefixtures("small_chunks")
def test_a_fault_in_the_last_of_many_lines_leaves_nothing(home: Home, tmp_path: Path) -> None:
    items = [*(item(n) for n in range(3_000)), item(3_000, geometry={"type": "Point", "coordinates": ["1", "2"]})]
    with pytest.raises(Refused, match="line 3001, geometry: item 'p3000'"):
        bulk.load(home, written(tmp_path / "items.ndjson", items), 2)
    assert home.catalog.counts()["photos"] == 0
