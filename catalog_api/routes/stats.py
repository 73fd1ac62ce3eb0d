"""How much is kept."""

from typing import Any

from fastapi import APIRouter, Request

from catalog_api.reading import reader_of

router = APIRouter(prefix="/api", tags=["Service"])


@router.get("/stats", summary="How many items in each collection, and events in each state")
def stats(request: Request) -> dict[str, Any]:
    return reader_of(request).counts()
