"""Fixtures of the tests that run on real services."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from records.engine import open_engine
from stac.collections import all_collections
from stac.pgstac import PgstacCatalog


@pytest.fixture
def engine(postgres_url: str) -> Iterator[Engine]:
    """What `tests/unit/records` and `tests/unit/tickets` run on when they are run here."""
    engine = open_engine(postgres_url)
    yield engine
    engine.dispose()


@pytest.fixture
def catalog(pgstac_engine: Engine) -> PgstacCatalog:
    """An empty catalogue: what `tests/unit/stac` runs on when it is run here."""
    with pgstac_engine.begin() as conn:
        conn.exec_driver_sql("DELETE FROM pgstac.items")
        conn.exec_driver_sql("DELETE FROM flyonce.covered")
        ours = [collection["id"] for collection in all_collections()]
        conn.exec_driver_sql("DELETE FROM pgstac.collections WHERE NOT id = ANY(%s)", (ours,))
    return PgstacCatalog(pgstac_engine)
