"""What a worker can be asked to do: frozen values that travel as JSON in a job row.

`catalog_api` and the command line build them; `flyonce worker` reads them back. Imports nothing beyond the standard
library, so that whoever only asks never loads torch or Dask.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from types import MappingProxyType
from typing import Any, ClassVar, Literal, Self, get_args

Dtype = Literal["float32", "bfloat16"]
"""Of a network's arithmetic; pixels and scores are bytes in any case."""


@dataclass(frozen=True, slots=True)
class _Job:
    """The common round trip. Every field is a string, a number, a truth value, None or a tuple of strings."""

    kind: ClassVar[str]

    def to_payload(self) -> dict[str, Any]:
        """JSON-ready; tuples become lists."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @classmethod
    def from_payload(cls, payload: Mapping[str, Any]) -> Self:
        """The job again. Raises `ValueError` naming what is missing, unknown or of the wrong type."""
        known = {field.name for field in fields(cls)}
        if unknown := sorted(set(payload) - known):
            raise ValueError(f"a {cls.kind} job has no {', '.join(unknown)}; it has {', '.join(sorted(known))}")
        try:
            return cls(**{name: tuple(value) if isinstance(value, list) else value for name, value in payload.items()})
        except TypeError as error:
            raise ValueError(f"not a {cls.kind} job: {error}") from error


@dataclass(frozen=True, slots=True)
class IngestJob(_Job):
    """Take files of one flight into the store and the catalogue."""

    kind: ClassVar[str] = "ingest"

    paths: tuple[str, ...]
    """Files and folders on the worker's machine; folders are walked in sorted order."""
    flight: str
    department: str

    def __post_init__(self) -> None:
        _need_texts(self.paths, "paths")
        _need_text(self.flight, "flight")
        _need_text(self.department, "department")


@dataclass(frozen=True, slots=True)
class TakeJob(_Job):
    """Answer the files of a flight that have been received, and bring its item up to date."""

    kind: ClassVar[str] = "take"

    flight: str
    """Id of the flight."""

    def __post_init__(self) -> None:
        _need_text(self.flight, "flight")


@dataclass(frozen=True, slots=True)
class LookJob(_Job):
    """Look at the pixels of a flight's captures: decode them whole, make thumbnails and COGs."""

    kind: ClassVar[str] = "look"

    flight: str

    def __post_init__(self) -> None:
        _need_text(self.flight, "flight")


@dataclass(frozen=True, slots=True)
class DetectJob(_Job):
    """Run a detector over one catalogue item, or over each key frame of a video, and write the runs back."""

    kind: ClassVar[str] = "detect"

    detector: str
    source: str
    """`collection/id` of a photo, an orthophoto, a frame or a video."""
    gsd: float | None = None
    """Metres on the ground per pixel, for a source that does not tell."""
    change: str | None = None
    """`changes/id` of a run: only what stands on changed ground is proposed."""
    propose: bool = True
    """Turn what is found into candidates for review."""
    dtype: Dtype = "float32"

    def __post_init__(self) -> None:
        _need_text(self.detector, "detector")
        _need_item(self.source, "source")
        if self.change is not None:
            _need_item(self.change, "change")
        _need_metres(self.gsd)
        if self.dtype not in get_args(Dtype):
            raise ValueError(f"dtype must be one of {', '.join(get_args(Dtype))}, not {self.dtype!r}")


@dataclass(frozen=True, slots=True)
class ChangeJob(_Job):
    """Compare two catalogue items and write the run back."""

    kind: ClassVar[str] = "change"

    before: str
    after: str
    """Both `collection/id`."""
    gsd: float | None = None

    def __post_init__(self) -> None:
        _need_item(self.before, "before")
        _need_item(self.after, "after")
        _need_metres(self.gsd)


Job = IngestJob | TakeJob | LookJob | DetectJob | ChangeJob

KINDS: Mapping[str, type[Job]] = MappingProxyType(
    {job.kind: job for job in (IngestJob, TakeJob, LookJob, DetectJob, ChangeJob)}
)


def from_row(kind: str, payload: Mapping[str, Any]) -> Job:
    """The job that a row holds. Raises `ValueError` for a kind or a payload that this version does not know."""
    if kind not in KINDS:
        raise ValueError(f"no job of kind {kind!r}; known are {', '.join(KINDS)}")
    return KINDS[kind].from_payload(payload)


def _need_text(value: object, name: str) -> None:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{name} must be a text that is not empty, not {value!r}")


def _need_texts(values: object, name: str) -> None:
    if not isinstance(values, tuple) or not values:
        raise ValueError(f"{name} must be a list of at least one text, not {values!r}")
    for value in values:
        _need_text(value, name)


def _need_item(value: object, name: str) -> None:
    _need_text(value, name)
    collection, _, item = str(value).partition("/")
    if not collection or not item:
        raise ValueError(f"{name} must be collection/id, such as orthophotos/0a1b, not {value!r}")


def _need_metres(gsd: object) -> None:
    if gsd is not None and not (isinstance(gsd, int | float) and not isinstance(gsd, bool) and 0 < gsd < 1000):
        raise ValueError(f"gsd must be metres per pixel, above 0 and below 1000, not {gsd!r}")
