"""What a flight's batch is made of: who flew it and why, which files to expect, what became of each.

Imports nothing beyond the standard library and `imagery.errors`, so that the light client uses it too.
"""

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import date
from typing import Any, Literal, Self

from imagery.errors import Refused

Outcome = Literal["accepted", "duplicate", "quarantined"]
Security = Literal["public", "internal", "sensitive"]
MOST_TEXT = 500
MOST_NAME = 240
"""Characters of a file's name below its flight: with three bytes each they fit an address and a file system."""
MOST_OFFSET = 1e6
"""Seconds between a log's clock and its video's: eleven days."""
_DIGITS = frozenset("0123456789abcdef")
_UNSAFE = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))
"""Unicode categories that no name needs: control, invisible and direction-changing characters, halves of pairs."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is said about a flight when it is created. `name` is what people call it; empty texts are not known.

    Raises `Refused` (`no-name`, `bad-field`).
    """

    name: str
    department: str
    purpose: str = ""
    platform: str = ""
    """The aircraft: make, model, registration."""
    pilot: str = ""
    operator_licence: str = ""
    """Number of the operator's licence (运营合格证号)."""
    airspace_approval: str = ""
    """Number of the approval to use the airspace (空域批准文号)."""
    security: Security = "internal"
    retain_until: date | None = None
    """Last day on which the files are kept for certain; None: as long as the deployment keeps files."""
    open_ended: bool = False
    """Nobody can say yet which files will come: the flight is complete only when somebody closes it."""
    terrain: str | None = None
    """SHA-256 of the elevation model, itself a file of the flight, that footprints are laid on; None: what the
    deployment has, or a plane."""

    def __post_init__(self) -> None:
        if not self.name.strip() or not self.department.strip():
            raise Refused("no-name", "A batch needs the name of its flight and of its department.", "Give both.")
        for name in ("name", "department", "purpose", "platform", "pilot", "operator_licence", "airspace_approval"):
            value = getattr(self, name)
            limit = 200 if name == "department" else MOST_TEXT
            if len(value) > limit or any(unicodedata.category(character) in _UNSAFE for character in value):
                raise Refused(
                    "bad-field",
                    f"{name}: longer than {limit} characters, or with control characters.",
                    "Write it in one plain line.",
                )
        if self.security not in ("public", "internal", "sensitive"):
            raise Refused("bad-field", f"security: {self.security!r}.", "It is public, internal or sensitive.")
        if self.terrain is not None and not is_sha256(self.terrain):
            raise Refused("bad-field", "terrain: not a SHA-256.", "Write 64 lower-case hexadecimal digits.")

    @property
    def id(self) -> str:
        return flight_id(self.name)

    def to_json(self) -> dict[str, Any]:
        said = asdict(self)
        return said | {"retain_until": self.retain_until.isoformat() if self.retain_until else None}


@dataclass(frozen=True, slots=True)
class Announced:
    """A file that will come, or one that its sender cannot send (`refused`: reason, message, remedy)."""

    name: str
    size: int | None = None
    sha256: str | None = None
    refused: tuple[str, str, str] | None = None
    log_offset: float | None = None
    """Of a video: seconds that are added to the times of the GPX or CSV log beside it."""

    def __post_init__(self) -> None:
        if self.name != file_name(self.name):
            raise Refused("bad-name", f"{self.name[:80]!r} is no plain name.", f"Call it {file_name(self.name)!r}.")
        if self.size is not None and self.size < 0:
            raise Refused("bad-field", f"{self.name}: a size of {self.size} bytes.", "Give its size in bytes.")
        if self.sha256 is not None and not is_sha256(self.sha256):
            raise Refused("bad-field", f"{self.name}: not a SHA-256.", "Write 64 lower-case hexadecimal digits.")
        if self.log_offset is not None and not abs(self.log_offset) <= MOST_OFFSET:
            raise Refused("bad-field", f"{self.name}: an offset of {self.log_offset} s.", "Give it in seconds.")


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a file. `reason`, `message`, `remedy` where it is quarantined; `item` is `collection/id`."""

    outcome: Outcome
    item: str | None = None
    reason: str = ""
    message: str = ""
    remedy: str = ""
    footprint: str = ""
    """How its place is known: georeference, pose or position."""
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"notes": list(self.notes)}

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> Self:
        known = {field.name for field in fields(cls)}
        values = {name: value for name, value in said.items() if name in known}
        return cls(**values | {"notes": tuple(values.get("notes", ()))})


def flight_id(name: str) -> str:
    """The name itself where it can stand in an address, else its readable part and a hash of the whole."""
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name):
        return name
    readable = re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")[:40]
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    return f"{readable}-{digest}" if readable else f"flight-{digest}"


def file_name(sent: str) -> str:
    """A sender's file name as a plain relative name: a label, never a path that anything is opened by.

    Separators of any system become `/`; empty, `.` and `..` parts go; control, invisible and
    direction-changing characters and characters that Windows forbids become `_`; the end, with its suffix, is kept
    where it is too long. Applied twice it changes nothing more.
    """
    text = unicodedata.normalize("NFC", sent.replace("\\", "/"))
    parts = []
    for part in text.split("/"):
        plain = "".join("_" if unicodedata.category(c) in _UNSAFE or c in '<>:"|?*' else c for c in part).strip(" ")
        if plain.strip(". "):
            parts.append(plain)
    name = "/".join(parts)
    if len(name) > MOST_NAME:
        name = file_name(name[-MOST_NAME:].lstrip("/ "))
    return name or "unnamed"


def distinct(names: Iterable[str]) -> list[str]:
    """Plain names for these, in their order, none twice: a second `a.JPG` becomes `a (2).JPG`."""
    taken: set[str] = set()
    given = []
    for sent in names:
        name = plain = file_name(sent)
        number = 2
        while name in taken:
            head, dot, suffix = plain.rpartition(".")
            name = file_name(f"{head} ({number}).{suffix}" if dot and head else f"{plain} ({number})")
            number += 1
        taken.add(name)
        given.append(name)
    return given


def is_sha256(text: str) -> bool:
    return len(text) == 64 and _DIGITS.issuperset(text)


def cameras_note(platforms: Sequence[str]) -> str | None:
    """What a report says of a batch whose files come from more than one camera; None where they do not."""
    named = sorted(set(filter(None, platforms)))
    if len(named) < 2:
        return None
    counted = ", ".join(f"{name} ({platforms.count(name)})" for name in named)
    return f"several-cameras: the batch holds pictures of {len(named)} cameras 含多台相机的影像: {counted}"
