"""What a request may read, as a route asks for it."""

from starlette.requests import Request

from catalog_api.access import Reader
from catalog_api.guard import principal_of
from workers.home import Home


def home_of(request: Request) -> Home:
    home: Home = request.app.state.home
    return home


def reader_of(request: Request) -> Reader:
    return Reader(home_of(request), request.app.state.codes, principal_of(request.scope))
