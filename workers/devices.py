"""What a host lends to the work: processes that share its GPUs, each of which sees one of them, or one for each core.

A window's reading and outlining is some 0.05 s of Python and GDAL, its scoring on a GPU 3 ms: one process behind its
interpreter's lock leaves a card idle, so that several share it. The decision is a value, made without looking at
anything; `gpus_here` and `has_dask_cuda` look.
"""

import importlib.util
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from workers.environment import WORKER_ENVIRONMENT

MOST_ON_A_GPU = 16
"""Processes."""
CORES_EACH = 2
"""Of a process on a GPU: with one core each they were slower, on the one machine that was measured."""
LEAST_SHARE = 3 << 30
"""Bytes of a card for a process that is not alone on it: half a gigabyte for its context, and a window or two."""

_SHARED_BY = "FLYONCE_GPU_SHARED_BY"


@dataclass(frozen=True, slots=True)
class Gpu:
    """A card of this host."""

    name: str
    """As `CUDA_VISIBLE_DEVICES` names it."""
    memory: int
    """Bytes."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Worker processes of one host."""

    processes: int
    gpus: tuple[str, ...] = ()
    """The GPU of each process, as `CUDA_VISIBLE_DEVICES` names it, several with the same; empty where they compute on
    cores."""
    dask_cuda: bool = False
    """Whether dask-cuda starts them: it also binds each to the cores that are near its GPU, of which it has one."""

    def __post_init__(self) -> None:
        if self.processes < 1 or (self.gpus and len(self.gpus) != self.processes):
            raise ValueError(f"each process has one GPU or none has: {self}")
        if self.dask_cuda and len(set(self.gpus)) != self.processes:
            raise ValueError(f"dask-cuda gives each process a GPU of its own: {self}")

    def environments(self) -> list[dict[str, str]]:
        """Of each process: threads, allocator and GDAL as every worker has them, and its GPU."""
        own = [{"CUDA_VISIBLE_DEVICES": gpu, _SHARED_BY: str(self.gpus.count(gpu))} for gpu in self.gpus] or [
            dict[str, str]()
        ] * self.processes
        return [WORKER_ENVIRONMENT | each for each in own]


def plan(gpus: Sequence[Gpu], *, workers: int, cores: int, dask_cuda: bool = False) -> Plan:
    """Without GPUs `workers` processes, 0 for one per core. With them `workers`, 0 for one per `CORES_EACH` cores and
    at least one on each, in turn, as far as a GPU's memory goes. dask-cuda, where it is there, starts those of which
    none shares its GPU."""
    if not gpus:
        return Plan(workers or cores)
    places = [
        gpu.name
        for others in range(MOST_ON_A_GPU)
        for gpu in gpus
        if not others or gpu.memory >= (others + 1) * LEAST_SHARE
    ]
    chosen = tuple(places[: workers or max(cores // CORES_EACH, len(gpus))])
    return Plan(len(chosen), chosen, dask_cuda and len(chosen) <= len(gpus))


def shared_by(environment: Mapping[str, str] = os.environ) -> int:
    """Processes that a plan gave this one's GPU to; 1 for a process that no plan started."""
    return int(environment.get(_SHARED_BY, "1"))


def names(count: int, environment: Mapping[str, str]) -> tuple[str, ...]:
    """Of `count` GPUs that a process with this environment sees: numbers or UUIDs that its children may be given."""
    chosen = [name.strip() for name in environment.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    return tuple(chosen[:count] if chosen else map(str, range(count)))


def gpus_here() -> tuple[Gpu, ...]:
    """The GPUs that this process may use; it takes none of their memory by asking."""
    import torch

    count = torch.cuda.device_count()
    memory = [torch.cuda.get_device_properties(index).total_memory for index in range(count)]
    return tuple(Gpu(*each) for each in zip(names(count, os.environ), memory, strict=True))


def has_dask_cuda() -> bool:
    """Whether dask-cuda is installed; flyonce does not bring it."""
    return importlib.util.find_spec("dask_cuda") is not None
