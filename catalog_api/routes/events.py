"""What was found, for whoever reviews it and for the map. Read only."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request

from catalog_api.reading import reader_of
from tickets.states import State

router = APIRouter(prefix="/api/events", tags=["Events"])


@router.get("", summary="Events, the highest score first")
def list_events(
    request: Request,
    state: Annotated[list[State] | None, Query(description="Only these; may be repeated.")] = None,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 1000,
) -> dict[str, Any]:
    return {"events": reader_of(request).events(state or [], limit)}


@router.get("/{event_id}", summary="One event with its sightings and its history")
def one_event(request: Request, event_id: str) -> dict[str, Any]:
    """By its id or by its ticket's number."""
    return reader_of(request).event(event_id)
