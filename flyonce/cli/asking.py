"""Options of the commands that speak to a server instead of the local home."""

from pathlib import Path
from typing import Annotated

import typer

from imagery.errors import Refused

At = Annotated[str | None, typer.Option("--server", help="Ask this server instead of the local home.")]
TokenFile = Annotated[Path | None, typer.Option(help="File with the server's key.")]


def key_of(token_file: Path | None) -> str | None:
    """The key in the file. Raises `Refused` (no-token)."""
    if token_file is None:
        return None
    try:
        return token_file.read_text("utf-8").strip()
    except OSError as error:
        raise Refused("no-token", f"{token_file} cannot be read: {error.strerror}.", "Check --token-file.") from error
