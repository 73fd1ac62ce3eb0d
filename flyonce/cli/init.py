"""`flyonce init`: make the embedded home."""

from typing import Annotated

import typer

from flyonce.cli.output import print_json, stdout
from records.settings import Settings


def init(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Make the home (FLYONCE_HOME, else ~/.flyonce): catalogue, books and file store. Safe to repeat."""
    from workers.home import Home

    settings = Settings()
    Home.open(settings)
    if as_json:
        print_json({"home": str(settings.home)})
    else:
        stdout.print(f"Home ready 已就绪: {settings.home}", highlight=False)
