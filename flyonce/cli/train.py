"""`flyonce train`: teach a detector."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flyonce.cli.output import fail, print_json, stderr, stdout
from records.settings import Settings
from workers import environment

if TYPE_CHECKING:
    from detectors.labels import Labels


GENTLE = 3e-4
"""Learning rate that goes on from shipped weights."""


def train(
    detector: Annotated[str, typer.Argument(help="few-shot, debris or change.")],
    labels: Annotated[list[Path] | None, typer.Argument(metavar="LABELS...", help="COCO or GeoJSON.")] = None,
    name: Annotated[str, typer.Option(help="The new detector's name on the shelf.")] = "",
    source: Annotated[
        list[Path] | None, typer.Option("--source", help="Picture of GeoJSON that does not name it.")
    ] = None,
    gsd: Annotated[float | None, typer.Option(min=1e-4, max=1000, help="Metres per pixel of the pictures.")] = None,
    classes: Annotated[str, typer.Option(help="debris: classes of your own, with commas between them.")] = "",
    reviewed: Annotated[
        bool, typer.Option("--reviewed", help="debris: learn from what was approved and rejected in this home.")
    ] = False,
    precision: Annotated[
        float, typer.Option(min=0.01, max=1, help="debris: choose thresholds that reach it where it was held out.")
    ] = 0.8,
    blocks: Annotated[
        int, typer.Option(min=0, max=9999, help="debris: simulated blocks that keep known what is known.")
    ] = 2,
    out: Annotated[Path | None, typer.Option(help="Weights to write, their item and pictures beside them.")] = None,
    stock: Annotated[Path, typer.Option(help="change: packed pictures; made where they are not.")] = Path(
        ".cache/change-stock"
    ),
    seconds: Annotated[float, typer.Option(min=0, help="change: how long it may take; 0: --steps.")] = 0,
    steps: Annotated[int, typer.Option(min=1, help="Steps of a repeatable run.")] = 300,
    batch: Annotated[int, typer.Option(min=1, help="Crops a step.")] = 8,
    pairs: Annotated[int, typer.Option(min=1, help="change: pairs that are drawn for --steps.")] = 24,
    workers: Annotated[int, typer.Option(min=1, help="change: processes that draw pairs.")] = 2,
    fresh: Annotated[bool, typer.Option("--fresh", help="change: not from the shipped weights, but anew.")] = False,
    threads: Annotated[
        int, typer.Option(min=1, help="debris: a run repeats for the same number; more pay on idle cores.")
    ] = 1,
    seed: Annotated[int, typer.Option(help="Of everything that is drawn.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Teach a class from a handful of outlines (few-shot), tune debris to your city or to classes of your own from ten
    and more (debris), or train the change network (change). 训练模型。

    few-shot and debris put a detector NAME on the shelf, ready for `flyonce detect NAME`; `debris --out W.safetensors`
    writes it elsewhere, for `flyonce models add W.json`.
    """
    if detector == "few-shot":
        if not labels or not name:
            fail("few-shot needs labels and a name.", "flyonce train few-shot LABELS... --name NAME")
        _few(labels, name, source or [], gsd, seed, as_json)
    elif detector == "debris":
        if not environment.is_set():
            environment.start_over()  # a step is twice as fast where memory is kept
        own = tuple(part.strip() for part in classes.split(",")) if classes else ()
        read = _labels(labels or [], own, source or [], gsd, reviewed)
        _debris(read, own, name, out, steps, batch, seed, precision, blocks, threads, as_json)
    elif detector == "change":
        _change(out, stock, seconds, steps, batch, pairs, workers, fresh, seed)
    else:
        fail(f"{detector} cannot be trained here.", "There are: few-shot, debris, change.")


def _few(labels: list[Path], name: str, sources: list[Path], gsd: float | None, seed: int, as_json: bool) -> None:
    from detectors import shelf
    from detectors.few import teach
    from detectors.labels import read_labels

    _free(name)
    read = read_labels(labels, sources=sources, gsd=gsd)
    learned = teach(name, read, shelf.folder(), seed=seed)
    if as_json:
        print_json(learned)
        return
    _left_out(read)
    stdout.print(
        f"Taught 已学会 {learned['class']}: {learned['found_when_left_out']} of {learned['outlines']} outlines are "
        f"found by the others 互验. flyonce detect {name} SOURCE",
        highlight=False,
        soft_wrap=True,
    )


def _labels(
    paths: list[Path], own: tuple[str, ...], sources: list[Path], gsd: float | None, from_reviews: bool
) -> "Labels":
    from detectors import debris
    from detectors.labels import Labels, read_labels
    from workers.home import Home
    from workers.reviewed import reviewed

    classes = own or debris.CLASSES
    if not paths and not from_reviews:
        fail("there is nothing to learn from.", "Name COCO or GeoJSON files, or give --reviewed.")
    read = read_labels(paths, classes=classes, sources=sources, gsd=gsd) if paths else Labels()
    if from_reviews:
        with Home.open(Settings(), create=False) as home:
            told = reviewed(home, classes)
        read.pictures += told.pictures
        read.left += told.left
    return read


def _debris(
    read: "Labels", own: tuple[str, ...], name: str, out: Path | None,
    steps: int, batch: int, seed: int, precision: float, blocks: int, threads: int, as_json: bool,
) -> None:  # fmt: skip
    import torch

    from detectors import debris, shelf
    from detectors.tune import Wish, tune

    if not name and out is None:
        fail("the new detector has no name.", "Give --name NAME, or --out W.safetensors.")
    if out is not None and out.suffix != ".safetensors":
        fail(f"{out} is no name for weights.", "They are kept as safetensors: --out W.safetensors.")
    if out is None:
        _free(name)
    wish = Wish(
        name or (out.stem if out else ""), own or debris.CLASSES, steps, batch, seed=seed, precision=precision,
        blocks=blocks,
    )  # fmt: skip
    torch.set_num_threads(threads)
    folder, cache = out.parent if out else shelf.folder(), Settings().home / "training"
    learned = tune(
        read,
        wish,
        folder,
        cache=cache,
        say=_line,
        stage=lambda what: stderr.print(what, highlight=False, soft_wrap=True),
    )
    if as_json:
        print_json(learned)
        return
    _left_out(read)
    for kind, threshold in learned["thresholds"].items():
        held = learned["held_out"].get(kind)
        told = "not checked 未检验" if held is None else _share(held)
        stdout.print(f"{kind}: threshold 阈值 {threshold}, {told}", highlight=False, soft_wrap=True)
    for path in learned["pictures"]:
        stdout.print(f"Picture 图: {path}", highlight=False, soft_wrap=True)
    then = f"flyonce models add {folder / wish.name}.json" if out else f"flyonce detect {wish.name} SOURCE"
    stdout.print(f"Taught 已学会 {wish.name}. {then}", highlight=False, soft_wrap=True)


def _share(held: dict[str, Any]) -> str:
    """What was measured on the outlines that were held out."""
    shown = ["?" if held[part] is None else f"{held[part]:.2f}" for part in ("precision", "recall")]
    low = "" if held["reached"] else "; no threshold reaches the precision 无阈值达到要求"
    return f"precision 精确率 {shown[0]}, recall 召回率 {shown[1]} on {held['held']} held out 留出{low}"


def _line(step: int, steps: int, loss: float, seconds: float) -> None:
    """One line on a terminal, one in ten steps' time elsewhere."""
    left = seconds / step * (steps - step)
    line = f"step 步 {step}/{steps}: loss 损失 {loss:.3f}, {seconds:.0f} s, about 约 {left:.0f} s left 剩余"
    stderr.print(line, highlight=False, soft_wrap=True, end="\r" if stderr.is_terminal and step < steps else "\n")


def _free(name: str) -> None:
    """Ends with a message where the name cannot be a file's, or is that of a detector that no file brought."""
    from detectors import registry, shelf

    if not re.fullmatch(r"\w[\w.-]*", name):
        fail(f"{name!r} cannot be a detector's name.", "Use letters, digits, dots, - and _.")
    if (name in registry.names() and name not in shelf.names()) or name == "change":
        fail(f"{name} is the name of a detector that came with flyonce or a plug-in.", "Choose another.")


def _left_out(read: "Labels") -> None:
    _print_each(f"left out 略去 {left.file}: {left.message} ({left.reason})" for left in read.left)


def _print_each(lines: Iterable[str]) -> None:
    for line in lines:
        stdout.print(line, highlight=False, soft_wrap=True)


def _change(
    out: Path | None, stock: Path, seconds: float, steps: int, batch: int, pairs: int, workers: int, fresh: bool,
    seed: int,
) -> None:  # fmt: skip
    if out is None or out.suffix != ".safetensors":
        fail("there is nothing to write.", "Give --out WEIGHTS.safetensors.")
    from detectors import change, change_stock, change_train
    from detectors.assess_change import data_folder

    if not (stock / "stock.json").is_file() and (data_folder() / "orthos/banepa").is_dir():
        change_stock.pack(data_folder(), stock)
    given: list[object] = ["--out", out, "--seed", seed, "--batch", batch, "--workers", workers]
    given += ["--seconds", seconds] if seconds else ["--steps", steps, "--pairs", pairs]
    if (stock / "stock.json").is_file():
        given += ["--stock", stock]
    else:
        stderr.print("no real pictures (FLYONCE_DATA): simulated pairs alone 仅用模拟影像对", highlight=False)
    if not fresh:
        given += ["--start", change.WEIGHTS, "--rate", GENTLE]
    change_train.main([str(one) for one in given])
    stdout.print(
        f"Use it 使用: FLYONCE_CHANGE_WEIGHTS={out} flyonce change BEFORE AFTER …", highlight=False, soft_wrap=True
    )
