"""Weights come from safetensors files alone, and only from those that are exactly the file that was measured."""

import hashlib
import json
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load, save_file
from torch import Tensor

from imagery.errors import Refused

FOLDER = Path(__file__).parent / "weights"
"""Weights that ship with flyonce."""


def read(path: Path, sha256: str) -> dict[str, Tensor]:
    """The float32 tensors of a safetensors file whose SHA-256 is `sha256`.

    Refused: `no-weights`, `wrong-checksum`, `not-safetensors` (pickled PyTorch files can run code and are never read).
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise Refused(
            "no-weights", f"There are no weights at {path}.", "Reinstall flyonce or name another file."
        ) from error
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise Refused(
            "wrong-checksum",
            f"{path} is not the file that was measured: its SHA-256 is {found}, expected {sha256}.",
            "Restore the file, or train and measure it under a version of its own.",
        )
    try:
        tensors = load(data)
    except SafetensorError as error:
        raise not_safetensors(path, error) from error
    return {name: tensor.float() for name, tensor in tensors.items()}


def about(path: Path) -> dict[str, str]:
    """What the header of a safetensors file says of its weights; empty where it says nothing.

    Refused: `no-weights`, `not-safetensors`.
    """
    if not path.is_file():
        raise Refused("no-weights", f"There are no weights at {path}.", "Name another file.")
    try:
        with safe_open(path, "pt") as opened:
            kept = (opened.metadata() or {}).get("about", "{}")
    except SafetensorError as error:
        raise not_safetensors(path, error) from error
    return {str(key): str(value) for key, value in json.loads(kept).items()}


def not_safetensors(path: Path, error: object) -> Refused:
    """Weights in another format are never read, since pickled ones can run code."""
    return Refused(
        "not-safetensors",
        f"{path} is no safetensors file: {error}.",
        "Convert pickled weights where you trust them.",
    )


def write(path: Path, tensors: dict[str, Tensor], about: dict[str, str]) -> str:
    """Write `tensors` as float16 with `about` in the header; returns the file's SHA-256."""
    path.parent.mkdir(parents=True, exist_ok=True)
    halved = {name: tensor.detach().to("cpu", torch.float16).contiguous() for name, tensor in tensors.items()}
    save_file(halved, path, metadata={"about": json.dumps(about, sort_keys=True)})
    return hashlib.sha256(path.read_bytes()).hexdigest()
