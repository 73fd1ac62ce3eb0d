"""The embedded catalogue's SQL: JSON functions over `properties`, and columns for the chosen properties.

A column is written `+column` in searches, so that SQLite never starts from its index by itself: without statistics it
would sort half the catalogue. `stac.sqlite` starts from an index where it has counted that few rows are in it.
"""

from dataclasses import dataclass

from stac.dialect import ANY, ONE, SECONDS, Key, Token
from stac.fragments import Sql, bind, sql
from stac.properties import CHOSEN, Kind, Steps, column_of

_JSON_TYPES = {"number": "'integer', 'real'", "text": "'text'", "boolean": "'true', 'false'", "array": "'array'"}


@dataclass(frozen=True, slots=True)
class SqliteDialect:
    """`columns`: whether chosen properties have one; `plain`: these without the `+` that hides their index."""

    plain: bool = False
    columns: bool = True

    def typed(self, path: Steps, wanted: Kind) -> Sql:
        if self.columns and len(path) == 1 and CHOSEN.get(path[0]) == wanted:
            return Sql(("" if self.plain else "+") + column_of(path[0]))
        return sql(f"(CASE WHEN {{}} IN ({_JSON_TYPES[wanted]}) THEN {{}} END)", self.kind(path), _extract(path))

    def literal(self, value: float | str | bool) -> Sql:
        return bind(value)

    def kind(self, path: Steps) -> Sql:
        return Sql("json_type(properties, ?)", (_json_path(path),))

    def absent(self, path: Steps) -> Sql:
        missing = sql("(coalesce({}, 'null') = 'null')", self.kind(path))
        if self.columns and len(path) == 1 and path[0] in CHOSEN:
            return sql(f"({column_of(path[0])} IS NULL AND {{}})", missing)  # the column spares most items the parsing
        return missing

    def compare(self, op: str, left: Steps, right: Steps) -> Sql:
        same = sql("({} = {})", self._class(left), self._class(right))
        return sql("(CASE WHEN {} THEN {} END)", same, sql(f"{{}} {op} {{}}", _extract(left), _extract(right)))

    def like(self, text: Sql, pattern: list[Token]) -> Sql:
        """GLOB, which minds case."""
        wild = {ANY: "*", ONE: "?"}
        spelt = "".join(
            wild[token] if isinstance(token, int) else "".join(f"[{c}]" if c in "*?[" else c for c in token)
            for token in pattern
        )
        return sql("({} GLOB {})", text, bind(spelt))

    def column(self, name: str, *, ordered: bool) -> Sql:  # noqa: ARG002 - text has one order here
        return Sql(f"catalog_items.{name}")

    def function(self, name: str) -> str:
        return name

    def keys(self, name: str, path: Steps, *, descending: bool) -> list[Key]:
        match name:
            case "datetime":
                return [Key(Sql("datetime_us"), descending, (int,))]
            case "id" | "collection":
                return [Key(Sql(f"catalog_items.{name}"), descending, (str,))]
        return [
            Key(sql("(coalesce({}, 'null') = 'null')", self.kind(path)), descending=False, takes=(int,)),
            Key(_extract(path), descending, nullable=True),
        ]

    def period(self, letters: int) -> Sql:
        return sql(f"substr(date({SECONDS}, 'unixepoch'), 1, {{}})", bind(letters))

    def _class(self, path: Steps) -> Sql:
        return sql(
            "(CASE {} WHEN 'integer' THEN 'n' WHEN 'real' THEN 'n' WHEN 'text' THEN 't' "
            "WHEN 'true' THEN 'b' WHEN 'false' THEN 'b' END)",
            self.kind(path),
        )


def _json_path(path: Steps) -> str:
    return "$" + "".join(f'."{step}"' for step in path)


def _extract(path: Steps) -> Sql:
    return Sql("json_extract(properties, ?)", (_json_path(path),))


SQLITE = SqliteDialect()
PROBING = SqliteDialect(plain=True)
