"""Progress on stderr, so that stdout holds data alone: a bar with rate and time left, in a terminal or a notebook."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from flyonce.cli.output import stderr
from workers.pace import Pacer


@contextmanager
def bar() -> Iterator[Callable[[str, int, int], None]]:
    """A function of (what, done, total) that moves one bar; shown on a terminal only."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    shown = stderr.is_terminal or stderr.is_jupyter
    with Progress(*columns, console=stderr, transient=True, disable=not shown) as progress:
        task: TaskID = progress.add_task("", total=None, rate="")
        pacer = Pacer()

        def show(what: str, done: int, total: int) -> None:
            pace = pacer(what, done, total)
            rate = "" if pace.per_second is None else f"{pace.per_second:.1f}/s"
            progress.update(task, description=what, completed=done, total=total, rate=rate)

        yield show
