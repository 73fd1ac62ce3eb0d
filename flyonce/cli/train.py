"""`flyonce train`: teach a detector."""

from pathlib import Path
from typing import Annotated

import typer

from flyonce.cli.output import fail, print_json, stdout


def train(
    detector: Annotated[str, typer.Argument(help="few-shot or change.")],
    labels: Annotated[list[Path] | None, typer.Argument(metavar="LABELS...", help="COCO or GeoJSON.")] = None,
    name: Annotated[str, typer.Option(help="few-shot: the new detector's name.")] = "",
    source: Annotated[
        list[Path] | None, typer.Option("--source", help="Picture of GeoJSON that does not name it.")
    ] = None,
    gsd: Annotated[float | None, typer.Option(min=1e-4, max=1000, help="Metres per pixel of the pictures.")] = None,
    out: Annotated[Path | None, typer.Option(help="change: the weights to write.")] = None,
    stock: Annotated[Path, typer.Option(help="change: packed pictures; made where they are not.")] = Path(
        ".cache/change-stock"
    ),
    seconds: Annotated[float, typer.Option(min=0, help="change: how long it may take; 0: --steps.")] = 0,
    steps: Annotated[int, typer.Option(min=1, help="change: steps of a repeatable run.")] = 3000,
    seed: Annotated[int, typer.Option(help="Of everything that is drawn.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Teach a class from a handful of outlines (few-shot), or train the change network anew (change). 训练模型。

    few-shot puts a detector NAME on the shelf, ready for `flyonce detect NAME`.
    """
    if detector == "few-shot":
        if not labels or not name:
            fail("few-shot needs labels and a name.", "flyonce train few-shot LABELS... --name NAME")
        _few(labels, name, source or [], gsd, seed, as_json)
    elif detector == "change":
        _change(out, stock, seconds, steps, seed)
    else:
        fail(f"{detector} cannot be trained here.", "There are: few-shot, change.")


def _few(labels: list[Path], name: str, sources: list[Path], gsd: float | None, seed: int, as_json: bool) -> None:
    from detectors import registry, shelf
    from detectors.few import teach
    from detectors.labels import read_labels

    if name in registry.names() and name not in shelf.names():
        fail(f"{name} is the name of a detector that came with flyonce or a plug-in.", "Choose another.")
    read = read_labels(labels, sources=sources, gsd=gsd)
    learned = teach(name, read, shelf.folder(), seed=seed)
    if as_json:
        print_json(learned)
        return
    for left in read.left:
        stdout.print(f"left out 略去 {left.file}: {left.message} ({left.reason})", highlight=False, soft_wrap=True)
    stdout.print(
        f"Taught 已学会 {learned['class']}: {learned['found_when_left_out']} of {learned['outlines']} outlines are "
        f"found by the others 互验. flyonce detect {name} SOURCE",
        highlight=False,
        soft_wrap=True,
    )


def _change(out: Path | None, stock: Path, seconds: float, steps: int, seed: int) -> None:
    if out is None:
        fail("there is nothing to write.", "Give --out WEIGHTS.safetensors.")
    from detectors import change_stock, change_train
    from detectors.assess_change import data_folder

    if not (stock / "stock.json").is_file():
        change_stock.pack(data_folder(), stock)
    length = ["--seconds", str(seconds)] if seconds else ["--steps", str(steps)]
    change_train.main(["--out", str(out), "--stock", str(stock), "--seed", str(seed), *length])
