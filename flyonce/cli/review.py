"""`flyonce review`: what a machine proposed, and a person's decision on it."""

from typing import TYPE_CHECKING, Annotated

import typer

from flyonce.cli.output import fail, print_json, stdout
from records.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tickets.states import Action
    from tickets.values import Event
    from workers.home import Home

app = typer.Typer(help="Judge what was found 审核发现: a machine proposes, a person decides.", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
By = Annotated[str, typer.Option("--by", metavar="NAME", help="Who decides 审核人; kept in the history.")]
Events = Annotated[list[str] | None, typer.Argument(metavar="EVENT…", help="Event ids, as `review list` shows them.")]
MinScore = Annotated[float | None, typer.Option(min=0, max=1, help="All candidates of at least this score.")]
Classes = Annotated[list[str] | None, typer.Option("--class", help="Only this class 类别; may be repeated.")]


@app.command("list")
def list_(
    state: Annotated[list[str] | None, typer.Option(help="candidate (default), approved, rejected, filed, …")] = None,
    classes: Classes = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the highest score first.")] = 1000,
    as_json: AsJson = False,
) -> None:
    """What waits for a decision 待审核."""
    from tickets import store
    from tickets.states import State

    unknown = [name for name in state or () if name not in set(State)]
    if unknown:
        fail(f"there is no state {', '.join(unknown)}.", f"There are: {', '.join(State)}")
    states = [State(name) for name in state] if state else [State.CANDIDATE]
    with _home() as home, home.engine.connect() as conn:
        found = store.find(conn, states, classes or (), limit)
    _print(found, as_json)


@app.command()
def approve(
    by: By,
    events: Events = None,
    min_score: MinScore = None,
    classes: Classes = None,
    as_json: AsJson = False,
) -> None:
    """Approve 通过: each event gets a ticket number; `flyonce tickets file` or the worker files it."""
    from tickets.states import Action

    _decide(Action.APPROVE, by, events or [], min_score, classes or [], "", as_json)


@app.command()
def reject(
    by: By,
    reason: Annotated[str, typer.Option(help="Why 理由; kept in the history.")],
    events: Events = None,
    as_json: AsJson = False,
) -> None:
    """Reject 驳回. Holds for later flights as well, unless the thing grows to twice its area."""
    from tickets.states import Action

    _decide(Action.REJECT, by, events or [], None, [], reason, as_json)


def _decide(
    action: "Action",
    by: str,
    events: list[str],
    min_score: float | None,
    classes: list[str],
    reason: str,
    as_json: bool,
) -> None:
    """Decide on all or, where one of them cannot be decided on, on none."""
    from records.engine import transaction
    from tickets import store
    from tickets.codes import load_codes
    from tickets.states import ForbiddenError, State

    if not events and min_score is None:
        fail("no event is named.", "Name events as `flyonce review list` shows them, or approve by --min-score.")
    if events and (min_score is not None or classes):
        fail("events are named one by one and by --min-score or --class as well.", "Use one of the two.")
    codes = load_codes(Settings().codes)
    decided = []
    try:
        with _home() as home, transaction(home.engine) as conn:
            if min_score is not None:
                candidates = store.find(conn, [State.CANDIDATE], classes, limit=1_000_000)
                events = [event.id for event in candidates if event.score >= min_score]
            for event in events:
                named = event
                decided.append(store.decide(conn, codes, event, action, by, reason).event)
    except ForbiddenError as error:
        fail(f"{named}: {error}.", "Nothing was decided; leave that event out or look at `flyonce tickets show`.")
    _print(decided, as_json)


def _home() -> "Home":
    from workers.home import Home

    return Home.open(Settings())


def _print(events: "Sequence[Event]", as_json: bool) -> None:
    from rich.table import Column, Table

    from tickets.codes import load_codes
    from tickets.wire import event_json

    codes = load_codes(Settings().codes)
    shown = [event_json(event, codes) for event in events]
    if as_json:
        print_json({"events": shown})
        return
    table = Table(
        Column("event 事件", min_width=16),
        "class 类别",
        "state 状态",
        "score",
        "m²",
        "lon, lat",
        "seen 发现",
        Column("ticket 工单", min_width=18),
    )
    for event in shown:
        name = f"{event['class']} {event['code']} {event['name_zh']}".strip()
        place = f"{event['lon']:.6f}, {event['lat']:.6f}"
        numbers = (f"{event['score']:.2f}", f"{event['area_m2']:.1f}")
        table.add_row(event["id"], name, event["state"], *numbers, place, event["first_seen"][:10], event["ticket"])
    stdout.print(table)
    stdout.print(f"{len(shown)} event(s) 件")
