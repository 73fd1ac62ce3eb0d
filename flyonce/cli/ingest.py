"""`flyonce ingest`: send a flight's files, and learn what became of each."""

import signal
import threading
import time
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flyonce.cli.asking import At, TokenFile, key_of
from flyonce.cli.desks import Desk, open_desk
from flyonce.cli.output import fail, print_json, stderr, stdout
from flyonce.cli.progress import bar
from flyonce.server import AskedWrongError

if TYPE_CHECKING:
    from flyonce.watching import Found
    from stac.flight_values import Plan

_HIDDEN = "flyonce ingest needs folders or files, or --watch DIR."


def ingest(
    flight: Annotated[str, typer.Option("--flight", help="Name of the flight that they belong to.")],
    department: Annotated[str, typer.Option("--department", help="Code of the department whose flight it is.")],
    paths: Annotated[list[Path] | None, typer.Argument(help="Photos, orthophotos, or folders of them.")] = None,
    watch: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Follow this folder and send what appears, until Ctrl+C.")
    ] = None,
    settle: Annotated[float, typer.Option(min=0, help="Seconds that a watched file must have stopped growing.")] = 5.0,
    report: Annotated[Path | None, typer.Option(metavar="F.html", help="Save the flight's report as one page.")] = None,
    purpose: Annotated[str, typer.Option(help="What was flown for 用途.")] = "",
    platform: Annotated[str, typer.Option(help="The aircraft 飞行平台.")] = "",
    pilot: Annotated[str, typer.Option(help="Who flew 飞手.")] = "",
    licence: Annotated[str, typer.Option(help="Number of the operator's licence 运营合格证号.")] = "",
    approval: Annotated[str, typer.Option(help="Number of the airspace approval 空域批准文号.")] = "",
    security: Annotated[str, typer.Option(help="public, internal or sensitive 密级.")] = "internal",
    retain_until: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Last day that the files are kept for certain.")
    ] = None,
    close: Annotated[bool, typer.Option("--close", help="Close the flight afterwards.")] = False,
    early: Annotated[str, typer.Option(metavar="REASON", help="Close it although files are missing.")] = "",
    offset: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="Added to the times of a GPX or CSV log beside a video.")
    ] = None,
    terrain: Annotated[
        Path | None, typer.Option(metavar="DEM.tif", help="Lay footprints on this elevation model, not a plane.")
    ] = None,
    late: Annotated[str, typer.Option(metavar="REASON", help="Add files to a flight that was closed.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    server: At = None,
    token_file: TokenFile = None,
) -> None:
    """Take captures of one flight into store and catalogue; safe to repeat. 上传并编目一个架次。

    With --server they are sent over a line that may break: give the same command again and it goes on where it stopped.
    Exit code 0 when every file has its answer: accepted, duplicate, or quarantined with a reason. A file is named as
    quarantined even where the rest went through; nothing is dropped in silence.
    """
    from stac.flight_values import Plan

    if not paths and watch is None:
        fail(_HIDDEN)
    plan = Plan(
        flight,
        department,
        purpose,
        platform,
        pilot,
        licence,
        approval,
        _security(security),
        None if retain_until is None else date(retain_until.year, retain_until.month, retain_until.day),
        open_ended=watch is not None,
    )
    try:
        with open_desk(server, key_of(token_file), terrain=terrain) as desk:
            done = _run(desk, paths or [], watch, settle, plan, late, offset, quiet=as_json)
            if close or early:
                desk.close(plan.id, early=bool(early), reason=early)
            whole = desk.report(plan.id)
    except AskedWrongError as error:
        fail(str(error))
    done |= {"state": whole["state"], "notes": whole["notes"]}
    if report is not None:
        _save(report, whole)
    if as_json:
        print_json(done)
    else:
        _show(done, whole)
    if done["counts"].get("waiting"):
        raise typer.Exit(1)


def _run(
    desk: Desk,
    paths: list[Path],
    watched: Path | None,
    settle: float,
    plan: "Plan",
    late: str,
    offset: float | None,
    *,
    quiet: bool,
) -> dict[str, Any]:
    """What all the files given, and all that appeared, came to."""
    from workers.intake import walk

    done: dict[str, Any] = {}
    if paths:
        with bar() as progress:
            done = desk.send(list(walk(paths)), plan, progress, late, offset)
    if watched is None:
        return done
    from flyonce.watching import watch

    stop = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: stop.set())

    def take(found: "list[Found]") -> bool:
        try:
            with bar() as progress:
                run = desk.send(found, plan, progress, late, offset)
        except (AskedWrongError, OSError) as error:
            stderr.print(f"[bold red]later 稍后重试[/]: {error}", highlight=False, soft_wrap=True)
            return False
        done.update(_added(done, run))
        if not quiet:
            for outcome in ("accepted", "duplicate", "quarantined", "waiting"):
                for file in run.get(outcome, ()):
                    told = f"{outcome} {_WORDS[outcome]}  {file['file']}  {file.get('reason', '')}".rstrip()
                    stdout.print(told, highlight=False, markup=False, soft_wrap=True)
        return True

    stderr.print(f"正在监视 watching {watched}（Ctrl+C 停止 to stop）", highlight=False, soft_wrap=True)
    watch(watched, take, time.monotonic, stop, settle=settle)
    return done or desk.nothing(plan)


_WORDS = {"accepted": "已接收", "duplicate": "重复", "quarantined": "隔离", "waiting": "等待处理"}


def _added(before: dict[str, Any], run: dict[str, Any]) -> dict[str, Any]:
    """Two runs as one."""
    if not before:
        return run
    lists = ("accepted", "duplicate", "quarantined", "waiting", "ignored")
    joined = {name: [*before.get(name, []), *run.get(name, [])] for name in lists if name in before or name in run}
    return {**run, **joined, "counts": {name: len(files) for name, files in joined.items()}}


def _security(text: str) -> Any:
    if text not in ("public", "internal", "sensitive"):
        fail(f"--security {text}: no such class.", "It is public, internal or sensitive 公开、内部、敏感.")
    return text


def _save(path: Path, whole: dict[str, Any]) -> None:
    from stac.flight_page import page

    try:
        path.write_text(page(whole), "utf-8")
    except OSError as error:
        fail(f"{path} cannot be written: {error.strerror}.", "Name a file in a folder that exists.")
    stderr.print(f"报告 report: {path}", highlight=False, markup=False, soft_wrap=True)


def _show(done: dict[str, Any], whole: dict[str, Any]) -> None:
    counts = done["counts"]
    waiting = f", waiting 等待处理 {counts['waiting']}" if counts.get("waiting") else ""
    stdout.print(
        f"Flight 架次 {done['flight']}: accepted 已接收 {counts['accepted']}, "
        f"duplicate 重复 {counts['duplicate']}, quarantined 隔离 {counts['quarantined']}, "
        f"not captures 非影像 {counts['ignored']}{waiting}",
        highlight=False,
        soft_wrap=True,
    )
    methods = [one["footprint"] for one in done["accepted"] if one["footprint"]]
    for method in sorted(set(methods)):
        stdout.print(f"  footprint 覆盖范围 {method}: {methods.count(method)}", highlight=False)
    for one in done["quarantined"]:
        text = f"  [bold red]{one['reason']}[/] {one['message']} {one['remedy']}"
        stdout.print(text, highlight=False, soft_wrap=True)
    for told in done.get("unsent", ()):
        stdout.print(f"  [bold red]unsent 未发送[/] {told}", highlight=False, soft_wrap=True)
    missing = whole["counts"]["missing"]
    more = f"; missing 未收到 {missing}" if missing else ""
    stdout.print(f"  {whole['words']['zh']} {whole['words']['en']}{more}", highlight=False, soft_wrap=True)
    for note in done["notes"]:
        stdout.print(f"  {note}", highlight=False, markup=False, soft_wrap=True)
    if counts.get("waiting"):
        told = "The files are safe at the server; it has not read them all yet. 文件已安全送达，服务器尚未全部处理。"
        stderr.print(told, highlight=False, soft_wrap=True)
