"""A server that speaks the documented API of NodeODM over loopback, and breaks off where a test wants it to.

Written from the API's description (docs/index.adoc of OpenDroneMap/NodeODM); it processes nothing: a task is done when
the test says so.
"""

import json
import re
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

CODES = {"waiting": 10, "running": 20, "failed": 30, "done": 40, "cancelled": 50}
UUID = re.compile(r"^[0-9a-f]{8}-[0-9a-f]{4}-[1-7][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$")


@dataclass
class Begun:
    """A task, or one whose photos are still coming."""

    name: str
    options: list[dict[str, Any]]
    outputs: list[str]
    photos: list[tuple[str, bytes]] = field(default_factory=list)
    state: str = "waiting"
    error: str = ""


@dataclass
class NodeOdm:
    """What the test sees of the server, and what it tells it to do."""

    url: str = ""
    archive: bytes = b""
    after: str = "done"
    """The state of a task from when it was asked about once."""
    token: str = ""
    most_photos: int | None = None
    coming: dict[str, Begun] = field(default_factory=dict)
    tasks: dict[str, Begun] = field(default_factory=dict)
    removed: list[str] = field(default_factory=list)
    asked: Counter[str] = field(default_factory=Counter)
    """Requests by the first words of their path."""
    cut: Counter[str] = field(default_factory=Counter)
    """How many of the next requests of each kind are cut off: not even heard; a commit is done and its answer lost, a
    download ends in its middle."""
    output: tuple[str, ...] = ("[INFO] started", "", "[ERROR] not enough features")
    lock: threading.Lock = field(default_factory=threading.Lock)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    node: NodeOdm

    def log_message(self, *_: object) -> None:
        return

    def do_GET(self) -> None:
        self.serve(b"")

    def do_POST(self) -> None:
        self.serve(self.rfile.read(int(self.headers.get("content-length", "0"))))

    def serve(self, body: bytes) -> None:
        address = urlsplit(self.path)
        parts = address.path.strip("/").split("/")
        kind = "about" if parts == ["info"] else parts[1] if parts[1] in ("remove", "cancel") else parts[2]
        with self.node.lock:
            self.node.asked[kind] += 1
            if self.node.cut[kind] > 0:
                self.node.cut[kind] -= 1
                if kind != "download":
                    if kind == "commit":  # done, and the answer is lost
                        self.answer(kind, parts, {}, body)
                    self.close_connection = True
                    return
                self.send(200, self.node.archive, "application/zip", whole=False)
                return
            if self.node.token and parse_qs(address.query).get("token") != [self.node.token]:
                self.send(200, b'{"error": "Invalid authentication token: token does not match."}')
                return
            found = self.answer(kind, parts, parse_qs(address.query), body)
        if isinstance(found, bytes):
            self.send(200, found, "application/zip")
        else:
            self.send(200, json.dumps(found).encode())

    def send(self, status: int, body: bytes, kind: str = "application/json", *, whole: bool = True) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        with suppress(ConnectionError):  # whoever asked has gone
            self.wfile.write(body if whole else body[: len(body) // 2])
        self.close_connection = self.close_connection or not whole

    def answer(self, kind: str, parts: list[str], query: dict[str, list[str]], body: bytes) -> Any:
        node = self.node
        if kind == "about":
            return {"version": "2.2.4", "engine": "odm", "engineVersion": "3.5.6", "maxImages": node.most_photos}
        if kind == "init":
            said = {name: text.decode() for name, _, text in fields(body)}
            task = self.headers["set-uuid"]
            if not UUID.match(task) or task in node.tasks:
                return {"error": f"Invalid set-uuid: {task}"}
            node.coming[task] = Begun(said["name"], json.loads(said["options"]), json.loads(said["outputs"]))
            return {"uuid": task}
        if kind == "upload":
            if parts[3] not in node.coming:
                return {"error": "Invalid uuid (not found)"}
            node.coming[parts[3]].photos += [(name, content) for _, name, content in fields(body)]
            return {"success": True}
        if kind == "commit":
            node.tasks[parts[3]] = node.coming.pop(parts[3])
            return {"uuid": parts[3]}
        task = parse_qs(body.decode())["uuid"][0] if body else parts[1]
        if task not in node.tasks:
            return {"error": f"{task} not found"}
        return self.of_task(kind, task, node.tasks[task], query)

    def of_task(self, kind: str, name: str, task: Begun, query: dict[str, list[str]]) -> Any:
        if kind == "remove":
            self.node.removed.append(name)
            del self.node.tasks[name]
            return {"success": True}
        if kind == "output":
            return list(self.node.output)[int(query["line"][0]) :]
        if kind == "download":
            return self.node.archive if task.state == "done" else {"error": "not there yet"}
        told = {
            "uuid": name, "name": task.name, "dateCreated": 1_780_000_000_000, "processingTime": 1, "progress": 40.0,
            "status": {"code": CODES[task.state]} | ({"errorMessage": task.error} if task.error else {}),
            "options": task.options, "imagesCount": len(task.photos),
        }  # fmt: skip
        task.state = self.node.after
        return told


def fields(body: bytes) -> Iterator[tuple[str, str, bytes]]:
    """Name, file name and content of each part of a multipart body."""
    boundary = body.split(b"\r\n", 1)[0]
    for part in body.split(boundary)[1:-1]:
        head, _, content = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        named = re.search(rb' name="([^"]*)"', head)
        file = re.search(rb'filename="([^"]*)"', head)
        assert named is not None
        yield named[1].decode(), file[1].decode() if file else "", content.removesuffix(b"\r\n")


@pytest.fixture
def nodeodm() -> Iterator[NodeOdm]:
    """A NodeODM server on loopback."""
    node = NodeOdm()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"node": node}))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    node.url = f"http://127.0.0.1:{server.server_address[1]}"
    yield node
    server.shutdown()
    thread.join()
    server.server_close()
