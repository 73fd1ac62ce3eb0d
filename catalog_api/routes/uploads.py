"""Resumable uploads: tus 1.0 at `/uploads`. `catalog_api.tus` reads headers, `catalog_api.uploading` does the work."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from catalog_api import tus
from catalog_api.errors import problem, refused_status
from catalog_api.guard import principal_of
from catalog_api.pouring import pour
from catalog_api.reading import check_writer
from catalog_api.tus import TusError
from catalog_api.uploading import Uploads
from imagery.errors import Refused
from records.uploads import State, Upload

router = APIRouter(tags=["Uploads"])

_TUS = {"Tus-Resumable": tus.VERSION, "Cache-Control": "no-store"}


def uploads_of(request: Request) -> Uploads:
    found: Uploads = request.app.state.uploads
    return found


async def _answered(request: Request, work: Callable[[], Awaitable[Response]]) -> Response:
    """What every tus request shares: the version, the right to write, and errors with the headers tus wants."""
    try:
        check_writer(request)
        tus.check_version(request.headers)
        answer = await work()
        answer.headers.update(_TUS)
    except TusError as error:
        headers = {**_TUS, **({"Tus-Version": tus.VERSION} if error.status == 412 else {})}
        headers |= {"Retry-After": "2"} if error.status in (423, 429) else {}
        return problem(error.status, error.detail, code=error.code, headers=headers)
    except Refused as refused:
        return problem(refused_status(refused.reason), str(refused), code=refused.reason, headers=_TUS)
    return answer


@router.options("/uploads", summary="What uploads can do", status_code=204)
@router.options("/uploads/{upload_id}", include_in_schema=False)
async def upload_options(request: Request) -> Response:
    return Response(status_code=204, headers=tus.options(uploads_of(request).most_bytes))


@router.post(
    "/uploads",
    summary="Create an upload (tus 1.0)",
    status_code=201,
    responses={201: {"description": "Its address is in `Location`"}, 413: {}, 429: {}, 507: {}},
)
async def create_upload(request: Request) -> Response:
    """`Upload-Length` and `Upload-Metadata` with `flight` and `filename`; with `sha256` too, a file that is here
    already and that the sender may see is finished at once (`Upload-Offset` is its length). The body may hold bytes."""

    async def work() -> Response:
        uploads, headers, by = uploads_of(request), request.headers, principal_of(request.scope)
        concat, said = tus.concat_of(headers), tus.metadata_of(headers)
        header = headers.get("upload-metadata", "")
        if concat is not None and concat.parts is not None:
            upload = await run_in_threadpool(uploads.concatenate, by, concat.parts, said, header)
            return Response(status_code=201, headers=_told(upload))
        length = tus.length_of(headers, uploads.most_bytes)
        room = tus.body_length(headers)
        if with_bytes := "content-type" in headers and (room is None or room > 0):
            tus.check_body(headers)
        checksum = tus.checksum_of(headers)
        upload = await run_in_threadpool(uploads.create, by, length, said, header, concat)
        if upload.state is State.OPEN and (with_bytes or length == 0):
            async with _held(uploads, upload.id, 0, room) as (upload, growing):
                upload = await pour(uploads, upload, growing, request.stream(), checksum)
        return Response(status_code=201, headers=_told(upload))

    return await _answered(request, work)


@router.head("/uploads/{upload_id}", summary="How much of an upload is safe", include_in_schema=False)
async def upload_head(upload_id: str, request: Request) -> Response:
    async def work() -> Response:
        upload = await run_in_threadpool(uploads_of(request).get, upload_id)
        more = {"Upload-Length": str(upload.length), "Upload-Offset": str(upload.offset)}
        more |= {"Upload-Metadata": upload.metadata} if upload.metadata else {}
        more |= {"Upload-Concat": _concat(upload)} if upload.concat else {}
        return Response(headers={**_told(upload), **more})

    return await _answered(request, work)


@router.patch(
    "/uploads/{upload_id}",
    summary="Append bytes to an upload",
    status_code=204,
    responses={409: {}, 410: {}, 413: {}, 415: {}, 423: {}, 460: {"description": "Checksum mismatch"}, 507: {}},
)
async def append(upload_id: str, request: Request) -> Response:
    """The bytes at `Upload-Offset`. Answered when they are safe; an upload that is whole then is acknowledged."""

    async def work() -> Response:
        uploads, headers = uploads_of(request), request.headers
        tus.check_body(headers)
        offset, room, checksum = tus.offset_of(headers), tus.body_length(headers), tus.checksum_of(headers)
        async with _held(uploads, upload_id, offset, room) as (upload, growing):
            upload = await pour(uploads, upload, growing, request.stream(), checksum)
        return Response(status_code=204, headers=_told(upload))

    return await _answered(request, work)


@router.delete("/uploads/{upload_id}", summary="Give an upload up", status_code=204)
async def terminate(upload_id: str, request: Request) -> Response:
    async def work() -> Response:
        await run_in_threadpool(uploads_of(request).terminate, upload_id)
        return Response(status_code=204)

    return await _answered(request, work)


@router.post("/uploads/{upload_id}", include_in_schema=False)
async def overridden(upload_id: str, request: Request) -> Response:
    """For senders behind proxies that know no PATCH (`X-HTTP-Method-Override`)."""
    match request.headers.get("x-http-method-override", "").upper():
        case "PATCH":
            return await append(upload_id, request)
        case "DELETE":
            return await terminate(upload_id, request)
        case "HEAD":
            return await upload_head(upload_id, request)
    return problem(405, "POST at an upload needs X-HTTP-Method-Override.", code="MethodNotAllowed", headers=_TUS)


@asynccontextmanager
async def _held(uploads: Uploads, upload: str, offset: int, room: int | None) -> Any:
    """`Uploads.growing` entered and left in threads."""
    async with AsyncExitStack() as stack:
        held = uploads.growing(upload, offset, room)
        found = await asyncio.to_thread(held.__enter__)
        stack.push(held.__exit__)
        yield found


def _told(upload: Upload) -> dict[str, str]:
    """Where the upload is, how far, and until when."""
    open_ = {"Upload-Expires": tus.expires(upload.expires)} if upload.state is State.OPEN or upload.partial else {}
    return {"Location": f"/uploads/{upload.id}", "Upload-Offset": str(upload.offset), **open_}


def _concat(upload: Upload) -> str:
    kind, _, parts = upload.concat.partition(";")
    return kind if not parts else f"final;{' '.join(f'/uploads/{part}' for part in parts.split())}"
