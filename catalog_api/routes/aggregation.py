"""STAC aggregation: counts and ranges over what a search finds."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from catalog_api.reading import reader_of
from catalog_api.stac_links import collection_address, link, root_of
from catalog_api.stac_query import query_of
from stac.aggregations import FIGURES, FREQUENCIES, NAMES, Aggregation
from stac.store import QueryError

CONFORMANCE = ("https://api.stacspec.org/v0.3.0/aggregation",)

router = APIRouter(prefix="/stac", tags=["STAC aggregation"])


class AggregateBody(BaseModel):
    """A search whose answer is counted."""

    model_config = ConfigDict(populate_by_name=True)

    aggregations: list[str] = Field(description=f"Of {', '.join(NAMES)}.")
    collections: list[str] | None = None
    ids: list[str] | None = None
    bbox: list[float] | None = None
    intersects: dict[str, Any] | None = None
    datetime: str | None = None
    q: list[str] | None = None
    filter_expr: dict[str, Any] | bool | str | None = Field(None, alias="filter")
    filter_lang: str | None = Field(None, alias="filter-lang")
    filter_crs: str | None = Field(None, alias="filter-crs")


@router.get("/aggregations", summary="What can be counted")
def list_aggregations(request: Request) -> dict[str, Any]:
    return _listed(request, f"{root_of(request)}/stac/aggregations")


@router.get("/collections/{collection_id}/aggregations", summary="What can be counted in a collection")
def list_aggregations_of(request: Request, collection_id: str) -> dict[str, Any]:
    reader_of(request).collection(collection_id)
    return _listed(request, f"{collection_address(collection_id, root_of(request))}/aggregations")


@router.get("/aggregate", summary="Count what a search finds")
@router.get("/collections/{collection_id}/aggregate", summary="Count what a search finds in a collection")
def aggregate(
    request: Request,
    aggregations: Annotated[str, Query(description=f"Of {', '.join(NAMES)}, with commas.")],
    collection_id: str | None = None,
    collections: str | None = None,
    ids: str | None = None,
    bbox: str | None = None,
    intersects: str | None = None,
    datetime: str | None = None,
    q: str | None = None,
    filter_expr: Annotated[str | None, Query(alias="filter")] = None,
    filter_lang: Annotated[str | None, Query(alias="filter-lang")] = None,
    filter_crs: Annotated[str | None, Query(alias="filter-crs")] = None,
) -> dict[str, Any]:
    if collection_id is not None:
        reader_of(request).collection(collection_id)
        collections = collection_id
    return _answer(
        request,
        _split(aggregations),
        collections=_split(collections),
        ids=_split(ids),
        bbox=bbox,
        intersects=intersects,
        datetime=datetime,
        q=_split(q),
        filter_expr=filter_expr,
        filter_lang=_language(filter_lang),
        filter_crs=filter_crs,
    )


@router.post("/aggregate", summary="Count what a search finds")
def aggregate_body(request: Request, body: AggregateBody) -> dict[str, Any]:
    asked = body.model_dump(exclude={"aggregations"})
    return _answer(request, body.aggregations, **{**asked, "filter_lang": _language(body.filter_lang)})


def _answer(request: Request, names: list[str], **parameters: Any) -> dict[str, Any]:
    found = reader_of(request).aggregate(query_of(**parameters), names)
    return {
        "type": "AggregationCollection",
        "aggregations": [_said(one) for one in found],
        "links": [
            link("root", f"{root_of(request)}/stac/", "flyonce"),
            link("self", str(request.url), "These figures"),
        ],
    }


def _said(found: Aggregation) -> dict[str, Any]:
    out: dict[str, Any] = {"name": found.name, "data_type": found.data_type}
    if found.buckets is None:
        return {**out, "value": found.value}
    kind = FREQUENCIES[found.name][1]
    buckets = [{"key": one.key, "data_type": kind, "frequency": one.frequency} for one in found.buckets]
    return {**out, "buckets": buckets, "overflow": found.overflow}


def _listed(request: Request, here: str) -> dict[str, Any]:
    named = [
        {"name": name, "data_type": FIGURES[name][1] if name in FIGURES else "frequency_distribution"} for name in NAMES
    ]
    links = [link("root", f"{root_of(request)}/stac/", "flyonce"), link("self", here, "Aggregations")]
    return {"type": "AggregationCollection", "aggregations": named, "links": links}


def _split(text: str | None) -> list[str]:
    return [] if not text else text.split(",")


def _language(name: str | None) -> str | None:
    if name not in (None, "cql2-text", "cql2-json"):
        raise QueryError("filter-lang", "cql2-text or cql2-json")
    return name
