"""How fast a run goes and how long it will still take, from the tiles that were done lately."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

LATELY = 60.0
"""Seconds that the rate is taken over: long beside a task, short beside a change of the machine's other work."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Where a run is. `stage`: the pass it is in; `done` and `total`: its tiles or files."""

    stage: str
    done: int
    total: int
    per_second: float | None
    """Of the last minute; None until there is something to tell from."""
    seconds_left: float | None

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)


class Pacer:
    """A `Progress` that tells the pace. `clock`: seconds that only grow."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: deque[tuple[float, int]] = deque()
        self._stage = ""

    def __call__(self, stage: str, done: int, total: int) -> Pace:
        now = self._clock()
        if stage != self._stage or (self._seen and done < self._seen[-1][1]):
            self._stage = stage
            self._seen.clear()
        self._seen.append((now, done))
        while len(self._seen) > 2 and self._seen[1][0] <= now - LATELY:
            self._seen.popleft()
        first, before = self._seen[0]
        rate = (done - before) / (now - first) if now > first and done > before else None
        if rate is None:
            return Pace(stage, done, total, None, 0.0 if done >= total else None)
        return Pace(stage, done, total, round(rate, 3), round(max(total - done, 0) / rate, 1))
