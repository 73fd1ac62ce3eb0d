"""What photogrammetry makes of a flight's photos, as items: the archive of a NodeODM task, read and stored."""

import json
import shutil
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from statistics import median

from imagery.cog import write_cog, write_thumbnail
from imagery.errors import Refused
from imagery.inspect import inspect
from imagery.values import Capture, Footprint
from stac import extensions, times
from stac.assets import COG, Stored, asset
from stac.captures import capture_item
from stac.collections import PHOTOS
from stac.items import Custody, item_link, strictest
from stac.store import Item
from workers.home import Home
from workers.mosaic import THUMBNAIL_SIDE
from workers.nodeodm import DSM, FULL, ORTHOPHOTO, About

GNSS_ERROR = 5.0
"""Metres: what a photo's position may be off by where its item does not tell."""
RESERVE = 256 << 20
"""Bytes of disk that a result leaves free."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is made of which photos. `key` follows from both."""

    key: str
    flight: Item
    photos: Sequence[Item]
    options: dict[str, object]

    @property
    def item_id(self) -> str:
        return f"full-{self.key[:16]}"


@contextmanager
def room(folder: Path) -> Iterator[None]:
    """A full disk by name: the result stays at the server."""
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise full_disk(folder) from error


def full_disk(folder: Path) -> Refused:
    return Refused(
        "disk-full",
        f"The disk of {folder.parent} has no room for the result.",
        "Make room and give the same command again: the result waits at the server. 磁盘空间不足，清理后重新执行即可。",
    )


def _member(archive: zipfile.ZipFile, name: str, folder: Path) -> Path | None:
    """A file of the archive on the disk; None where it has none of that name."""
    if name not in archive.namelist():
        return None
    # It, its COG, and what is stored of that.
    if 3 * archive.getinfo(name).file_size + RESERVE > shutil.disk_usage(folder).free:
        raise full_disk(folder)
    out = folder / PurePosixPath(name).name
    with archive.open(name) as source, out.open("wb") as target:
        shutil.copyfileobj(source, target, 1 << 20)
    return out


def items_of(home: Home, order: Order, about: About, archive: Path, folder: Path) -> list[Item]:
    """The result's items, their files stored. Nothing is catalogued."""
    try:
        with zipfile.ZipFile(archive) as opened:
            ortho, dsm = _member(opened, ORTHOPHOTO, folder), _member(opened, DSM, folder)
    except zipfile.BadZipFile as error:
        raise Refused(
            "damaged-result", f"NodeODM's archive is damaged: {error}.", "Give the same command again to fetch it anew."
        ) from error
    if ortho is None:
        raise Refused(
            "no-orthophoto",
            "NodeODM calls the task done, but its archive holds no orthophoto.",
            "See the task's output there: most often the photos tell no place, or do not overlap.",
        )
    return [_item(home, order, about, raster, folder) for raster in (ortho, dsm) if raster is not None]


def _item(home: Home, order: Order, about: About, raster: Path, folder: Path) -> Item:
    owner, photos = order.flight, order.photos
    heights = raster.name == PurePosixPath(DSM).name
    try:
        capture = inspect(raster)
        write_cog(raster, cog := folder / f"{owner['id']}-{'dsm' if heights else 'orthophoto'}.tif")
        write_thumbnail(cog, small := folder / "thumbnail.jpg", THUMBNAIL_SIDE)
    except Refused as refused:
        told = refused.message.replace(str(raster), f"NodeODM's {raster.name}").replace(f"{folder}/", "")
        raise Refused("not-a-geotiff", told, "See the task's output there; the archive was not kept.") from refused
    if capture.kind != ("elevation" if heights else "orthophoto"):
        raise Refused("not-a-geotiff", f"NodeODM's {raster.name} is of kind {capture.kind}.", "See the task there.")
    item = capture_item(
        _as_flown(capture, photos),
        order.item_id,
        custody=Custody(owner["properties"]["flyonce:department"], strictest([*photos, owner])),
        flight=owner["id"],
        created=datetime.now(UTC),
        original=_store(home, cog, COG),
    )
    name = "地表模型 surface model" if heights else "正射影像 orthophoto"
    item["properties"] |= {
        "title": f"{owner['properties'].get('title', owner['id'])} {name}",
        "flyonce:quality": "full",
        "processing:lineage": f"NodeODM over {len(photos)} photos, {json.dumps(order.options)}",
        "processing:datetime": times.rfc3339(datetime.now(UTC)),
        "processing:software": {"NodeODM": about.version, **dict([about.engine.split(" ", 1)])},
    }
    item["stac_extensions"].append(extensions.PROCESSING)
    item["assets"]["thumbnail"] = asset(_store(home, small, "image/jpeg"), "缩略图 Thumbnail", "thumbnail")
    item["links"] += [item_link("derived_from", PHOTOS, one["id"], one["properties"]["title"]) for one in photos]
    return item


def _as_flown(capture: Capture, photos: Sequence[Item]) -> Capture:
    """It lies no better than the positions that it was laid by, whatever its georeference says."""
    off = [float(one["properties"].get("flyonce:pose_sigma", {}).get("position", GNSS_ERROR)) for one in photos]
    place = capture.footprint
    error = round(max(place.error_m, median(off)), 2)
    taken = times.parse(photos[0]["properties"]["datetime"])
    return replace(
        capture,
        footprint=Footprint(place.geometry, place.method, error),
        taken=taken,
        taken_zone="tag",
        notes=(f"made from {len(photos)} photos 由照片生成",),
    )


def _store(home: Home, path: Path, media_type: str) -> Stored:
    kept = home.files.put(path)
    return Stored(path.name, kept.sha256, kept.size, media_type)
