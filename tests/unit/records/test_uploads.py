"""Rows of uploads: an offset moves only forward with what is safe, and an end is an end."""

from datetime import timedelta

from sqlalchemy import Engine

from records import uploads
from records.engine import transaction
from records.uploads import State, Upload

DAY = timedelta(days=1)


def opened(engine: Engine, *, keep: timedelta = DAY, concat: str = "", flight: str = "f") -> Upload:
    with transaction(engine) as conn:
        return uploads.add(
            conn,
            flight=flight,
            name="a.JPG",
            length=10,
            metadata="filename YQ==",
            concat=concat,
            declared=None,
            sender="li",
            sender_role="operator",
            keep=keep,
        )


def state(engine: Engine, upload: Upload) -> State:
    with engine.connect() as conn:
        found = uploads.get(conn, upload.id)
    assert found is not None
    return found.state


def test_an_upload_advances_finishes_and_then_stands_still(engine: Engine) -> None:
    upload = opened(engine)
    with transaction(engine) as conn:
        moved = uploads.advance(conn, upload.id, 4, DAY)
        assert moved is not None
        assert (moved.offset, moved.state) == (4, State.OPEN)
        assert moved.expires >= upload.expires
        assert uploads.finish(conn, upload.id, "0" * 64)
        assert not uploads.finish(conn, upload.id, "0" * 64)
        assert uploads.advance(conn, upload.id, 5, DAY) is None
        assert not uploads.terminate(conn, upload.id)
        found = uploads.get(conn, upload.id)
    assert found is not None
    assert (found.offset, found.state, found.sha256) == (10, State.FINISHED, "0" * 64)


def test_what_is_terminated_does_not_come_back(engine: Engine) -> None:
    upload = opened(engine)
    with transaction(engine) as conn:
        assert uploads.terminate(conn, upload.id)
        assert uploads.advance(conn, upload.id, 5, DAY) is None
        assert not uploads.finish(conn, upload.id, None)
    assert state(engine, upload) is State.TERMINATED


def test_a_finished_part_may_be_given_up(engine: Engine) -> None:
    part = opened(engine, concat="partial")
    with transaction(engine) as conn:
        uploads.finish(conn, part.id, None)
        assert uploads.terminate(conn, part.id)


def test_only_what_waited_too_long_expires(engine: Engine) -> None:
    old, new = opened(engine, keep=-DAY), opened(engine)
    part, whole = opened(engine, keep=-DAY, concat="partial"), opened(engine, keep=-DAY)
    with transaction(engine) as conn:
        uploads.finish(conn, part.id, None)
        uploads.finish(conn, whole.id, "0" * 64)
        assert set(uploads.expire(conn)) == {old.id, part.id}
        assert uploads.expire(conn) == []
    assert [state(engine, one) for one in (old, new, part, whole)] == [
        State.EXPIRED,
        State.OPEN,
        State.EXPIRED,
        State.FINISHED,
    ]


def test_what_is_under_way_is_found_by_its_flight_and_counted(engine: Engine) -> None:
    first, second = opened(engine), opened(engine, flight="g")
    ended = opened(engine)
    with transaction(engine) as conn:
        uploads.terminate(conn, ended.id)
    with engine.connect() as conn:
        assert [one.id for one in uploads.open_of(conn, "f")] == [first.id]
        assert [one.id for one in uploads.open_of(conn, "g")] == [second.id]
        assert uploads.count_open(conn) == 2
        assert uploads.get(conn, "nothing") is None
