"""`flyonce demo`, as a newcomer runs it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
import pytest
from nbclient import NotebookClient
from PIL import Image

from catalog_api.access import Reader
from records import history
from records.settings import Settings
from sharing.policy import LOCAL_OPERATOR
from stac.store import Query
from tickets import store
from tickets.codes import load_codes
from tickets.states import State
from workers.home import Home

if TYPE_CHECKING:
    from tests.acceptance.conftest import Demo

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"


def test_two_flights_become_items_runs_and_tickets(demo: "Demo") -> None:
    told = demo.told
    assert told["simulated"] is True
    assert told["captures"] == [25, 25]
    assert 10_000 < told["area_m2"] < 10_800
    assert told["changes"] > 0
    assert told["detections"] >= len(told["tickets"]) > 0
    assert told["found"] or told["missed"]


def test_every_ticket_has_a_code_a_place_and_evidence_that_opens(demo: "Demo") -> None:
    for ticket in demo.told["tickets"]:
        filed = json.loads(Path(ticket["evidence"]).read_text("utf-8"))
        assert filed["ticket"] == ticket["ticket"]
        assert ticket["code"] in {"06011", "08005", "08006"}
        assert 113.9 < ticket["lon"] < 114.4
        for name in filed["evidence"]["files"].values():
            with Image.open(Path(ticket["evidence"]).parent / name) as picture:
                picture.load()
                assert min(picture.size) > 100


def test_the_demo_acts_under_its_own_name_and_the_history_holds(demo: "Demo") -> None:
    with Home.open(Settings(home=demo.folder / "home")) as home, home.engine.connect() as conn:
        assert history.verify(conn) == []

        filed = store.find(conn, [State.FILED], limit=1000)
        assert len(filed) == len(demo.told["tickets"])
        assert {event.approved_by for event in filed} == {"demo"}


def test_evidence_and_lineage_lead_somewhere(demo: "Demo") -> None:
    with Home.open(Settings(home=demo.folder / "home")) as home:
        reader = Reader(home, load_codes(None), LOCAL_OPERATOR)
        events = reader.events([], limit=1000)
        assert events
        for event in events:
            for href in (event["evidence"]["before"], event["evidence"]["after"]):
                crop = reader.file(href, href.split("/")[2])
                assert b"".join(crop.read(0, crop.size)).startswith(b"\xff\xd8")
                assert crop.asset["type"] == "image/jpeg"
        runs = home.catalog.search(Query(collections=("changes", "detections"))).items
        assert len(runs) == 2
        for run in runs:
            sources = [link["href"].split("/") for link in run["links"] if link["rel"] == "derived_from"]
            assert {parts[3] for parts in sources} == {"orthophotos", "models"}
            assert all(home.catalog.get_item(parts[3], parts[5]) for parts in sources)


def test_a_run_over_an_item_proposes_candidates_once(demo: "Demo", tmp_path: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(demo.folder / "home", home)
    command = [sys.executable, "-m", "flyonce"]
    environment = {**os.environ, "FLYONCE_HOME": str(home)}

    def ask(*arguments: str) -> Any:
        run = subprocess.run([*command, *arguments, "--json"], capture_output=True, text=True, env=environment)
        assert run.returncode == 0, run.stderr
        return json.loads(run.stdout)

    later = ask("search", "--collection", "orthophotos", "--limit", "1")["features"][0]
    proposed = ask("detect", "debris", f"orthophotos/{later['id']}", "--workers", "1")["events"]
    assert len(proposed) > len(demo.told["tickets"])
    assert ask("detect", "debris", f"orthophotos/{later['id']}", "--workers", "1")["events"] == proposed
    waiting = {event["id"] for event in ask("review", "list")["events"]}
    approved = {event["id"] for event in ask("tickets", "list")["tickets"]}
    assert set(proposed) == waiting | approved


def test_the_picture_shows_both_dates(demo: "Demo") -> None:
    with Image.open(demo.told["picture"]) as picture:
        assert picture.size[0] > 2 * 1100
        assert picture.size[1] > 850


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep me")
    command = [sys.executable, "-m", "flyonce", "demo", "--keep", str(tmp_path)]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 1
    assert "not empty" in run.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
@pytest.mark.filterwarnings("default")
def test_notebooks_run_from_top_to_bottom(path: Path, demo: "Demo", monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLYONCE_HOME", str(demo.folder / "home"))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    notebook = nbformat.read(path, as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells), "notebooks are kept without outputs"
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(NOTEBOOKS)}}).execute()
    pictures = [out for cell in notebook.cells for out in cell.get("outputs", []) if "image/png" in out.get("data", {})]
    assert len(pictures) == 3
