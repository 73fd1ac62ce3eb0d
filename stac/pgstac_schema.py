"""The schema of the city's catalogue: pgstac's own migrations, then `pgstac.sql` and our indexes."""

import hashlib
from importlib.resources import files

import psycopg
from psycopg import sql
from pypgstac.version import __version__ as PGSTAC_VERSION
from sqlalchemy.engine import make_url

from imagery.errors import Refused
from stac.properties import CHOSEN, column_of

SEARCH_PATH = "pgstac,public"
_LOCK = 0x70677374  # "pgst": any fixed number that nobody else locks in this database
_NEEDED = ("postgis", "btree_gist", "unaccent", "pg_trgm")


def migrate(url: str) -> None:
    """Bring the database at a SQLAlchemy URL to this program's schema. Safe to repeat, and from many processes at once.

    Raises `Refused`: no-postgis where the server lacks an extension, catalogue-newer where its pgstac is newer than
    this program's.
    """
    address = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    ours = _additions()
    digest = hashlib.sha256(ours.encode()).hexdigest()
    with psycopg.connect(address, autocommit=True) as conn:
        if _state(conn) == (PGSTAC_VERSION, digest):
            return
        conn.execute("SELECT pg_advisory_lock(%s)", (_LOCK,))  # given back when the connection ends
        version, installed = _state(conn)
        _check(conn, version)
        if version != PGSTAC_VERSION:
            _migrate_pgstac(address)
        if (version, installed) != (PGSTAC_VERSION, digest):
            conn.execute(f"SET search_path = {SEARCH_PATH}")
            with conn.transaction():
                conn.execute(ours)
                conn.execute(sql.SQL("COMMENT ON SCHEMA flyonce IS {}").format(sql.Literal(digest)))


def make_roles(conn: "psycopg.Connection[tuple[object, ...]]") -> None:
    """The roles that pgstac gives its rights to, as its own migrations make them."""
    for role in ("pgstac_admin", "pgstac_read", "pgstac_ingest"):
        if conn.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (role,)).fetchone() is None:
            conn.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(role)))
    conn.execute("GRANT pgstac_read TO pgstac_ingest")
    conn.execute("GRANT pgstac_admin TO current_user")


def _migrate_pgstac(address: str) -> None:
    from pypgstac.db import PgstacDB
    from pypgstac.migrate import Migrate

    # A connection of our own: the one that it would open itself stays open until the process ends.
    with psycopg.connect(address, autocommit=True, options=f"-c search_path={SEARCH_PATH}") as conn:
        db = PgstacDB(dsn=address, connection=conn)
        try:
            Migrate(db).run_migration()
        finally:
            db.close()


def _state(conn: "psycopg.Connection[tuple[object, ...]]") -> tuple[str | None, str | None]:
    """pgstac's version and the digest of our additions, as the database has them."""
    ((there, digest),) = conn.execute(
        "SELECT to_regclass('pgstac.migrations'), obj_description(to_regnamespace('flyonce'), 'pg_namespace')"
    ).fetchall()
    if there is None:
        return None, None
    ((version,),) = conn.execute("SELECT pgstac.get_version()").fetchall()
    return None if version is None else str(version), None if digest is None else str(digest)


def _check(conn: "psycopg.Connection[tuple[object, ...]]", version: str | None) -> None:
    there = {str(name) for (name,) in conn.execute("SELECT name FROM pg_available_extensions")}
    if missing := [name for name in _NEEDED if name not in there]:
        raise Refused(
            "no-postgis",
            f"This PostgreSQL lacks {', '.join(missing)}, which the catalogue needs 缺少扩展.",
            "Install postgresql-15-postgis-3 and postgresql-contrib (or your version's) on the database's machine "
            "请在数据库服务器上安装 PostGIS 与 contrib。",
        )
    if version is not None and _numbers(version) > _numbers(PGSTAC_VERSION):
        raise Refused(
            "catalogue-newer",
            f"The database's pgstac is {version}, this program's {PGSTAC_VERSION}.",
            "Update flyonce 请升级 flyonce。",
        )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def indexes() -> dict[str, str]:
    """The statements that make our indexes of the items, by name; expressions as `stac.pgstac_dialect` writes them, so
    that PostgreSQL sees that they are the same."""
    keys = {
        "newest": '(flyonce.moment(content, private) DESC, (collection COLLATE "C"), (id COLLATE "C"))',
        "id": '((id COLLATE "C"))',
        "files": "USING gin (flyonce.files_of(content, private))",
        "words": "USING gin (flyonce.words_of(id, content, private) public.gin_trgm_ops)",
        **{column_of(name): f"(({_compared(name, kind)}))" for name, kind in CHOSEN.items()},
    }
    return {
        f"pgstac.flyonce_{name}": f"CREATE INDEX IF NOT EXISTS flyonce_{name} ON pgstac.items {key}"
        for name, key in keys.items()
    }


def _compared(name: str, kind: str) -> str:
    value = f"flyonce.{kind}_at(content -> 'properties', '{{\"{name}\"}}'::text[])"
    return value if kind == "number" else f'{value} COLLATE "C"'


def _additions() -> str:
    text = files("stac").joinpath("pgstac.sql").read_text("utf-8")
    return "\n".join([text, *(f"{statement};" for statement in indexes().values())])
