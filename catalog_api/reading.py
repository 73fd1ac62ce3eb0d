"""What a request may read, and whether it may write, as a route asks for it."""

from starlette.requests import Request

from catalog_api.access import Reader
from catalog_api.guard import principal_of
from imagery.errors import Refused
from sharing.policy import Action, Principal, decide
from workers.home import Home


def home_of(request: Request) -> Home:
    home: Home = request.app.state.home
    return home


def reader_of(request: Request) -> Reader:
    return Reader(home_of(request), request.app.state.codes, principal_of(request.scope))


def check_writer(request: Request) -> Principal:
    """Who writes. Raises `Refused` (`not-allowed`) for whoever may not, and for a page of another site that has a
    browser send what its user did not ask for."""
    principal = principal_of(request.scope)
    decision = decide(principal, Action.WRITE)
    if not decision.allowed:
        raise Refused("not-allowed", f"{decision.why}.", "Ask whoever runs this flyonce. 请联系管理员。")
    if request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        raise Refused("not-allowed", "A page of another site may not write here.", "Use flyonce itself.")
    return principal
