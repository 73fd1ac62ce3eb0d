"""Matter codes: what a city calls the things that detectors find."""

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from imagery.errors import Refused

SHIPPED = "gbt_47678_5_2026_matters.csv"
_NEEDED = ("standard", "kind", "code", "name_zh")


@dataclass(frozen=True, slots=True)
class Matter:
    """One row of a city's list. Its key is (standard, kind, code), for 部件 and 事项 share numbers."""

    standard: str
    kind: str
    code: str
    name_zh: str
    name_en: str = ""

    @property
    def key(self) -> tuple[str, str, str]:
        return (self.standard, self.kind, self.code)


@dataclass(frozen=True, slots=True)
class Codes:
    """All matters, and those that stand for a detector's class."""

    matters: tuple[Matter, ...]
    by_class: dict[str, Matter]

    def of_class(self, class_: str) -> Matter | None:
        """The matter that tickets of this class are filed under; None where there is none, so none can be filed."""
        return self.by_class.get(class_)


def load_codes(path: Path | None = None) -> Codes:
    """Read a list of matters (CSV, UTF-8), by default the one shipped, of GB/T 47678.5-2026.

    Columns: standard, kind, code, name_zh; optional name_en, and `class`, the detector classes filed under that matter,
    with blanks between. Raises `Refused` (`bad-codes`) naming the file and the line.
    """
    if path is None:
        return _read(resources.files("tickets").joinpath("data", SHIPPED).read_text("utf-8").splitlines(), SHIPPED)
    try:
        return _read(path.read_text("utf-8-sig").splitlines(), str(path))
    except OSError as error:
        raise _bad(str(path), f"cannot be read: {error.strerror}", "Check FLYONCE_CODES.") from error
    except UnicodeDecodeError as error:
        raise _bad(str(path), "is not UTF-8", "Save it as CSV UTF-8 (Excel: “CSV UTF-8”).") from error


def _read(lines: Iterable[str], name: str) -> Codes:
    rows = csv.DictReader(lines)
    if missing := [column for column in _NEEDED if column not in (rows.fieldnames or ())]:
        raise _bad(name, f"has no column {', '.join(missing)}", f"Its first line names {', '.join(_NEEDED)}.")
    matters: dict[tuple[str, str, str], Matter] = {}
    by_class: dict[str, Matter] = {}
    for number, row in enumerate(rows, start=2):
        values = {column: (row.get(column) or "").strip() for column in (*_NEEDED, "name_en")}
        if empty := [column for column in _NEEDED if not values[column]]:
            raise _bad(name, f"line {number} has no {', '.join(empty)}", "Fill it in or remove the line.")
        matter = Matter(**values)
        if matter.key in matters:
            raise _bad(name, f"line {number} repeats {' '.join(matter.key)}", "Keep one of them.")
        matters[matter.key] = matter
        for class_ in (row.get("class") or "").split():
            if class_ in by_class:
                raise _bad(name, f"line {number} gives class {class_} a second code", "Keep one of them.")
            by_class[class_] = matter
    return Codes(tuple(matters.values()), by_class)


def _bad(name: str, what: str, remedy: str) -> Refused:
    return Refused("bad-codes", f"The matter codes {name}: {what}.", remedy)
