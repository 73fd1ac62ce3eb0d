"""The web service: `uvicorn --factory catalog_api.app:create_app`, or `flyonce serve`."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from importlib.metadata import version
from pathlib import Path

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import RedirectResponse
from starlette.staticfiles import StaticFiles

from catalog_api import docs
from catalog_api.access import operation_counts
from catalog_api.errors import add_handlers
from catalog_api.guard import Guard
from catalog_api.limits import Limits
from catalog_api.links import signer_of
from catalog_api.observe import Metrics, Observed
from catalog_api.routes import (
    assets,
    events,
    flights,
    health,
    jobs,
    links,
    mosaics,
    stats,
    tiles,
    uploads,
    vectors,
    visible,
)
from catalog_api.stac_app import DESCRIPTION, TITLE, add_stac
from catalog_api.uploading import Uploads
from records.settings import Settings
from tickets.codes import load_codes
from workers.home import Home

EXPIRE_SECONDS = 3600.0
"""How often uploads that nobody goes on with are looked for."""
log = logging.getLogger(__name__)

CONSOLE = Path(__file__).parent / "console" / "static"


def create_app(settings: Settings | None = None, home: Home | None = None) -> FastAPI:
    """The application over the home that `settings` name (from the environment where there are none), or over a home
    that is open already and stays open."""
    settings = settings or (home.settings if home else Settings())
    opened = home or Home.open(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        expiring = asyncio.create_task(_expire(app.state.uploads))
        yield
        expiring.cancel()
        with suppress(asyncio.CancelledError):
            await expiring
        if home is None:
            opened.close()

    app = FastAPI(
        title=TITLE,
        version=version("flyonce"),
        description=DESCRIPTION,
        openapi_url="/openapi.json",
        docs_url=None,  # FastAPI's page loads its scripts from elsewhere; `docs` needs nothing but us
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.home = opened
    app.state.uploads = Uploads.of(opened)
    app.state.codes = load_codes(settings.codes)
    app.state.metrics = Metrics()
    app.state.metrics.gauge(lambda: operation_counts(opened))
    app.state.signer = signer_of(settings)
    add_stac(app, version("flyonce"))
    routers = (health, assets, links, tiles, mosaics, vectors, events, flights, uploads, jobs, stats, visible, docs)
    for routes in routers:
        app.include_router(routes.router)
    app.add_api_route("/", _to_console, include_in_schema=False)
    app.mount("/console", StaticFiles(directory=CONSOLE, html=True), name="console")
    add_handlers(app)
    key = settings.api_key
    app.add_middleware(Guard, key=None if key is None else key.get_secret_value(), signer=app.state.signer)
    app.add_middleware(Limits, most=settings.max_body, rate=settings.rate)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=[origin.strip() for origin in settings.cors_origins.split(",")],
            allow_methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=["authorization", "content-type", "if-match", "if-none-match", "range", "x-api-key"],
            expose_headers=["accept-ranges", "content-range", "etag", "location", "x-flyonce-items", "x-request-id"],
        )
    app.add_middleware(Observed, metrics=app.state.metrics)
    return app


def _to_console() -> RedirectResponse:
    return RedirectResponse("/console/")


async def _expire(uploads: Uploads) -> None:
    while True:
        try:
            await asyncio.to_thread(uploads.expire)
        except Exception:
            log.exception("expired uploads could not be removed; tried again in an hour")
        await asyncio.sleep(EXPIRE_SECONDS)
