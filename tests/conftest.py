"""Fixtures that every kind of test shares."""

import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from fastapi import FastAPI

    from workers.home import Home

ROOT = Path(__file__).parents[1]
_TESTS = Path(__file__).parent

# Properties are about answers; a busy machine must not turn one into a failure.
settings.register_profile("flyonce", deadline=None)
settings.load_profile("flyonce")


def sibling(path: Path) -> ModuleType:
    """A module among the tests, which are no packages."""
    spec = importlib.util.spec_from_file_location("_".join(path.relative_to(_TESTS).with_suffix("").parts), path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


nodeodm = sibling(_TESTS / "nodeodm.py").nodeodm
_schemas = sibling(_TESTS / "schemas.py")
schemas, validate = _schemas.schemas, _schemas.validate
_postgresql = sibling(_TESTS / "postgresql.py")
postgres_server, postgres_template = _postgresql.postgres_server, _postgresql.postgres_template
postgres_url, pgstac_template = _postgresql.postgres_url, _postgresql.pgstac_template
pgstac_database, pgstac_engine = _postgresql.pgstac_database, _postgresql.pgstac_engine


def lacking(what: str) -> None:
    """Skip because `what` is not there, or fail where everything was promised (`FLYONCE_REQUIRE_ALL=1`)."""
    if os.environ.get("FLYONCE_REQUIRE_ALL") == "1":
        pytest.fail(f"FLYONCE_REQUIRE_ALL=1, but {what}")
    pytest.skip(what)


def find_program(*names: str) -> str:
    """Path of the first of these programs that is installed; PostgreSQL's own folder on Debian is looked into too."""
    folders = [os.environ.get("PATH", ""), *map(str, sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True))]
    for name in names:
        if found := shutil.which(name, path=os.pathsep.join(folders)):
            return found
    lacking(f"the program {' or '.join(names)} is not installed (make system-packages)")
    raise AssertionError("unreachable")


@pytest.fixture(scope="session")
def need_program():
    """`need_program("exiftool")` gives the program's path, or skips."""
    return find_program


@pytest.fixture(scope="session")
def skip_lacking():
    """`skip_lacking("what is not there")` skips, or fails where everything was promised."""
    return lacking


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real imagery; its SOURCES.md says what each part is and what it may be used for."""
    folder = Path(os.environ.get("FLYONCE_DATA", ROOT.parent / "shared" / "data"))
    if not (folder / "SOURCES.md").is_file():
        lacking(f"no real imagery at {folder}: set FLYONCE_DATA to its folder")
    return folder


@pytest.fixture(autouse=True, scope="session")
def no_cache_of_the_user(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Commands that tests start keep their tiles apart from those of whoever runs the tests."""
    os.environ.setdefault("FLYONCE_CACHE", str(tmp_path_factory.mktemp("tiles")))


@pytest.fixture(scope="session")
def serving() -> "Callable[..., AbstractContextManager[str]]":
    """`with serving(app) as url`: the real server over an application, in a thread, on a loopback port."""

    @contextmanager
    def serve(app: "FastAPI") -> Iterator[str]:
        import uvicorn

        server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", ws="none"))
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        while not server.started:
            assert thread.is_alive(), "the server ended while it started"
            time.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()

    return serve


@pytest.fixture
def home(tmp_path: Path) -> "Iterator[Home]":
    """A fresh embedded home."""
    from records.settings import Settings
    from workers.home import Home

    with Home.open(Settings(home=tmp_path / "home")) as opened:
        yield opened


S3_KEY = {"accessKey": "flyonce", "secretKey": "only-for-tests"}


@pytest.fixture(scope="session")
def seaweed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Settings of a bucket on a SeaweedFS of its own, on loopback ports; give each test a prefix in `store_url`."""
    from obstore import sign
    from obstore.store import S3Store

    folder = tmp_path_factory.mktemp("seaweed")
    identity = {"name": "tests", "credentials": [S3_KEY], "actions": ["Admin", "Read", "Write", "List", "Tagging"]}
    (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
    with ExitStack() as taken:
        listeners = [taken.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(8)]
        ports = [listener.getsockname()[1] for listener in listeners]
    names = ("master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port", "filer.port.grpc")
    weed = Path(sys.executable).with_name("weed")
    command = [
        str(weed) if weed.is_file() else find_program("weed"),
        *("server", "-s3", "-s3.iam=false", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-dir={folder}"),
        *("-master.volumeSizeLimitMB=64", "-volume.max=20", "-master.telemetry=false", f"-s3.config={folder}/s3.json"),
        *("-s3.port.iceberg=0", "-s3.port.lance=0", f"-s3.port={ports[6]}", f"-s3.port.grpc={ports[7]}"),
        *(f"-{name}={port}" for name, port in zip(names, ports[:6], strict=True)),
    ]
    endpoint = f"http://127.0.0.1:{ports[6]}"
    bucket = S3Store(
        "flyonce",
        endpoint=endpoint,
        region="us-east-1",
        access_key_id=S3_KEY["accessKey"],
        secret_access_key=S3_KEY["secretKey"],
        client_options={"allow_http": True},
    )
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
    try:
        for _ in range(600):
            assert process.poll() is None, (folder / "log").read_text()[-2000:]
            try:
                if httpx.put(sign(bucket, "PUT", "", timedelta(seconds=60)), timeout=10).is_success:
                    break
            except httpx.TransportError:
                pass
            time.sleep(0.1)
        else:
            pytest.fail(f"SeaweedFS did not start: {(folder / 'log').read_text()[-2000:]}")
        yield {
            "store_url": "s3://flyonce",
            "store_endpoint": endpoint,
            "store_key_id": S3_KEY["accessKey"],
            "store_key": S3_KEY["secretKey"],
        }
    finally:
        process.kill()  # its data goes with the folder
        process.wait()
