"""Settings of the service process: the ``services:`` section of cerro.yaml, and the environment.

The environment (``CERRO_…``) goes before the file, the file before what stands here.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import ByteSize, Field, TypeAdapter, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from cerro_services.errors import CerroError
from cerro_services.objects.bucket import check_url, is_bucket
from cerro_services.quotas import parsed


class ConfigError(CerroError, code="config_error"):
    """A setting is missing or wrong."""


class Settings(BaseSettings):
    """What the data services can be told."""

    model_config = SettingsConfigDict(env_prefix="CERRO_", extra="forbid", frozen=True)

    home: Path = Field(Path(".cerro"), description="The platform's folder.")
    releases: Path | None = Field(
        None,
        description="Where releases lie: a folder, s3://bucket/prefix, or several with commas "
        "between them; by default releases/ in home.",
    )
    buckets: tuple[str, ...] = Field((), description="Those of the releases that lie in buckets.")
    cache: Path = Field(
        Path(),
        description="Folder for what is needed of buckets; by default services/cache/ in home. "
        "Processes of one machine share it.",
    )
    cache_size: str = Field("20GB", description="Disk that it may take.")
    bucket_seconds: float = Field(
        15.0, gt=0, description="Seconds until a new version in a bucket is noticed."
    )
    external_url: str = Field(
        "http://127.0.0.1:8000/", description="The platform's address as users see it."
    )
    hub_api_url: str | None = Field(
        None, description="Address of the Hub's API; without it only public callers are served."
    )
    file_key: str = Field(
        "",
        description="Key that signs addresses of files; by default one is made and kept in home.",
        repr=False,
    )
    token_cache: float = Field(15.0, description="Seconds for which a token's owner is remembered.")
    maxrec_default: int = Field(
        1_000_000, ge=1, description="Rows of a result if the client sets no MAXREC."
    )
    maxrec_hard: int = Field(20_000_000, ge=1, description="Rows of a result at most.")
    sync_seconds: float = Field(600.0, gt=0, description="Seconds a synchronous query may run.")
    query_limit: int = Field(1_000_000, ge=1000, description="Characters of a query at most.")
    concurrent_queries: int = Field(8, ge=1, description="Queries that run at once; others wait.")
    memory: str = Field("2GB", description="Memory that all queries together may use.")
    stall_seconds: float = Field(
        300.0, gt=0, description="Seconds a client may take for a piece of a result."
    )
    database: str = Field(
        "",
        description="Where jobs and users' tables are remembered, as an SQLAlchemy URL "
        "(postgresql+psycopg://…); by default an SQLite file in home.",
    )
    threads: int = Field(
        default_factory=lambda: os.cpu_count() or 1, ge=1, description="Threads of all queries."
    )
    engine: Literal["duckdb", "spark"] = Field(
        "duckdb",
        description="What runs queries: DuckDB in the service, or a Spark cluster besides.",
    )
    spark_url: str | None = Field(
        None, description="The cluster's Spark Connect server, sc://host:15002."
    )
    spark_releases: str | None = Field(
        None,
        description="The release store as the cluster sees it, a folder or s3a://…; "
        "by default as the service sees it.",
    )
    spark_cores: int = Field(8, ge=1, description="Cores of the cluster, to estimate times.")
    spark_from: int = Field(
        5_000_000,
        ge=0,
        description="Rows read from which on a query goes to the cluster; 0 sends it all of them.",
    )
    quotas: dict[str, dict[str, Any]] = Field(
        default_factory=dict,
        description="What a caller may use, by group; also default, and public for no token.",
    )
    queue_url: str = Field(
        "",
        description="Where the messages to workers lie: sqlite:///…, postgresql://… or redis://…; "
        "by default in the database, or beside it where that is SQLite.",
    )
    job_processes: int = Field(2, ge=1, description="Jobs that a worker runs at once.")
    job_memory: str = Field("1GB", description="Memory that the query of one job may use.")
    job_files: Path = Field(
        Path(),
        description="Folder for the results and uploads of jobs, which services and workers share; "
        "by default services/jobs/ in home.",
    )
    poll_seconds: float = Field(
        60.0, gt=0, description="Seconds that a request waits for a change of a job (WAIT) at most."
    )
    waiting_queries: int = Field(
        1000, ge=0, description="Synchronous queries that wait; more are refused with 503."
    )
    waiting_seconds: float = Field(
        60.0, gt=0, description="Seconds a query waits to begin before it is refused with 503."
    )
    authority: str = Field(
        "x-unregistred",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{2,}$",
        description="Authority of the IVOIDs in the registry: one that you have registered.",
    )
    publisher: str = Field(
        "An unnamed publisher", min_length=1, description="Who publishes the releases."
    )
    short_name: str = Field(
        "Cerro", min_length=1, max_length=16, description="Short name of the registry's records."
    )
    contact_name: str = Field("The operator", min_length=1, description="Whom to ask, by name.")
    contact_email: str = Field(
        "operator@example.org",
        pattern=r"^[^\s@]+@([^\s@.]+\.)+[^\s@.]+$",
        description="Whom to ask, by mail; everyone can read it in the registry.",
    )
    notice: str | None = Field(None, description="Told to all by the availability of the services.")
    down_at: datetime | None = Field(
        None, description="When the services will be stopped (ISO 8601), for their availability."
    )
    back_at: datetime | None = Field(None, description="When they will be back.")
    resolver_url: str | None = Field(
        None,
        description="Address of a resolver of names like CDS Sesame (-oI), to which a name is "
        "appended, for ivo_simbadpoint; none by default.",
    )
    uploads: Path | None = Field(
        None, description="Folder for uploads while they are used; by default run/uploads in home."
    )
    upload_hosts: tuple[str, ...] = Field(
        ("*",),
        description="Hosts that uploads are fetched from by URL: names (host or host:port, which "
        "may have inner addresses), *.domain, or * for every host with a public address.",
    )
    upload_rows: int = Field(10_000_000, ge=1, description="Rows of an uploaded table at most.")
    upload_columns: int = Field(4_000, ge=1, description="Columns of an uploaded table at most.")
    upload_seconds: float = Field(
        120.0, gt=0, description="Seconds in which an upload by URL must have come."
    )
    usertables: Path | None = Field(
        None, description="Folder for users' own tables; by default usertables in home."
    )
    table_days: float = Field(
        90.0, gt=0, description="Days until a user's table is deleted, unless it is kept longer."
    )
    public_tables: bool = Field(
        False, description="Whether users may share their tables with everybody."
    )
    workers: int = Field(
        default_factory=lambda: min(2, os.cpu_count() or 1),
        ge=1,
        description="Processes that answer. Each takes some 250 MB, and its share of the memory "
        "and the queries at once that are set for all.",
    )
    spill: Path | None = Field(
        None, description="Folder for what does not fit into memory; by default run/spill in home."
    )
    spill_size: str = Field("50GB", description="Disk that it may take.")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Put the file below the environment."""
        del dotenv_settings, file_secret_settings
        return init_settings, env_settings, _FileSource(settings_cls)

    @model_validator(mode="before")
    @classmethod
    def _place(cls, values: dict[str, Any]) -> dict[str, Any]:
        home = Path(values.get("home") or ".cerro")
        values |= _places(values.get("releases") or home / "releases", values.get("buckets") or ())
        values.setdefault("cache", home / "services" / "cache")
        if values.get("spill") is None:
            values["spill"] = home / "run" / "spill"
        if values.get("usertables") is None:
            values["usertables"] = home / "usertables"
        if values.get("uploads") is None:
            values["uploads"] = home / "run" / "uploads"
        values.setdefault("job_files", home / "services" / "jobs")
        if not values.get("database"):
            values["database"] = f"sqlite:///{home / 'services' / 'services.sqlite'}"
        if values.get("engine") == "spark" and not values.get("spark_url"):
            raise ValueError("engine: spark needs spark_url, the address of Spark Connect")
        if "external_url" in values:
            values["external_url"] = str(values["external_url"]).rstrip("/") + "/"
        return values

    @field_validator("buckets")
    @classmethod
    def _addresses(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        for url in given:
            check_url(url)
        return given

    @field_validator("cache_size")
    @classmethod
    def _size(cls, given: str) -> str:
        TypeAdapter(ByteSize).validate_python(given)
        return given

    @field_validator("quotas")
    @classmethod
    def _known(cls, given: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        for group, part in given.items():
            try:
                parsed(part)
            except ValidationError as error:
                first = error.errors()[0]
                name = ".".join(map(str, first["loc"]))
                raise ValueError(f"{group}.{name}: {first['msg']}") from None
        return given

    @field_validator("down_at", "back_at")
    @classmethod
    def _utc(cls, given: datetime | None) -> datetime | None:
        return given.replace(tzinfo=UTC) if given is not None and given.tzinfo is None else given

    @property
    def base_url(self) -> str:
        """The platform's address without a slash at the end."""
        return self.external_url.rstrip("/")


def _places(releases: object, buckets: Iterable[str]) -> dict[str, object]:
    """Tell the folder of releases from the buckets among several places."""
    if not isinstance(releases, str):
        return {"releases": releases, "buckets": tuple(buckets)}
    places = [place for part in releases.split(",") if (place := part.strip())]
    folders = [place for place in places if not is_bucket(place)]
    if len(folders) > 1:
        raise ValueError("one folder and any number of s3://bucket/prefix")
    found = dict.fromkeys((*buckets, *filter(is_bucket, places)))
    return {"releases": Path(folders[0]) if folders else None, "buckets": tuple(found)}


class _FileSource(EnvSettingsSource):
    """The section ``services:`` of cerro.yaml in the platform's folder."""

    def __call__(self) -> dict[str, Any]:
        path = Path(os.environ.get("CERRO_HOME", ".cerro")) / "cerro.yaml"
        try:
            document = yaml.safe_load(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, yaml.YAMLError) as error:
            raise ConfigError(f"{path} cannot be read: {error}. Correct or remove it.") from error
        section = (document or {}).get("services") if isinstance(document or {}, dict) else None
        if section is None:
            return {}
        if not isinstance(section, dict):
            raise ConfigError(f"{path}: services: must hold settings by name.")
        return section


def load() -> Settings:
    """Read the settings.

    Raises
    ------
    ConfigError
        Naming the setting that is wrong, and what is wrong with it.
    """
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"])) or "services"
        raise ConfigError(
            f"The setting {name} (CERRO_{name.upper()} or services: in cerro.yaml): {first['msg']}."
        ) from error
