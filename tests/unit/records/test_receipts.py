from dataclasses import replace

import pytest
from sqlalchemy import Engine

from records import receipts
from records.engine import transaction
from records.receipts import Outcome, Receipt

SHA = "ab" * 32


def test_receipts_of_a_flight_come_back_in_order(engine: Engine) -> None:
    sent = [
        Receipt("东湖-1", "DJI_0001.JPG", SHA, 8_000_000_000, Outcome.ACCEPTED, item="photos/x"),
        Receipt("东湖-1", "DJI_0001.JPG", SHA, 8_000_000_000, Outcome.DUPLICATE, item="photos/x"),
        Receipt("东湖-1", "坏.JPG", "cd" * 32, 12, Outcome.QUARANTINED, "truncated", "坏.JPG ends early"),
    ]
    with transaction(engine) as conn:
        receipts.add(conn, sent)
        receipts.add(conn, [])
        receipts.add(conn, [replace(sent[0], flight="another")])
    with engine.connect() as conn:
        found = receipts.of_flight(conn, "东湖-1")
        assert len(receipts.of_file(conn, SHA)) == 3
    assert [replace(receipt, received=None) for receipt in found] == sent
    assert all(receipt.received is not None for receipt in found)


@pytest.mark.parametrize(
    ("outcome", "more"),
    [
        (Outcome.QUARANTINED, {}),
        (Outcome.QUARANTINED, {"reason": "truncated"}),
        (Outcome.ACCEPTED, {}),
        (Outcome.DUPLICATE, {}),
    ],
)
def test_a_receipt_that_explains_nothing_cannot_be_made(outcome: Outcome, more: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"DJI_0001\.JPG"):
        Receipt("flight", "DJI_0001.JPG", SHA, 1, outcome, **more)
