"""Where tasks run: a cluster of processes on this machine, or a Dask scheduler given by its address."""

import importlib
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

import dask
import distributed

from imagery.errors import Refused
from workers.devices import Plan, gpus_here, has_dask_cuda, plan
from workers.environment import WORKER_ENVIRONMENT

LOCAL_CONFIG = {
    "distributed.nanny.pre-spawn-environ": WORKER_ENVIRONMENT,
    "distributed.worker.profile.enabled": False,  # as in `WORKER_ENVIRONMENT`, for threads of this process
    # Tasks hold a few windows and return small values: a worker never has anything worth spilling.
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": 0.90,
    # A batch is tried again by `workers.run`, tile by tile; a worker lost twice with it is enough to suspect it.
    "distributed.scheduler.allowed-failures": 1,
    "distributed.comm.timeouts.connect": "30s",
    # Each worker and the driver look fifty times a second whether their event loop stalls for 3 s: 2 % of a core each.
    "distributed.admin.tick.interval": "1s",
    # A worker that died is started again by its nanny. LocalCluster would give that 15 seconds and then take the nanny
    # away for good: on a busy machine one worker after the other, until a run waits for workers that never come.
    "distributed.deploy.lost-worker-timeout": "1h",
}

TASKS_A_WORKER = 2
"""While one has the device, the other reads or writes: the device is never without work between two tasks."""


def shares_files(client: distributed.Client) -> bool:
    """Whether workers see this host's files under the same paths: those of a scheduler on this host do."""
    address = str(client.scheduler.address) if client.scheduler is not None else ""
    return address.startswith(("inproc://", "tcp://127.", "tls://127.", "tcp://[::1]"))


def usable_cores() -> int:
    """Cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def connect(
    *, workers: int = 0, scheduler: str = "", processes: bool = True, on_cores: bool = False
) -> Iterator[distributed.Client]:
    """A client of the scheduler at that address, else of a new cluster on this machine that ends with the block.

    `workers`: processes that compute one batch at a time, 0 for as many as cores and GPUs are good for.
    `on_cores`: GPUs are left alone, for work that does not use them. `processes=False` runs workers as threads of this
    process, for tests and notebooks. Raises `Refused` (`no-scheduler`) where nothing answers at the address.
    """
    if scheduler:
        try:
            client = distributed.Client(scheduler, timeout="10s", set_as_default=False)  # type: ignore[no-untyped-call]
        except (OSError, ValueError) as error:
            raise Refused(
                "no-scheduler",
                f"No Dask scheduler answers at {scheduler}: {error}",
                "Start one with `dask scheduler` and give its address as tcp://host:8786.",
            ) from error
        with client:
            yield client
        return
    gpus = () if on_cores or not processes else gpus_here()
    asked = plan(gpus, workers=workers, cores=usable_cores(), dask_cuda=has_dask_cuda())
    with (
        dask.config.set(LOCAL_CONFIG),
        local_cluster(asked, processes=processes) as cluster,
        distributed.Client(cluster, set_as_default=False) as client,  # type: ignore[no-untyped-call]
    ):
        yield client


def local_cluster(asked: Plan, *, processes: bool = True) -> distributed.SpecCluster:
    """A scheduler and the workers of this plan, on this machine; to be called and used under `LOCAL_CONFIG`, which sets
    threads, allocator and memory of whatever process is spawned."""
    host, dashboard = "127.0.0.1", "127.0.0.1:0"
    # What a task raises comes back to the driver and is told there, once.
    quiet = logging.CRITICAL
    if not asked.gpus:
        return distributed.LocalCluster(  # type: ignore[no-untyped-call]
            n_workers=asked.processes,
            threads_per_worker=TASKS_A_WORKER,
            processes=processes,
            host=host if processes else None,
            dashboard_address=dashboard,
            silence_logs=quiet,
        )
    if asked.dask_cuda:
        # No RMM, no spilling of what lies on the device: torch has its own allocator, and `workers.scoring` its budget.
        cluster: distributed.SpecCluster = importlib.import_module("dask_cuda").LocalCUDACluster(
            CUDA_VISIBLE_DEVICES=list(asked.gpus),
            threads_per_worker=TASKS_A_WORKER,
            memory_limit=None,
            device_memory_limit=None,
            protocol="tcp",
            host=host,
            dashboard_address=dashboard,
            silence_logs=quiet,
        )
        return cluster
    options = {"nthreads": TASKS_A_WORKER, "host": host, "memory_limit": 0, "silence_logs": quiet}
    return distributed.SpecCluster(  # type: ignore[no-untyped-call]
        scheduler={"cls": distributed.Scheduler, "options": {"host": host, "port": 0, "dashboard_address": dashboard}},
        workers={
            number: {"cls": distributed.Nanny, "options": options | {"env": environment}}
            for number, environment in enumerate(asked.environments())
        },
        silence_logs=quiet,
    )
