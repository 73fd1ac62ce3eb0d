"""A process that puts files is killed (kill -9): nothing acknowledged is lost, nothing partial is ever seen."""

import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from records.files import DirectoryStore

# Dies just before the system call number argv[3] of those that a put makes on its way to the disk.
DIES_AT_STEP = """
import os, pathlib, signal, sys
from records.files import DirectoryStore
store, left = DirectoryStore(pathlib.Path(sys.argv[1])), int(sys.argv[3])
def dying(call):
    def wrapped(*args, **kwargs):
        global left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return call(*args, **kwargs)
    return wrapped
for module, name in ((os, "fchmod"), (os, "fsync"), (pathlib.Path, "mkdir"), (pathlib.Path, "replace"),
                     (pathlib.Path, "unlink")):
    setattr(module, name, dying(getattr(module, name)))
print(store.put(pathlib.Path(sys.argv[2])).sha256, flush=True)
"""

PUTS_FOR_EVER = """
import os, pathlib, sys
from records.files import DirectoryStore
store, path = DirectoryStore(pathlib.Path(sys.argv[1])), pathlib.Path(sys.argv[2])
while True:
    path.write_bytes(os.urandom(3_000_000))
    print(store.put(path).sha256, flush=True)
"""


def whole_objects(store: DirectoryStore) -> set[str]:
    """Names of all objects, each of which must be what its name says."""
    found = set(store.root.glob("??/??/*"))
    for path in found:
        assert hashlib.sha256(path.read_bytes()).hexdigest() == path.name
    return {path.name for path in found}


def test_killed_at_every_step_of_a_put(tmp_path: Path) -> None:
    sent = tmp_path / "DJI_0001.JPG"
    content = random.Random(7).randbytes(2_500_000)
    sent.write_bytes(content)
    sha256 = hashlib.sha256(content).hexdigest()
    acknowledged, step = False, 0
    while not acknowledged:
        step += 1
        root = tmp_path / f"killed at {step}"
        arguments = [sys.executable, "-c", DIES_AT_STEP, str(root), str(sent), str(step)]
        run = subprocess.run(arguments, capture_output=True, text=True)
        acknowledged = run.stdout.strip() == sha256
        assert run.returncode == (0 if acknowledged else -signal.SIGKILL), run.stderr
        store = DirectoryStore(root)
        assert whole_objects(store) <= {sha256}
        kept = store.put(sent)  # the sender tries again
        assert kept.sha256 == sha256
        assert whole_objects(store) == {sha256}
        store.sweep(older_than=time.time() + 1)
        assert sum(path.is_file() for path in root.rglob("*")) == 1
    assert step > 6  # it did die at each of the calls named above


@pytest.mark.parametrize("seed", range(4))
def test_killed_at_any_moment_nothing_acknowledged_is_lost(tmp_path: Path, seed: int) -> None:
    arguments = [sys.executable, "-c", PUTS_FOR_EVER, str(tmp_path / "files"), str(tmp_path / "sent")]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        first = process.stdout.readline().strip()
        time.sleep(random.Random(seed).uniform(0, 0.3))
        os.kill(process.pid, signal.SIGKILL)
        acknowledged = {first, *process.stdout.read().split()}
    assert acknowledged <= whole_objects(DirectoryStore(tmp_path / "files"))
