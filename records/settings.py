"""The settings of one flyonce process, read once in its entry point from `FLYONCE_*` and passed on from there."""

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Every field can be set by the environment variable `FLYONCE_<FIELD>`."""

    model_config = SettingsConfigDict(env_prefix="FLYONCE_", extra="ignore", frozen=True)

    home: Path = Field(
        default_factory=lambda: Path.home() / ".flyonce", description="Folder of the embedded deployment."
    )
    database_url: str = Field(
        default="",
        description="Books and catalogue: sqlite:///PATH, or postgresql://… with PostGIS; empty: SQLite in the home.",
    )
    scheduler: str = Field(default="", description="Address of a Dask scheduler; empty: a LocalCluster per job.")
    workers: int = Field(default=0, ge=0, description="Worker processes of the LocalCluster; 0: one per core.")
    codes: Path | None = Field(default=None, description="A city's own matter codes (CSV), instead of those shipped.")
    api_key: SecretStr | None = Field(default=None, description="Required of every request when set.")

    @property
    def books_url(self) -> str:
        return self.database_url or f"sqlite:///{self.home / 'flyonce.sqlite'}"

    @property
    def files_dir(self) -> Path:
        return self.home / "files"

    @property
    def outbox_dir(self) -> Path:
        return self.home / "outbox"
