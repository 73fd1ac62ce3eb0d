"""`flyonce evaluate`: how good a detector is on labels that it was not trained on."""

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from flyonce.cli.output import fail, print_json, stderr, stdout
from workers import environment


def evaluate(
    detector: Annotated[str, typer.Argument(help="Name of a detector; `flyonce models list` shows them.")],
    labels: Annotated[
        list[Path] | None, typer.Argument(metavar="LABELS...", help="COCO or GeoJSON; for change a folder A, B, label.")
    ] = None,
    source: Annotated[
        list[Path] | None, typer.Option("--source", help="Picture of GeoJSON that does not name it.")
    ] = None,
    gsd: Annotated[float | None, typer.Option(min=1e-4, max=1000, help="Metres per pixel of the pictures.")] = None,
    weights: Annotated[Path | None, typer.Option(help="Other debris weights, such as a fold's.")] = None,
    precision: Annotated[
        float | None, typer.Option(min=0.01, max=1, help="Choose thresholds that reach this precision.")
    ] = None,
    table: Annotated[
        bool, typer.Option("--table", help="Measure every figure of docs/models and print them (a minute a block).")
    ] = False,
    fold: Annotated[
        list[Path] | None,
        typer.Option("--fold", help="--table: debris weights that left one side of the labelled site out; twice."),
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="Simulated blocks to draw for change and --table.")] = 10,
    seed: Annotated[int, typer.Option(help="Of the intervals.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Objects at IoU 0.3 and 0.5, pixels, calibration, false alarms per hectare, with intervals over places. 评估模型。

    Pictures that the weights were trained on are not scored. `evaluate change` measures simulated blocks drawn now, and
    the labelled pairs in LABELS.
    """
    if table and not environment.is_set():
        environment.start_over()  # twice as fast on a busy machine: one thread, and memory that is kept
    from detectors import scoreboard

    if table:
        say = partial(stderr.print, highlight=False, soft_wrap=True)
        rows = []
        for row in scoreboard.rows(count, fold or [], lambda what: say(f"measuring 测量 {what}")):
            rows.append(row)
            say(f"{row['what']} ({row['data']}): {row['measured']}")
        print_json(rows) if as_json else _table(rows)
        return
    if detector == "change":
        answer = scoreboard.change(labels or [], count, gsd)
    elif not labels:
        fail("there are no labels to evaluate on.", "Name COCO or GeoJSON files; or --table for what needs none.")
    else:
        answer = scoreboard.detector(
            detector, labels, sources=source or [], gsd=gsd, weights=weights, precision=precision, seed=seed
        )
    if as_json:
        print_json(answer)
    elif detector == "change":
        _lines(answer)
    else:
        _show(answer)


def _show(answer: dict[str, Any]) -> None:
    from rich.table import Table

    stdout.print(f"{answer['pictures']} pictures 图片, {answer['places']} places 地点", highlight=False)
    for one in answer["skipped"]:
        stdout.print(f"  skipped 跳过 {one['picture']}: {one['reason']}", highlight=False)
    for one in answer["left_out"]:
        stdout.print(f"  left out 略去 {one['file']}: {one['message']} ({one['reason']})", highlight=False)
    table = Table("class 类别", "objects", "F1@0.3", "95 %", "F1@0.5", "pixel IoU", "false/ha 误报", box=None)
    for name, one in answer["classes"].items():
        table.add_row(
            name,
            f"{one['objects']} ({one['things'] or '?'} things)",
            f"{one['iou_0.3']['f1']}",
            f"{one['iou_0.3']['f1_interval'] or 'one place'}",
            f"{one['iou_0.5']['f1']}",
            f"{one['pixel_iou']}",
            f"{one['false_per_hectare']}",
        )
    stdout.print(table)
    stdout.print(f"calibration error 校准误差: {answer['calibration']['expected_error']}", highlight=False)
    for name, chosen in answer.get("chosen", {}).get("thresholds", {}).items():
        stdout.print(f"threshold 阈值 {name}: {chosen or 'none reaches it 无'}", highlight=False)


def _lines(answer: dict[str, Any]) -> None:
    for name, value in answer.items():
        if isinstance(value, dict):
            stdout.print(f"{name}:", highlight=False)
            for key, one in value.items():
                stdout.print(f"  {key}: {one}", highlight=False, soft_wrap=True)
        else:
            stdout.print(f"{name}: {value}", highlight=False)


def _table(rows: list[dict[str, Any]]) -> None:
    from rich.table import Table

    table = Table("what 指标", "data 数据", "reach 目标", "measured 实测", "", box=None, show_lines=True)
    for row in rows:
        mark = {True: "reached 达到", False: "missed 未达到", None: "not measured 未测"}[row["reached"]]
        table.add_row(row["what"], row["data"], row["reach"], row["measured"], mark)
    stdout.print(table)
