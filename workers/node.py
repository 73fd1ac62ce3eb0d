"""A host that lends its cores or its GPUs to a Dask scheduler: worker processes started as flyonce wants them.

`dask worker` would leave threads and memory to the shell it was started from; here every process gets the environment
that results and speed rely on, one process for each core, or as many as share its GPUs.
"""

import asyncio
from collections.abc import Sequence

import dask
import distributed

from imagery.errors import Refused
from workers.cluster import LOCAL_CONFIG, TASKS_A_WORKER, usable_cores
from workers.devices import gpus_here, plan


def lend(scheduler: str, *, workers: int = 0, host: str | None = None) -> None:
    """Run workers for the scheduler at this address until it goes away or the process is told to stop.

    `host`: this host's address as the scheduler reaches it. Raises `Refused` (no-scheduler).
    """
    own = plan(gpus_here(), workers=workers, cores=usable_cores())
    with dask.config.set(LOCAL_CONFIG):
        asyncio.run(_run(scheduler, own.environments(), host))


async def _run(scheduler: str, each: Sequence[dict[str, str]], host: str | None) -> None:
    nannies = [
        distributed.Nanny(scheduler, nthreads=TASKS_A_WORKER, env=env, host=host, memory_limit=0) for env in each
    ]
    try:
        await asyncio.wait_for(asyncio.gather(*nannies), timeout=120)
    except (OSError, TimeoutError) as error:
        raise Refused(
            "no-scheduler",
            f"No Dask scheduler answers at {scheduler}: {error}",
            "Start one with `dask scheduler` and give its address as tcp://host:8786.",
        ) from error
    await asyncio.gather(*(nanny.finished() for nanny in nannies))  # type: ignore[no-untyped-call]
