"""Which captures show a place, since when and from which side."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request

from catalog_api.reading import reader_of

router = APIRouter(prefix="/api", tags=["Service"])


@router.get("/visible", summary="Photos, frames, videos and orthophotos that show a place")
def visible(
    request: Request,
    lon: Annotated[float, Query(ge=-180, le=180)],
    lat: Annotated[float, Query(ge=-90, le=90)],
    limit: Annotated[int, Query(ge=1, le=10_000)] = 1000,
) -> dict[str, Any]:
    """`begins` and `ends` are seconds into a video; `bearing` leads from the place to the camera."""
    return {"point": [lon, lat], "views": reader_of(request).views(lon, lat, limit)}
