"""What the workers are doing."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.exceptions import HTTPException

from catalog_api.reading import home_of
from records import jobs
from stac.times import rfc3339

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


def _said(job: jobs.Job) -> dict[str, Any]:
    """A job without the secret of its lease."""
    return {
        "id": job.id,
        "kind": job.kind,
        "payload": job.payload,
        "state": job.state,
        "progress": job.progress,
        "attempts": job.attempts,
        "created": rfc3339(job.created),
        "finished": rfc3339(job.finished) if job.finished else None,
        "result": job.result,
        "error": job.error,
    }
