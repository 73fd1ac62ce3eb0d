"""What the STAC API's requests hold. The checking of values is left to `stac_query`, which names the field at fault."""

from typing import Annotated, Any, Literal

import attr
from fastapi import Query
from pydantic import BaseModel, Field, model_validator
from stac_fastapi.api.models import ItemCollectionUri
from stac_fastapi.types.search import APIRequest, BaseSearchGetRequest, BaseSearchPostRequest

from catalog_api.stac_query import CRS84

_Bbox = Annotated[
    str | None, Query(description="West, south, east, north in degrees; west > east crosses the antimeridian.")
]
_Datetime = Annotated[str | None, Query(description="An RFC 3339 instant, or A/B with .. for an open end.")]


@attr.s(auto_attribs=True)
class SearchGet(BaseSearchGetRequest):
    """A search by GET."""

    bbox: _Bbox = None  # type: ignore[assignment]
    datetime: _Datetime = None


@attr.s(auto_attribs=True)
class ItemsGet(ItemCollectionUri):
    """The items of a collection."""

    bbox: _Bbox = None  # type: ignore[assignment]
    datetime: _Datetime = None


@attr.s(auto_attribs=True)
class CollectionsGet(APIRequest):
    """Searching among the collections."""

    bbox: _Bbox = None
    datetime: _Datetime = None
    limit: Annotated[int | None, Query(ge=1, le=10_000, description="Collections on a page.")] = None
    offset: Annotated[int | None, Query(ge=0, le=1_000_000, description="Collections before this page.")] = None


class SearchPost(BaseSearchPostRequest):
    """A search by POST."""

    @model_validator(mode="before")
    @classmethod
    def validate_spatial(cls, values: Any) -> Any:
        """Takes the place of stac-pydantic's check of the same name, which fails on anything but an object."""
        if not isinstance(values, dict):
            raise ValueError("a search is a JSON object")
        if values.get("intersects") is not None and values.get("bbox") is not None:
            raise ValueError("a search takes a bbox or a geometry (`intersects`), not both")
        return values


class FilterPost(BaseModel):
    """Filter of a POST. Beside CQL2 JSON it may be text, as pystac-client sends it."""

    filter_expr: dict[str, Any] | bool | str | None = Field(
        None, alias="filter", description="CQL2 JSON, or CQL2 text with `filter-lang` cql2-text."
    )
    filter_crs: str | None = Field(None, alias="filter-crs", description=f"Only {CRS84}.")
    filter_lang: Literal["cql2-json", "cql2-text"] | None = Field(None, alias="filter-lang")
