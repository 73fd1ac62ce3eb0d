"""Whether the service answers, its metrics, and the schema of its own STAC extension."""

import logging
from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import JSONResponse, Response

from catalog_api.errors import problem
from catalog_api.reading import home_of
from stac import extensions
from workers.home import Home

router = APIRouter(tags=["Service"])

log = logging.getLogger(__name__)


def _books(home: Home) -> None:
    with home.engine.connect() as conn:
        conn.exec_driver_sql("SELECT 1")


_CHECKS: dict[str, Callable[[Home], object]] = {
    "books": _books,
    "catalogue": lambda home: home.catalog.get_collection(""),
    "files": lambda home: home.files.check(),
}


def _passes(works: Callable[[Home], object], home: Home, name: str) -> bool:
    try:
        works(home)
    except Exception as error:
        log.error("%s not ready", name, exc_info=error)
        return False
    return True


@router.get("/healthz", summary="Whether the service works")
def healthz(request: Request) -> dict[str, str]:
    """Answers once the books can be read."""
    _books(home_of(request))
    return {"status": "ok"}


@router.get("/readyz", summary="Whether requests can be answered", responses={503: {"description": "Not now"}})
def readyz(request: Request) -> Response:
    """Asks the books, the catalogue and the file store; for load balancers. Names what is out of order, no more."""
    home = home_of(request)
    failed = [name for name, works in _CHECKS.items() if not _passes(works, home, name)]
    if failed:
        return problem(503, f"Not ready: {', '.join(failed)}.", code="NotReady", failed=failed)
    return JSONResponse({"status": "ok", "checked": list(_CHECKS)})


@router.get("/metrics", summary="Prometheus metrics", response_class=Response)
def metrics(request: Request) -> Response:
    """Requests, durations and bytes of this process; jobs, outbox, items and events of the deployment."""
    return Response(generate_latest(request.app.state.metrics.registry), media_type=CONTENT_TYPE_LATEST)


@router.get(extensions.FLYONCE, summary="JSON Schema of the flyonce extension")
def flyonce_schema(request: Request) -> Response:
    schema: dict[str, Any] = {"$id": str(request.url.replace(query="")), **extensions.flyonce_schema()}
    return JSONResponse(schema, media_type="application/schema+json")
