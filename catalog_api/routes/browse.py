"""Every item by links alone (STAC API's class *browseable*): collection, months, days, items.

For clients that follow `child` and `item` as in a catalogue of files, such as pystac and STAC Browser.
"""

from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from stac_fastapi.types.errors import NotFoundError

from catalog_api.access import Reader
from catalog_api.reading import reader_of
from catalog_api.stac_links import ROOT_TITLE, collection_address, item_address, link, root_of, title_of
from stac.aggregations import DAY, MONTH
from stac.collections import STAC_VERSION
from stac.periods import is_day, month_of, within
from stac.store import Collection, Query

CONFORMANCE = ("https://api.stacspec.org/v1.0.0-rc.2/browseable",)
MOST_ITEMS = 1_000
"""Of one catalogue; a day's others are in its child."""

router = APIRouter(prefix="/stac/collections/{collection_id}/periods", tags=["STAC"])


@router.get("", summary="The months in which a collection has items, as a STAC catalog")
def months(request: Request, collection_id: str) -> dict[str, Any]:
    reader, root = reader_of(request), root_of(request)
    collection = reader.collection(collection_id)
    here = _address(root, collection_id)
    children = _children(reader, collection_id, "", here)
    return _catalog(
        collection, root, "", [link("parent", here.removesuffix("/periods"), title_of(collection)), *children]
    )


@router.get("/{period}", summary="A month's days or a day's items, as a STAC catalog")
def one_period(request: Request, collection_id: str, period: str, token: str | None = None) -> dict[str, Any]:
    reader, root = reader_of(request), root_of(request)
    collection = reader.collection(collection_id)
    here = _address(root, collection_id)
    try:
        inside = within(period)
    except ValueError as error:
        raise NotFoundError(f"There is no such period: {error}.") from error
    if not is_day(period):
        links = [link("parent", here, title_of(collection)), *_children(reader, collection_id, period, here)]
        return _catalog(collection, root, period, links)
    page = reader.search(Query((collection_id,), filter=inside, limit=MOST_ITEMS, token=token))
    links = [
        link("parent", f"{here}/{month_of(period)}", month_of(period)),
        *(
            link(
                "item", item_address(item, root), item["properties"].get("title") or item["id"], "application/geo+json"
            )
            for item in page.items
        ),
    ]
    if page.next is not None:
        links.append(link("child", f"{here}/{period}?{urlencode({'token': page.next})}", "更多 More of this day"))
    return _catalog(collection, root, period, links, token)


def _children(reader: Reader, collection_id: str, month: str, here: str) -> list[dict[str, Any]]:
    """Links to the months in which there are items, or to the days of one."""
    name, letters = ("datetime_day_frequency", DAY) if month else ("datetime_frequency", MONTH)
    query = Query((collection_id,), filter=within(month) if month else None)
    found = [bucket for one in reader.aggregate(query, [name]) for bucket in one.buckets or ()]
    return [
        link("child", f"{here}/{one.key[:letters]}", f"{one.key[:letters]} ({one.frequency})")
        for one in reversed(found)
    ]


def _catalog(
    collection: Collection, root: str, period: str, links: list[dict[str, Any]], token: str | None = None
) -> dict[str, Any]:
    here = _address(root, collection["id"]) + (f"/{period}" if period else "")
    own = here if token is None else f"{here}?{urlencode({'token': token})}"
    shown = f"{title_of(collection)} {period}".strip()
    return {
        "type": "Catalog",
        "stac_version": STAC_VERSION,
        "id": "-".join(filter(None, (collection["id"], period or "periods", token))),
        "title": shown,
        "description": f"{shown}: 按拍摄时间（UTC）浏览 by time, in UTC.",
        "links": [link("self", own, shown), link("root", f"{root}/stac/", ROOT_TITLE), *links],
    }


def _address(root: str, collection_id: str) -> str:
    return f"{collection_address(collection_id, root)}/periods"
