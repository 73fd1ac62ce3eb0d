"""The preview mosaic of a flight of photos, as an orthophoto item that says what it is and by how much it is off."""

import hashlib
import json
import math
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from imagery.cog import write_cog, write_thumbnail
from imagery.errors import Refused
from imagery.inspect import inspect
from imagery.preview import Progress, preview, write_mosaic
from imagery.values import Footprint
from stac.assets import COG, Stored
from stac.collections import FLIGHTS, PHOTOS
from stac.items import Custody, item_link, orthophoto_item, strictest
from stac.store import Item, Query
from workers.home import Home

MOST_PHOTOS = 400
PAGE = 500
"""Items that the catalogue is asked for at once."""
THUMBNAIL_SIDE = 512


def photos_of(home: Home, flight: str) -> tuple[Item, list[Item]]:
    """A flight's item and those of its photos, as they were taken; thermal ones are left out. Raises `Refused`
    (no-such-flight)."""
    owner = home.catalog.get_item(FLIGHTS, flight)
    if owner is None:
        raise Refused("no-such-flight", f"The catalogue has no flight {flight}.", "`flyonce flights` lists them.")
    ours = {"op": "=", "args": [{"property": "flyonce:flight"}, flight]}
    query: Query | None = Query((PHOTOS,), filter=ours, limit=PAGE)
    items: list[Item] = []
    while query is not None:
        page = home.catalog.search(query)
        items += (item for item in page.items if not item["properties"].get("flyonce:thermal"))
        query = None if page.next is None else replace(query, token=page.next)
    return owner, sorted(items, key=lambda item: (item["properties"]["datetime"], item["properties"]["title"]))


def key_of(photos: Sequence[Item]) -> str:
    """SHA-256 over what these photos hold, in their order."""
    inputs = [str(item["assets"]["original"]["file:checksum"]) for item in photos]
    return hashlib.sha256(json.dumps(inputs).encode()).hexdigest()


def preview_item(home: Home, flight: str, progress: Progress | None = None) -> Item:
    """Make the mosaic of a flight's photos and put its item into the catalogue; the one that is there where nothing is
    new. Thermal photos are left out.

    Raises `Refused`: no-such-flight, too-many-photos, and as `imagery.preview.preview` does.
    """
    owner, items = photos_of(home, flight)
    if len(items) > MOST_PHOTOS:
        raise Refused(
            "too-many-photos",
            f"Flight {flight} has more than {MOST_PHOTOS} photos: no preview of minutes.",
            "Process it in full (`flyonce mosaic FLIGHT --full`), or ingest an orthophoto of it.",
        )
    item_id = f"preview-{key_of(items)[:16]}"
    known = home.catalog.get_item("orthophotos", item_id)
    if known is not None:
        return known
    paths = [home.asset_path(item["assets"]["original"]["href"]) for item in items]
    made = preview([(path, inspect(path, decode=False)) for path in paths], progress)
    with tempfile.TemporaryDirectory(prefix="mosaic-", dir=home.settings.home) as folder:
        write_mosaic(made, raw := Path(folder, "mosaic.tif"))
        write_cog(raw, cog := Path(folder, f"{flight}-preview.tif"))
        write_thumbnail(cog, small := Path(folder, "thumbnail.jpg"), THUMBNAIL_SIDE)
        capture = inspect(cog)
        original = _store(home, cog, cog.name, COG)
        thumbnail = _store(home, small, f"{flight}-preview-thumbnail.jpg", "image/jpeg")
    residual = 0.0 if math.isnan(made.residual_m) else made.residual_m
    error = round(math.hypot(made.position_rms_m, residual, 1.0), 2)
    custody = Custody(owner["properties"]["flyonce:department"], strictest([*items, owner]))
    item = orthophoto_item(
        # Laid by poses, so no better than they are, whatever its own georeference says.
        replace(
            capture,
            footprint=Footprint(capture.footprint.geometry, "pose", error),
            taken=datetime.fromisoformat(items[0]["properties"]["datetime"]),
            taken_zone="tag",
            notes=(f"preview from {len(made.used)} of {len(items)} photos, {made.matched} pairs matched",),
        ),
        item_id,
        custody=custody,
        flight=flight,
        created=datetime.now(UTC),
        original=original,
        thumbnail=thumbnail,
    )
    item["properties"] |= {
        "flyonce:quality": "preview",
        "title": f"{owner['properties'].get('title', flight)} 预览 preview",
    }
    if not math.isnan(made.residual_m):
        item["properties"]["flyonce:residual_m"] = round(made.residual_m, 3)
    item["links"] += [
        item_link("derived_from", PHOTOS, items[i]["id"], items[i]["properties"]["title"]) for i in made.used
    ]
    home.catalog.put_items([item])
    return item


def _store(home: Home, path: Path, name: str, media_type: str) -> Stored:
    kept = home.files.put(path)
    return Stored(name, kept.sha256, kept.size, media_type)
