"""What the workers are asked to do, and what they are doing."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Engine
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, StreamingResponse

from catalog_api.reading import check_writer, home_of, reader_of
from records import jobs
from records.engine import transaction
from stac.times import rfc3339
from workers.jobs import ChangeJob, DetectJob, Dtype

LOOK_SECONDS = 1.0
KEEP_ALIVE_SECONDS = 15.0

router = APIRouter(prefix="/api", tags=["Jobs"])

_ONE = r"^(photos|orthophotos|frames)/[^/\s]{1,200}$"
Capture = Annotated[str, Field(pattern=_ONE, description="`collection/id` of a capture.")]
Metres = Annotated[
    float | None, Field(gt=0, lt=1000, description="Metres on the ground per pixel, where a source does not tell.")
]


class _Order(BaseModel):
    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)


class DetectOrder(_Order):
    """Run a detector over one capture, or over each key frame of a video."""

    kind: Literal["detect"]
    detector: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", description="As in `flyonce models list`.")
    source: str = Field(pattern=_ONE.replace("frames", "frames|videos"), description="`collection/id`.")
    gsd: Metres = None
    change: str | None = Field(
        default=None, pattern=r"^changes/[^/\s]{1,200}$", description="Propose only what stands on changed ground."
    )
    propose: bool = Field(default=True, description="Turn what is found into candidates for review.")
    dtype: Dtype = Field(default="float32", description="Of the network's arithmetic; part of the result's key.")

    def job(self) -> DetectJob:
        return DetectJob(**self.model_dump(exclude={"kind"}))

    @property
    def needs(self) -> list[str]:
        """Items whose pixels whoever asks must be allowed to see."""
        return [self.source] + ([self.change] if self.change else [])


class ChangeOrder(_Order):
    """Compare two captures of the same ground."""

    kind: Literal["change"]
    before: Capture
    after: Capture
    gsd: Metres = None

    def job(self) -> ChangeJob:
        return ChangeJob(**self.model_dump(exclude={"kind"}))

    @property
    def needs(self) -> list[str]:
        return [self.before, self.after]


Order = Annotated[DetectOrder | ChangeOrder, Body(discriminator="kind")]


@router.post("/jobs", summary="Ask for a detection or a comparison", status_code=201)
def ask_for_job(order: Order, request: Request) -> JSONResponse:
    """The job as it waits; `Location` says where it is followed. What a finished run has answered already is read from
    the catalogue, so that asking twice costs nothing."""
    check_writer(request)
    reader, home = reader_of(request), home_of(request)
    for name in order.needs:
        reader.pixels(*name.split("/", 1))
    wanted = order.job()
    with transaction(home.engine) as conn:
        job_id = jobs.enqueue(conn, wanted.kind, wanted.to_payload())
    job = jobs.get(home.engine, job_id)
    if job is None:
        raise HTTPException(500, "The job that was put in is gone.")
    return JSONResponse(_said(job), 201, {"location": f"/api/jobs/{job_id}"})


@router.get("/jobs", summary="The newest jobs")
def recent_jobs(request: Request, limit: Annotated[int, Query(ge=1, le=500)] = 50) -> dict[str, Any]:
    return {"jobs": [_said(job) for job in jobs.recent(home_of(request).engine, limit)]}


@router.get("/jobs/{job_id}", summary="One job")
def one_job(request: Request, job_id: str) -> dict[str, Any]:
    job = jobs.get(home_of(request).engine, job_id)
    if job is None:
        raise HTTPException(404, f"There is no job {job_id[:40]}.")
    return _said(job)


@router.post("/jobs/{job_id}/cancel", summary="Take a job back")
def cancel_job(request: Request, job_id: str) -> dict[str, Any]:
    """A job that waits never runs; one that runs stops within seconds, and what it had computed stays in the cache. A
    job that has ended stays as it is."""
    check_writer(request)
    job = jobs.cancel(home_of(request).engine, job_id)
    if job is None:
        raise HTTPException(404, f"There is no job {job_id[:40]}.")
    return _said(job)


@router.get(
    "/jobs/{job_id}/events",
    summary="One job as it goes on",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {}}, "description": "An event for each change, until it ends"}},
)
def follow_job(request: Request, job_id: str) -> StreamingResponse:
    """Server-sent events named `job`, each with the whole job as JSON; the stream ends with the job."""
    engine = home_of(request).engine
    if jobs.get(engine, job_id) is None:
        raise HTTPException(404, f"There is no job {job_id[:40]}.")
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(_events(request, engine, job_id), media_type="text/event-stream", headers=headers)


async def _events(request: Request, engine: Engine, job_id: str) -> AsyncIterator[str]:
    last, quiet = "", 0.0
    while not await request.is_disconnected():
        job = await run_in_threadpool(jobs.get, engine, job_id)
        if job is None:
            return
        told = json.dumps(_said(job), ensure_ascii=False)
        if told != last:
            yield f"event: job\ndata: {told}\n\n"
            last, quiet = told, 0.0
        elif quiet >= KEEP_ALIVE_SECONDS:
            yield ": still here\n\n"  # so that proxies keep the connection
            quiet = 0.0
        if job.state in jobs.ENDED:
            return
        await asyncio.sleep(LOOK_SECONDS)
        quiet += LOOK_SECONDS


def _said(job: jobs.Job) -> dict[str, Any]:
    """A job without the secret of its lease."""
    return {
        "id": job.id,
        "kind": job.kind,
        "payload": job.payload,
        "state": job.state,
        "progress": job.progress,
        "pace": job.pace,
        "attempts": job.attempts,
        "created": rfc3339(job.created),
        "finished": rfc3339(job.finished) if job.finished else None,
        "result": job.result,
        "error": job.error,
    }
