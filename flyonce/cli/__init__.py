"""The `flyonce` command. One file per command; heavy imports wait until their command runs."""

import typer

from flyonce.cli import (
    admin,
    change,
    coverage,
    demo,
    detect,
    evaluate,
    flights,
    ingest,
    init,
    inspect,
    jobs,
    lab,
    models,
    mosaic,
    node,
    review,
    search,
    serve,
    simulate,
    stats,
    tickets,
    train,
    worker,
)
from flyonce.cli.output import stderr
from imagery.errors import Refused

app = typer.Typer(
    help="Fly once, share with everyone: catalogue captures, find change and debris, file tickets a person approves.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

for command in (
    init.init,
    demo.demo,
    simulate.simulate,
    inspect.inspect,
    ingest.ingest,
    search.search,
    detect.detect,
    change.change,
    train.train,
    evaluate.evaluate,
    coverage.coverage,
    mosaic.mosaic,
    stats.stats,
    serve.serve,
    worker.worker,
    node.node,
    lab.lab,
):
    app.command()(command)

app.add_typer(jobs.app, name="jobs")
app.add_typer(flights.app, name="flights")
app.add_typer(admin.app, name="admin")
app.add_typer(models.app, name="models")
app.add_typer(review.app, name="review")
app.add_typer(tickets.app, name="tickets")


def main() -> None:
    """Entry point: a refused input ends with its message and its remedy, not with a traceback."""
    try:
        app()
    except Refused as refused:
        stderr.print(f"[bold red]refused[/] ({refused.reason}): {refused.message}", highlight=False, soft_wrap=True)
        if refused.remedy:
            stderr.print(f"  {refused.remedy}", highlight=False, soft_wrap=True)
        raise SystemExit(1) from refused
