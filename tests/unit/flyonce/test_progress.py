"""Progress in a terminal and in a notebook, of runs and of jobs, with rate, time left and what the cache saved."""

import io
import itertools
import threading

import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from rich.console import Console
from typer.testing import CliRunner

import flyonce.cli.progress
from flyonce.cli import app
from flyonce.client import LocalClient, watch
from records import jobs
from records.engine import transaction
from workers.pace import Pacer


@pytest.fixture
def paced(monkeypatch):
    """Two seconds pass between any two tiles that a bar is told of."""
    now = itertools.count(0.0, 2.0)
    monkeypatch.setattr(flyonce.cli.progress, "Pacer", lambda: Pacer(lambda: next(now)))
    monkeypatch.setattr(flyonce.cli.progress, "NOTEBOOK_SECONDS", 0.0)


def moved():
    """A bar of sixty tiles after twenty of them."""
    with flyonce.cli.progress.bar() as progress:
        for done in (0, 10, 20):
            progress("debris a.tif", done, 60)


@pytest.fixture
def screen(monkeypatch):
    """`screen(terminal)` puts a console of that kind in the place of stderr; what it wrote."""

    def put(**kind):
        written = io.StringIO()
        monkeypatch.setattr(flyonce.cli.progress, "stderr", Console(file=written, width=120, color_system=None, **kind))
        return written

    return put


def test_a_terminal_shows_tiles_rate_and_time_left(paced, screen):
    written = screen(force_terminal=True)
    moved()
    assert "debris a.tif" in written.getvalue()
    assert "20/60 5.0/s, 0:08 left 剩余" in written.getvalue()


def test_a_notebook_shows_the_same_in_one_line_that_is_written_anew(paced, screen):
    screen(force_jupyter=True)
    shell = InteractiveShell.instance()
    try:
        with capture_output() as captured:
            moved()
    finally:
        type(shell).clear_instance()
    lines = [output.data["text/plain"] for output in captured.outputs]
    assert lines[-1] == "debris a.tif  20/60  5.0/s, 0:08 left 剩余"
    assert len({output.display_id for output in captured.outputs if hasattr(output, "display_id")}) <= 1


def test_nothing_is_written_where_nobody_looks(paced, screen):
    written = screen()
    moved()
    assert written.getvalue().strip() == ""


@pytest.mark.parametrize(("seconds", "words"), [(8, "0:08"), (75, "1:15"), (3 * 3600 + 62, "3:01:02")])
def test_time_left_is_told_in_hours_minutes_and_seconds(seconds, words):
    now = iter([0.0, 1.0])
    pacer = Pacer(lambda: next(now))
    pacer("a", 0, seconds + 1)
    assert flyonce.cli.progress.pace_words(pacer("a", 1, seconds + 1)) == f"1.0/s, {words} left 剩余"


@pytest.fixture
def job(home):
    with transaction(home.engine) as conn:
        return jobs.enqueue(conn, "detect", {"detector": "debris", "source": "photos/1"})


def test_a_job_is_watched_to_its_end_in_a_notebook(home, job, paced, screen):
    screen(force_jupyter=True)
    leased = jobs.lease(home.engine, "test", 600)
    pace = {"stage": "debris", "done": 3, "total": 4, "per_second": 2.0, "seconds_left": 0.5}
    jobs.heartbeat(home.engine, leased, 0.75, pace=pace)
    seen = threading.Event()

    class Told(LocalClient):
        def follow(self, job):
            for told in super().follow(job):
                yield told
                seen.set()

    def end():
        seen.wait(60)
        jobs.finish(home.engine, leased, {"effort": {"tiles_kept": 4, "seconds_saved": 12.3}})

    ending = threading.Thread(target=end)
    ending.start()
    shell = InteractiveShell.instance()
    try:
        with capture_output() as captured:
            told = watch(Told(home), job)
    finally:
        type(shell).clear_instance()
        ending.join()
    assert told["state"] == "done"
    assert told["result"]["effort"]["seconds_saved"] == 12.3
    assert any("debris  3/4" in output.data["text/plain"] for output in captured.outputs)


def test_jobs_are_listed_watched_and_cancelled_at_the_command_line(home, job, monkeypatch):
    monkeypatch.setenv("FLYONCE_HOME", str(home.settings.home))
    run = CliRunner()
    leased = jobs.lease(home.engine, "test", 600)
    pace = {"stage": "debris", "done": 3, "total": 4, "per_second": 2.0, "seconds_left": 7.0}
    jobs.heartbeat(home.engine, leased, 0.75, pace=pace)
    listed = run.invoke(app, ["jobs", "list"])
    assert f"{job}  detect  running 75% 2.0/s, 7 s left 剩余" in listed.output
    jobs.finish(home.engine, leased, {"effort": {"tiles_kept": 4, "seconds_saved": 12.3}})
    watched = run.invoke(app, ["jobs", "watch", job])
    assert watched.exit_code == 0
    assert "done, 12 s saved by the cache 缓存节省" in watched.output
    assert run.invoke(app, ["jobs", "cancel", job]).exit_code == 1, "it has ended"
    with transaction(home.engine) as conn:
        other = jobs.enqueue(conn, "detect", {"detector": "debris", "source": "photos/2"})
    assert run.invoke(app, ["jobs", "cancel", other]).exit_code == 0
    assert jobs.get(home.engine, other).state is jobs.State.CANCELLED
    assert run.invoke(app, ["jobs", "watch", other]).exit_code == 1, "it was not done"
    assert run.invoke(app, ["jobs", "cancel", "none"]).exit_code == 1
