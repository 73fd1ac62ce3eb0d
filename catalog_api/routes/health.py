"""Whether the service answers, and the schema of its own STAC extension. Open to all: neither says what is kept."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from catalog_api.reading import home_of
from stac import extensions

router = APIRouter(tags=["Service"])


@router.get("/healthz", summary="Whether the service works")
def healthz(request: Request) -> dict[str, str]:
    """Answers once the books can be read."""
    with home_of(request).engine.connect() as conn:
        conn.exec_driver_sql("SELECT 1")
    return {"status": "ok"}


@router.get(extensions.FLYONCE, summary="JSON Schema of the flyonce extension")
def flyonce_schema(request: Request) -> Response:
    schema: dict[str, Any] = {"$id": str(request.url.replace(query="")), **extensions.flyonce_schema()}
    return JSONResponse(schema, media_type="application/schema+json")
