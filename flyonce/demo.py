"""The whole loop on two simulated flights: fly, catalogue, detect, approve, file, and compare with the truth."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyproj
from shapely.geometry import shape

from flyonce.truth import Score, score
from imagery.simulator.simulate import simulate
from records import jobs
from records.engine import transaction
from records.settings import Settings
from tickets import store
from tickets.codes import Codes, load_codes
from tickets.filing import file_approved
from tickets.gateways.file import FileGateway
from tickets.states import Action, State
from tickets.wire import event_json
from workers.home import Home
from workers.jobs import ChangeJob, DetectJob, IngestJob, Job
from workers.loop import Engine, perform

DEPARTMENT = "demo"
PRINCIPAL = "demo"
"""Who approves in the demo; the history says so."""
APPROVE_FROM = 0.5
"""Score from which the demo approves without a person's look. Nothing but the demo approves by score."""

Say = Callable[[str], None]
"""Told what is being done now."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the loop came to."""

    folder: Path
    seed: int
    flights: tuple[dict[str, Any], ...]
    """Items of `flights`, the earlier first."""
    area_m2: float
    """Ground that both orthophotos show."""
    change: dict[str, Any]
    detections: dict[str, Any]
    """The items of both runs."""
    events: tuple[dict[str, Any], ...]
    """All that was proposed, as the API tells it; those approved have a ticket."""
    outbox: Path
    truth: tuple[dict[str, Any], ...]
    score: Score
    """Of the tickets filed."""

    @property
    def tickets(self) -> tuple[dict[str, Any], ...]:
        return tuple(event for event in self.events if event["state"] == State.FILED)


def run(folder: Path, seed: int, say: Say, *, workers: int = 0, with_photos: bool = True) -> Outcome:
    """Run the loop in `folder` (new or empty): `simulated/` holds the flights and the truth, `home/` everything else.

    `with_photos=False` flies orthophotos alone, which is all that detection looks at. Raises RuntimeError naming the
    job that failed.
    """
    say("simulating two flights 模拟两次飞行")
    flown = simulate(folder / "simulated", seed, with_photos=with_photos)
    settings = Settings(home=folder / "home")
    codes = load_codes(settings.codes)
    engine = Engine(settings.scheduler, workers or settings.workers)
    with Home.open(settings) as home:
        try:
            reports = []
            for name in ("before", "after"):
                say(f"cataloguing the flight {name} 编目")
                job = IngestJob((str(flown.folder / name),), f"demo-{seed}-{name}", DEPARTMENT)
                reports.append(_do(home, engine, codes, job))
            before, after = (_orthophoto(report) for report in reports)
            say("finding change 变化检测")
            change = _do(home, engine, codes, ChangeJob(before, after))["item"]
            say("finding debris on changed ground 堆放物检测")
            detections = _do(home, engine, codes, DetectJob("debris", after, change=change))["item"]
        finally:
            engine.close()
        say("approving and filing 审核与立案")
        _approve(home, codes)
        file_approved(home.engine, codes, FileGateway(settings.outbox_dir, home.files))
        with home.engine.connect() as conn:
            events = tuple(event_json(event, codes) for event in store.find(conn, [], limit=1_000_000))
        truth = tuple(json.loads(flown.truth.read_text("utf-8"))["features"])
        return Outcome(
            folder=folder,
            seed=seed,
            flights=tuple(_item(home, f"flights/{report['flight']}") for report in reports),
            area_m2=_ground(_item(home, before), _item(home, after)),
            change=_item(home, change),
            detections=_item(home, detections),
            events=events,
            outbox=settings.outbox_dir,
            truth=truth,
            score=score([event for event in events if event["state"] == State.FILED], truth),
        )


def _do(home: Home, engine: Engine, codes: Codes, job: Job) -> dict[str, Any]:
    """Put a job into the queue, work it off as `flyonce worker` would, and give its result."""
    with transaction(home.engine) as conn:
        name = jobs.enqueue(conn, job.kind, job.to_payload())
    while row := jobs.lease(home.engine, PRINCIPAL, 600):
        perform(home, engine, codes, row)
    done = jobs.get(home.engine, name)
    if done is None or done.state is not jobs.State.DONE or done.result is None:
        raise RuntimeError(f"the {job.kind} job failed: {done.error if done else 'it is gone'}")
    return done.result


def _approve(home: Home, codes: Codes) -> None:
    with transaction(home.engine) as conn:
        for event in store.find(conn, [State.CANDIDATE], limit=1_000_000):
            if event.score >= APPROVE_FROM:
                store.decide(conn, codes, event.id, Action.APPROVE, PRINCIPAL, f"demo: score ≥ {APPROVE_FROM}")


def _orthophoto(report: dict[str, Any]) -> str:
    return next(str(one["item"]) for one in report["accepted"] if one["item"].startswith("orthophotos/"))


def _item(home: Home, reference: str) -> dict[str, Any]:
    collection, _, name = reference.partition("/")
    item = home.catalog.get_item(collection, name)
    if item is None:
        raise RuntimeError(f"{reference} is not in the catalogue")
    return item


def _ground(before: dict[str, Any], after: dict[str, Any]) -> float:
    """Square metres on the ground that both items show."""
    common = shape(before["geometry"]).intersection(shape(after["geometry"]))
    return abs(float(pyproj.Geod(ellps="WGS84").geometry_area_perimeter(common)[0]))
