"""Pieces of SQL with their bound parameters, so that no value is ever written into the text of a statement."""

from dataclasses import dataclass
from datetime import datetime
from itertools import chain

Value = int | float | str | bytes | datetime | list[str] | None


@dataclass(frozen=True, slots=True)
class Sql:
    """SQL text with `?` placeholders and the values for them, in order."""

    text: str
    params: tuple[Value, ...] = ()


def sql(template: str, *parts: Sql) -> Sql:
    """`template` with each `{}` replaced by the next part. The template is ours, never a caller's."""
    return Sql(template.format(*(part.text for part in parts)), tuple(chain.from_iterable(p.params for p in parts)))


def bind(value: Value) -> Sql:
    return Sql("?", (value,))


def join(separator: str, parts: list[Sql]) -> Sql:
    """The parts with `separator` (` AND `, ` OR `, `, `) between them."""
    return sql(separator.join(["{}"] * len(parts)), *parts)


def group(separator: str, parts: list[Sql]) -> Sql:
    """The same in brackets."""
    return sql("({})", join(separator, parts))
