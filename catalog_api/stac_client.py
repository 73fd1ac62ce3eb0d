"""What the STAC API answers, over any `stac.store.CatalogStore`."""

from collections.abc import Callable
from typing import Any

import attr
from stac_fastapi.api.models import GeoJSONResponse
from stac_fastapi.types.core import BaseCoreClient
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from catalog_api.access import Reader
from catalog_api.stac_links import (
    ROOT_TITLE,
    collection_address,
    collection_page_links,
    link,
    page_links,
    root_of,
    title_of,
    with_collection_links,
    with_item_links,
)
from catalog_api.stac_query import collection_query_of, fields_of, query_of, select
from catalog_api.writing import etag
from stac import collection_search
from stac.store import Query


@attr.s(auto_attribs=True, kw_only=True)
class CatalogClient(BaseCoreClient):
    """Answers with ready responses, so that thousands of items are not walked by FastAPI's encoder once more."""

    reader: Callable[[Request], Reader]
    """What whoever sent a request may read."""

    def landing_page(self, **kwargs: Any) -> Any:
        page = super().landing_page(**kwargs)
        root = root_of(kwargs["request"])
        page["links"] += [
            link("children", f"{root}/stac/children", "Collections, each in full"),
            link("aggregate", f"{root}/stac/aggregate?aggregations=total_count", "Count what a search finds"),
            link("aggregations", f"{root}/stac/aggregations", "What can be counted"),
        ]
        for collection in self.reader(kwargs["request"]).collections():
            page["links"].append(link("child", collection_address(collection["id"], root), title_of(collection)))
        return page

    def all_collections(self, **kwargs: Any) -> Any:
        request: Request = kwargs.pop("request")
        fields = fields_of(kwargs.pop("fields", None))
        query = collection_query_of(**kwargs)
        found, matched = collection_search.search(self.reader(request).collections(), query)
        root = root_of(request)
        return JSONResponse(
            {
                "collections": [select(with_collection_links(one, root), *fields) for one in found],
                "links": collection_page_links(request, query.skip, query.limit, matched),
                "numberMatched": matched,
                "numberReturned": len(found),
            }
        )

    def children(self, request: Request) -> Response:
        root = root_of(request)
        links = [link("root", f"{root}/stac/", ROOT_TITLE), link("self", f"{root}/stac/children", "Children")]
        children = [with_collection_links(one, root) for one in self.reader(request).collections()]
        return JSONResponse({"children": children, "links": links})

    def get_collection(self, collection_id: str, **kwargs: Any) -> Any:
        request: Request = kwargs["request"]
        collection = self.reader(request).collection(collection_id)
        tag = etag(collection)
        if matches(request, tag):
            return Response(status_code=304, headers={"etag": tag})
        return JSONResponse(with_collection_links(collection, root_of(request)), headers={"etag": tag})

    def get_item(self, item_id: str, collection_id: str, **kwargs: Any) -> Any:
        request: Request = kwargs["request"]
        self.reader(request).collection(collection_id)
        item = self.reader(request).item(collection_id, item_id)
        tag = etag(item)
        if matches(request, tag):
            return Response(status_code=304, headers={"etag": tag})
        return GeoJSONResponse(with_item_links(item, root_of(request)), headers={"etag": tag})

    def item_collection(self, *_: Any, **kwargs: Any) -> Any:
        collection_id = kwargs.pop("collection_id")
        request: Request = kwargs.pop("request")
        self.reader(request).collection(collection_id)
        return self._answer(request, fields=kwargs.pop("fields", None), collections=[collection_id], **kwargs)

    def get_search(self, *_: Any, **kwargs: Any) -> Any:
        request: Request = kwargs.pop("request")
        return self._answer(request, fields=kwargs.pop("fields", None), **kwargs)

    def post_search(self, search_request: Any, **kwargs: Any) -> Any:
        geometry = search_request.intersects
        return self._answer(
            kwargs["request"],
            body=search_request.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude_none=True),
            fields=search_request.fields,
            collections=search_request.collections,
            ids=search_request.ids,
            bbox=search_request.bbox,
            intersects=None if geometry is None else geometry.model_dump(mode="json", exclude_none=True),
            datetime=search_request.datetime,
            limit=search_request.limit,
            token=search_request.token,
            filter_expr=search_request.filter_expr,
            filter_lang=search_request.filter_lang,
            filter_crs=search_request.filter_crs,
            sortby=search_request.sortby,
            q=search_request.q,
        )

    def _answer(
        self, request: Request, *, fields: Any, body: dict[str, Any] | None = None, **parameters: Any
    ) -> Response:
        query: Query = query_of(**parameters)
        page = self.reader(request).search(query)
        include, exclude = fields_of(fields)
        root = root_of(request)
        features = [select(with_item_links(item, root), include, exclude) for item in page.items]
        answer: dict[str, Any] = {
            "type": "FeatureCollection",
            "features": features,
            "links": page_links(request, page, body),
            "numberReturned": len(features),
        }
        if page.matched is not None:
            answer["numberMatched"] = page.matched
        return GeoJSONResponse(answer)


def matches(request: Request, tag: str) -> bool:
    """Whether the client has this version already (If-None-Match)."""
    known = [one.strip().removeprefix("W/") for one in request.headers.get("if-none-match", "").split(",")]
    return tag in known or "*" in known
