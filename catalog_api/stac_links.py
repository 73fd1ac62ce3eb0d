"""The links of STAC responses, each with a title."""

from typing import Any
from urllib.parse import quote, urlencode

from starlette.requests import Request

from stac.hrefs import absolute
from stac.store import Collection, Item, Page

_JSON, _GEOJSON, _SCHEMA = "application/json", "application/geo+json", "application/schema+json"
_QUERYABLES = "http://www.opengis.net/def/rel/ogc/1.0/queryables"
_OURS = frozenset(("self", "root", "parent", "collection", "items"))
_MAPPED = frozenset(("visual", "mask"))
"""Role or key of the asset that an item is drawn from."""
ROOT_TITLE = "flyonce"


def root_of(request: Request) -> str:
    """Where this service is reached, without a slash at the end."""
    return str(request.base_url).rstrip("/")


def link(rel: str, href: str, title: str, media_type: str = _JSON, **more: Any) -> dict[str, Any]:
    return {"rel": rel, "href": href, "type": media_type, "title": title, **more}


def title_of(collection: Collection) -> str:
    return str(collection.get("title", collection["id"]))


def item_address(item: Item, root: str) -> str:
    return f"{collection_address(item['collection'], root)}/items/{quote(item['id'], safe='')}"


def collection_address(name: str, root: str) -> str:
    return f"{root}/stac/collections/{quote(name, safe='')}"


def with_item_links(item: Item, root: str) -> Item:
    """The item as it is served: addresses absolute, its own place among them."""
    out = absolute(item, root)
    collection = collection_address(item["collection"], root)
    out["links"] = [
        link("self", item_address(item, root), item["id"], _GEOJSON),
        link("root", f"{root}/stac/", ROOT_TITLE),
        link("parent", collection, item["collection"]),
        link("collection", collection, item["collection"]),
        *_tile_links(item, root),
        *(one for one in out["links"] if one["rel"] not in _OURS),
    ]
    return out


def _tile_links(item: Item, root: str) -> list[dict[str, Any]]:
    """An item as a map, of the asset to look at or the mask (https://github.com/stac-extensions/web-map-links)."""
    key = next((key for key, one in item["assets"].items() if _MAPPED & {key, *one.get("roles", ())}), None)
    if key is None:
        return []
    place = (quote(part, safe="") for part in (item["collection"], item["id"], key))
    here = "{}/tiles/collections/{}/items/{}/assets/{}".format(root, *place)
    return [
        link("xyz", f"{here}/tiles/WebMercatorQuad/{{z}}/{{x}}/{{y}}.png", "地图瓦片 Map tiles", "image/png"),
        link("tilejson", f"{here}/WebMercatorQuad/tilejson.json", "TileJSON"),
        link("wmts", f"{here}/WMTSCapabilities.xml", "WMTS", "application/xml"),
        link("renders", f"{here}/renders", "显示方式 Ways to show it"),
    ]


def with_collection_links(collection: Collection, root: str) -> Collection:
    out = absolute(collection, root)
    here, title = collection_address(collection["id"], root), title_of(collection)
    out["links"] = [
        link("self", here, title),
        link("root", f"{root}/stac/", ROOT_TITLE),
        link("parent", f"{root}/stac/", ROOT_TITLE),
        link("items", f"{here}/items", f"{title}: items", _GEOJSON),
        link("child", f"{here}/periods", f"{title}: 按时间 by time"),
        link(_QUERYABLES, f"{here}/queryables", f"{title}: queryables", _SCHEMA),
        link("aggregations", f"{here}/aggregations", f"{title}: what can be counted"),
        *(one for one in out.get("links", []) if one["rel"] not in _OURS),
    ]
    return out


def page_links(request: Request, page: Page, body: dict[str, Any] | None) -> list[dict[str, Any]]:
    """Links of a page: this one, its neighbours, and the way up. `body` is the JSON of a POST."""
    root = root_of(request)
    here = f"{root}{request.url.path.removeprefix(request.scope.get('root_path', ''))}"
    links = [link("root", f"{root}/stac/", ROOT_TITLE)]
    if here.endswith("/items"):
        links.append(link("collection", here.removesuffix("/items"), "Collection"))
    if body is None:
        own = f"?{request.url.query}" if request.url.query else ""
        links.append(link("self", here + own, "This page", _GEOJSON))
    else:
        links.append(link("self", here, "This search", _GEOJSON, method="POST", body=body))
    for rel, token, title in (("next", page.next, "Next page"), ("prev", page.prev, "Previous page")):
        if token is None:
            continue
        if body is None:
            asked = [(k, v) for k, v in request.query_params.multi_items() if k != "token"]
            links.append(link(rel, f"{here}?{urlencode([*asked, ('token', token)])}", title, _GEOJSON, method="GET"))
        else:
            links.append(link(rel, here, title, _GEOJSON, method="POST", body={**body, "token": token}))
    return links


def collection_page_links(request: Request, skip: int, limit: int, matched: int) -> list[dict[str, Any]]:
    root = root_of(request)
    here = f"{root}/stac/collections"
    own = f"?{request.url.query}" if request.url.query else ""
    links = [
        link("root", f"{root}/stac/", ROOT_TITLE),
        link("parent", f"{root}/stac/", ROOT_TITLE),
        link("self", here + own, "Collections"),
    ]
    asked = [(k, v) for k, v in request.query_params.multi_items() if k != "offset"]
    if skip + limit < matched:
        links.append(link("next", f"{here}?{urlencode([*asked, ('offset', skip + limit)])}", "Next page", method="GET"))
    if skip > 0:
        before = urlencode([*asked, ("offset", max(0, skip - limit))])
        links.append(link("prev", f"{here}?{before}", "Previous page", method="GET"))
    return links
