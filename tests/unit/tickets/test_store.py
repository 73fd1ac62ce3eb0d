import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine

from imagery.errors import Refused
from records import history, outbox
from records.engine import transaction
from tickets import store
from tickets.codes import load_codes
from tickets.states import Action, Actor, ForbiddenError, Side, State
from tickets.store import Acted
from tickets.values import Event, Evidence, Sighting, Watch
from tickets.wire import event_json

CODES = load_codes()
DAY = datetime(2026, 11, 22, 4, 30, tzinfo=UTC)
DESK, LI = Actor("zhao", Side.DESK), Actor("li", Side.HANDLER)


def sighting(name: str, metres: float = 0.0, run: str = "b", lon: float = 114.3, **more: Any) -> Sighting:
    """A heap of 3 m x 3 m, so many metres north of a place in Wuhan."""
    south, size = 30.5 + metres / 110_860, 3 / 110_860
    ring = [(lon, south), (lon + size, south), (lon + size, south + size), (lon, south + size), (lon, south)]
    geometry = {"type": "Polygon", "coordinates": [[list(corner) for corner in ring]]}
    given: dict[str, Any] = {"class_": "spoil_heap", "score": 0.8, "area_m2": 9.0, "error_m": 1.0, "seen": DAY}
    evidence = Evidence(after=f"/assets/{'ab' * 32}/after.jpg", inputs=("cd" * 32,), model="debris@1")
    rest = {"run": f"detections/{run}", "flight": f"flight-{run}", "evidence": evidence}
    return Sighting(id=f"{run}/{name}", geometry=geometry, **(given | rest | more))


def record(engine: Engine, *seen: Sighting) -> list[str]:
    with transaction(engine) as conn:
        return store.record(conn, seen)


def act(engine: Engine, event: str, action: Action, by: Actor, **more: Any) -> Acted:
    with transaction(engine) as conn:
        return store.act(conn, CODES, event, action, by, **more)


def decide(engine: Engine, event: str, action: Action, reason: str = "") -> Event:
    with transaction(engine) as conn:
        return store.decide(conn, CODES, event, action, "wang", reason).event


def got(engine: Engine, name: str) -> Event:
    with engine.connect() as conn:
        event = store.get(conn, name)
    assert event is not None
    return event


def sound(engine: Engine) -> bool:
    with engine.connect() as conn:
        return history.verify(conn) == []


def test_sightings_become_candidates_with_all_that_is_known(engine: Engine) -> None:
    one, two = sighting("1"), sighting("2", 40)
    ids = record(engine, one, two)
    assert len(set(ids)) == 2
    event = got(engine, ids[0])
    assert (event.state, event.class_, event.geometry) == (State.CANDIDATE, "spoil_heap", one.geometry)
    assert (event.first_seen, event.last_seen, event.evidence) == (DAY, DAY, one.evidence)
    assert abs(event.lon - 114.3) < 1e-4
    assert abs(event.lat - 30.5) < 1e-4
    with engine.connect() as conn:
        assert store.sightings_of(conn, ids[0]) == [one]
        assert [entry.kind for entry in store.history_of(conn, ids[0])] == ["propose"]
    assert sound(engine)


def test_recording_again_changes_nothing(engine: Engine) -> None:
    seen = [sighting("1"), sighting("2", 40)]
    ids = record(engine, *seen)
    with engine.connect() as conn:
        before = history.head(conn)
    assert record(engine, *reversed(seen)) == ids[::-1]
    with engine.connect() as conn:
        assert history.head(conn) == before
        assert len(store.find(conn)) == 2


def test_the_order_within_a_call_does_not_matter(engine: Engine) -> None:
    seen = [sighting(str(n), 2.0 * n, run=run, seen=DAY + timedelta(days=ord(run))) for run in "abc" for n in range(4)]
    ids = record(engine, *seen)
    with transaction(engine) as conn:
        for table in ("sightings", "events"):
            conn.exec_driver_sql(f"DELETE FROM {table}")
    assert record(engine, *reversed(seen)) == ids[::-1]
    assert len(set(ids)) == 4


def test_a_later_flight_sees_the_same_heap_again(engine: Engine) -> None:
    later = DAY + timedelta(days=3)
    first = record(engine, sighting("1", run="a"))
    again = record(engine, sighting("1", 1.0, run="b", seen=later, score=0.95, area_m2=12.0))
    assert again == first
    event = got(engine, first[0])
    assert (event.first_seen, event.last_seen, event.score, event.area_m2) == (DAY, later, 0.95, 12.0)
    with engine.connect() as conn:
        assert [entry.kind for entry in store.history_of(conn, event.id)] == ["propose", "see-again"]


def test_what_was_approved_is_not_changed_by_what_is_seen_later(engine: Engine) -> None:
    [event] = record(engine, sighting("1", run="a"))
    approved = decide(engine, event, Action.APPROVE)
    later = DAY + timedelta(days=3)
    record(engine, sighting("1", 1.0, run="b", seen=later, score=0.99, area_m2=12.0))
    assert got(engine, event) == replace(approved, last_seen=later)


def test_heaps_of_one_run_stay_apart_even_when_it_is_recorded_in_parts(engine: Engine) -> None:
    one = record(engine, sighting("1", 0.0, error_m=10.0))
    two = record(engine, sighting("2", 5.0, error_m=10.0))
    assert one != two


def test_across_the_antimeridian(engine: Engine) -> None:
    west = record(engine, sighting("1", run="a", lon=179.99996, error_m=3.0))
    east = record(engine, sighting("1", run="b", lon=-179.99999))
    assert west == east


def test_an_approval_is_one_with_its_history_and_its_message(engine: Engine) -> None:
    [event] = record(engine, sighting("1"))
    approved = decide(engine, event, Action.APPROVE)
    assert approved.state is State.APPROVED
    assert approved.ticket is not None
    assert approved.ticket.endswith("-000001")
    assert approved.approved_by == "wang"
    assert got(engine, approved.ticket) == approved
    with engine.connect() as conn:
        [message] = outbox.pending(conn, store.TOPIC)
        entry = store.history_of(conn, event)[-1]
    assert (entry.kind, entry.actor, entry.body["from"], entry.body["to"]) == (
        "approve",
        "wang",
        "candidate",
        "approved",
    )
    assert message.key == approved.ticket
    body = message.body
    assert (body["code"], body["name_zh"], body["standard"]) == ("06011", "积存垃圾渣土", "GB/T 47678.5-2026")
    assert body["coordinates"] == [approved.lon, approved.lat]
    assert body["evidence"] == approved.evidence.to_json()
    assert body["history"] == {"seq": entry.seq, "hash": entry.hash}
    with engine.connect() as conn:  # the head that the ticket carries proves the books up to the approval
        assert history.verify(conn, history.Head(**body["history"])) == []
        assert history.verify(conn, history.Head(entry.seq, "0" * 64)) != []


def test_an_approval_that_fails_leaves_no_number_and_no_message(engine: Engine) -> None:
    [roof] = record(engine, sighting("1", class_="roof"))
    with pytest.raises(Refused, match="no matter code"):
        decide(engine, roof, Action.APPROVE)
    assert got(engine, roof).state is State.CANDIDATE
    [heap] = record(engine, sighting("2", 40))
    assert (decide(engine, heap, Action.APPROVE).ticket or "").endswith("-000001")
    with engine.connect() as conn:
        assert len(outbox.pending(conn, store.TOPIC)) == 1
    assert sound(engine)


def test_tickets_are_numbered_without_gaps_from_many_threads(engine: Engine) -> None:
    ids = record(engine, *(sighting(str(n), 40.0 * n) for n in range(12)))
    threads = [threading.Thread(target=decide, args=(engine, event, Action.APPROVE)) for event in ids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    numbers = sorted((got(engine, event).ticket or "")[-6:] for event in ids)
    assert numbers == [f"{n:06d}" for n in range(1, 13)]
    assert sound(engine)


def test_of_two_who_decide_at_once_one_is_told_that_it_is_done(engine: Engine) -> None:
    [event] = record(engine, sighting("1"))
    outcomes: list[str] = []

    def try_it(action: Action) -> None:
        try:
            outcomes.append(decide(engine, event, action, "not a heap").state)
        except ForbiddenError:
            outcomes.append("forbidden")

    threads = [threading.Thread(target=try_it, args=(action,)) for action in (Action.APPROVE, Action.REJECT)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count("forbidden") == 1
    assert got(engine, event).state in outcomes


def test_recording_and_deciding_at_once_do_not_wait_for_each_other_for_ever(engine: Engine) -> None:
    ids = record(engine, *(sighting(str(n), 40.0 * n, run="a") for n in range(8)))

    def see_again() -> None:
        record(engine, *(sighting(str(n), 40.0 * n, run="b") for n in range(8)))

    threads = [threading.Thread(target=see_again)]
    threads += [threading.Thread(target=decide, args=(engine, event, Action.APPROVE)) for event in ids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert {got(engine, event).state for event in ids} == {State.APPROVED}
    with engine.connect() as conn:
        assert [len(store.sightings_of(conn, event)) for event in ids] == [2] * 8


def filed(engine: Engine) -> str:
    [event] = record(engine, sighting("1"))
    decide(engine, event, Action.APPROVE)
    act(engine, event, Action.FILE, Actor("gateway", Side.SYSTEM))
    return event


def test_from_dispatch_to_the_recheck(engine: Engine) -> None:
    event = filed(engine)
    act(engine, event, Action.DISPATCH, DESK)
    act(engine, event, Action.ACCEPT, LI)
    act(engine, event, Action.BEGIN, LI)
    reported = act(engine, event, Action.REPORT, LI)
    assert reported.watch == Watch(event, reported.event.geometry, since=reported.event.changed)
    rechecked = act(engine, event, Action.RECHECK, Actor("recheck", Side.SYSTEM), reason="gone on 2026-11-25")
    assert rechecked.unwatch
    with pytest.raises(ForbiddenError, match="li has handled"):
        act(engine, event, Action.CLOSE, Actor("li", Side.DESK))
    assert act(engine, event, Action.CLOSE, DESK).event.state is State.CLOSED
    with engine.connect() as conn:
        kinds = [entry.kind for entry in store.history_of(conn, event)]
    assert kinds == ["propose", "approve", "file", "dispatch", "accept", "begin", "report", "recheck", "close"]
    assert sound(engine)


def test_merging_names_another_open_event(engine: Engine) -> None:
    one, two = record(engine, sighting("1"), sighting("2", 40))
    for nowhere in (None, "0" * 16, one):
        with pytest.raises(ForbiddenError, match="cannot be merged"):
            act(engine, one, Action.MERGE, Actor("wang", Side.REVIEW), into=nowhere)
    merged = act(engine, one, Action.MERGE, Actor("wang", Side.REVIEW), into=two).event
    assert (merged.state, merged.merged_into) == (State.MERGED, two)
    with pytest.raises(ForbiddenError, match="cannot be merged"):
        act(engine, two, Action.MERGE, Actor("wang", Side.REVIEW), into=one)


def test_find_takes_states_and_classes_the_highest_score_first(engine: Engine) -> None:
    ids = record(
        engine,
        sighting("1", 0, score=0.5),
        sighting("2", 40, score=0.9),
        sighting("3", 80, score=0.7, class_="debris"),
    )
    decide(engine, ids[0], Action.REJECT, "a flower bed")
    with engine.connect() as conn:
        assert [event.id for event in store.find(conn)] == [ids[1], ids[2], ids[0]]
        assert [event.id for event in store.find(conn, [State.CANDIDATE])] == [ids[1], ids[2]]
        assert [event.id for event in store.find(conn, [State.CANDIDATE], ["debris"])] == [ids[2]]
        assert [event.id for event in store.find(conn, limit=1)] == [ids[1]]


def test_an_unknown_event_is_refused_with_what_to_do(engine: Engine) -> None:
    with engine.connect() as conn:
        assert store.get(conn, "nothing") is None
    with pytest.raises(Refused, match="review list"):
        decide(engine, "nothing", Action.APPROVE)


def test_an_event_without_a_code_is_shown_with_empty_names(engine: Engine) -> None:
    [roof] = record(engine, sighting("1", class_="roof"))
    shown = event_json(got(engine, roof), CODES)
    assert (shown["class"], shown["code"], shown["name_zh"], shown["name_en"]) == ("roof", "", "", "")
    assert shown["evidence"]["after"] == f"/assets/{'ab' * 32}/after.jpg"


@pytest.mark.parametrize(
    ("wrong", "words"),
    [({"score": 1.1}, "score"), ({"area_m2": -1.0}, "negative"), ({"seen": datetime(2026, 1, 1)}, "zone")],  # noqa: DTZ001
)
def test_a_sighting_is_valid_or_not_made(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        sighting("1", **wrong)
