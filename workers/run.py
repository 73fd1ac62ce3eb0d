"""Spread work over Dask: items grouped into tasks, a bounded number of them in flight, an answer for every item.

Grouping, order of completion and number of workers are matters of speed alone. A task that raises, or takes its worker
down with it, is split into its items, so that one poisoned tile costs itself and not its neighbours.
"""

import asyncio
import concurrent.futures
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Generic, TypeVar

import distributed

from imagery.errors import Refused

LOOK_UP_SECONDS = 5.0
NO_WORKER_SECONDS = 180.0
"""Without a single worker, after which a run is given up: one that was lost is started again within seconds, on a busy
machine within a minute."""
_LOST = "The Dask scheduler was lost in mid-run. Tiles that were done are kept: run it again to go on from there."
_NO_WORKERS = (
    f"The Dask scheduler has had no worker for {NO_WORKER_SECONDS:.0f} s. Tiles that were done are kept: look at the "
    "workers' logs (often memory), start them (`flyonce node`), and run it again."
)

Item = TypeVar("Item")
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Done(Generic[Item, Answer]):
    """What one item came to."""

    item: Item
    answer: Answer


@dataclass(frozen=True, slots=True)
class Failed(Generic[Item]):
    """An item that could not be worked on, tried in company and then alone."""

    item: Item
    error: str
    """One line: the reason of a refusal, or the exception's type, and the message."""


class SchedulerLostError(RuntimeError):
    """The Dask scheduler went away in mid-run. What was computed is kept in the tile cache; run it again."""


class WorkersLostError(SchedulerLostError):
    """The scheduler is there, and no worker has been for `NO_WORKER_SECONDS`. What was computed is kept."""


def group(items: Iterable[Item], size: int) -> Iterator[tuple[Item, ...]]:
    """Tuples of `size` items in their order, the last one shorter."""
    if size < 1:
        raise ValueError(f"a group holds at least one item, not {size}")
    source = iter(items)
    while chunk := tuple(islice(source, size)):
        yield chunk


def spread(
    client: distributed.Client,
    work: Callable[[tuple[Item, ...]], Sequence[Answer]],
    items: Iterable[Item],
    *,
    chunk: int = 1,
    in_flight: int = 0,
) -> Iterator[Done[Item, Answer] | Failed[Item]]:
    """Yield `Done` or `Failed` for every item once, as tasks complete (in no order that may be relied on).

    `work` takes a tuple of at most `chunk` items and returns one answer for each, in their order; it must be a pure
    function, since it may run more than once. `items` is drawn from lazily: at most `in_flight` tasks (0: three for
    each worker thread) are known to the scheduler or wait here for the caller.

    Raises `SchedulerLostError` when the scheduler itself or the last worker is lost for good. A caller that stops
    drawing (closes this generator) cancels what runs.
    """
    tasks = _Tasks(group(items, chunk))
    limit = in_flight or 3 * max(1, sum(client.nthreads().values()))  # type: ignore[no-untyped-call]
    running: dict[distributed.Future[Any], _Task[Item]] = {}
    try:
        while True:
            while len(running) < limit and (task := tasks.next(idle=not running)):
                running[client.submit(_portable, work, task.items, pure=False)] = task
            if not running:
                return
            for future in _finished(client, list(running)):
                outcome = _outcome(future)
                if outcome is None:
                    continue
                task, (answers, error) = running.pop(future), outcome
                if error is None:
                    yield from _answers(work, task.items, answers)
                elif task.again:
                    yield Failed(task.items[0], _told(error))
                else:
                    tasks.split(task, suspect=isinstance(error, distributed.KilledWorker))
                future.release()  # type: ignore[no-untyped-call]
    finally:
        if running and client.status == "running":
            client.cancel(list(running), force=True)  # type: ignore[no-untyped-call]


@dataclass(frozen=True, slots=True)
class _Task(Generic[Item]):
    items: tuple[Item, ...]
    again: bool = False


class _Tasks(Generic[Item]):
    """What to submit next: first tries, then second tries of single items, then, one by one with nothing beside them,
    items suspected of having killed a worker (so that no neighbour is blamed)."""

    def __init__(self, batches: Iterator[tuple[Item, ...]]) -> None:
        self._batches = batches
        self._again: deque[Item] = deque()
        self._suspects: deque[Item] = deque()

    def split(self, task: _Task[Item], *, suspect: bool) -> None:
        (self._suspects if suspect else self._again).extend(task.items)

    def next(self, *, idle: bool) -> _Task[Item] | None:
        """The next task, None when there is none that may be started now. `idle`: nothing else is running."""
        if self._again:
            return _Task((self._again.popleft(),), again=True)
        if batch := next(self._batches, None):
            return _Task(batch)
        if self._suspects and idle:
            return _Task((self._suspects.popleft(),), again=True)
        return None


def _answers(work: object, items: tuple[Item, ...], answers: Sequence[Answer]) -> Iterator[Done[Item, Answer]]:
    if len(answers) != len(items):
        raise ValueError(f"{work!r} returned {len(answers)} answers for {len(items)} items")
    return (Done(item, answer) for item, answer in zip(items, answers, strict=True))


def _finished(client: distributed.Client, futures: "list[distributed.Future[Any]]") -> "list[distributed.Future[Any]]":
    """Those that are done, at least one; looks up now and then, whether scheduler and workers are still there."""
    alone: float | None = None
    """Since when there has been no worker."""
    while True:
        try:
            with client.as_current():
                done, _ = distributed.wait(futures, timeout=LOOK_UP_SECONDS, return_when="FIRST_COMPLETED")  # type: ignore[no-untyped-call]
        except TimeoutError:
            if client.status != "running":
                raise SchedulerLostError(_LOST) from None
            alone = None if _has_workers(client) else alone or time.monotonic()
            if alone is not None and time.monotonic() - alone > NO_WORKER_SECONDS:
                raise WorkersLostError(_NO_WORKERS) from None
        except (asyncio.CancelledError, concurrent.futures.CancelledError, OSError) as error:
            raise SchedulerLostError(_LOST) from error
        else:
            return list(done)


def _has_workers(client: distributed.Client) -> bool:
    try:
        return bool(client.nthreads())  # type: ignore[no-untyped-call]
    except (asyncio.CancelledError, concurrent.futures.CancelledError, OSError) as error:
        raise SchedulerLostError(_LOST) from error


class WorkError(Exception):
    """What a task raised, in words: its own exception may hold what no pickle takes (GDAL's do)."""


def _portable(work: Callable[[tuple[Item, ...]], Sequence[Answer]], items: tuple[Item, ...]) -> Sequence[Answer]:
    """Runs on a worker."""
    try:
        return work(items)
    except Exception as error:  # noqa: BLE001 - all of it travels, in words
        told = _told(error)
    raise WorkError(told)


def _told(error: BaseException) -> str:
    if isinstance(error, WorkError):
        return str(error)
    name = error.reason if isinstance(error, Refused) else type(error).__name__
    return " ".join(f"{name}: {error}".split())


def _outcome(future: "distributed.Future[Any]") -> tuple[Any, BaseException | None] | None:
    """What the task returned and what it raised, of which one is None. A result that is lost with its worker before it
    was fetched is computed again by Dask: it may fail then, or not be there yet (None)."""
    try:
        match future.status:
            case "error":
                return None, future.exception()  # type: ignore[no-untyped-call]
            case "finished":
                return future.result(), None
            case "lost" | "pending":
                return None
    except distributed.KilledWorker as error:
        return None, error
    except (asyncio.CancelledError, concurrent.futures.CancelledError, OSError) as error:
        raise SchedulerLostError(_LOST) from error
    raise SchedulerLostError(_LOST)
