"""The settings of one flyonce process, read once in its entry point from `FLYONCE_*` and passed on from there."""

import os
from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Every field can be set by the environment variable `FLYONCE_<FIELD>`."""

    model_config = SettingsConfigDict(env_prefix="FLYONCE_", extra="ignore", frozen=True)

    home: Path = Field(
        default_factory=lambda: Path.home() / ".flyonce", description="Folder of the embedded deployment."
    )
    database_url: str = Field(default="", description="Books' database; empty: SQLite in the home.")
    scheduler: str = Field(default="", description="Address of a Dask scheduler; empty: a LocalCluster per job.")
    workers: int = Field(default=0, ge=0, description="Worker processes of the LocalCluster; 0: one per core.")
    cache: Path | None = Field(
        default=None, description="Folder of kept tile results; empty: in the home, or without one in the user's cache."
    )
    cache_bytes: int = Field(default=20 << 30, ge=0, description="Most bytes of kept tile results; 0: keep none.")
    server: str = Field(default="", description="On a Dask worker: the server to fetch sources from, http://host:8000.")
    codes: Path | None = Field(default=None, description="A city's own matter codes (CSV), instead of those shipped.")
    upload_max_bytes: int = Field(default=50 * 2**30, ge=1, description="Largest file that an upload may have.")
    uploads_open: int = Field(default=1000, ge=1, description="How many uploads may be under way at once.")
    upload_days: int = Field(default=7, ge=1, description="Days after its last byte that an unfinished upload expires.")
    api_key: SecretStr | None = Field(default=None, description="Required of every request when set.")

    @property
    def books_url(self) -> str:
        return self.database_url or f"sqlite:///{self.home / 'flyonce.sqlite'}"

    @property
    def files_dir(self) -> Path:
        return self.home / "files"

    @property
    def tiles_dir(self) -> Path:
        """Where tile results are kept: by all jobs of this machine alike."""
        if self.cache is not None:
            return self.cache
        if self.home.is_dir():
            return self.home / "tiles"
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "flyonce" / "tiles"

    @property
    def outbox_dir(self) -> Path:
        return self.home / "outbox"
