"""The settings of one flyonce process, read once in its entry point from `FLYONCE_*` and passed on from there."""

import os
from pathlib import Path
from typing import Literal

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
    store_url: str = Field(
        default="",
        description="Where files are kept: `s3://bucket`, `s3://bucket/prefix` or a folder; empty: in the home.",
    )
    store_endpoint: str = Field(
        default="", description="Address of an S3 server other than AWS's, such as `http://s3:8333`."
    )
    store_region: str = Field(default="us-east-1", description="Region of the bucket.")
    store_key_id: str = Field(
        default="", description="Access key of the bucket; empty: found as AWS tools do (`AWS_*`, the machine's role)."
    )
    store_key: SecretStr | None = Field(default=None, description="Secret of the access key.")
    store_virtual_hosts: bool = Field(
        default=False, description="Whether the bucket is named in the host (`bucket.host`) instead of the path."
    )
    scheduler: str = Field(default="", description="Address of a Dask scheduler; empty: a LocalCluster per job.")
    workers: int = Field(default=0, ge=0, description="Worker processes of this machine; 0: by its cores and GPUs.")
    cache: Path | None = Field(
        default=None, description="Folder of kept tile results; empty: in the home, or without one in the user's cache."
    )
    cache_bytes: int = Field(default=20 << 30, ge=0, description="Most bytes of kept tile results; 0: keep none.")
    server: str = Field(default="", description="On a Dask worker: the server to fetch sources from, http://host:8000.")
    codes: Path | None = Field(default=None, description="A city's own matter codes (CSV), instead of those shipped.")
    terrain: Path | None = Field(
        default=None,
        description="Elevation model (GeoTIFF) that footprints are laid on; its heights over the photos' own zero.",
    )
    nodeodm_url: SecretStr | None = Field(
        default=None,
        description="NodeODM server that full orthophotos are made by, `http://host:3000`; with `?token=…` at its end "
        "where it asks for one.",
    )
    upload_max_bytes: int = Field(default=50 * 2**30, ge=1, description="Largest file that an upload may have.")
    uploads_open: int = Field(default=1000, ge=1, description="How many uploads may be under way at once.")
    upload_days: int = Field(default=7, ge=1, description="Days after its last byte that an unfinished upload expires.")
    api_key: SecretStr | None = Field(default=None, description="Required of every request when set.")

    signing_key: SecretStr | None = Field(
        default=None,
        min_length=32,
        description="Signs links to files; give every server of a deployment the same. Empty: one kept in the home.",
    )

    max_body: int = Field(
        default=10_000_000,
        ge=1000,
        description="Bytes that the body of a request may have; uploads have a limit of their own.",
    )
    rate: float = Field(default=0, ge=0, description="Requests a second that one address may make; 0: any number.")
    cors_origins: str = Field(
        default="", description="Origins whose pages may read from here, separated by commas: `https://gis.example`."
    )
    log: Literal["text", "json"] = Field(
        default="text", description="How processes log: for people or for a collector."
    )

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
