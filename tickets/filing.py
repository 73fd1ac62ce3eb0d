"""From the outbox to a gateway: approved tickets are handed over, and are then filed."""

from typing import Any

from sqlalchemy import Connection, Engine

from records import outbox
from records.outbox import Drained, Message
from tickets import store
from tickets.codes import Codes
from tickets.gateways.base import Gateway
from tickets.states import Action, Actor, Side


def file_approved(engine: Engine, codes: Codes, gateway: Gateway, *, impatient: bool = False) -> Drained:
    """Hand every approved ticket that is due to the gateway; keys in the answer are ticket numbers.

    May be killed at any moment and called from many processes: each ticket is filed, and each filing recorded once.
    `impatient` also tries tickets that wait out a pause after a failure.
    """

    def deliver(message: Message) -> dict[str, Any]:
        return gateway.file(message.body)

    def filed(conn: Connection, message: Message, answer: dict[str, Any]) -> None:
        where = ", ".join(f"{key} {value}" for key, value in sorted(answer.items()))
        store.act(conn, codes, message.body["event"], Action.FILE, Actor(gateway.name, Side.SYSTEM), reason=where)

    return outbox.drain(engine, store.TOPIC, deliver, filed, impatient=impatient)
