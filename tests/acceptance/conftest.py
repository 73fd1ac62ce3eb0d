"""One demo, run once, for every test that looks at what it leaves."""

import json
import random
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest


@dataclass(frozen=True)
class Demo:
    folder: Path
    told: dict[str, Any]
    """What `flyonce demo --json` printed."""


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """`flyonce demo` with a seed drawn now."""
    folder = tmp_path_factory.mktemp("demo") / "kept"
    seed = random.SystemRandom().randrange(100_000, 1_000_000)
    command = [sys.executable, "-m", "flyonce", "demo", "--keep", str(folder), "--seed", str(seed), "--json"]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0, f"seed {seed}: {run.stderr}"
    return Demo(folder, json.loads(run.stdout))
