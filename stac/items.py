"""Items for captures and flights. Pure builders: what they say comes from their arguments alone."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal

import shapely
import shapely.geometry

from imagery.values import Capture, Georeference
from stac import extensions, times
from stac.assets import COG, Stored, asset
from stac.collections import FLIGHTS, ORTHOPHOTOS, PHOTOS, STAC_VERSION
from stac.perspective import pose_properties
from stac.store import Item

Security = Literal["public", "internal", "sensitive"]
SECURITY_ORDER: tuple[Security, ...] = ("public", "internal", "sensitive")
KEEP_YEARS = 3


@dataclass(frozen=True, slots=True)
class Custody:
    """Whose it is, how secret it is and how long it is kept: every item says so."""

    department: str
    security: Security = "internal"
    retain_until: date | None = None
    """None: `KEEP_YEARS` after the item was made."""

    def properties(self, created: datetime) -> dict[str, Any]:
        until = self.retain_until or date(created.year + KEEP_YEARS, created.month, min(created.day, 28))
        return {
            "flyonce:department": self.department,
            "flyonce:security": self.security,
            "flyonce:retain_until": until.isoformat(),
        }


def strictest(items: Iterable[Item]) -> Security:
    """The security class of something made from these items."""
    return max((item["properties"]["flyonce:security"] for item in items), key=SECURITY_ORDER.index, default="internal")


def photo_item(
    capture: Capture,
    item_id: str,
    *,
    custody: Custody,
    flight: str,
    created: datetime,
    original: Stored,
    thumbnail: Stored | None = None,
) -> Item:
    """An item of `photos`. `flight` is the id of the item in `flights`."""
    item = _capture_item(PHOTOS, capture, item_id, custody=custody, flight=flight, created=created, title=original.name)
    item["properties"] |= pose_properties(capture) | _camera(capture)
    item["assets"]["original"] = asset(original, "原始照片 Original photo", "data", **_pixels(capture))
    _add_thumbnail(item, thumbnail)
    item["stac_extensions"] += [extensions.VIEW] if any(key.startswith("view:") for key in item["properties"]) else []
    if capture.thermal:
        item["properties"]["flyonce:thermal"] = True
    item["stac_extensions"] += [extensions.PERSPECTIVE] if "pers:perspective_center" in item["properties"] else []
    return item


def orthophoto_item(
    capture: Capture,
    item_id: str,
    *,
    custody: Custody,
    flight: str,
    created: datetime,
    original: Stored,
    cog: Stored | None = None,
    thumbnail: Stored | None = None,
) -> Item:
    """An item of `orthophotos`; the capture has a georeference. `cog` may be left out where the original is one."""
    item = _capture_item(
        ORTHOPHOTOS, capture, item_id, custody=custody, flight=flight, created=created, title=original.name
    )
    item["properties"] |= _camera(capture)
    item["stac_extensions"].append(extensions.PROJECTION)
    if capture.georeference is not None:
        crs = capture.georeference.crs
        named = {"proj:code": crs} if ":" in crs and "[" not in crs else {"proj:code": None, "proj:wkt2": crs}
        item["properties"] |= named
        item["properties"] |= {
            "proj:shape": [capture.height, capture.width],
            "proj:transform": list(capture.georeference.transform),
        }
    item["assets"]["original"] = asset(original, "原始影像 Original raster", "data", **_pixels(capture))
    if cog is not None:
        item["assets"]["cog"] = asset(cog, "云优化影像 Cloud-optimized GeoTIFF", "data", "visual", **_pixels(capture))
    elif original.media_type == COG:
        item["assets"]["original"]["roles"].append("visual")
    _add_thumbnail(item, thumbnail)
    return item


def georeference_of(item: Item) -> Georeference | None:
    """Where an orthophoto or elevation model lies, as it was found when it was taken in; None for other items."""
    said = item["properties"]
    crs = said.get("proj:code") or said.get("proj:wkt2")
    if crs is None or "proj:transform" not in said:
        return None
    a, b, c, d, e, f = said["proj:transform"]
    return Georeference(crs, (a, b, c, d, e, f))


def reposed(item: Item, capture: Capture) -> Item:
    """A photo's item with another pose, and the footprint that follows from it; all else as it was."""
    said = {**item["properties"], **pose_properties(capture)}
    said["flyonce:footprint_method"] = capture.footprint.method
    said["flyonce:footprint_error_m"] = round(capture.footprint.error_m, 3)
    said |= ({} if capture.gsd is None else {"gsd": capture.gsd}) | {"flyonce:notes": list(capture.notes)}
    named = [extensions.VIEW] if any(key.startswith("view:") for key in said) else []
    named += [extensions.PERSPECTIVE] if "pers:perspective_center" in said else []
    return {
        **item,
        "geometry": capture.footprint.geometry,
        "bbox": list(shapely.geometry.shape(capture.footprint.geometry).bounds),
        "properties": said,
        "stac_extensions": list(dict.fromkeys([*item["stac_extensions"], *named])),
    }


def flight_item(
    item_id: str,
    *,
    title: str,
    custody: Custody,
    captures: Sequence[Item],
    created: datetime,
    notes: Sequence[str] = (),
    thumbnail: Stored | None = None,
) -> Item:
    """An item of `flights` over its captures' items (at least one).

    Its geometry is the union of the footprints that can be trusted; where there is none, the positions as MultiPoint.
    """
    if not captures:
        raise ValueError(f"flight {item_id} has no captures")
    moments = [times.parse(capture["properties"]["datetime"]) for capture in captures]
    method, error, geometry = _cover(captures)
    item = item_of(
        FLIGHTS,
        item_id,
        geometry=geometry,
        properties={
            "title": title,
            "datetime": times.rfc3339(min(moments)),
            "start_datetime": times.rfc3339(min(moments)),
            "end_datetime": times.rfc3339(max(moments)),
            "created": times.rfc3339(created),
            **custody.properties(created),
            "flyonce:footprint_method": method,
            "flyonce:footprint_error_m": error,
            "flyonce:captures": len(captures),
            **({"flyonce:notes": list(notes)} if notes else {}),
        },
    )
    item["links"] += [
        item_link("item", capture["collection"], capture["id"], capture["properties"].get("title", capture["id"]))
        for capture in captures
    ]
    _add_thumbnail(item, thumbnail)
    return item


def item_of(collection: str, item_id: str, *, geometry: dict[str, Any] | None, properties: dict[str, Any]) -> Item:
    """The frame that all items share. `geometry` is GeoJSON in EPSG:4326."""
    box = {} if geometry is None else {"bbox": list(shapely.geometry.shape(geometry).bounds)}
    return {
        "type": "Feature",
        "stac_version": STAC_VERSION,
        "stac_extensions": [extensions.FLYONCE, extensions.FILE],
        "id": item_id,
        "collection": collection,
        "geometry": geometry,
        **box,
        "properties": properties,
        "links": [
            {
                "rel": "collection",
                "href": f"/stac/collections/{collection}",
                "type": "application/json",
                "title": collection,
            }
        ],
        "assets": {},
    }


def item_link(rel: str, collection: str, item_id: str, title: str) -> dict[str, str]:
    """A link to another item, relative to the service's root as stored hrefs are."""
    href = f"/stac/collections/{collection}/items/{item_id}"
    return {"rel": rel, "href": href, "type": "application/geo+json", "title": title}


def _capture_item(
    collection: str, capture: Capture, item_id: str, *, custody: Custody, flight: str, created: datetime, title: str
) -> Item:
    properties = {
        "title": title,
        "datetime": times.rfc3339(capture.taken or created),
        "created": times.rfc3339(created),
        **custody.properties(created),
        "flyonce:flight": flight,
        "flyonce:footprint_method": capture.footprint.method,
        "flyonce:footprint_error_m": round(capture.footprint.error_m, 3),
        "flyonce:taken_zone": capture.taken_zone,
    }
    if capture.gsd is not None:
        properties["gsd"] = capture.gsd
    if capture.notes:
        properties["flyonce:notes"] = list(capture.notes)
    item = item_of(collection, item_id, geometry=capture.footprint.geometry, properties=properties)
    item["links"] += [item_link("derived_from", FLIGHTS, flight, flight)]
    return item


def _camera(capture: Capture) -> dict[str, Any]:
    named = [part for part in (capture.make, capture.model) if part]
    return {"platform": " ".join(named), "instruments": [named[-1]]} if named else {}


def _pixels(capture: Capture) -> dict[str, Any]:
    names = {1: ["gray"], 3: ["red", "green", "blue"], 4: ["red", "green", "blue", "alpha"]}.get(capture.bands)
    return {"data_type": capture.dtype, "bands": [{"name": n} for n in names or map(str, range(1, capture.bands + 1))]}


def _add_thumbnail(item: Item, thumbnail: Stored | None) -> None:
    if thumbnail is not None:
        item["assets"]["thumbnail"] = asset(thumbnail, "缩略图 Thumbnail", "thumbnail")


def _cover(captures: Sequence[Item]) -> tuple[str, float, dict[str, Any]]:
    """Method, largest error in metres and geometry of a flight."""
    trusted = [c for c in captures if c["properties"]["flyonce:footprint_method"] != "position"]
    shapes = [shapely.geometry.shape(capture["geometry"]) for capture in trusted or captures]
    method = trusted[0]["properties"]["flyonce:footprint_method"] if trusted else "position"
    if any(c["properties"]["flyonce:footprint_method"] != method for c in trusted):
        method = "pose"  # mixed: no better than its weaker kind
    error = max(capture["properties"]["flyonce:footprint_error_m"] for capture in trusted or captures)
    geometry = shapely.union_all(shapes) if trusted else shapely.MultiPoint([point.centroid for point in shapes])
    return method, error, json.loads(shapely.to_geojson(geometry))


def with_owner(theirs: dict[str, Any], item: Item | None) -> Item | None:
    """The item with a second owner, whose `Custody.properties` are `theirs`: both departments, the stricter security
    class, the later retention date."""
    if item is None:
        return None
    said = item["properties"]
    owners = sorted({*said.get("flyonce:owners", [said["flyonce:department"]]), theirs["flyonce:department"]})
    until = max(date.fromisoformat(one["flyonce:retain_until"]) for one in (said, theirs))
    security = strictest([item, {"properties": theirs}])
    changed = {"flyonce:owners": owners, "flyonce:security": security, "flyonce:retain_until": until.isoformat()}
    return {**item, "properties": {**said, **changed}}
