"""What the two catalogues' databases spell differently. Everything else of a search is the same SQL for both.

Both offer the columns `id`, `collection`, `datetime_us`, `start_us`, `end_us` (microseconds since 1970), `geometry` and
`properties`, and functions by the names `s_…`, `a_…`, `instant`, `casei` and `accenti` (`stac.sql_functions`).
"""

from dataclasses import dataclass
from typing import Literal, Protocol

from stac.fragments import Sql
from stac.properties import Kind, Steps

Token = str | Literal[0, 1]
"""Of a LIKE pattern: text to be met as it is, `ANY` or `ONE`."""
ANY: Literal[0] = 0
ONE: Literal[1] = 1


SECONDS = "((datetime_us + 62135596800000000) / 1000000 - 62135596800)"
"""Since 1970, rounded down before it too: databases divide towards zero, and no time is earlier than the year 1."""


@dataclass(frozen=True, slots=True)
class Key:
    """One level of an order. `takes` are the types that its values have."""

    sql: Sql
    descending: bool
    takes: tuple[type, ...] = (int, float, str)
    nullable: bool = False
    """Only under a key that says the property is missing, so that all such items are equal here."""


class Dialect(Protocol):
    """`path` is a property's path, `wanted` the type it is compared as: a value of another type gives NULL."""

    def typed(self, path: Steps, wanted: Kind) -> Sql: ...

    def literal(self, value: float | str | bool) -> Sql: ...

    def kind(self, path: Steps) -> Sql:
        """The JSON type of the value: integer, real, text, true, false, array, object, null; or NULL."""
        ...

    def absent(self, path: Steps) -> Sql:
        """Whether the value is missing or null."""
        ...

    def compare(self, op: str, left: Steps, right: Steps) -> Sql:
        """Two properties: compared where both are numbers, both text or both booleans, else NULL."""
        ...

    def like(self, text: Sql, pattern: list[Token]) -> Sql: ...

    def column(self, name: str, *, ordered: bool) -> Sql:
        """`id` or `collection`; `ordered` where it is more than asked whether it equals something."""
        ...

    def function(self, name: str) -> str:
        """The name of one of the functions in this database."""
        ...

    def keys(self, name: str, path: Steps, *, descending: bool) -> list[Key]:
        """The levels that sort by a property; items without it come last either way."""
        ...

    def period(self, letters: int) -> Sql:
        """The first letters of the item's day in UTC: 7 for the month (2026-05), 10 for the day."""
        ...
