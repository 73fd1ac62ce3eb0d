"""The bytes of one request into a growing file: received while the ones before them are hashed and written.

Memory stays flat: at most two blocks are held, whatever the file's size. A line that falls silent or breaks is no
error: what has come is kept, made safe, and the sender goes on from there.
"""

import asyncio
import hmac
import time
from collections.abc import AsyncIterator

from starlette.requests import ClientDisconnect

from catalog_api.tus import CHECKSUM_MISMATCH, Checksum, TusError
from catalog_api.uploading import Uploads, disk
from records.spool import Growing
from records.uploads import Upload

BLOCK = 4 << 20
SILENCE_SECONDS = 30.0
"""A sender that says nothing for so long is taken for gone, so that its upload is free for its next try."""
CHECKPOINT_SECONDS = 2.0
"""How much work on a fast line a killed server may forget."""


class Writer:
    """Writes blocks in a thread, one at a time, and makes them safe now and then."""

    def __init__(self, uploads: Uploads, upload: Upload, growing: Growing, checksum: Checksum | None) -> None:
        self._uploads, self._upload, self._growing = uploads, upload, growing
        self._hasher = None if checksum is None else checksum.hasher()
        self._safe_at = time.monotonic()
        self._running: asyncio.Task[None] | None = None

    async def write(self, block: list[bytes]) -> None:
        """Hand over a block once the one before it is written. Raises what went wrong with that one."""
        await self.wait()
        self._running = asyncio.create_task(asyncio.to_thread(self._write, block))

    async def wait(self) -> None:
        running, self._running = self._running, None
        if running is not None:
            await running

    def matches(self, checksum: Checksum) -> bool:
        return self._hasher is not None and hmac.compare_digest(self._hasher.digest(), checksum.digest)

    def _write(self, block: list[bytes]) -> None:
        with disk():
            self._growing.write(*block)
        if self._hasher is not None:
            for piece in block:
                self._hasher.update(piece)  # and nothing is safe before the checksum is known
        elif time.monotonic() - self._safe_at > CHECKPOINT_SECONDS:
            self._uploads.checkpoint(self._upload, self._growing)
            self._safe_at = time.monotonic()


async def pour(
    uploads: Uploads, upload: Upload, growing: Growing, body: AsyncIterator[bytes], checksum: Checksum | None
) -> Upload:
    """Append a request's body and settle; the upload afterwards.

    Raises `TusError`: 413 beyond the upload's length, 460 where the checksum differs, 507 on a full disk. After the
    first two the file is as it was before; after the third what could be written is kept.
    """
    back = growing.mark()
    writer = Writer(uploads, upload, growing, checksum)
    whole, fault = False, None
    try:
        whole = await _all(writer, body, upload.length - growing.offset)
    except TusError as error:
        fault = error
    except BaseException:
        await _quietly(writer)
        raise
    kept = fault is None or fault.code == "disk-full"
    if checksum is not None:
        kept = fault is None and whole and writer.matches(checksum)
    if not kept:
        back()
    upload = await asyncio.to_thread(uploads.settle, upload, growing)
    if fault is not None:
        raise fault
    if whole and not kept:
        raise TusError(CHECKSUM_MISMATCH, "checksum-mismatch", "Damaged on the way: send these bytes again.")
    return upload


async def _all(writer: Writer, body: AsyncIterator[bytes], room: int) -> bool:
    """Write the whole body; False where the line broke before its end. Raises `TusError`."""
    whole = True
    try:
        async for block in _blocks(body):
            room -= sum(map(len, block))
            if room < 0:
                await writer.wait()
                raise TusError(413, "too-long", "These bytes go beyond the length of the upload.")
            await writer.write(block)
    except (ClientDisconnect, TimeoutError):
        whole = False
    await writer.wait()
    return whole


async def _blocks(body: AsyncIterator[bytes]) -> AsyncIterator[list[bytes]]:
    """The body in blocks of about `BLOCK` bytes and one rest, each as the pieces that came. What has come before a
    break is given before it is raised."""
    held: list[bytes] = []
    size = 0
    broken: Exception | None = None
    try:
        while True:
            async with asyncio.timeout(SILENCE_SECONDS):
                chunk = await anext(body, None)
            if chunk is None:
                break
            held.append(chunk)
            size += len(chunk)
            if size >= BLOCK:
                yield held
                held, size = [], 0
    except (ClientDisconnect, TimeoutError) as error:
        broken = error
    if held:
        yield held
    if broken is not None:
        raise broken


async def _quietly(writer: Writer) -> None:
    """Wait for the thread that still writes, so that nobody else writes beside it."""
    try:
        await asyncio.shield(writer.wait())
    except Exception:  # noqa: BLE001 - what matters is being raised already
        return
