"""One table from what can go wrong to what HTTP says: problem+json (RFC 9457), with STAC's `code` and `description`."""

import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError, ResponseValidationError
from rasterio.errors import CRSError
from rio_tiler.errors import InvalidBandName, InvalidFormat, MissingBands, PointOutsideBounds, TileOutsideBounds
from stac_fastapi.types.errors import InvalidQueryParameter, NotFoundError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from catalog_api.writing import BodyError, ChangedError, ConflictError, ForbiddenError
from imagery.errors import Refused
from stac.store import CollectionError, ItemError, QueryError

log = logging.getLogger(__name__)


_KNOWN = frozenset(HTTPStatus)
"""tus has a status of its own, 460."""


class ProblemResponse(JSONResponse):
    media_type = "application/problem+json"


def problem(status: int, detail: str, *, code: str, headers: dict[str, str] | None = None, **more: Any) -> Response:
    """`code` is a stable word for programs, `detail` a sentence for people; `more` names the field at fault."""
    body = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase if status in _KNOWN else code,
        "status": status,
        "detail": detail,
        "code": code,
        "description": detail,
        **more,
    }
    return ProblemResponse(body, status, headers)


def add_handlers(app: FastAPI) -> None:
    """Answer every failure of the app with a problem. Call after stac-fastapi has added its own handlers."""
    app.add_exception_handler(QueryError, _query_error)
    app.add_exception_handler(BodyError, _body_error)
    app.add_exception_handler(ItemError, _body_error)
    for kind, (status, code) in _WRITING.items():
        app.add_exception_handler(kind, _writing(status, code))
    app.add_exception_handler(NotFoundError, _not_found)
    app.add_exception_handler(InvalidQueryParameter, _invalid)
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(HTTPException, _http)
    for outside in (TileOutsideBounds, PointOutsideBounds):
        app.add_exception_handler(outside, _outside)
    for unfit in (InvalidBandName, MissingBands, InvalidFormat, CRSError):
        app.add_exception_handler(unfit, _unfit)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(ResponseValidationError, _unexpected)
    app.add_exception_handler(Exception, _unexpected)


_REFUSED = {
    "not-allowed": 403,
    "not-in-store": 404,
    "lost-file": 404,
    "no-such-flight": 404,
    "flight-of-another-department": 409,
    "flight-differs": 409,
    "flight-closed": 409,
    "files-missing": 409,
}


def refused_status(reason: str) -> int:
    """What HTTP says where something is refused for this reason."""
    return _REFUSED.get(reason, 400)


def _query_error(_: Request, error: Exception) -> Response:
    field = error.field if isinstance(error, QueryError) else ""
    return problem(400, f"{field}: {error}", code="InvalidQuery", field=field)


_WRITING: dict[type[Exception], tuple[int, str]] = {
    CollectionError: (409, "Conflict"),
    ConflictError: (409, "Conflict"),
    ChangedError: (412, "Changed"),
    ForbiddenError: (403, "Forbidden"),
}


def _writing(status: int, code: str) -> Callable[[Request, Exception], Response]:
    return lambda _, error: problem(status, str(error), code=code)


def _body_error(_: Request, error: Exception) -> Response:
    field = error.field if isinstance(error, BodyError | ItemError) else "body"
    return problem(400, f"{field}: {error}", code="InvalidBody", field=field)


def _not_found(_: Request, error: Exception) -> Response:
    return problem(404, str(error), code="NotFound")


def _invalid(_: Request, error: Exception) -> Response:
    return problem(400, str(error), code="InvalidQuery")


def _outside(_: Request, error: Exception) -> Response:
    field = "z,x,y" if isinstance(error, TileOutsideBounds) else "lon,lat"
    return problem(404, str(error), code=type(error).__name__, field=field)


def _unfit(_: Request, error: Exception) -> Response:
    return problem(400, str(error), code="InvalidQuery")


def _refused(_: Request, error: Exception) -> Response:
    code = error.reason if isinstance(error, Refused) else "refused"
    return problem(refused_status(code), str(error), code=code)


def _http(_: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    detail = str(error.detail) if isinstance(error, HTTPException) else ""
    if detail == "Not Found":
        detail = "There is nothing at this address."
    headers = dict(error.headers) if isinstance(error, HTTPException) and error.headers else None
    return problem(status, detail, code=HTTPStatus(status).phrase.replace(" ", ""), headers=headers)


def _validation(_: Request, error: Exception) -> Response:
    """STAC wants 400 where FastAPI says 422. Only places and messages are repeated, never the input."""
    found = error.errors() if isinstance(error, RequestValidationError) else []
    faults = [{"field": ".".join(map(str, fault["loc"][1:])) or "body", "message": fault["msg"]} for fault in found]
    first = faults[0] if faults else {"field": "body", "message": "not what this address takes"}
    detail = f"{first['field']}: {first['message']}"
    return problem(400, detail, code="InvalidQuery", field=first["field"], errors=faults[:20])


def _unexpected(request: Request, error: Exception) -> Response:
    log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return problem(500, "The server failed; its log says why.", code="InternalServerError")
