"""How commands speak: data to stdout, progress and explanations to stderr."""

import json
import sys
from typing import Any, NoReturn

import typer
from rich.console import Console

PIPED = 200
"""Columns where nobody looks: a table that goes into a file or a pipe is not cut to 80."""

stderr = Console(stderr=True)
stdout = Console(width=None if sys.stdout.isatty() else PIPED)


def print_json(data: Any) -> None:
    """One JSON document on stdout, and nothing else there."""
    sys.stdout.write(json.dumps(data, ensure_ascii=False, indent=2) + "\n")


def fail(message: str, remedy: str = "") -> NoReturn:
    """Say what happened and what to do, and end with exit code 1."""
    stderr.print(f"[bold red]error[/]: {message}", highlight=False, soft_wrap=True)
    if remedy:
        stderr.print(f"  {remedy}", highlight=False, soft_wrap=True)
    raise typer.Exit(1)
