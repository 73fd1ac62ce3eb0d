"""A process that was started from any shell gives itself the environment that workers need."""

import os
import platform
import subprocess
import sys

import pytest

from workers.environment import WORKER_ENVIRONMENT, is_set

CODE = """
import os, sys
from workers.environment import is_set, start_over
if not is_set():
    print("again", flush=True)
    start_over()
print(os.environ["MALLOC_TOP_PAD_"], os.environ["KEPT"], sys.argv[1:])
"""


def test_a_process_starts_over_once_with_the_same_arguments():
    plain = {name: value for name, value in os.environ.items() if name not in WORKER_ENVIRONMENT}
    command = [sys.executable, "-c", CODE, "a", "b c"]
    run = subprocess.run(command, env={**plain, "KEPT": "yes"}, capture_output=True, text=True, check=True)
    assert run.stdout.split("\n")[:2] == ["again", f"{WORKER_ENVIRONMENT['MALLOC_TOP_PAD_']} yes ['a', 'b c']"]


def test_one_variable_that_differs_is_told():
    assert is_set(WORKER_ENVIRONMENT)
    assert not is_set(WORKER_ENVIRONMENT | {"OMP_NUM_THREADS": "4"})


FAULTS = """
import resource, threading
import numpy as np

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.ones(200 << 20, dtype=np.uint8)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)

for _ in range(3):
    thread = threading.Thread(target=faults)  # one after the other, as pipelines of tasks come and go
    thread.start()
    thread.join()
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="what is set is read by glibc")
def test_memory_of_one_threads_arrays_is_kept_for_the_next_thread():
    """Faulted in once, whether by 4 KiB or 2 MiB: a layer of the network takes as much at every window."""
    command = [sys.executable, "-c", FAULTS]
    run = subprocess.run(command, env={**os.environ, **WORKER_ENVIRONMENT}, capture_output=True, text=True, check=True)
    first, *later = map(int, run.stdout.split())
    assert first >= 99, "200 MiB are not faulted in by less"
    assert max(later) < 50
