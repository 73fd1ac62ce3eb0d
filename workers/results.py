"""A finished analysis as the files that were asked for."""

import json
import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from detectors.base import ModelSpec
from imagery.errors import Refused
from records.files import write_atomically
from stac.store import Item
from workers.captures import reference
from workers.change import Comparison
from workers.detect import Detection
from workers.disk import room_on_disk
from workers.home import Home
from workers.inputs import Input
from workers.outputs import (
    Labels,
    about_comparison,
    about_detection,
    comparison_features,
    detection_features,
    write_mask,
)
from workers.tiling import Analysis
from workers.vectors import Feature, Spool

Detect = Callable[[Input, Path], Detection]
"""Runs the detector over one input and writes its raw mask to that path."""


def detect_to_files(
    run: Detect, inputs: Sequence[Input], labels: Labels, out: Path | None, mask: Path | None
) -> dict[str, Any]:
    """Detect in every input; write one GeoJSON to `out` and the mask to `mask`, for several inputs one mask each into
    the folder of that name. Returns the summary, JSON-ready.

    Raises `Refused` (mixed-coordinates) where some inputs are in pixels and some on the ground.
    """
    if len({one.pixels for one in inputs}) > 1:
        raise Refused(
            "mixed-coordinates",
            "Some sources have a georeference and some have not: one file cannot hold both kinds of coordinates.",
            "Run them apart, or all with --pixels.",
        )
    runs, worked = [], []
    with spool(out) as found:
        for one, target in zip(inputs, _masks([one.name for one in inputs], mask), strict=True):
            with working_folder(target) as folder:
                detection = run(one, folder / "mask.tif")
                if target is not None:
                    write_mask(folder / "mask.tif", target, one, detection.grid, detection.extent)
            counts = found.add(with_source(detection_features(detection, labels), one.name))
            runs.append(about_detection(detection) | {"found": by_class(detection.spec, counts)})
            worked.append(_effort(detection.analysis))
        return _finish(found, runs, out, mask, worked)


def change_to_files(
    run: Callable[[Path], Comparison], labels: Labels, out: Path | None, mask: Path | None
) -> dict[str, Any]:
    """Compare two dates and write the same files."""
    with working_folder(mask) as folder:
        comparison = run(folder / "mask.tif")
        if mask is not None:
            write_mask(folder / "mask.tif", mask, comparison.before, comparison.grid, comparison.extent)
    with spool(out) as found:
        counts = found.add(with_source(comparison_features(comparison, labels), comparison.after.name))
        about = about_comparison(comparison) | {"found": by_class(comparison.spec, counts)}
        return _finish(found, [about], out, mask, [_effort(comparison.analysis)])


def items_to_files(home: Home, items: Sequence[Item], out: Path | None, mask: Path | None) -> dict[str, Any]:
    """The same files and summary from runs of the catalogue."""
    runs = []
    targets = _masks([str(item["properties"]["title"]) for item in items], mask)
    with spool(out) as found:
        for item, target in zip(items, targets, strict=True):
            kept = json.loads(home.asset_path(item["assets"]["features"]["href"]).read_text("utf-8"))
            found.add(kept["features"])
            runs += [run | {"item": reference(item)} for run in kept["flyonce"]["runs"]]
            if target is not None:
                write_atomically(target, home.asset_path(item["assets"]["mask"]["href"]).read_bytes())
        return _finish(found, runs, out, mask)


def check_targets(out: Path | None, mask: Path | None) -> None:
    """Refuse before hours of work what could not be written after them. Raises `Refused` (cannot-write)."""
    for target in (out, mask):
        if target is not None and not (
            target.absolute().parent.is_dir() and os.access(target.absolute().parent, os.W_OK)
        ):
            raise Refused(
                "cannot-write",
                f"{target} cannot be written: {target.absolute().parent} is no folder that may be written to.",
                "Make the folder, or choose another.",
            )


@contextmanager
def working_folder(target: Path | None) -> Iterator[Path]:
    """A folder for working files, on the disk that the result goes to."""
    with tempfile.TemporaryDirectory(prefix=".flyonce-", dir=target.absolute().parent if target else None) as folder:
        yield Path(folder)


@contextmanager
def spool(out: Path | None) -> Iterator[Spool]:
    """Where features wait for their file, on the disk that it goes to. Raises `Refused` (disk-full)."""
    if out is None:
        with Spool(None) as found:
            yield found
        return
    with room_on_disk(out), Spool(out.absolute().parent) as found:
        yield found


def classes_of(found: Iterable[Feature]) -> Counter[str]:
    return Counter(feature["properties"]["class"] for feature in found)


def by_class(spec: ModelSpec, counts: Counter[str]) -> dict[str, int]:
    """How many of each class, those that were looked for and not found included."""
    return {name: counts[name] for name in spec.classes}


def _masks(names: Sequence[str], mask: Path | None) -> list[Path | None]:
    """Where each mask goes: one to `mask` itself, several into the folder of that name."""
    if mask is None or len(names) == 1:
        return [mask] * len(names)
    mask.mkdir(exist_ok=True)
    return [mask / f"{index:03d}-{Path(name).stem}.tif" for index, name in enumerate(names, start=1)]


def with_source(found: Iterable[Feature], source: str) -> Iterator[Feature]:
    """The features, each saying which file or item it was found in."""
    return ({**feature, "properties": {**feature["properties"], "source": source}} for feature in found)


class Effort:
    """What runs cost and what the cache spared them, added up; a run that is already in the catalogue adds nothing."""

    def __init__(self) -> None:
        self._tiles = self._kept = 0
        self._spent = self._saved = 0.0

    def __call__(self, analysis: Analysis) -> None:
        self._tiles, self._kept = self._tiles + analysis.tiles, self._kept + analysis.kept
        self._spent, self._saved = self._spent + analysis.spent, self._saved + analysis.saved

    def to_dict(self) -> dict[str, float]:
        """JSON-ready: tiles, tiles_kept, seconds_spent, seconds_saved; seconds of one worker."""
        spent, saved = round(self._spent, 2), round(self._saved, 2)
        return {"tiles": self._tiles, "tiles_kept": self._kept, "seconds_spent": spent, "seconds_saved": saved}


def _effort(analysis: Analysis) -> dict[str, float]:
    """Of one run; no part of its result, which is the same either way."""
    worked = Effort()
    worked(analysis)
    return worked.to_dict()


def _finish(
    found: Spool,
    runs: list[dict[str, Any]],
    out: Path | None,
    mask: Path | None,
    worked: Sequence[dict[str, float]] = (),
) -> dict[str, Any]:
    if out is not None:
        write_atomically(out, found.document({"runs": runs}))
    return {
        "found": found.count,
        "by_class": dict(sorted(found.by_class.items())),
        "area_m2": round(found.area_m2, 3),
        "out": str(out) if out else None,
        "mask": str(mask) if mask else None,
        "runs": [run | cost for run, cost in zip(runs, worked, strict=True)] if worked else runs,
    }
