"""Clusters of threads in this process: the same scheduler and graph as processes, started in a moment."""

import pytest

from workers.cluster import connect


@pytest.fixture(scope="session")
def clusters():
    """Clients of one to four workers."""
    with (
        connect(workers=1, processes=False) as one,
        connect(workers=2, processes=False) as two,
        connect(workers=3, processes=False) as three,
        connect(workers=4, processes=False) as four,
    ):
        yield {1: one, 2: two, 3: three, 4: four}
