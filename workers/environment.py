"""What libraries do with threads and memory, set on purpose before a worker's process starts.

glibc and OpenMP read these variables once, at start: a nanny puts them into the environment of the processes it spawns,
and a process that was started otherwise replaces itself by one that has them (`start_over`). So neither speed nor
results depend on the shell that flyonce was started from. Imports the standard library alone.
"""

import os
import sys
from collections.abc import Mapping
from typing import NoReturn

WORKER_ENVIRONMENT = {
    # One thread in each library: parallel work is done by processes, and sums keep one order of addition.
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "GDAL_NUM_THREADS": "1",
    # MiB. A window's blocks are used by its neighbour at once or not for a long time.
    "GDAL_CACHEMAX": "256",
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    # glibc hands memory back after every forward pass and faults it in again for the next, up to 128,000 page faults
    # a tile; kept, inference is half as fast again. Dask's own default (trim from 64 KiB) is the worst case.
    "MALLOC_MMAP_THRESHOLD_": "2147483647",
    "MALLOC_TRIM_THRESHOLD_": "4294967296",
    "MALLOC_TOP_PAD_": "268435456",
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
    # Threads' arenas of their own hold blocks up to 64 MiB; a layer's output is larger and was mapped, zeroed and
    # unmapped at every call on a pipeline's threads, a third of a window's time. The main arena has no such bound.
    "MALLOC_ARENA_MAX": "1",
    # Dask looks at the stacks of all threads a hundred times a second. In Python before 3.11.9 that look waits for ever
    # where it sets off a garbage collection that frees a tensor (python/cpython#106883).
    "DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "False",
}


def is_set(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether a process with this environment was started as a worker should be."""
    return all(environment.get(name) == value for name, value in WORKER_ENVIRONMENT.items())


def start_over() -> NoReturn:
    """Replace this process by itself with the worker's environment; before anything else, and not where it `is_set`."""
    os.execve(sys.executable, sys.orig_argv, {**os.environ, **WORKER_ENVIRONMENT})
