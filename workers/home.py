"""An opened home: the books, the files and the catalogue of one deployment, handed to whatever works with them."""

from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from sqlalchemy import Engine

from imagery.errors import Refused
from records.engine import migrate, open_engine
from records.files import DirectoryStore
from records.settings import Settings
from stac.assets import stored_sha256
from stac.collections import all_collections
from stac.sqlite import SqliteCatalog
from stac.store import CatalogStore
from workers.tilecache import CacheAt, cache_of


@dataclass(frozen=True, slots=True)
class Home:
    """`engine` holds jobs, receipts, history and tickets; with a PostgreSQL there, the catalogue keeps its own SQLite
    file in the home."""

    settings: Settings
    engine: Engine
    files: DirectoryStore
    catalog: CatalogStore
    _catalog_engine: Engine

    @classmethod
    def open(cls, settings: Settings, create: bool = True) -> Self:
        """Open the home that the settings name, bring its tables up to date and see that its collections exist.

        Raises `Refused` (`no-home`) where there is none and `create` is false.
        """
        if not create and not settings.home.is_dir():
            raise Refused(
                "no-home", f"{settings.home} is not a flyonce home.", "Run `flyonce init` or set FLYONCE_HOME."
            )
        settings.home.mkdir(parents=True, exist_ok=True)
        engine = open_engine(settings.books_url)
        migrate(engine)
        catalog_engine = engine
        if engine.dialect.name != "sqlite":
            catalog_engine = open_engine(f"sqlite:///{settings.home / 'catalog.sqlite'}")
            migrate(catalog_engine)
        catalog = SqliteCatalog(catalog_engine)
        known = {collection["id"] for collection in catalog.collections()}
        for collection in all_collections():
            if collection["id"] not in known:
                catalog.put_collection(collection)
        return cls(settings, engine, DirectoryStore(settings.files_dir), catalog, catalog_engine)

    def asset_path(self, href: str) -> Path:
        """The file behind a stored href (`/assets/<sha256>/<name>`). Raises `Refused` (`not-in-store`)."""
        sha256 = stored_sha256(href)
        if sha256 is None:
            raise Refused(
                "not-in-store", f"{href} is not a file of this store.", "Its href starts with /assets/<sha256>/."
            )
        return self.files.path(sha256)

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
