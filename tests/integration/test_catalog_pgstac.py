"""The unit tests of the embedded catalogue, on pgstac: two catalogues, one behaviour."""

import importlib.util
import inspect
from pathlib import Path
from typing import Any

from hypothesis import settings

UNIT = Path(__file__).parents[1] / "unit" / "stac"
SAME_TESTS = ("test_sqlite.py", "test_cql2.py")
OF_SQLITE = {
    "test_every_query_uses_an_index",
    "test_conditions_that_leave_few_together_are_followed_together",
}
EXAMPLES = 20
"""A tenth of what the embedded catalogue is asked: pgstac takes a while to put even one item."""


def fewer(function: Any) -> Any:
    if hasattr(function, "hypothesis"):
        asked = function._hypothesis_internal_use_settings
        function._hypothesis_internal_use_settings = settings(asked, max_examples=EXAMPLES)
    return function


for path in SAME_TESTS:
    spec = importlib.util.spec_from_file_location(f"on_pgstac_{Path(path).stem}", UNIT / path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name, function in vars(module).items():
        wants = set(inspect.signature(function).parameters) if name.startswith("test_") else set()
        if wants & {"catalog", "ask"} and name not in OF_SQLITE:
            assert name not in globals(), f"two tests are called {name}: one would hide the other"
            globals()[name] = fewer(function)
        if name == "ask":
            globals()[name] = function  # the fixture
