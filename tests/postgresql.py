"""A PostgreSQL with PostGIS of our own, and fresh databases in it: fixtures for every kind of test."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Engine

from records.engine import migrate, open_engine
from stac import pgstac_schema
from stac.collections import all_collections
from stac.pgstac import PgstacCatalog, open_pgstac

START_SECONDS = 60


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def server_account() -> str | None:
    """PostgreSQL does not run as root; Debian's package brings the account `postgres` for that."""
    return "postgres" if os.geteuid() == 0 and "postgres" in {user.pw_name for user in pwd.getpwall()} else None


def wait_until_it_answers(server: "subprocess.Popen[bytes]", address: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            psycopg.connect(address, connect_timeout=5).close()
        except psycopg.OperationalError:
            if server.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"PostgreSQL did not start:\n{log.read_text(errors='replace')}")
            time.sleep(0.1)
        else:
            return


@pytest.fixture(scope="session")
def postgres_server(need_program: Callable[..., str]) -> Iterator[str]:
    """Address of a PostgreSQL of our own on a loopback port, its data in a temporary folder."""
    initdb, postgres = need_program("initdb"), need_program("postgres")
    account = server_account()
    folder = Path(tempfile.mkdtemp(prefix="flyonce-postgres-"))
    if account:
        shutil.chown(folder, account, pwd.getpwnam(account).pw_gid)
    data, log, port = folder / "data", folder / "log", free_port()
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}
    make = [initdb, "-D", str(data), "-U", "flyonce", "--auth=trust", "--encoding=UTF8", "--no-sync"]
    made = subprocess.run(make, user=account, env=environment, cwd=folder, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    serve = [postgres, "-D", str(data), "-p", str(port), "-h", "127.0.0.1", "-k", str(folder), "-c", "fsync=off"]
    with log.open("wb") as output:
        server = subprocess.Popen(serve, user=account, env=environment, cwd=folder, stdout=output, stderr=output)
    try:
        address = f"postgresql://flyonce@127.0.0.1:{port}"
        wait_until_it_answers(server, f"{address}/postgres", log)
        yield address
    finally:
        server.send_signal(2)  # SIGINT: PostgreSQL's fast shutdown
        server.wait(START_SECONDS)
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def postgres_template(postgres_server: str) -> str:
    """Name of a migrated database that others are copied from."""
    with psycopg.connect(f"{postgres_server}/postgres", autocommit=True) as conn:
        conn.execute("CREATE DATABASE flyonce_template")
    engine = open_engine(f"{postgres_server}/flyonce_template")
    migrate(engine)
    engine.dispose()
    return "flyonce_template"


@pytest.fixture
def postgres_url(postgres_server: str, postgres_template: str) -> Iterator[str]:
    """Fresh, migrated books of one test."""
    name = f"books_{uuid.uuid4().hex}"
    with psycopg.connect(f"{postgres_server}/postgres", autocommit=True) as conn:
        conn.execute(f'CREATE DATABASE "{name}" TEMPLATE "{postgres_template}"')
    yield f"{postgres_server}/{name}"
    with psycopg.connect(f"{postgres_server}/postgres", autocommit=True) as conn:
        conn.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture(scope="session")
def pgstac_template(postgres_server: str, skip_lacking: Callable[[str], None]) -> str:
    """Name of a database with the catalogue's schema and collections, that others are copied from."""
    with psycopg.connect(f"{postgres_server}/postgres", autocommit=True) as conn:
        there = {name for (name,) in conn.execute("SELECT name FROM pg_available_extensions")}
        if missing := {"postgis", "btree_gist", "unaccent", "pg_trgm"} - there:
            skip_lacking(f"this PostgreSQL has no {', '.join(sorted(missing))} (make system-packages)")
        conn.execute("CREATE DATABASE pgstac_template")
    address = f"{postgres_server}/pgstac_template"
    pgstac_schema.migrate(address)
    engine = open_engine(address)
    migrate(engine)
    engine.dispose()
    catalog = open_pgstac(address)
    for collection in all_collections():
        PgstacCatalog(catalog).put_collection(collection)
    catalog.dispose()
    return "pgstac_template"


@pytest.fixture(scope="session")
def pgstac_database(postgres_server: str, pgstac_template: str) -> Callable[[], str]:
    """Makes the address of a fresh database with books and catalogue."""

    def make() -> str:
        name = f"catalog_{uuid.uuid4().hex}"
        with psycopg.connect(f"{postgres_server}/postgres", autocommit=True) as conn:
            conn.execute(f'CREATE DATABASE "{name}" TEMPLATE "{pgstac_template}"')
        return f"{postgres_server}/{name}"

    return make


@pytest.fixture(scope="module")
def pgstac_engine(pgstac_database: Callable[[], str]) -> Iterator[Engine]:
    engine = open_pgstac(pgstac_database())
    yield engine
    engine.dispose()
