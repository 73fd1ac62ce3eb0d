"""What the OpenAPI document allows, and what it does not quite: nothing makes the server fail."""

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings


def ask_everything(served: str, examples: int) -> list[str]:
    """Requests drawn from the document to every operation of the STAC API; those that were answered with 5xx."""
    schema = schemathesis.openapi.from_url(f"{served}/openapi.json").include(path_regex="^/stac")
    failed: list[str] = []
    operations = [found.ok() for found in schema.get_all_operations()]
    assert len(operations) > 25
    for operation in operations:

        @settings(
            max_examples=examples,
            deadline=None,
            database=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def ask(case: Any) -> None:
            answer = case.call(base_url=served, timeout=60)
            if answer.status_code >= 500:
                failed.append(f"{case.method} {case.formatted_path}: {answer.status_code} {answer.text[:300]}")

        ask()
    return failed


@pytest.mark.filterwarnings("ignore")
def test_no_request_makes_the_server_fail(served: str) -> None:
    assert ask_everything(served, 5) == []


@pytest.mark.soak
@pytest.mark.filterwarnings("ignore")
def test_no_request_of_very_many_makes_the_server_fail(served: str) -> None:
    assert ask_everything(served, 300) == []
