"""A process that was started from any shell gives itself the environment that workers need."""

import os
import subprocess
import sys

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
