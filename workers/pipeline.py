"""Read, score and finish tiles at the same time, so that the device never waits for a file or a polygon.

    items → reader threads → batches → lanes (the device) → finisher threads → answers

Every stage is bounded: at most `ahead` windows are read before they are asked for, and at most one batch waits behind
those on the device. Imports the standard library alone.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

Item = TypeVar("Item")
Raw = TypeVar("Raw")
Scored = TypeVar("Scored")
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Known(Generic[Answer]):
    """What a read gives for an item that needs no scoring: the answer itself."""

    answer: Answer


@dataclass(frozen=True, slots=True)
class Threads:
    """How many threads each stage has. They are matters of speed alone."""

    readers: int = 1
    lanes: int = 1
    """Batches on the device at the same time: one on a CPU; on a GPU two or three, each with a stream of its own, so
    that copies of one run beside the arithmetic of another."""
    finishers: int = 1
    ahead: int = 2
    """Batches' worth of windows read before the device asks for them."""

    def __post_init__(self) -> None:
        if min(self.readers, self.lanes, self.finishers, self.ahead) < 1:
            raise ValueError(f"every stage needs at least one thread: {self}")


def overlapped(
    items: Iterable[Item],
    read: Callable[[Item], Raw | Known[Answer]],
    score: Callable[[Sequence[Raw]], Sequence[Scored]],
    finish: Callable[[Item, Raw, Scored], Answer],
    *,
    batch: int,
    threads: Threads = Threads(),
) -> Iterator[tuple[Item, Answer]]:
    """Yield every item with its answer; those that need scoring in the order of `items`, what is known earlier.

    `score` is given `batch` windows at a time, the last time fewer, and returns one value for each, in their order.
    What a stage raises is raised here, and the stages are emptied before.
    """
    with (
        ThreadPoolExecutor(threads.readers, "read") as readers,
        ThreadPoolExecutor(threads.lanes, "score") as lanes,
        ThreadPoolExecutor(threads.finishers, "finish") as finishers,
    ):
        running = _Running(readers, lanes, finishers, read, score, finish)
        try:
            for item in items:
                running.start_read(item)
                if running.reading >= batch * threads.ahead:
                    yield from running.take_read()
                    if running.waiting == batch:
                        running.start_score()
                while running.scoring > threads.lanes + 1:
                    yield from running.take_scored()
            while running.reading:
                yield from running.take_read()
                if running.waiting == batch:
                    running.start_score()
                while running.scoring > threads.lanes + 1:
                    yield from running.take_scored()
            if running.waiting:
                running.start_score()
            while running.scoring:
                yield from running.take_scored()
        finally:
            running.cancel()


class _Running(Generic[Item, Raw, Scored, Answer]):
    """What is between the stages at the moment."""

    def __init__(
        self,
        readers: ThreadPoolExecutor,
        lanes: ThreadPoolExecutor,
        finishers: ThreadPoolExecutor,
        read: Callable[[Item], Raw | Known[Answer]],
        score: Callable[[Sequence[Raw]], Sequence[Scored]],
        finish: Callable[[Item, Raw, Scored], Answer],
    ) -> None:
        self._readers, self._lanes, self._finishers = readers, lanes, finishers
        self._read, self._score, self._finish = read, score, finish
        self._reads: deque[tuple[Item, Future[Raw | Known[Answer]]]] = deque()
        self._ready: list[tuple[Item, Raw]] = []
        self._batches: deque[tuple[Future[Sequence[Scored]], list[tuple[Item, Future[Answer]]]]] = deque()

    @property
    def reading(self) -> int:
        return len(self._reads)

    @property
    def waiting(self) -> int:
        return len(self._ready)

    @property
    def scoring(self) -> int:
        return len(self._batches)

    def start_read(self, item: Item) -> None:
        self._reads.append((item, self._readers.submit(self._read, item)))

    def take_read(self) -> Iterator[tuple[Item, Answer]]:
        item, future = self._reads.popleft()
        raw = future.result()
        if isinstance(raw, Known):
            yield item, raw.answer
        else:
            self._ready.append((item, raw))

    def start_score(self) -> None:
        ready, self._ready = self._ready, []
        scored = self._lanes.submit(self._score, [raw for _, raw in ready])

        def finish(index: int, item: Item, raw: Raw) -> Answer:
            return self._finish(item, raw, scored.result()[index])

        finished = [(item, self._finishers.submit(finish, index, item, raw)) for index, (item, raw) in enumerate(ready)]
        self._batches.append((scored, finished))

    def take_scored(self) -> Iterator[tuple[Item, Answer]]:
        _, finished = self._batches.popleft()
        for item, future in finished:
            yield item, future.result()

    def cancel(self) -> None:
        """Start nothing more; what runs comes to its end."""
        for _, reading in self._reads:
            reading.cancel()
        for scored, finished in self._batches:
            for _, finishing in finished:
                finishing.cancel()
            scored.cancel()
