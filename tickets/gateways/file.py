"""The gateway `file`: a folder with one JSON document per ticket and the crops it speaks of beside it."""

import fcntl
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from records.files import FileStore, write_atomically
from records.outbox import DeliveryError

_NUMBER = re.compile(r"FO-\d{8}-\d{6,}")
_HREF = re.compile(r"/assets/([0-9a-f]{64})/([^/\\\x00-\x1f]{1,255})")


class FileGateway:
    """`<ticket>.json` appears whole, and after the crops that it names (`evidence.files`), so that whoever watches the
    folder may take it as soon as it is there. A ticket that was taken out of the folder may come once more after a
    crash: know it again by its number.
    """

    name = "gateway file"

    def __init__(self, folder: Path, files: FileStore) -> None:
        self.folder = folder
        self._files = files

    def file(self, ticket: dict[str, Any]) -> dict[str, Any]:
        number = ticket["ticket"]
        if not _NUMBER.fullmatch(number):
            raise ValueError(f"not a ticket number: {number!r}")
        target = self.folder / f"{number}.json"
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._alone():
            if not target.exists():
                crops = {what: self._copy(number, what, ticket["evidence"][what]) for what in ("before", "after")}
                files = {what: name for what, name in crops.items() if name is not None}
                content = ticket | {"evidence": ticket["evidence"] | {"files": files}}
                text = json.dumps(content, ensure_ascii=False, indent=2)
                write_atomically(target, f"{text}\n".encode())
        return {"file": target.name}

    def _copy(self, number: str, what: str, href: str | None) -> str | None:
        """Put a crop beside the ticket; its name there."""
        if href is None:
            return None
        found = _HREF.fullmatch(href)
        if found is None or not self._files.exists(found[1]):
            raise DeliveryError(f"{number}: its evidence {what!r} ({href}) is not in the file store; restore it there")
        name = f"{number}-{what}{PurePosixPath(found[2]).suffix.lower()}"
        write_atomically(self.folder / name, self._files.path(found[1]).read_bytes())
        return name

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other processes from filing into this folder; a killed one lets go by itself."""
        with (self.folder / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
