"""An opened home: the books, the files and the catalogue of one deployment, handed to whatever works with them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from sqlalchemy import Engine

from imagery.errors import Refused
from records.engine import migrate, open_engine
from records.files import FileStore
from records.objects import open_files
from records.settings import Settings
from stac import pgstac_schema
from stac.assets import stored_sha256
from stac.collections import all_collections
from stac.pgstac import PgstacCatalog, open_pgstac
from stac.sqlite import SqliteCatalog
from stac.store import CatalogStore
from workers.tilecache import CacheAt, cache_of


@dataclass(frozen=True, slots=True)
class Home:
    """`engine` holds jobs, receipts, history and tickets. The catalogue is in the same database: SQLite's tables, or
    pgstac's schema on PostgreSQL."""

    settings: Settings
    engine: Engine
    files: FileStore
    catalog: CatalogStore
    _catalog_engine: Engine

    @classmethod
    def open(cls, settings: Settings, create: bool = True) -> Self:
        """Open the home that the settings name, bring its tables up to date and see that its collections exist.

        Raises `Refused`: no-home where there is none and `create` is false; and as `Elevation.check` does where the
        settings name an elevation model.
        """
        if not create and not settings.home.is_dir():
            raise Refused(
                "no-home", f"{settings.home} is not a flyonce home.", "Run `flyonce init` or set FLYONCE_HOME."
            )
        if settings.terrain is not None:
            from imagery.terrain import Elevation  # brings GDAL in, which most commands do without

            Elevation(settings.terrain).check()
        settings.home.mkdir(parents=True, exist_ok=True)
        engine = open_engine(settings.books_url)
        migrate(engine)
        catalog, catalog_engine = _open_catalog(engine, settings.books_url)
        known = {collection["id"] for collection in catalog.collections()}
        for collection in all_collections():
            if collection["id"] not in known:
                catalog.put_collection(collection)
        return cls(settings, engine, open_files(settings), catalog, catalog_engine)

    def asset_path(self, href: str) -> Path:
        """A file on this machine with what a stored href names. Raises `Refused`: not-in-store, lost-file."""
        with _found(href) as sha256:
            return self.files.path(sha256)

    def asset_url(self, href: str) -> str:
        """Where parts of it are read (`FileStore.url`). Raises `Refused` (not-in-store)."""
        with _found(href) as sha256:
            return self.files.url(sha256)

    @property
    def tiles(self) -> CacheAt | None:
        """Where tile results are kept; None where the settings keep none."""
        return cache_of(self.settings)

    def close(self) -> None:
        self.engine.dispose()
        self._catalog_engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@contextmanager
def _found(href: str) -> Iterator[str]:
    sha256 = stored_sha256(href)
    if sha256 is None:
        raise Refused("not-in-store", f"{href} is not a file of this store.", "Its href starts with /assets/<sha256>/.")
    try:
        yield sha256
    except FileNotFoundError as error:
        raise Refused("lost-file", f"The store has lost {href}.", "Restore it, or ingest the flight again.") from error


def _open_catalog(books: Engine, url: str) -> tuple[CatalogStore, Engine]:
    if books.dialect.name == "sqlite":
        return SqliteCatalog(books), books
    pgstac_schema.migrate(url)
    engine = open_pgstac(url)
    return PgstacCatalog(engine), engine
