"""A flight's photos in full: sent to a NodeODM server, waited for, its orthophoto and surface model catalogued.

Hours pass and anything may break off between, so the task's id is in the books before the server hears of it: a run
after a restart asks for that task and goes on. A task that the server does not know (its photos did not all arrive, or
it has forgotten it) is sent anew under a new id: photos sent again under the old one would lie there twice.
"""

import hashlib
import json
import tempfile
import threading
import time
import uuid
import zipfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeVar

from imagery.errors import Refused
from records import outside
from records.engine import transaction
from records.outside import Outside
from stac.collections import ELEVATION, ORTHOPHOTOS
from stac.store import Item
from workers.home import Home
from workers.mosaic import key_of, photos_of
from workers.nodeodm import About, LineBrokeError, OdmServer, Told
from workers.processed import Order, items_of, room
from workers.taking import Progress

LAST_LINES = 10
"""Of a failed task's output, told with the failure."""

Answer = TypeVar("Answer")


class StoppedError(Exception):
    """A person has stopped the wait; the task goes on at the server."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds: between two questions to the server; how long it may be silent before the run is given up; before a
    photo is sent once more, times the tries."""

    every: float = 5.0
    patience: float = 900.0
    retry: float = 5.0


def full_items(
    home: Home,
    flight: str,
    progress: Progress,
    *,
    resolution: float | None = None,
    stop: threading.Event | None = None,
    pace: Pace | None = None,
) -> list[Item]:
    """The orthophoto of a flight's photos, and the surface model where there is one, as catalogue items; those that are
    there where nothing is new.

    `resolution`: centimetres on the ground per pixel; None: what ODM makes by default (5, or the photos' own where that
    is coarser). Given again after any end it goes on.

    Raises `StoppedError` once `stop` is set, and `Refused`: no-such-flight, no-nodeodm, too-few-photos,
    too-many-photos, nodeodm-unreachable, processing-failed, processing-cancelled, disk-full, no-orthophoto,
    damaged-result, not-a-geotiff, and as `OdmServer` does.
    """
    owner, photos = photos_of(home, flight)
    options = _options(resolution)
    key = hashlib.sha256(json.dumps([key_of(photos), options]).encode()).hexdigest()
    order = Order(key, owner, photos, options)
    there = (home.catalog.get_item(collection, order.item_id) for collection in (ORTHOPHOTOS, ELEVATION))
    if known := [item for item in there if item is not None]:
        return known
    if home.settings.nodeodm_url is None:
        raise Refused(
            "no-nodeodm",
            "No NodeODM server is named, and full photogrammetry is done by one.",
            "Set FLYONCE_NODEODM_URL=http://host:3000; or make a preview, without --full. 请设置 NodeODM 服务地址。",
        )
    if len(photos) < 2:
        raise Refused("too-few-photos", f"Flight {flight} has {len(photos)} photos.", "Send its photos first.")
    pace = pace or Pace()
    server = OdmServer(home.settings.nodeodm_url.get_secret_value(), retry_seconds=pace.retry)
    waiter = _Waiter(server, pace, stop or threading.Event())
    about = waiter.ask(server.about)
    task = _under_way(home, server, waiter, key) or _begin(home, server, waiter, about, order, progress)
    _wait(home, server, waiter, task, order, progress)
    with tempfile.TemporaryDirectory(prefix="full-", dir=home.settings.home) as folder, room(Path(folder)):
        archive = _fetch(server, waiter, task, Path(folder), progress)
        items = items_of(home, order, about, archive, Path(folder))
        home.catalog.put_items(items)
    with transaction(home.engine) as conn:
        outside.forget(conn, key)
    with suppress(LineBrokeError, Refused):  # it clears up by itself after a while
        server.remove(task)
    return items


class _Waiter:
    """Asks again while a server does not answer, for as long as the pace allows."""

    def __init__(self, server: OdmServer, pace: Pace, stop: threading.Event) -> None:
        self._server, self._pace, self._stop = server, pace, stop

    def ask(self, question: Callable[[], Answer]) -> Answer:
        """Raises `StoppedError`, `Refused` (nodeodm-unreachable), and what the question does but `LineBrokeError`."""
        heard = time.monotonic()
        while True:
            self.check()
            try:
                return question()
            except LineBrokeError as error:
                if time.monotonic() - heard > self._pace.patience:
                    raise self.unreachable(error) from None
            self.pause()

    def unreachable(self, error: Exception) -> Refused:
        return Refused(
            "nodeodm-unreachable",
            f"NodeODM at {self._server.shown} does not answer: {error}.",
            "See that it runs, and give the same command again: it goes on. 请检查 NodeODM 服务后重新执行同一命令。",
        )

    def pause(self) -> None:
        self._stop.wait(self._pace.every)
        self.check()

    def check(self) -> None:
        if self._stop.is_set():
            raise StoppedError


def _under_way(home: Home, server: OdmServer, waiter: _Waiter, key: str) -> str | None:
    """The task that an earlier run began and that the server still knows."""
    with home.engine.connect() as conn:
        known = outside.find(conn, key)
    if known is None or known.service != server.shown:
        return None
    return known.task if waiter.ask(lambda: server.told(known.task)) is not None else None


def _begin(home: Home, server: OdmServer, waiter: _Waiter, about: About, order: Order, progress: Progress) -> str:
    """Send the photos as a new task; its id."""
    photos, owner = order.photos, order.flight
    if about.most_photos is not None and len(photos) > about.most_photos:
        raise Refused(
            "too-many-photos",
            f"NodeODM at {server.shown} takes {about.most_photos} photos at once; the flight has {len(photos)}.",
            "Use a larger node, or ingest the flight in parts.",
        )
    task = str(uuid.uuid4())
    with transaction(home.engine) as conn:
        outside.begin(conn, order.key, Outside(server.shown, task))

    def sent(percent: float) -> None:
        waiter.check()
        progress(f"发送照片 sending to {server.shown}", round(len(photos) * percent / 100), len(photos))

    with tempfile.TemporaryDirectory(prefix="photos-", dir=home.settings.home) as folder:
        files = []
        for number, photo in enumerate(photos):  # numbered: two cameras give one name to two photos
            ending = PurePosixPath(photo["properties"]["title"]).suffix or ".jpg"
            files.append(Path(folder, f"{number:05d}{ending}"))
            files[-1].symlink_to(home.asset_path(photo["assets"]["original"]["href"]))
        try:
            server.begin(task, files, order.options, str(owner["properties"].get("title", owner["id"])), sent)
        except LineBrokeError as error:
            if waiter.ask(lambda: server.told(task)) is None:  # else the answer alone was lost
                raise waiter.unreachable(error) from None
    return task


def _options(resolution: float | None) -> dict[str, object]:
    """A surface model too. A number is sent only where a person asked for it: NodeODM as of April 2026 (8ad3e30) ends
    with a TypeError on any option that is one."""
    return {"dsm": True} | ({} if resolution is None else {"orthophoto-resolution": f"{resolution:g}"})


def _wait(home: Home, server: OdmServer, waiter: _Waiter, task: str, order: Order, progress: Progress) -> None:
    """Until the task has been done."""
    while True:
        told: Told | None = waiter.ask(lambda: server.told(task))
        if told is not None and told.state == "done":
            progress("处理完成 processed", 100, 100)
            return
        if told is None or told.state in ("failed", "cancelled"):
            with transaction(home.engine) as conn:
                outside.forget(conn, order.key)  # given again, it is sent again
            raise _failed(server, waiter, task, told, len(order.photos))
        progress(f"三维重建 processing ({told.state})", round(told.progress), 100)
        waiter.pause()


def _failed(server: OdmServer, waiter: _Waiter, task: str, told: Told | None, photos: int) -> Refused:
    if told is None or told.state == "cancelled":
        what = "has forgotten the task" if told is None else "was told to cancel the task"
        return Refused(
            "processing-cancelled", f"NodeODM at {server.shown} {what}.", "Give the same command again to send it anew."
        )
    lines = [line for line in waiter.ask(lambda: server.last_lines(task, LAST_LINES)) if line.strip()]
    return Refused(
        "processing-failed",
        f"NodeODM at {server.shown} could not process {photos} photos: {told.error or 'it does not say why'}. "
        f"Its last lines: {' | '.join(lines) or 'none'}.",
        "Photos must overlap by 70 % and more, and the node needs memory for them. "
        "请检查重叠度与服务器内存；再次执行同一命令将重新提交。",
    )


def _fetch(server: OdmServer, waiter: _Waiter, task: str, folder: Path, progress: Progress) -> Path:
    def come(percent: float) -> None:
        waiter.check()
        progress("下载结果 fetching the result", round(percent), 100)

    def once() -> Path:
        for stump in folder.glob("*.zip"):
            stump.unlink()
        found = server.fetch(task, folder, come)
        if not zipfile.is_zipfile(found):
            raise LineBrokeError("the archive is not whole")
        return found

    return waiter.ask(once)
