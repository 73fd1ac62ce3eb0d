"""`flyonce jobs`: what the workers are doing, and a word to stop it."""

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flyonce.cli.output import fail, print_json, stdout
from flyonce.cli.progress import bar
from records.settings import Settings

if TYPE_CHECKING:
    from records.jobs import Job

app = typer.Typer(help="Jobs of the home: list, watch, cancel. 后台作业。", no_args_is_help=True)

Id = Annotated[str, typer.Argument(metavar="ID", help="A job's id, as `flyonce jobs list` shows it.")]


@app.command("list")
def list_jobs(
    limit: Annotated[int, typer.Option(min=1, max=500)] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """The newest jobs. 最近的作业。"""
    from records import jobs
    from workers.home import Home

    with Home.open(Settings(), create=False) as home:
        found = jobs.recent(home.engine, limit)
    if as_json:
        print_json([_told(job) for job in found])
        return
    for job in found:
        stdout.print(_line(job), highlight=False, soft_wrap=True)


@app.command()
def watch(job_id: Id) -> None:
    """Follow one job to its end; exit code 0 only when it was done. 跟踪一个作业。"""
    from records import jobs
    from workers.home import Home

    with Home.open(Settings(), create=False) as home, bar() as progress:
        while True:
            job = jobs.get(home.engine, job_id)
            if job is None:
                fail(f"there is no job {job_id}.", "`flyonce jobs list` shows them.")
            if job.pace:
                progress(job.pace["stage"], job.pace["done"], job.pace["total"])
            if job.state in jobs.ENDED:
                break
            time.sleep(0.5)
    stdout.print(_line(job), highlight=False, soft_wrap=True)
    if job.state is not jobs.State.DONE:
        raise typer.Exit(1)


@app.command()
def cancel(job_id: Id) -> None:
    """Take a job back: one that waits never runs, one that runs stops within seconds. 取消作业。"""
    from records import jobs
    from workers.home import Home

    with Home.open(Settings(), create=False) as home:
        job = jobs.cancel(home.engine, job_id)
    if job is None:
        fail(f"there is no job {job_id}.", "`flyonce jobs list` shows them.")
    stdout.print(_line(job), highlight=False, soft_wrap=True)
    if job.state is not jobs.State.CANCELLED:
        raise typer.Exit(1)


def _line(job: "Job") -> str:
    pace = job.pace or {}
    speed = f" {pace['per_second']:.1f}/s" if pace.get("per_second") else ""
    left = f", {pace['seconds_left']:.0f} s left 剩余" if pace.get("seconds_left") else ""
    far = f" {job.progress:.0%}{speed}{left}" if job.progress is not None and job.state == "running" else ""
    saved = (job.result or {}).get("effort", {}).get("seconds_saved")
    spared = f", {saved:.0f} s saved by the cache 缓存节省" if saved else ""
    return f"{job.id}  {job.kind}  {job.state}{far}{spared}{'  ' + job.error if job.error else ''}"


def _told(job: "Job") -> dict[str, Any]:
    return {
        "id": job.id,
        "kind": job.kind,
        "state": job.state,
        "progress": job.progress,
        "pace": job.pace,
        "error": job.error,
        "result": job.result,
    }
