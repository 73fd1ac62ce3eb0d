"""Run the present version of a detector over captures that an older version has answered for, within a budget."""

import json
import time
from collections.abc import Iterator
from typing import Any

import distributed
from shapely.geometry import shape

from detectors import registry
from detectors.evaluate import intersection_over_union
from imagery.errors import Refused
from stac.store import Item, Query
from workers.home import Home
from workers.jobs import DetectJob
from workers.outputs import Labels
from workers.publish import run_detection
from workers.tiling import Progress, no_progress

SAME = 0.3
"""IoU from which an old and a new outline of one class are the same finding."""
_PAGE = 200


def backfill(
    home: Home,
    client: distributed.Client,
    name: str,
    labels: Labels,
    *,
    minutes: float,
    most: int = 0,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """The report, JSON-ready: per capture how many findings are the same, new and gone; what failed; how many captures
    wait for another time. No run is started once `minutes` have passed. The newest captures come first.

    Raises `Refused` (no-such-detector).
    """
    spec = registry.spec(name)
    present = f"{spec.name}@{spec.version}"
    latest: dict[str, Item] = {}
    answered: set[str] = set()
    for run in _runs(home, name):
        source = _source_of(run)
        if source and run["properties"]["flyonce:model"] == present:
            answered.add(source)
        elif source:
            latest.setdefault(source, run)
    waiting = [source for source in latest if source not in answered]
    started = time.monotonic()
    runs: list[dict[str, Any]] = []
    failed: list[dict[str, str]] = []
    for source in waiting[: most or None]:
        if time.monotonic() - started >= 60 * minutes:
            break
        try:
            now = run_detection(home, client, DetectJob(name, source, propose=False), labels, progress=progress)
        except Refused as refused:
            failed.append({"source": source, "error": str(refused)})
            continue
        runs.append(
            {"source": source, "old": latest[source]["id"], "run": now["id"], **_differs(home, latest[source], now)}
        )
    return {
        "detector": name,
        "version": spec.version,
        "runs": runs,
        "failed": failed,
        "waiting": len(waiting) - len(runs) - len(failed),
    }


def _runs(home: Home, name: str) -> Iterator[Item]:
    """All runs of a detector, of whatever version, the newest first."""
    token: str | None = None
    while True:
        page = home.catalog.search(Query(collections=("detections",), limit=_PAGE, token=token))
        for item in page.items:
            if item["properties"].get("flyonce:model", "").partition("@")[0] == name:
                yield item
        token = page.next
        if token is None:
            return


def _source_of(run: Item) -> str | None:
    """`collection/id` of the capture that a run looked at."""
    for link in run["links"]:
        parts = str(link["href"]).rstrip("/").split("/")
        if link["rel"] == "derived_from" and len(parts) >= 3 and parts[-3] != "models":
            return f"{parts[-3]}/{parts[-1]}"
    return None


def _differs(home: Home, old: Item, new: Item) -> dict[str, int]:
    before, now = _outlines(home, old), _outlines(home, new)
    taken: set[int] = set()
    same = 0
    for kind, outline in now:
        for index, (other_kind, other) in enumerate(before):
            if index not in taken and kind == other_kind and intersection_over_union(outline, other) >= SAME:
                taken.add(index)
                same += 1
                break
    return {"same": same, "new": len(now) - same, "gone": len(before) - same}


def _outlines(home: Home, run: Item) -> list[tuple[str, Any]]:
    kept = json.loads(home.asset_path(run["assets"]["features"]["href"]).read_text("utf-8"))
    return [(feature["properties"]["class"], shape(feature["geometry"])) for feature in kept["features"]]
