"""The city's catalogue: the same search in PostgreSQL's SQL over pgstac's items, with the functions of `pgstac.sql`.

Text is compared by code points (`COLLATE "C"`), as SQLite does it, whatever the database's own collation.
"""

import sys

from stac.dialect import ANY, ONE, SECONDS, Key, Token
from stac.fragments import Sql, bind, sql
from stac.properties import Kind, Steps

_TYPED = {"number": "flyonce.number_at", "boolean": "flyonce.boolean_at", "array": "flyonce.array_at"}
_LARGEST = sys.float_info.max
"""Stands behind every number, so that items whose value is no number sort behind those where it is one."""


class PgstacDialect:
    def typed(self, path: Steps, wanted: Kind) -> Sql:
        if wanted == "text":
            return sql('(flyonce.text_at(properties, {}) COLLATE "C")', _path(path))
        return sql(f"{_TYPED[wanted]}(properties, {{}})", _path(path))

    def literal(self, value: float | str | bool) -> Sql:
        match value:
            case bool():
                return sql("CAST({} AS boolean)", bind(value))
            case str():
                return sql("CAST({} AS text)", bind(value))
        return sql("CAST({} AS double precision)", bind(value))

    def kind(self, path: Steps) -> Sql:
        return sql("flyonce.kind_at(properties, {})", _path(path))

    def absent(self, path: Steps) -> Sql:
        return sql("(coalesce({}, 'null') = 'null')", self.kind(path))

    def compare(self, op: str, left: Steps, right: Steps) -> Sql:
        return sql(f"(flyonce.compare(properties #> {{}}, properties #> {{}}) {op} 0)", _path(left), _path(right))

    def like(self, text: Sql, pattern: list[Token]) -> Sql:
        wild = {ANY: "%", ONE: "_"}
        spelt = "".join(
            wild[token] if isinstance(token, int) else "".join(f"\\{c}" if c in "%_\\" else c for c in token)
            for token in pattern
        )
        return sql("({} LIKE CAST({} AS text))", text, bind(spelt))

    def column(self, name: str, *, ordered: bool) -> Sql:
        # With another collation than its own, neither its index nor its partitions would be found.
        return Sql(f'({name} COLLATE "C")' if ordered else name)

    def function(self, name: str) -> str:
        return f"flyonce.{name}"

    def keys(self, name: str, path: Steps, *, descending: bool) -> list[Key]:
        match name:
            case "datetime":
                return [Key(Sql("datetime_us"), descending, (int,))]
            case "id" | "collection":
                return [Key(Sql(f'({name} COLLATE "C")'), descending, (str,))]
        return [
            Key(sql("CAST({} AS integer)", self.absent(path)), descending=False, takes=(int,)),
            Key(
                sql(f"coalesce(flyonce.rank_at(properties, {{}}), {_LARGEST!r})", _path(path)), descending, (float, int)
            ),
            Key(sql('(flyonce.wording_at(properties, {}) COLLATE "C")', _path(path)), descending, (str,)),
        ]

    def period(self, letters: int) -> Sql:
        day = f"to_char(to_timestamp({SECONDS}) AT TIME ZONE 'UTC', 'YYYY-MM-DD')"
        return sql(f"left({day}, {{}})", bind(letters))


def _path(path: Steps) -> Sql:
    return sql("CAST({} AS text[])", bind(list(path)))


PGSTAC = PgstacDialect()
