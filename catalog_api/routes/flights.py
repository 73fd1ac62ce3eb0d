"""Flights as batches: created, their files announced, closed, reported on."""

from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import HTMLResponse, JSONResponse, Response

from catalog_api.reading import check_writer, home_of, reader_of
from catalog_api.uploading import Uploads
from records import uploads
from records.engine import transaction
from sharing.policy import Principal
from stac import flight_queries, flights
from stac.flight_page import page
from stac.flight_tables import Flight, Sender
from stac.flight_values import Announced, Plan, Security
from workers import receiving
from workers.home import Home
from workers.jobs import TakeJob

router = APIRouter(prefix="/api/flights", tags=["Flights"])

_HTML_POLICY = {"content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox"}


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)


class RefusedFile(_Body):
    """Why its sender cannot send a file."""

    reason: str = Field(min_length=1, max_length=64)
    message: str = Field(min_length=1, max_length=1000)
    remedy: str = Field(default="", max_length=1000)


class ExpectedFile(_Body):
    """A file that will come."""

    name: str = Field(min_length=1, max_length=1000, description="Its path below the flight, with `/` between parts.")
    size: int | None = Field(default=None, ge=0, description="Bytes.")
    sha256: str | None = Field(
        default=None, pattern="^[0-9a-f]{64}$", description="With it, what is here already is not sent again."
    )
    refused: RefusedFile | None = None
    log_offset: float | None = Field(
        default=None, ge=-1e6, le=1e6, description="Of a video: seconds added to the times of the GPX or CSV beside it."
    )


class NewFlight(_Body):
    """What is known of a flight when it is created; texts that are not known are left out."""

    name: str = Field(min_length=1, max_length=500)
    department: str = Field(min_length=1, max_length=200)
    purpose: str = ""
    platform: str = Field(default="", description="The aircraft.")
    pilot: str = ""
    operator_licence: str = Field(default="", description="Number of the operator's licence 运营合格证号.")
    airspace_approval: str = Field(default="", description="Number of the approval to use the airspace 空域批准文号.")
    security: Security = "internal"
    retain_until: date | None = Field(default=None, description="Last day on which the files are kept for certain.")
    open_ended: bool = Field(default=False, description="Complete only when closed, whatever has come.")
    terrain: str | None = Field(
        default=None,
        pattern="^[0-9a-f]{64}$",
        description="SHA-256 of the elevation model, itself a file of the flight, under footprints 高程模型. "
        "Send it first: what is read before it has come lies on flat ground.",
    )
    files: list[ExpectedFile] = Field(default_factory=list, max_length=20_000)
    late: str = Field(default="", description="Why files are added to a flight that was closed.")


class MoreFiles(_Body):
    files: list[ExpectedFile] = Field(max_length=20_000)
    late: str = ""


class Closing(_Body):
    early: bool = Field(default=False, description="Although files are missing.")
    reason: str = Field(default="", max_length=1000)


class Reopening(_Body):
    reason: str = Field(min_length=1, max_length=1000)


@router.post("", summary="Create a flight, or take it up again", status_code=201)
def create_flight(body: NewFlight, request: Request) -> JSONResponse:
    """Safe to repeat: the same name and department are the same flight. The answer says which files are needed."""
    by, home = check_writer(request), home_of(request)
    said = body.model_dump(exclude={"files", "late"})
    with transaction(home.engine) as conn:
        flight = flights.open_flight(conn, Plan(**said), Sender(by.name, by.role))
    return JSONResponse(_announced(request, home, by, flight.id, body.files, body.late), 201)


@router.get("", summary="The newest flights")
def list_flights(request: Request, limit: Annotated[int, Query(ge=1, le=500)] = 50) -> dict[str, Any]:
    return {"flights": reader_of(request).flights(limit)}


@router.get("/{flight_id}", summary="A flight and what became of each of its files")
def one_flight(flight_id: str, request: Request) -> dict[str, Any]:
    """With the uploads that are under way, so that a sender goes on where it was cut off."""
    home = home_of(request)
    said = reader_of(request).flight(flight_id)
    with home.engine.connect() as conn:
        under_way = uploads.open_of(conn, flight_id)
    said["uploads"] = [
        {
            "file": upload.name,
            "href": f"/uploads/{upload.id}",
            "offset": upload.offset,
            "length": upload.length,
            "sha256": upload.declared,
        }
        for upload in under_way
    ]
    return said


@router.post("/{flight_id}/files", summary="Announce files of a flight")
def announce(flight_id: str, body: MoreFiles, request: Request) -> dict[str, Any]:
    by, home = check_writer(request), home_of(request)
    return _announced(request, home, by, flight_id, body.files, body.late)


@router.post("/{flight_id}/close", summary="Close a flight")
def close(flight_id: str, body: Closing, request: Request) -> dict[str, Any]:
    """Refused where announced files have not come, unless it is closed early with a reason."""
    by, home = check_writer(request), home_of(request)
    with transaction(home.engine) as conn:
        return _said(receiving.close(conn, flight_id, by.name, early=body.early, reason=body.reason))


@router.post("/{flight_id}/reopen", summary="Let late files into a closed flight")
def reopen(flight_id: str, body: Reopening, request: Request) -> dict[str, Any]:
    by, home = check_writer(request), home_of(request)
    with transaction(home.engine) as conn:
        return _said(flights.reopen(conn, flight_id, body.reason, by.name))


@router.get("/{flight_id}/report", summary="The report as one page to keep", response_class=HTMLResponse)
def report(flight_id: str, request: Request) -> Response:
    """Chinese and English, without anything from elsewhere: it can be saved, and read offline on a phone."""
    return HTMLResponse(page(reader_of(request).flight(flight_id)), headers=_HTML_POLICY)


def _announced(
    request: Request, home: Home, by: Principal, flight_id: str, files: list[ExpectedFile], late: str
) -> dict[str, Any]:
    """Announce the files, take what is here already and may be seen, and say which are needed."""
    announced = [
        Announced(
            file.name,
            file.size,
            file.sha256,
            None if file.refused is None else (file.refused.reason, file.refused.message, file.refused.remedy),
            file.log_offset,
        )
        for file in files
    ]
    service: Uploads = request.app.state.uploads
    known = [
        file
        for file in announced
        if file.sha256 is not None and file.size is not None and service.may_skip(by, file.sha256, file.size)
    ]
    sender = Sender(by.name, by.role)
    with transaction(home.engine) as conn:
        flights.announce(conn, flight_id, announced, sender, late=late)
        for file in known:
            receiving.receive(conn, flight_id, file.name, file.sha256 or "", file.size or 0, sender)
        if flight_queries.tally(conn, flight_id).pending:  # what was refused before and is to be read again
            receiving.wake(conn, TakeJob(flight_id))
        missing = {file.name for file in flight_queries.files_of(conn, flight_id) if file.state == "expected"}
        flight = flight_queries.get(conn, flight_id)
    return {**_said(flight), "needed": sorted(file.name for file in announced if file.name in missing)}


def _said(flight: Flight) -> dict[str, Any]:
    return {"flight": flight.id, "state": flight.state, "closed_by": flight.closed_by}
