"""A NodeODM server as pyodm speaks to it: its answers as values, its failures by name and without its token.

pyodm (BSD) speaks the documented API (https://github.com/OpenDroneMap/NodeODM). Three of its ways are worked around
here: it speaks https on port 443 alone, its messages hold whole addresses with the token, and its parallel download can
wait for ever after a range that broke off, so that archives are fetched in one stream.
"""

import errno
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qs, urlsplit

from pyodm import Node
from pyodm.exceptions import NodeResponseError, OdmError
from pyodm.types import TaskStatus

from imagery.errors import Refused

ORTHOPHOTO, DSM = "odm_orthophoto/odm_orthophoto.tif", "odm_dem/dsm.tif"
"""Members of a task's archive."""
PARALLEL = 4
"""Photos under way at once; each is held in memory."""
MOST_TRIES = 5
TIMEOUT = 60.0
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})

State = Literal["waiting", "running", "done", "failed", "cancelled"]
_STATES: dict[TaskStatus, State] = {
    TaskStatus.QUEUED: "waiting",
    TaskStatus.RUNNING: "running",
    TaskStatus.FAILED: "failed",
    TaskStatus.COMPLETED: "done",
    TaskStatus.CANCELED: "cancelled",
}


class LineBrokeError(Exception):
    """The server did not answer, or broke off; a later try may do better."""


@dataclass(frozen=True, slots=True)
class Told:
    """A task as the server tells of it. `progress` in percent."""

    state: State
    progress: float
    error: str


@dataclass(frozen=True, slots=True)
class About:
    """`most_photos`: of one task; None: any number."""

    version: str
    engine: str
    most_photos: int | None


class OdmServer:
    """The NodeODM server at `url`, `http://host:3000` or `https://host`, with `?token=…` where it asks for one.

    Methods raise `LineBrokeError`, and `Refused`: nodeodm-forbidden, nodeodm-refused, not-nodeodm. `retry_seconds`:
    between two tries to send one photo, times the try's number.
    """

    def __init__(self, url: str, *, retry_seconds: float = 5.0) -> None:
        """Raises `Refused` (bad-nodeodm-url)."""
        parts = urlsplit(url)
        try:
            port = parts.port or (443 if parts.scheme == "https" else 80)
        except ValueError:
            port = 0
        plain = parts.scheme in ("http", "https") and parts.hostname and port and parts.path in ("", "/")
        if not plain or parts.username or (parts.scheme == "https") != (port == 443):
            raise Refused(
                "bad-nodeodm-url",
                "FLYONCE_NODEODM_URL is no address that a NodeODM server can be spoken to at.",
                "It is http://host:3000, or https://host on port 443, with no path; a token goes at its end: ?token=….",
            )
        self._token = parse_qs(parts.query).get("token", [""])[0]
        self.shown = f"{parts.scheme}://{parts.hostname}:{port}"
        """The address without its token."""
        self._node = Node(parts.hostname, port, self._token, TIMEOUT)
        self._retry_seconds = retry_seconds

    def __repr__(self) -> str:
        return f"OdmServer({self.shown!r})"  # never the token

    def about(self) -> About:
        with self._asked():
            info = self._node.info()
        return About(str(info.version), f"{info.engine} {info.engine_version}", info.max_images)

    def told(self, task: str) -> Told | None:
        """What it says of a task; None where it knows of none by this id."""
        try:
            with self._asked():
                info = self._node.get_task(task).info()
                return Told(_STATES[info.status], float(info.progress), str(info.last_error))
        except Refused as refused:
            if refused.reason == "nodeodm-refused" and "not found" in refused.message:
                return None
            raise

    def last_lines(self, task: str, count: int) -> list[str]:
        """The end of what the task's program has printed."""
        with self._asked():
            return [str(line) for line in self._node.get_task(task).output(-count)]

    def begin(
        self, task: str, photos: Sequence[Path], options: dict[str, object], name: str, sent: Callable[[float], None]
    ) -> None:
        """Send photos as a new task of this id. `sent` is called with the percentage; what it raises ends it."""
        with self._asked():
            self._node.create_task(
                [str(path) for path in photos],
                options,
                name,
                sent,
                outputs=[ORTHOPHOTO, DSM],
                parallel_uploads=PARALLEL,
                max_retries=MOST_TRIES,
                retry_timeout=self._retry_seconds,
                task_uuid=task,
            )

    def fetch(self, task: str, folder: Path, come: Callable[[float], None]) -> Path:
        """The task's archive. Raises OSError where the disk is full."""
        with self._asked():
            return Path(self._node.get_task(task).download_zip(str(folder), come, parallel_downloads=1))

    def remove(self, task: str) -> None:
        with self._asked():
            self._node.get_task(task).remove()

    @contextmanager
    def _asked(self) -> Iterator[None]:
        """pyodm's errors as ours; never chained, since its own hold the token."""
        try:
            yield
        except NodeResponseError as error:
            said = self._without_token(error)
            if "unauthorized" in said.lower() or "token" in said.lower():
                failure: Exception = Refused(
                    "nodeodm-forbidden",
                    f"NodeODM at {self.shown} does not take the token.",
                    "Write the right one at the end of FLYONCE_NODEODM_URL: ?token=…. 请核对令牌。",
                )
            else:
                failure = Refused(
                    "nodeodm-refused", f"NodeODM at {self.shown} answered: {said}", "See what it says of itself there."
                )
        except OdmError as error:
            failure = LineBrokeError(self._without_token(error))
        except OSError as error:  # what requests raises is one too, without a number
            if error.errno in FULL:
                raise
            failure = LineBrokeError(self._without_token(error))
        except (KeyError, TypeError, AttributeError) as error:
            failure = Refused(
                "not-nodeodm",
                f"What answers at {self.shown} does not speak as NodeODM does ({type(error).__name__}).",
                "Check FLYONCE_NODEODM_URL.",
            )
        else:
            return
        raise failure from None

    def _without_token(self, error: Exception) -> str:
        text = " ".join(str(error).split())[:500]
        return text.replace(self._token, "…") if self._token else text
