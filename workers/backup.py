"""A home as a folder that another home can be made from: the database as it was at one moment, and every file.

The database is taken first: a file is stored before anything names it, so the files that are copied afterwards hold all
that it names. Files never change, so a backup into the same folder again copies only the new ones.
"""

import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import tempfile
from contextlib import closing
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any, cast

import psycopg
from sqlalchemy.engine import URL, make_url

from imagery.errors import Refused
from records.files import DirectoryStore, write_atomically
from records.settings import Settings
from stac import pgstac_schema

MANIFEST = "flyonce-backup.json"
_NOWHERE = b"SELECT pg_catalog.set_config('search_path', ''"
_IN_PGSTAC = f"SELECT pg_catalog.set_config('search_path', '{pgstac_schema.SEARCH_PATH}', false);\n".encode()
_SQLITE, _DUMP = "flyonce.sqlite", "flyonce.pgdump"


@dataclass(frozen=True, slots=True)
class Backup:
    """What a backup holds; kept beside it as JSON."""

    flyonce: str
    database: str
    """Name of the file."""
    sha256: str
    """Of the database's file."""
    files: int
    bytes: int


def backup(settings: Settings, folder: Path) -> Backup:
    """Write a backup of the home into a folder, new or with an earlier backup in it, while the home is in use.

    Raises `Refused`: no-home, not-a-backup (the folder holds something else), no-program, database (what it said).
    """
    if not settings.home.is_dir():
        raise Refused("no-home", f"{settings.home} is not a flyonce home.", "Set FLYONCE_HOME.")
    if folder.exists() and any(folder.iterdir()) and not (folder / MANIFEST).is_file():
        raise Refused("not-a-backup", f"{folder} holds something that is no backup.", "Name an empty or a new folder.")
    folder.mkdir(parents=True, exist_ok=True)
    url = make_url(settings.books_url)
    name = _SQLITE if url.get_backend_name() == "sqlite" else _DUMP
    # A manifest says that a backup is whole, so there is none while it is not.
    (folder / MANIFEST).unlink(missing_ok=True)
    part = folder / f"{name}.part"
    part.unlink(missing_ok=True)
    if name == _SQLITE:
        _copy_sqlite(Path(str(url.database)), part)
    else:
        _run(["pg_dump", "--format=custom", "--no-password", f"--file={part}"], url)
    part.replace(folder / name)
    files, size = _copy_files(DirectoryStore(settings.files_dir), DirectoryStore(folder / "files"))
    if settings.outbox_dir.is_dir():
        shutil.copytree(settings.outbox_dir, folder / "outbox", dirs_exist_ok=True)
    made = Backup(version("flyonce"), name, _sha256(folder / name), files, size)
    write_atomically(folder / MANIFEST, json.dumps(asdict(made), indent=1).encode())
    return made


def restore(settings: Settings, folder: Path) -> Backup:
    """Make the home that the settings name from a backup. Nothing that exists is written over.

    Raises `Refused`: not-a-backup, home-exists, database-in-use (PostgreSQL's is not empty), damaged-backup,
    another-database, no-program, database.
    """
    made = _manifest(folder)
    if settings.home.exists() and any(settings.home.iterdir()):
        raise Refused("home-exists", f"{settings.home} is not empty.", "Set FLYONCE_HOME to a new folder.")
    if _sha256(folder / made.database) != made.sha256:
        raise Refused("damaged-backup", f"{folder / made.database} is not what was written.", "Take another backup.")
    url = make_url(settings.books_url)
    if (url.get_backend_name() == "sqlite") != (made.database == _SQLITE):
        kind = "SQLite" if made.database == _SQLITE else "PostgreSQL"
        raise Refused("another-database", f"This is a backup of {kind}.", "Set FLYONCE_DATABASE_URL accordingly.")
    arriving = settings.home.with_name(f".{settings.home.name}.restoring")
    shutil.rmtree(arriving, ignore_errors=True)
    arriving.mkdir(parents=True)
    count, _ = _copy_files(DirectoryStore(folder / "files"), DirectoryStore(arriving / "files"))
    if count < made.files:
        raise Refused("damaged-backup", f"{made.files - count} files are missing.", "Take another backup.")
    if (folder / "outbox").is_dir():
        shutil.copytree(folder / "outbox", arriving / "outbox")
    if made.database == _DUMP:
        _restore_postgresql(folder / _DUMP, url)
    else:
        database = Path(str(url.database))
        inside = database.is_relative_to(settings.home)
        target = arriving / database.relative_to(settings.home) if inside else database
        if target.exists():
            raise Refused("database-in-use", f"{target} exists.", "Set FLYONCE_DATABASE_URL to a new file.")
        target.parent.mkdir(parents=True, exist_ok=True)
        _copy_sqlite(folder / _SQLITE, target)
    if settings.home.exists():
        settings.home.rmdir()
    arriving.replace(settings.home)
    return made


def _manifest(folder: Path) -> Backup:
    try:
        return Backup(**json.loads((folder / MANIFEST).read_text("utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise Refused("not-a-backup", f"{folder} holds no whole backup: {error}", "Name its folder.") from error


def _copy_sqlite(source: Path, target: Path) -> None:
    """As of one moment, while others write."""
    with (
        closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True)) as read,
        closing(sqlite3.connect(target)) as written,
    ):
        read.backup(written)
        written.execute("PRAGMA journal_mode = DELETE")
        ((answer,),) = written.execute("PRAGMA quick_check(1)").fetchall()
    if answer != "ok":
        raise Refused("database", f"{source} is damaged: {answer}", "Restore an earlier backup.")


def _copy_files(source: DirectoryStore, target: DirectoryStore) -> tuple[int, int]:
    """Put into `target` what it lacks; how many files and bytes there are. A file whose bytes are not its name's is
    refused: a backup that keeps it would be believed."""
    count = size = 0
    for sha256 in source.names():
        count += 1
        size += source.size(sha256)
        if not target.exists(sha256):
            kept = target.put(source.path(sha256))
            if kept.sha256 != sha256:
                raise Refused(
                    "damaged-file",
                    f"{source.path(sha256)} has other bytes than its name says.",
                    "`flyonce admin verify` names every such file; take it from an earlier backup.",
                )
    return count, size


def _restore_postgresql(dump: Path, url: URL) -> None:
    address = url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(address, autocommit=True) as conn:
        if conn.execute(
            "SELECT 1 FROM pg_tables WHERE tablename = 'alembic_version' OR schemaname = 'pgstac'"
        ).fetchone():
            raise Refused("database-in-use", "The database holds a flyonce already.", "Name a new, empty one.")
        # Roles belong to the server, not to the database, so no dump of a database brings them.
        pgstac_schema.make_roles(conn)
    _run_together(
        ["pg_restore", "--no-owner", "--file=-", str(dump)],
        ["psql", "--no-psqlrc", "--quiet", "--single-transaction", "--set=ON_ERROR_STOP=1", "--output=/dev/null"],
        url,
    )


def _run(command: list[str], url: URL) -> None:
    done = subprocess.run(command, env=_environment(command, url), capture_output=True, text=True, check=False)
    _check(command, done.returncode, done.stderr)


def _run_together(reading: list[str], writing: list[str], url: URL) -> None:
    """The SQL that one writes through the other, with pgstac in the search path: columns of its tables are made by
    functions that name others without their schema, which PostgreSQL's own way of restoring does not find."""
    with (
        tempfile.TemporaryFile() as told,
        subprocess.Popen(writing, env=_environment(writing, url), stdin=subprocess.PIPE, stderr=told) as written,
        subprocess.Popen(reading, env=_environment(reading, url), stdout=subprocess.PIPE, stderr=told) as read,
    ):
        script, sink = cast(IO[bytes], read.stdout), cast(IO[bytes], written.stdin)
        try:
            for line in script:
                sink.write(_IN_PGSTAC if line.startswith(_NOWHERE) else line)
            # A script that ended early must not be committed: psql is not told that it ended.
            if read.wait() != 0:
                written.kill()
            sink.close()
        except BrokenPipeError:
            script.close()  # psql gave up; it says why below
        codes = read.wait(), written.wait()
        told.seek(0)
        _check(writing, max(abs(code) for code in codes), told.read().decode(errors="replace"))


def _environment(command: list[str], url: URL) -> dict[str, str]:
    """Address and password go to a program of PostgreSQL's by its environment, which no list of processes shows."""
    if shutil.which(command[0]) is None:
        raise Refused("no-program", f"{command[0]} is not installed.", "Install postgresql-client 请安装该软件包。")
    said: dict[str, Any] = {
        "PGHOST": url.host,
        "PGPORT": url.port,
        "PGUSER": url.username,
        "PGPASSWORD": url.password,
        "PGDATABASE": url.database,
    }
    return {**os.environ, **{name: str(value) for name, value in said.items() if value is not None}}


def _check(command: list[str], code: int, told: str) -> None:
    if code != 0:
        raise Refused(
            "database",
            f"{command[0]} failed: {told.strip()[-600:]}",
            "See what it says; nothing of the home has changed.",
        )


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as source:
            return hashlib.file_digest(source, "sha256").hexdigest()
    except OSError as error:
        raise Refused("not-a-backup", f"{path} cannot be read: {error.strerror}.", "Name a backup's folder.") from error
