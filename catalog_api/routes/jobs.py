"""What the workers are doing."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from sqlalchemy import Engine
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import StreamingResponse

from catalog_api.reading import home_of
from records import jobs
from stac.times import rfc3339

LOOK_SECONDS = 1.0
KEEP_ALIVE_SECONDS = 15.0

router = APIRouter(prefix="/api", tags=["Jobs"])


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
