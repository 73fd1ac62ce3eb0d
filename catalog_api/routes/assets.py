"""Files of the store, by content: `/assets/<sha256>/<name>`, with ranges, ETag and HEAD, from a folder or a bucket."""

from urllib.parse import quote

from fastapi import APIRouter, Request
from starlette.responses import Response, StreamingResponse

from catalog_api.errors import problem
from catalog_api.ranges import RangeError, part_of
from catalog_api.reading import reader_of

router = APIRouter(tags=["Files"])

# A file of a flight is data, whatever it claims to be: a browser may show it, and nothing in it may run.
_HEADERS = {
    "accept-ranges": "bytes",
    "cache-control": "private, max-age=31536000, immutable",
    "content-security-policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'",
}


@router.head("/assets/{sha256}/{name}", include_in_schema=False)
@router.get(
    "/assets/{sha256}/{name}",
    response_class=StreamingResponse,
    summary="A file of an item",
    responses={
        206: {"description": "Part of it"},
        304: {"description": "Not changed"},
        404: {"description": "None"},
        416: {"description": "No such part, or several at once"},
    },
)
def get_asset(sha256: str, name: str, request: Request) -> Response:
    """The bytes are fixed by the hash in the address, which is also the ETag. One range a request is answered. Whoever
    has no key may use a signed link (`POST /api/links`)."""
    file = reader_of(request).file(f"/assets/{sha256}/{quote(name)}", sha256)
    etag = f'"{sha256}"'
    headers = {
        **_HEADERS,
        "etag": etag,
        "content-type": str(file.asset.get("type", "application/octet-stream")),
        "content-disposition": f"inline; filename*=utf-8''{quote(name)}",
    }
    if _matches(request.headers.get("if-none-match", ""), etag):
        return Response(status_code=304, headers={key: headers[key] for key in ("etag", "cache-control")})
    if request.method == "HEAD":  # ranges are defined for GET alone
        return Response(headers=headers | {"content-length": str(file.size)})
    try:
        part = part_of(request.headers.get("range"), request.headers.get("if-range"), etag, file.size)
    except RangeError as error:
        told = {"content-range": f"bytes */{file.size}", "etag": etag}
        return problem(416, str(error), code="RangeNotSatisfiable", field="Range", headers=told)
    if part is None:
        headers["content-length"] = str(file.size)
        return StreamingResponse(file.read(0, file.size), headers=headers)
    headers |= {"content-length": str(part.stop - part.start), "content-range": part.content_range}
    return StreamingResponse(file.read(part.start, part.stop), 206, headers)


def _matches(if_none_match: str, etag: str) -> bool:
    tags = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return etag in tags or "*" in tags
