"""Files of the store, by content: `/assets/<sha256>/<name>`, with ranges, ETag and HEAD."""

from urllib.parse import quote

from fastapi import APIRouter, Request
from starlette.responses import FileResponse, Response

from catalog_api.reading import reader_of

router = APIRouter(tags=["Files"])

# A file of a flight is data, whatever it claims to be: a browser may show it, and nothing in it may run.
_HEADERS = {
    "cache-control": "private, max-age=31536000, immutable",
    "content-security-policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'",
}


@router.head("/assets/{sha256}/{name}", include_in_schema=False)
@router.get(
    "/assets/{sha256}/{name}",
    response_class=FileResponse,
    summary="A file of an item",
    responses={206: {"description": "Part of it"}, 304: {"description": "Not changed"}, 404: {"description": "None"}},
)
def get_asset(sha256: str, name: str, request: Request) -> Response:
    """The bytes are fixed by the hash in the address, which is also the ETag."""
    path, asset = reader_of(request).file(f"/assets/{sha256}/{quote(name)}", sha256)
    headers = {**_HEADERS, "etag": f'"{sha256}"'}
    if _matches(request.headers.get("if-none-match", ""), headers["etag"]):
        return Response(status_code=304, headers=headers)
    media_type = str(asset.get("type", "application/octet-stream"))
    return FileResponse(path, headers=headers, media_type=media_type, filename=name, content_disposition_type="inline")


def _matches(if_none_match: str, etag: str) -> bool:
    tags = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return etag in tags or "*" in tags
