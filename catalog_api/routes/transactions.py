"""STAC transactions: items and collections written over HTTP, with ETags against lost changes."""

import json
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Request
from fastapi.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from catalog_api.guard import principal_of
from catalog_api.reading import home_of
from catalog_api.stac_links import root_of, with_collection_links, with_item_links
from catalog_api.writing import BodyError, Writer, etag, merged
from stac.rows import MOST_BYTES

CONFORMANCE = (
    "https://api.stacspec.org/v1.0.0/ogcapi-features/extensions/transaction",
    "https://api.stacspec.org/v1.0.0/collections/extensions/transaction",
)
MOST_ITEMS = 1_000

router = APIRouter(prefix="/stac/collections", tags=["STAC transactions"])

_ITEM = {"application/json": {"schema": {"type": "object"}}, "application/geo+json": {"schema": {"type": "object"}}}
_COLLECTION = {"application/json": {"schema": {"type": "object"}}}
_PATCH = {"application/merge-patch+json": {"schema": {"type": "object"}}, **_COLLECTION}
_REFUSALS: dict[int | str, dict[str, Any]] = {
    400: {"description": "Not an item or a collection; `field` says where"},
    403: {"description": "Not allowed"},
    404: {"description": "Not there"},
    409: {"description": "There already, or in use"},
    412: {"description": "Changed meanwhile (If-Match)"},
    413: {"description": "Too large"},
}

IfMatch = Annotated[str | None, Header(description="The ETag that was seen; 412 where it is another now.")]


def _described(content: dict[str, Any]) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": content}}


async def _body(request: Request) -> Any:
    """The JSON sent, as long as it is not too much: read no further than it may reach."""
    raw = bytearray()
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > MOST_BYTES:
            raise HTTPException(
                413, f"A body holds at most {MOST_BYTES >> 20} MiB: load many items with `flyonce admin load`."
            )
    try:
        return json.loads(raw, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise BodyError("body", f"not JSON: {error}") from error


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")


def _writer(request: Request) -> Writer:
    return Writer(home_of(request), principal_of(request.scope), root_of(request))


Body = Annotated[Any, Depends(_body)]
Writing = Annotated[Writer, Depends(_writer)]


@router.post(
    "/{collection_id}/items",
    status_code=201,
    summary="Add an item, or a FeatureCollection of items",
    responses=_REFUSALS,
    openapi_extra=_described(_ITEM),
)
async def create_item(request: Request, collection_id: str, body: Body, writer: Writing) -> Response:
    many = isinstance(body, dict) and body.get("type") == "FeatureCollection"
    bodies = body.get("features") if many else [body]
    if not isinstance(bodies, list) or not 1 <= len(bodies) <= MOST_ITEMS:
        raise BodyError("features", f"a list of 1 to {MOST_ITEMS} items")
    items = await run_in_threadpool(writer.create_items, collection_id, bodies)
    if many:
        return Response(status_code=201)
    served = with_item_links(items[0], root_of(request))
    headers = {"location": served["links"][0]["href"], "etag": etag(items[0])}
    return JSONResponse(served, 201, headers, "application/geo+json")


@router.put(
    "/{collection_id}/items/{item_id}",
    status_code=204,
    summary="Replace an item",
    responses=_REFUSALS,
    openapi_extra=_described(_ITEM),
)
async def replace_item(
    collection_id: str, item_id: str, body: Body, writer: Writing, if_match: IfMatch = None
) -> Response:
    item = await run_in_threadpool(writer.change_item, collection_id, item_id, if_match, lambda _: body)
    return Response(status_code=204, headers={"etag": etag(item)})


@router.patch(
    "/{collection_id}/items/{item_id}",
    status_code=204,
    summary="Change parts of an item (RFC 7396)",
    responses=_REFUSALS,
    openapi_extra=_described(_PATCH),
)
async def patch_item(
    collection_id: str, item_id: str, body: Body, writer: Writing, if_match: IfMatch = None
) -> Response:
    item = await run_in_threadpool(writer.change_item, collection_id, item_id, if_match, lambda now: merged(now, body))
    return Response(status_code=204, headers={"etag": etag(item)})


@router.delete("/{collection_id}/items/{item_id}", status_code=204, summary="Remove an item", responses=_REFUSALS)
async def delete_item(collection_id: str, item_id: str, writer: Writing, if_match: IfMatch = None) -> Response:
    await run_in_threadpool(writer.delete_item, collection_id, item_id, if_match)
    return Response(status_code=204)


@router.post(
    "", status_code=201, summary="Add a collection", responses=_REFUSALS, openapi_extra=_described(_COLLECTION)
)
async def create_collection(request: Request, body: Body, writer: Writing) -> Response:
    collection = await run_in_threadpool(writer.create_collection, body)
    served = with_collection_links(collection, root_of(request))
    headers = {"location": served["links"][0]["href"], "etag": etag(collection)}
    return JSONResponse(served, 201, headers)


@router.put(
    "/{collection_id}",
    status_code=204,
    summary="Replace a collection",
    responses=_REFUSALS,
    openapi_extra=_described(_COLLECTION),
)
async def replace_collection(collection_id: str, body: Body, writer: Writing, if_match: IfMatch = None) -> Response:
    await run_in_threadpool(writer.change_collection, collection_id, if_match, lambda _: body)
    return Response(status_code=204)


@router.patch(
    "/{collection_id}",
    status_code=204,
    summary="Change parts of a collection (RFC 7396)",
    responses=_REFUSALS,
    openapi_extra=_described(_PATCH),
)
async def patch_collection(collection_id: str, body: Body, writer: Writing, if_match: IfMatch = None) -> Response:
    await run_in_threadpool(writer.change_collection, collection_id, if_match, lambda now: merged(now, body))
    return Response(status_code=204)


@router.delete("/{collection_id}", status_code=204, summary="Remove an empty collection", responses=_REFUSALS)
async def delete_collection(collection_id: str, writer: Writing, if_match: IfMatch = None) -> Response:
    await run_in_threadpool(writer.delete_collection, collection_id, if_match)
    return Response(status_code=204)
