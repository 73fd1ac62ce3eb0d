"""`flyonce flights`: batches, what became of their files, and closing them."""

from pathlib import Path
from typing import Annotated

import typer

from flyonce.cli.asking import At, TokenFile, key_of
from flyonce.cli.desks import open_desk
from flyonce.cli.output import fail, print_json, stdout
from flyonce.server import AskedWrongError

app = typer.Typer(help="Flights 架次: what was sent, what is missing, closing them.", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Name = Annotated[str, typer.Argument(help="Name or id of the flight.")]


@app.command("list")
def list_(as_json: AsJson = False, server: At = None, token_file: TokenFile = None) -> None:
    """The newest flights 最近的架次."""
    from rich.table import Table

    try:
        with open_desk(server, key_of(token_file)) as desk:
            found = desk.flights()
    except AskedWrongError as error:
        fail(str(error))
    if as_json:
        print_json({"flights": found})
        return
    headers = ("架次 flight", "部门 department", "状态 state", "未收到 missing", "等待 waiting", "已处理 answered")
    table = Table(*headers, "未通过 refused", box=None, pad_edge=False)
    for one in found:
        counts = (str(one[key]) for key in ("missing", "waiting", "answered", "quarantined"))
        table.add_row(one["name"], one["department"], one["state"], *counts)
    stdout.print(table)


@app.command()
def show(
    name: Name,
    report: Annotated[Path | None, typer.Option(metavar="F.html", help="Save it as one page instead.")] = None,
    as_json: AsJson = False,
    server: At = None,
    token_file: TokenFile = None,
) -> None:
    """What became of every file of a flight 逐文件报告."""
    from stac.flight_page import page
    from stac.flight_values import flight_id

    try:
        with open_desk(server, key_of(token_file)) as desk:
            whole = desk.report(flight_id(name))
    except AskedWrongError as error:
        fail(str(error))
    if report is not None:
        try:
            report.write_text(page(whole), "utf-8")
        except OSError as error:
            fail(f"{report} cannot be written: {error.strerror}.", "Name a file in a folder that exists.")
    if as_json:
        print_json(whole)
    elif report is not None:
        stdout.print(f"报告 report: {report}", highlight=False, markup=False, soft_wrap=True)
    else:
        stdout.print(f"{whole['name']}: {whole['words']['zh']} {whole['words']['en']}", highlight=False, markup=False)
        for file in whole["files"]:
            told = f"{file['state']:12} {file['file']}  {file.get('reason', '')} {file.get('message', '')}".rstrip()
            stdout.print(told, highlight=False, markup=False, soft_wrap=True)


@app.command()
def close(
    name: Name,
    early: Annotated[str, typer.Option(metavar="REASON", help="Although files are missing 提前结束的原因.")] = "",
    server: At = None,
    token_file: TokenFile = None,
) -> None:
    """Close a flight: nothing more will come 结束架次."""
    from stac.flight_values import flight_id

    try:
        with open_desk(server, key_of(token_file)) as desk:
            desk.close(flight_id(name), early=bool(early), reason=early)
            whole = desk.report(flight_id(name))
    except AskedWrongError as error:
        fail(str(error))
    stdout.print(f"{whole['name']}: {whole['words']['zh']} {whole['words']['en']}", highlight=False, markup=False)


@app.command()
def reopen(
    name: Name,
    reason: Annotated[str, typer.Option(help="Why late files are let in 补交原因.")],
    server: At = None,
    token_file: TokenFile = None,
) -> None:
    """Open a closed flight again for late files 重新打开."""
    from stac.flight_values import flight_id

    try:
        with open_desk(server, key_of(token_file)) as desk:
            desk.reopen(flight_id(name), reason)
    except AskedWrongError as error:
        fail(str(error))
    stdout.print(f"{name}: 接收中 receiving", highlight=False, markup=False)
