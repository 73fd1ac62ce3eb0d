"""`flyonce lab`: JupyterLab with the notebooks."""

import importlib.util
import os
import sys
from pathlib import Path

from flyonce.cli.output import fail

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"


def lab() -> None:
    """Open JupyterLab on flyonce's notebooks (this machine only)."""
    folder = NOTEBOOKS if NOTEBOOKS.is_dir() else Path.cwd()
    if importlib.util.find_spec("jupyterlab") is None:
        fail("JupyterLab is not installed.", 'Install it with: pip install "flyonce[notebook]"')
    os.execv(sys.executable, [sys.executable, "-m", "jupyterlab", f"--notebook-dir={folder}"])
