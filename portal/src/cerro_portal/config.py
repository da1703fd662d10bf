"""The portal's settings: section ``portal:`` of ``cerro.yaml``, then the environment."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click
import yaml
from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Settings of the portal; each can be set as ``CERRO_<NAME>`` in the environment."""

    model_config = SettingsConfigDict(env_prefix="CERRO_", extra="ignore")

    external_url: str = Field(
        default="http://127.0.0.1:8000/", description="Address by which users reach the platform."
    )
    services_url: str = Field(
        default="http://127.0.0.1:8001/",
        description="Address by which this process reaches the data services.",
    )
    docs: Path | None = Field(
        default=None, description="Folder of the built documentation; none is shown without."
    )
    title: str = Field(
        default="Cerro", description="Name of this platform; cerro up gives the hub's."
    )
    welcome: str = Field(
        default="", description="A sentence or two on the home page about whose platform this is."
    )

    @field_validator("external_url", "services_url")
    @classmethod
    def _end_in_slash(cls, value: str) -> str:
        return value.rstrip("/") + "/"


def load(home: Path | None = None) -> Settings:
    """Read the settings.

    Parameters
    ----------
    home
        The platform's folder; that of ``CERRO_HOME`` if not given.

    Returns
    -------
    Settings
        The environment goes before the file.

    Raises
    ------
    click.ClickException
        If the file or a value is wrong; the message says which.
    """
    folder = home or Path(os.environ.get("CERRO_HOME", "."))
    path = folder / "cerro.yaml"
    section: dict[str, Any] = {}
    if path.is_file():
        try:
            document = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        except yaml.YAMLError as error:
            raise click.ClickException(f"{path} is no valid YAML: {error}") from error
        found = document.get("portal") if isinstance(document, dict) else None
        section = found if isinstance(found, dict) else {}
    named = {key for key in Settings.model_fields if f"CERRO_{key.upper()}" in os.environ}
    try:
        return Settings(**{key: value for key, value in section.items() if key not in named})
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise click.ClickException(
            f"The portal's settings are wrong ({wrong}). They come from {path} and CERRO_… "
            "variables."
        ) from error
