"""`flyonce stats`: how much is kept, and how far the events are."""

from typing import Annotated

import typer

from flyonce.cli.output import print_json, stdout


def stats(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Items in each collection, and events in each state 统计."""
    from catalog_api.access import Reader
    from records.settings import Settings
    from sharing.policy import LOCAL_OPERATOR
    from tickets.codes import load_codes
    from workers.home import Home

    settings = Settings()
    with Home.open(settings, create=False) as home:
        counts = Reader(home, load_codes(settings.codes), LOCAL_OPERATOR).counts()
    if as_json:
        print_json(counts)
        return
    for title, part in (("items 条目", counts["items"]), ("events 事件", counts["events"])):
        counted = ", ".join(f"{name} {count}" for name, count in part.items()) or "0"
        stdout.print(f"{title}: {counted}", highlight=False, soft_wrap=True)
