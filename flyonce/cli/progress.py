"""Progress on stderr, so that stdout holds data alone: a bar in a terminal, a line that is written anew in a notebook,
both with rate and time left; nothing where neither is."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib import import_module
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from flyonce.cli.output import stderr
from workers.pace import Pace, Pacer

NOTEBOOK_SECONDS = 0.25
"""Between two looks of a line in a notebook, each of which is a message to the browser."""

Show = Callable[[Pace], None]


@contextmanager
def bar() -> Iterator[Callable[[str, int, int], None]]:
    """A function of (what, done, total) that moves one bar."""
    pacer = Pacer()
    with _shown() as show:
        yield lambda what, done, total: show(pacer(what, done, total))


def pace_words(pace: Pace) -> str:
    """`5.0/s, 0:08 left 剩余`; empty until there is something to tell from."""
    if pace.per_second is None or pace.seconds_left is None:
        return ""
    minutes, seconds = divmod(round(pace.seconds_left), 60)
    hours, minutes = divmod(minutes, 60)
    left = f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
    return f"{pace.per_second:.1f}/s, {left} left 剩余"


def _shown() -> AbstractContextManager[Show]:
    return _in_notebook() if stderr.is_jupyter else _in_terminal()


@contextmanager
def _in_terminal() -> Iterator[Show]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[pace]}"),
    )
    with Progress(*columns, console=stderr, transient=True, disable=not stderr.is_terminal) as progress:
        task = progress.add_task("", total=None, pace="")
        yield lambda pace: progress.update(
            task, description=pace.stage, completed=pace.done, total=pace.total, pace=pace_words(pace)
        )


@contextmanager
def _in_notebook() -> Iterator[Show]:
    """By IPython's own display, which is there wherever there is a notebook; rich would ask for ipywidgets too."""
    display = import_module("IPython.display").display

    def text(pace: Pace) -> dict[str, str]:
        return {"text/plain": f"{pace.stage}  {pace.done}/{pace.total}  {pace_words(pace)}".rstrip()}

    handle: Any = None
    last = 0.0

    def show(pace: Pace) -> None:
        nonlocal handle, last
        now = time.monotonic()
        if handle is None:
            handle = display(text(pace), raw=True, display_id=True)
        elif now - last < NOTEBOOK_SECONDS and pace.done < pace.total:
            return
        else:
            handle.update(text(pace), raw=True)
        last = now

    yield show
