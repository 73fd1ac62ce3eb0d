"""The STAC API at `/stac`: which parts of the specification it has, put on the application."""

from typing import cast

from fastapi import APIRouter, FastAPI
from pydantic_settings import SettingsConfigDict
from stac_fastapi.api.app import StacApi
from stac_fastapi.api.models import (
    create_get_request_model,
    create_post_request_model,
    create_request_model,
)
from stac_fastapi.extensions.fields import FieldsConformanceClasses, FieldsExtension
from stac_fastapi.extensions.filter import FilterConformanceClasses, FilterExtension
from stac_fastapi.extensions.free_text import FreeTextConformanceClasses, FreeTextExtension
from stac_fastapi.extensions.pagination import TokenPaginationExtension
from stac_fastapi.extensions.sort import SortExtension
from stac_fastapi.extensions.sort.sort import SortConformanceClasses
from stac_fastapi.types.config import ApiSettings
from stac_fastapi.types.conformance import BASE_CONFORMANCE_CLASSES
from stac_fastapi.types.search import APIRequest
from starlette.responses import JSONResponse

from catalog_api.queryables import Queryables
from catalog_api.reading import reader_of
from catalog_api.routes import aggregation, browse, transactions
from catalog_api.stac_client import CatalogClient
from catalog_api.stac_requests import CollectionsGet, FilterPost, ItemsGet, SearchGet, SearchPost
from stac import cql2
from stac.collections import STAC_VERSION

PREFIX = "/stac"
TITLE = "flyonce"
DESCRIPTION = "一次飞行，多方共享 Fly once, share with everyone: drone captures, change and debris, open to search."


# stac-fastapi names version 1.1.0 of the extension; pystac-client looks for 1.0.0, which asks for the same.
_SORT_1_0 = ("https://api.stacspec.org/v1.0.0/item-search#sort", "https://api.stacspec.org/v1.0.0/ogcapi-features#sort")


_COLLECTION_SEARCH = "https://api.stacspec.org/v1.0.0-rc.1/collection-search"
_OF_COLLECTIONS = (
    _COLLECTION_SEARCH,
    "http://www.opengis.net/spec/ogcapi-common-2/1.0/conf/simple-query",
    *(f"{_COLLECTION_SEARCH}#{part}" for part in ("free-text", "filter", "sort", "fields")),
)
_OF_ROUTES = (
    *transactions.CONFORMANCE,
    *aggregation.CONFORMANCE,
    *browse.CONFORMANCE,
    "https://api.stacspec.org/v1.0.0-rc.2/children",
)


class _ApiSettings(ApiSettings):
    """Without the `.env` file that stac-fastapi would read from wherever the process was started."""

    model_config = SettingsConfigDict(env_file=None, extra="ignore")


def add_stac(app: FastAPI, version: str) -> None:
    """Add core, features, collection and item search, filter, sort, fields, free text, aggregation, transactions,
    children and browsing under `/stac`, the same over either catalogue."""
    # Not a subclass: stac-fastapi looks for extensions by the names of their classes.
    filters = FilterExtension(
        client=Queryables(reader=reader_of),
        conformance_classes=[
            FilterConformanceClasses.FILTER,
            FilterConformanceClasses.SEARCH,
            FilterConformanceClasses.ITEMS,
            *cql2.CONFORMANCE,
        ],
    )
    filters.POST = FilterPost
    extensions = [
        filters,
        SortExtension(
            client=None,
            conformance_classes=[
                SortConformanceClasses.ITEM_SEARCH_SORT,
                SortConformanceClasses.FEATURES_SORT,
                *_SORT_1_0,
            ],
        ),
        FieldsExtension(conformance_classes=[FieldsConformanceClasses.SEARCH, FieldsConformanceClasses.ITEMS]),
        FreeTextExtension(conformance_classes=[FreeTextConformanceClasses.SEARCH, FreeTextConformanceClasses.ITEMS]),
        TokenPaginationExtension(),
    ]
    # Every field is given, so that no stray variable of the environment (TITLE, ROOT_PATH) or .env file has a say.
    settings = _ApiSettings(
        stac_fastapi_title=TITLE,
        stac_fastapi_description=DESCRIPTION,
        stac_fastapi_version=version,
        stac_fastapi_landing_id=TITLE,
        enable_response_models=False,
        enable_direct_response=False,
        openapi_url=app.openapi_url or "/openapi.json",
        docs_url="/docs",
        root_path="",
    )
    client = CatalogClient(
        reader=reader_of,
        landing_page_id=TITLE,
        title=TITLE,
        description=DESCRIPTION,
        stac_version=STAC_VERSION,
        base_conformance_classes=[*BASE_CONFORMANCE_CLASSES, *_OF_COLLECTIONS, *_OF_ROUTES],
    )
    app.include_router(transactions.router)
    app.include_router(aggregation.router)
    app.include_router(browse.router)
    app.add_api_route(
        f"{PREFIX}/children", client.children, tags=["STAC"], summary="Children", response_class=JSONResponse
    )
    StacApi(
        settings=settings,
        client=client,
        extensions=extensions,
        stac_version=STAC_VERSION,
        app=app,
        router=APIRouter(prefix=PREFIX, tags=["STAC"]),
        search_get_request_model=create_get_request_model(extensions, SearchGet),
        search_post_request_model=create_post_request_model(extensions, SearchPost),
        items_get_request_model=cast(
            type[APIRequest],
            create_request_model("ItemCollectionRequest", ItemsGet, extensions, request_type="GET"),
        ),
        collections_get_request_model=cast(
            type[APIRequest],
            create_request_model("CollectionsRequest", CollectionsGet, extensions[:4], request_type="GET"),
        ),
        middlewares=[],
        route_dependencies=[],
    )
