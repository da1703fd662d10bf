"""The hub's settings: one model from the `hub:` section of cerro.yaml and the environment."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    HttpUrl,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from cerro_hub.errors import SettingsError
from cerro_hub.home import Home


class Oidc(BaseModel):
    """An OpenID Connect provider that people log in with."""

    model_config = ConfigDict(extra="forbid")

    client_id: str = Field(description="Client id that the provider gave to this platform.")
    client_secret: SecretStr = Field(description="Its secret; better set by the environment.")
    issuer: HttpUrl = Field(description="The provider's address; its endpoints are read from it.")
    authorize_url: HttpUrl | None = Field(
        None,
        description="Authorization endpoint, where the provider publishes no discovery document.",
    )
    token_url: HttpUrl | None = Field(None, description="Token endpoint, likewise.")
    userinfo_url: HttpUrl | None = Field(None, description="User-info endpoint, likewise.")
    name: str = Field("your institute", description="The provider's name on the login button.")
    scopes: list[str] = Field(["openid", "email", "profile"], description="Scopes asked for.")
    username_claim: str = Field(
        "preferred_username", description="Claim that becomes the user name."
    )
    groups_claim: str = Field("groups", description="Claim that lists the person's groups.")
    allow_all: bool = Field(False, description="Let in everybody whom the provider knows.")
    allowed_groups: list[str] = Field([], description="Groups whose members may log in.")
    allowed_users: list[str] = Field([], description="People who may log in.")
    admin_groups: list[str] = Field([], description="Groups whose members administer the platform.")
    require_email_verified: bool = Field(
        True, description="Refuse a person whose e-mail address the provider has not verified."
    )


class Lab(BaseModel):
    """Users' servers."""

    model_config = ConfigDict(extra="forbid")

    idle_timeout: Annotated[float, Field(ge=0)] = Field(
        3600, description="Stop a server after so long without activity [s]; 0: never."
    )
    kernel_idle_timeout: Annotated[int, Field(ge=0)] = Field(
        3600, description="Stop an idle kernel after so long [s], open tab or not; 0: never."
    )
    max_age: Annotated[int, Field(ge=0)] = Field(
        7 * 86400, description="Stop every server after so long [s]; 0: never."
    )
    start_timeout: Annotated[int, Field(gt=0)] = Field(
        90, description="Give up a server that does not answer after so long [s]."
    )
    first_uid: Annotated[int, Field(ge=1000)] = Field(
        52000, description="First of the machine accounts given to users when the hub runs as root."
    )
    last_uid: int = Field(59999, description="Last of them.")
    tutorials: Path | None = Field(
        None, description="Folder copied to ~/notebooks/tutorials; the default comes with Cerro."
    )
    environment: dict[str, str] = Field({}, description="Further environment of every server.")


class HubSettings(BaseSettings):
    """Settings of the hub, the front door and `cerro up`.

    The environment goes before the file: `CERRO_HUB_PORT`, `CERRO_HUB_OIDC__CLIENT_SECRET`, ….
    """

    model_config = SettingsConfigDict(
        env_prefix="CERRO_HUB_", env_nested_delimiter="__", extra="forbid"
    )

    title: str = Field("Cerro", description="The platform's name on its pages.")
    host: str = Field("127.0.0.1", description="Address that the front door listens on.")
    port: Annotated[int, Field(ge=1, le=65535)] = Field(8000, description="Its port.")
    external_url: HttpUrl | None = Field(
        None, description="Address people type, where a TLS proxy stands before the front door."
    )
    auth: Literal["embedded", "oidc"] = Field(
        "embedded", description="Who knows the passwords: this platform or an OpenID provider."
    )
    oidc: Oidc | None = Field(None, description="The OpenID provider.")
    admin: str = Field("admin", description="Account made at the first start (embedded).")
    token_max_days: Annotated[int, Field(gt=0)] = Field(
        365, description="Longest life of an API token [days]."
    )
    login_days: Annotated[float, Field(gt=0)] = Field(14, description="Life of a login [days].")
    lab: Lab = Field(default_factory=Lab, description="Users' servers.")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let the environment go before the file, whose values arrive as arguments."""
        del settings_cls, dotenv_settings, file_secret_settings
        return env_settings, init_settings

    @model_validator(mode="after")
    def _oidc_is_described(self) -> HubSettings:
        if self.auth == "oidc":
            if self.oidc is None:
                raise ValueError("auth is 'oidc' but the section 'oidc' is missing")
            who = self.oidc
            if not (who.allow_all or who.allowed_groups or who.allowed_users or who.admin_groups):
                raise ValueError(
                    "nobody may log in: set oidc.allowed_groups, allowed_users or allow_all"
                )
        return self

    def address(self) -> str:
        """Return the platform's external address, with a slash at the end."""
        if self.external_url:
            return str(self.external_url).rstrip("/") + "/"
        host = "127.0.0.1" if self.host in {"0.0.0.0", "::", ""} else self.host  # noqa: S104
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}/"


def load(home: Home, **overrides: str | int | None) -> HubSettings:
    """Read the settings of a platform.

    Parameters
    ----------
    home : Home
        Its folder.
    **overrides
        Values that go before the file and the environment, checked by who gives them (the command
        line does); None leaves a setting alone.

    Raises
    ------
    SettingsError
        The file cannot be read or a value will not do; the message names file and setting.
    """
    path = home.settings_file
    section: Any = {}
    if path.exists():
        try:
            document = yaml.safe_load(path.read_text()) or {}
        except (yaml.YAMLError, OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"Cannot read {path}: {' '.join(str(error).split())}") from error
        section = (document.get("hub") if isinstance(document, dict) else document) or {}
        if not isinstance(section, dict):
            raise SettingsError(f"{path}: the section 'hub' must be a mapping of settings.")
    try:
        settings = HubSettings(**section)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "hub"
        source = path if path.exists() else "the environment"
        raise SettingsError(f"Settings (hub: in {source}): {where}: {first['msg']}") from error
    given = {name: value for name, value in overrides.items() if value is not None}
    return settings.model_copy(update=given)
