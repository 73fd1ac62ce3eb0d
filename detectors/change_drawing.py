"""Pairs for the change network, drawn by worker processes while it learns."""

import multiprocessing
import queue
from collections.abc import Iterator, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path

import torch

from detectors.change_pairs import Pair, block, suburb
from detectors.change_real import real
from detectors.change_stock import Stock, load

ROUND = ("block", "block", "suburb", "suburb", "real", "real", "real", "real")
"""What is drawn, again and again."""


def drawn(number: int, stock: Stock | None) -> Pair:
    """The pair of a number; without a stock there are simulated ones alone."""
    source = ROUND[number % len(ROUND)]
    if source == "block" or (stock is None and number % 2 == 0):
        return block(number)
    return suburb(number) if source == "suburb" or stock is None else real(number, stock)


def _draw_for_ever(folder: Path | None, numbers: Sequence[int], into: "multiprocessing.Queue[Pair]") -> None:
    torch.set_num_threads(1)
    stock = None if folder is None else load(folder)
    for number in numbers:
        into.put(drawn(number, stock))


class Drawing:
    """Worker processes that draw the pairs of some numbers, each its own share of them, in its order."""

    def __init__(self, folder: Path | None, numbers: Sequence[int], workers: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._queue: multiprocessing.Queue[Pair] = context.Queue(maxsize=4 * workers)
        self._workers: list[BaseProcess] = []
        for index in range(workers):
            share = numbers[index::workers]
            process = context.Process(target=_draw_for_ever, args=(folder, share, self._queue), daemon=True)
            process.start()
            self._workers.append(process)

    def ready(self, wait: float = 0.0) -> Iterator[Pair]:
        """What has been drawn since; `wait`: seconds to wait for the first."""
        try:
            yield self._queue.get(timeout=wait) if wait else self._queue.get_nowait()
            while True:
                yield self._queue.get_nowait()
        except queue.Empty:
            return

    def every(self) -> list[Pair]:
        """All pairs, once they are drawn."""
        found: list[Pair] = []
        while any(process.is_alive() for process in self._workers):
            found += self.ready(wait=0.5)
        return [*found, *self.ready(wait=0.5)]

    def stop(self) -> None:
        for process in self._workers:
            process.terminate()
