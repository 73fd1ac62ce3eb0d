"""The books on SQLite, and sightings to put in. `tests/integration` runs the same tests on PostgreSQL."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from records.engine import migrate, open_engine


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """Fresh, migrated books."""
    engine = open_engine(f"sqlite:///{tmp_path / 'books.sqlite'}")
    migrate(engine)
    yield engine
    engine.dispose()
