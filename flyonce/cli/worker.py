"""`flyonce worker`: work through the queue of jobs."""

import logging
import signal
import threading
from typing import Annotated

import typer

from flyonce.cli.output import stderr
from records.settings import Settings


def worker(
    scheduler: Annotated[str, typer.Option("--scheduler", help="Address of a Dask scheduler.")] = "",
    workers: Annotated[int, typer.Option("--workers", min=0, help="Worker processes; 0: by cores and GPUs here.")] = 0,
    once: Annotated[bool, typer.Option("--once", help="Stop when the queue is empty.")] = False,
) -> None:
    """Run jobs of the home, drive Dask for them, and file what was approved. Safe to kill at any moment. 后台作业。"""
    from records.logs import set_up
    from workers.home import Home
    from workers.loop import work

    settings = Settings()
    set_up(settings, logging.INFO)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())  # the job at hand is finished first
    with Home.open(settings) as home:
        done = work(home, scheduler=scheduler, workers=workers, once=once, stop=stop)
    stderr.print(f"{done} jobs done", highlight=False)
