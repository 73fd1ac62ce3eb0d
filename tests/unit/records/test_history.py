import hashlib
import json
import threading
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from records import history
from records.engine import transaction
from records.history import FIRST, Entry, Head


def written(engine: Engine, count: int = 6) -> list[Entry]:
    made = []
    for number in range(count):
        with transaction(engine) as conn:
            body = {"number": number, "理由": "渣土"}
            made.append(history.append(conn, f"event/{number % 2}", "approved", body, "local"))
    return made


def problems(engine: Engine, *kept: Head) -> list[str]:
    with engine.connect() as conn:
        return history.verify(conn, *kept)


def without_triggers(conn: Connection) -> None:
    """As somebody with the database's password would."""
    if conn.dialect.name == "postgresql":
        for table in ("history", "history_head"):
            conn.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER ALL"))
        return
    for name in conn.execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).scalars().all():
        conn.execute(text(f"DROP TRIGGER {name}"))


def tamper(engine: Engine, *statements: str) -> None:
    with transaction(engine) as conn:
        without_triggers(conn)
        for statement in statements:
            conn.exec_driver_sql(statement)


def test_entries_come_back_by_stream_and_the_chain_holds(engine: Engine) -> None:
    made = written(engine)
    with engine.connect() as conn:
        assert history.entries(conn, "event/1") == made[1::2]
        assert history.head(conn) == Head(6, made[-1].hash)
    assert problems(engine) == []
    assert made[0].previous == FIRST
    assert made[0].body == {"number": 0, "理由": "渣土"}


def test_an_empty_history_is_sound(engine: Engine) -> None:
    assert problems(engine) == []


def test_the_hash_can_be_made_without_us(engine: Engine) -> None:
    """The recipe of the documentation, spelled out once more with the standard library alone."""
    written(engine, 2)
    with engine.connect() as conn:
        row = conn.execute(text("SELECT * FROM history WHERE seq = 2")).mappings().one()
    fields = {name: row[name] for name in ("seq", "stream", "kind", "actor", "at", "body")}
    recipe = row["previous"] + json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert hashlib.sha256(recipe.encode()).hexdigest() == row["hash"]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE history SET body = '{}' WHERE seq = 2",
        "DELETE FROM history WHERE seq = 6",
        "INSERT INTO history SELECT 9, stream, kind, actor, at, body, previous, hash FROM history WHERE seq = 1",
        "UPDATE history_head SET seq = 5",
        "UPDATE history_head SET seq = 9",
        "DELETE FROM history_head",
        "INSERT INTO history_head VALUES (2, 0, '')",
    ],
)
def test_the_database_itself_forbids_anything_but_appending(engine: Engine, statement: str) -> None:
    written(engine)
    with pytest.raises(DBAPIError, match="append-only"), transaction(engine) as conn:
        conn.exec_driver_sql(statement)
    assert problems(engine) == []


def test_a_row_cannot_be_replaced_by_another_of_its_number(engine: Engine) -> None:
    written(engine)
    put = "SELECT 2, stream, kind, actor, at, body, previous, hash FROM history WHERE seq = 1"
    statement = {
        "sqlite": f"INSERT OR REPLACE INTO history {put}",
        "postgresql": f"INSERT INTO history {put} ON CONFLICT (seq) DO UPDATE SET body = '[]'",
    }[engine.dialect.name]
    with pytest.raises(DBAPIError, match="append-only"), transaction(engine) as conn:
        conn.exec_driver_sql(statement)


@pytest.mark.parametrize(
    ("statements", "finding"),
    [
        (["UPDATE history SET body = '{}' WHERE seq = 3"], "row 3 (approved of event/0) was changed"),
        (["UPDATE history SET actor = 'nobody' WHERE seq = 6"], "row 6 (approved of event/1) was changed"),
        (["UPDATE history SET at = '2020-01-01T00:00:00.000000Z' WHERE seq = 1"], "row 1 (approved of event/0)"),
        (["DELETE FROM history WHERE seq = 4"], "row 4 missing"),
        (["DELETE FROM history WHERE seq IN (1, 2)"], "rows 1 to 2 missing"),
        (["DELETE FROM history WHERE seq = 6"], "row 6 missing: a head names them"),
        (["DELETE FROM history"], "rows 1 to 6 missing: a head names them"),
        (
            [
                "UPDATE history SET seq = -seq WHERE seq IN (2, 4)",
                "UPDATE history SET seq = 6 + seq WHERE seq IN (-2, -4)",
            ],
            "row 4 does not follow",
        ),
        (
            ["INSERT INTO history SELECT 7, stream, kind, actor, at, body, previous, hash FROM history WHERE seq = 1"],
            "7",
        ),
    ],
)
def test_tampering_past_the_triggers_is_found(engine: Engine, statements: list[str], finding: str) -> None:
    written(engine)
    tamper(engine, *statements)
    assert any(finding in problem for problem in problems(engine)), problems(engine)


def cut_with_a_forged_head(engine: Engine, made: list[Entry]) -> None:
    tamper(engine, "DELETE FROM history WHERE seq > 4", f"UPDATE history_head SET seq = 4, hash = '{made[3].hash}'")


def test_a_forged_head_hides_a_cut_tail_from_the_database_alone_but_not_from_a_head_kept_outside(
    engine: Engine,
) -> None:
    made = written(engine)
    cut_with_a_forged_head(engine, made)
    assert problems(engine) == []  # the limit that the module's text states
    assert problems(engine, Head(4, made[3].hash)) == []
    assert problems(engine, Head(6, made[5].hash)) == ["rows 5 to 6 missing: a head names them"]


def test_a_tail_written_anew_is_found_by_a_head_kept_outside(engine: Engine) -> None:
    made = written(engine)
    cut_with_a_forged_head(engine, made)
    with transaction(engine) as conn:
        for _ in range(2):
            history.append(conn, "event/0", "rejected", {}, "forger")
    assert problems(engine) == []
    assert problems(engine, Head(6, made[5].hash)) == ["row 6 is not the one that a head names"]


def test_what_was_rolled_back_never_happened(engine: Engine) -> None:
    written(engine, 1)
    with suppress(KeyError), transaction(engine) as conn:
        history.append(conn, "event/0", "approved", {}, "local")
        raise KeyError
    assert written(engine, 1)[0].seq == 2
    assert problems(engine) == []


def test_appending_at_once_from_many_threads_keeps_one_chain(engine: Engine) -> None:
    threads = [threading.Thread(target=written, args=(engine, 10)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with engine.connect() as conn:
        assert history.head(conn).seq == 40
    assert problems(engine) == []


def test_nobody_acts_without_a_name(engine: Engine) -> None:
    with pytest.raises(ValueError, match="who did"), transaction(engine) as conn:
        history.append(conn, "event/0", "approved", {}, "")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@given(JSON)
def test_canonical_json_is_one_text_per_value(value: object) -> None:
    once = history.canonical(value)
    assert history.canonical(json.loads(once)) == once


def test_what_json_cannot_say_is_refused() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        history.canonical({"score": float("nan")})
