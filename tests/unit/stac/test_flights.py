"""Batches in the books, on SQLite here and on PostgreSQL in tests/integration."""

import threading
from datetime import date

import pytest

from imagery.errors import Refused
from records import history, receipts
from records.engine import migrate, open_engine, transaction
from stac import flight_queries, flights
from stac.flight_report import flight_report
from stac.flight_states import State, Tally
from stac.flight_tables import Sender
from stac.flight_values import Announced, Answer, Plan

ME = Sender("li", "operator")
PLAN = Plan("north road", "UAV", purpose="roadworks", pilot="li", retain_until=date(2030, 1, 31))
HASHES = [f"{number:064x}" for number in range(20)]
GOOD = Answer("accepted", "photos/1", footprint="pose", notes=("a note",))
BAD = Answer("quarantined", None, "truncated", "b.JPG: breaks off.", "Copy it again.")


@pytest.fixture
def engine(tmp_path):
    engine = open_engine(f"sqlite:///{tmp_path / 'books.sqlite'}")
    migrate(engine)
    yield engine
    engine.dispose()


def begun(engine, *names, plan=PLAN):
    with transaction(engine) as conn:
        flight = flights.open_flight(conn, plan, ME)
        return flights.announce(conn, flight.id, [Announced(name) for name in names], ME)


def come(engine, flight, name, number):
    with transaction(engine) as conn:
        return flights.receive(conn, flight.id, name, HASHES[number], 10, ME)


def answered(engine, flight, name, number, answer=GOOD):
    with transaction(engine) as conn:
        return flights.answer(conn, flight.id, [(name, HASHES[number], 10, answer)], "worker")


def kinds(engine, flight):
    with engine.connect() as conn:
        return [entry.kind for entry in history.entries(conn, f"flight/{flight.id}")]


def test_a_flight_with_announced_files_goes_its_way_by_itself(engine):
    flight = begun(engine, "a.JPG", "b.JPG")
    assert flight.state is State.RECEIVING
    assert come(engine, flight, "a.JPG", 0).state is State.RECEIVING
    assert come(engine, flight, "b.JPG", 1).state is State.COMPLETE
    assert answered(engine, flight, "a.JPG", 0).state is State.COMPLETE
    assert answered(engine, flight, "b.JPG", 1, BAD).state is State.PROCESSED
    assert kinds(engine, flight) == ["create", "complete", "processed"]
    with engine.connect() as conn:
        assert flight_queries.tally(conn, flight.id) == Tally(accepted=1, refused=1)
        report = flight_report(flight_queries.get(conn, flight.id), flight_queries.files_of(conn, flight.id))
        kept = receipts.of_flight(conn, flight.id)
    assert report["words"]["en"] == "complete with 1 refused"
    assert [(file["file"], file["state"]) for file in report["files"]] == [
        ("a.JPG", "accepted"),
        ("b.JPG", "quarantined"),
    ]
    assert [receipt.outcome for receipt in kept] == ["accepted", "quarantined"]
    assert report["files"][1]["reason"] == "truncated"
    assert report["retain_until"] == "2030-01-31"


def test_more_files_announced_make_it_receiving_again(engine):
    flight = begun(engine, "a.JPG")
    come(engine, flight, "a.JPG", 0)
    answered(engine, flight, "a.JPG", 0)
    assert begun(engine, "a.JPG", "c.JPG").state is State.RECEIVING


def test_an_open_ended_flight_is_complete_only_when_closed(engine):
    flight = begun(engine, plan=Plan("watched", "UAV", open_ended=True))
    come(engine, flight, "a.JPG", 0)
    assert answered(engine, flight, "a.JPG", 0).state is State.RECEIVING
    with transaction(engine) as conn:
        assert flights.close(conn, flight.id, "li").state is State.PROCESSED
        assert flights.close(conn, flight.id, "li").state is State.PROCESSED  # again: no harm
    assert kinds(engine, flight) == ["create", "close", "processed"]


def test_closing_early_needs_a_reason_and_says_what_is_missing(engine):
    flight = begun(engine, "a.JPG", "b.JPG")
    come(engine, flight, "a.JPG", 0)
    for how in ({}, {"early": True}):
        with pytest.raises(Refused) as refused, transaction(engine) as conn:
            flights.close(conn, flight.id, "li", **how)
        assert refused.value.reason == ("no-reason" if how else "files-missing")
    with transaction(engine) as conn:
        flights.close(conn, flight.id, "li", early=True, reason="card broke")
    assert answered(engine, flight, "a.JPG", 0).state is State.PROCESSED
    with engine.connect() as conn:
        (entry,) = [one for one in history.entries(conn, f"flight/{flight.id}") if one.kind == "close-early"]
        report = flight_report(flight_queries.get(conn, flight.id), flight_queries.files_of(conn, flight.id))
    assert (entry.actor, entry.body) == ("li", {"missing": 1, "reason": "card broke"})
    assert report["counts"]["missing"] == 1
    assert (report["closed_by"], report["close_reason"]) == ("li", "card broke")


def test_late_files_need_a_reason(engine):
    flight = begun(engine, "a.JPG")
    come(engine, flight, "a.JPG", 0)
    answered(engine, flight, "a.JPG", 0)
    with transaction(engine) as conn:
        flights.close(conn, flight.id, "li")
    with pytest.raises(Refused) as refused:
        come(engine, flight, "late.JPG", 1)
    assert refused.value.reason == "flight-closed"
    assert come(engine, flight, "a.JPG", 0).state is State.PROCESSED  # what it has already is no late file
    with transaction(engine) as conn:
        late = [Announced("late.JPG")]
        assert flights.announce(conn, flight.id, late, ME, late="second card").state is State.RECEIVING
    assert come(engine, flight, "late.JPG", 1).state is State.COMPLETE
    assert answered(engine, flight, "late.JPG", 1).state is State.PROCESSED
    with engine.connect() as conn:
        assert {file.name: file.late for file in flight_queries.files_of(conn, flight.id)} == {
            "a.JPG": False,
            "late.JPG": True,
        }
    assert "reopen" in kinds(engine, flight)


def test_a_file_sent_better_is_read_again_and_its_refusal_stays_in_the_receipts(engine):
    flight = begun(engine, "a.JPG")
    come(engine, flight, "a.JPG", 0)
    answered(engine, flight, "a.JPG", 0, BAD)
    assert come(engine, flight, "a.JPG", 0).state is State.PROCESSED  # the same bytes come to the same
    assert come(engine, flight, "a.JPG", 1).state is State.COMPLETE
    assert answered(engine, flight, "a.JPG", 1).state is State.PROCESSED
    with engine.connect() as conn:
        assert flight_queries.tally(conn, flight.id) == Tally(accepted=1)
        assert [receipt.outcome for receipt in receipts.of_flight(conn, flight.id)] == ["quarantined", "accepted"]


def test_sent_again_a_file_stays_what_it_became(engine):
    flight = begun(engine, "a.JPG")
    answered(engine, flight, "a.JPG", 0)
    answered(engine, flight, "a.JPG", 0, Answer("duplicate", GOOD.item))
    with engine.connect() as conn:
        (file,) = flight_queries.files_of(conn, flight.id)
    assert file.answer == GOOD


def test_what_a_sender_cannot_send_is_answered_at_once(engine):
    with transaction(engine) as conn:
        flight = flights.open_flight(conn, PLAN, ME)
        gone = [Announced("gone.JPG", refused=("unreadable", "gone.JPG: no such file.", "Check the card."))]
        assert flights.announce(conn, flight.id, gone, ME).state is State.PROCESSED
        (file,) = flight_queries.files_of(conn, flight.id)
    assert file.answer is not None
    assert file.answer.reason == "unreadable"
    with transaction(engine) as conn:  # found after all
        assert flights.announce(conn, flight.id, [Announced("gone.JPG", 10, HASHES[0])], ME).state is State.RECEIVING


def test_a_name_belongs_to_one_department_and_keeps_its_class(engine):
    begun(engine)
    for plan, reason in (
        (Plan("north road", "TRANSPORT"), "flight-of-another-department"),
        (Plan("north road", "UAV", security="sensitive"), "flight-differs"),
        (Plan("north road", "UAV", retain_until=date(2031, 1, 1)), "flight-differs"),
    ):
        with pytest.raises(Refused) as refused:
            begun(engine, plan=plan)
        assert refused.value.reason == reason
    again = begun(engine, plan=Plan("north road", "UAV", pilot="other", platform="M350"))
    assert (again.plan.pilot, again.plan.platform) == ("li", "M350")  # what was said stays, what was not is filled in


def test_what_is_not_there_is_refused_by_name(engine):
    with engine.connect() as conn, pytest.raises(Refused) as refused:
        flight_queries.get(conn, "nothing")
    assert refused.value.reason == "no-such-flight"


def test_a_flight_holds_so_many_files(engine, monkeypatch):
    monkeypatch.setattr(flights, "MOST_FILES", 2)
    begun(engine, "a", "b")
    with pytest.raises(Refused) as refused:
        begun(engine, "c")
    assert refused.value.reason == "too-many-files"


def test_files_that_finish_at_once_see_each_other(engine):
    flight = begun(engine, *(f"{number}.JPG" for number in range(12)))
    barrier = threading.Barrier(4)

    def bring(start):
        barrier.wait()
        for number in range(start, 12, 4):
            come(engine, flight, f"{number}.JPG", number)

    threads = [threading.Thread(target=bring, args=(start,)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with engine.connect() as conn:
        assert flight_queries.get(conn, flight.id).state is State.COMPLETE
        assert history.verify(conn) == []


def test_begun_and_not_ended_is_counted(engine):
    flight = begun(engine, "a.JPG")
    come(engine, flight, "a.JPG", 0)
    with transaction(engine) as conn:
        flights.begin(conn, flight.id, ["a.JPG"])
        assert [file.tries for file in flight_queries.pending(conn, flight.id, 10)] == [1]
    answered(engine, flight, "a.JPG", 0)
    with engine.connect() as conn:
        assert [file.tries for file in flight_queries.files_of(conn, flight.id)] == [0]
        assert [file.name for file in flight_queries.to_look_at(conn, flight.id)] == ["a.JPG"]
    with transaction(engine) as conn:
        flights.looked(conn, flight.id, "a.JPG")
        assert flight_queries.to_look_at(conn, flight.id) == []
