"""The unit tests of books, flights and tickets, every one of them that asks for an `engine`, on a real PostgreSQL."""

import importlib.util
import inspect
from pathlib import Path

UNIT = Path(__file__).parents[1] / "unit"

SAME_TESTS = (
    "records/test_engine.py",
    "records/test_jobs.py",
    "records/test_outbox.py",
    "records/test_receipts.py",
    "records/test_history.py",
    "records/test_uploads.py",
    "stac/test_flights.py",
    "tickets/test_store.py",
)

for path in SAME_TESTS:
    spec = importlib.util.spec_from_file_location(f"on_postgres_{Path(path).stem}", UNIT / path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name, function in vars(module).items():
        if name.startswith("test_") and "engine" in inspect.signature(function).parameters:
            assert name not in globals(), f"two tests are called {name}: one would hide the other"
            globals()[name] = function
