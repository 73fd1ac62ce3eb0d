import importlib
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, inspect, text

from records.engine import migrate, open_engine, transaction
from records.schema import metadata, moment_of, moment_text

DECLARING = (
    "records.jobs",
    "records.outbox",
    "records.outside",
    "records.receipts",
    "records.history",
    "records.uploads",
    "stac.flight_tables",
    "tickets.tables",
)


def test_declared_tables_equal_the_migrated_schema(engine: Engine) -> None:
    for module in DECLARING:
        importlib.import_module(module)

    def declared(name: str | None, kind: str, _parents: object) -> bool:
        return kind != "table" or name in metadata.tables

    with engine.connect() as conn:
        context = MigrationContext.configure(conn, opts={"include_name": declared, "compare_type": True})
        assert compare_metadata(context, metadata) == []
        others = set(inspect(conn).get_table_names()) - set(metadata.tables)
    # The embedded catalogue's tables (R*Tree among them) are plain SQL, held by stac's own tests.
    assert {name for name in others if not name.startswith("catalog_")} == {"alembic_version"}


def test_migrating_again_changes_nothing(engine: Engine) -> None:
    with transaction(engine) as conn:
        conn.execute(text("INSERT INTO ticket_numbers VALUES ('20261122', 7)"))
    migrate(engine)
    with engine.connect() as conn:
        assert conn.execute(text("SELECT last FROM ticket_numbers")).scalar_one() == 7


def test_a_transaction_that_raises_leaves_nothing(engine: Engine) -> None:
    def half() -> None:
        with transaction(engine) as conn:
            conn.execute(text("INSERT INTO ticket_numbers VALUES ('20261122', 7)"))
            raise KeyError

    with pytest.raises(KeyError):
        half()
    with engine.connect() as conn:
        assert conn.execute(text("SELECT count(*) FROM ticket_numbers")).scalar_one() == 0


def test_writers_wait_for_each_other_instead_of_failing(engine: Engine) -> None:
    with transaction(engine) as conn:
        conn.execute(text("INSERT INTO ticket_numbers VALUES ('20261122', 0)"))

    def count() -> None:
        for _ in range(20):
            with transaction(engine) as conn:
                query = "SELECT last FROM ticket_numbers"
                locked = query if engine.dialect.name == "sqlite" else f"{query} FOR UPDATE"
                last = conn.execute(text(locked)).scalar_one()
                conn.execute(text("UPDATE ticket_numbers SET last = :last"), {"last": last + 1})

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with engine.connect() as conn:
        assert conn.execute(text("SELECT last FROM ticket_numbers")).scalar_one() == 80


OPENERS = """
import os, sys
import alembic.command, alembic.config
from records.engine import migrate, open_engine
for _ in range(4):
    if os.fork() == 0:
        migrate(open_engine(sys.argv[1]))
        os._exit(0)
sys.exit(any(os.wait()[1] for _ in range(4)))
"""


def test_many_processes_may_open_fresh_books_at_once(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'new' / 'books.sqlite'}"
    run = subprocess.run([sys.executable, "-c", OPENERS, url], capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (0, "")


def test_sqlite_is_opened_for_safety(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'books.sqlite'}")
    with engine.connect() as conn:
        values = {name: conn.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in PRAGMAS}
    engine.dispose()
    assert values == PRAGMAS


PRAGMAS = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 30_000}


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "mysql://localhost/books"])
def test_books_that_could_not_be_shared_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match="books"):
        open_engine(url)


MOMENTS = st.datetimes(
    min_value=datetime(2, 1, 1),  # noqa: DTZ001 - hypothesis adds the zone
    max_value=datetime(9998, 1, 1),  # noqa: DTZ001
    timezones=st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes))),
)


@given(MOMENTS, MOMENTS)
def test_the_text_of_moments_sorts_as_they_do_and_reads_back(a: datetime, b: datetime) -> None:
    assert (moment_text(a) < moment_text(b)) == (a < b)
    assert moment_of(moment_text(a)) == a
    assert moment_of(moment_text(a)).tzinfo is UTC


def test_a_moment_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        moment_text(datetime(2026, 11, 22))  # noqa: DTZ001
