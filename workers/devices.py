"""What a host lends to the work: a process for each of its GPUs, which that process alone uses, or one for each core.

The decision is a value, made without looking at anything; `gpus_here` and `has_dask_cuda` look.
"""

import importlib.util
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from workers.environment import WORKER_ENVIRONMENT


@dataclass(frozen=True, slots=True)
class Plan:
    """Worker processes of one host."""

    processes: int
    gpus: tuple[str, ...] = ()
    """The GPU of each process, as `CUDA_VISIBLE_DEVICES` names it; empty where they compute on cores."""
    dask_cuda: bool = False
    """Whether dask-cuda starts them: it also binds each to the cores that are near its GPU."""

    def __post_init__(self) -> None:
        if self.processes < 1 or (self.gpus and len(self.gpus) != self.processes):
            raise ValueError(f"each process has one GPU or none has: {self}")

    def environments(self) -> list[dict[str, str]]:
        """Of each process: threads, allocator and GDAL as every worker has them, and its GPU."""
        own = [{"CUDA_VISIBLE_DEVICES": gpu} for gpu in self.gpus] or [dict[str, str]()] * self.processes
        return [WORKER_ENVIRONMENT | each for each in own]


def plan(gpus: Sequence[str], *, workers: int, cores: int, dask_cuda: bool = False) -> Plan:
    """One process for each GPU, `workers` at most (0: all): two on one would only take its memory from each other.
    Without GPUs `workers` processes, 0 for one per core."""
    if not gpus:
        return Plan(workers or cores)
    own = tuple(gpus[: workers or len(gpus)])
    return Plan(len(own), own, dask_cuda)


def names(count: int, environment: Mapping[str, str]) -> tuple[str, ...]:
    """Of `count` GPUs that a process with this environment sees: numbers or UUIDs that its children may be given."""
    chosen = [name.strip() for name in environment.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    return tuple(chosen[:count] if chosen else map(str, range(count)))


def gpus_here() -> tuple[str, ...]:
    """The GPUs that this process may use, by name; it takes none of their memory by asking."""
    import torch

    return names(torch.cuda.device_count(), os.environ)


def has_dask_cuda() -> bool:
    """Whether dask-cuda is installed; flyonce does not bring it."""
    return importlib.util.find_spec("dask_cuda") is not None
