"""JupyterHub's configuration, made from the settings, the wiring and the secrets."""

from __future__ import annotations

import os
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Engine
from traitlets.config import Config

from cerro_hub.auth import oidc
from cerro_hub.auth.embedded import EmbeddedAuthenticator
from cerro_hub.home import Home
from cerro_hub.scopes import CUSTOM_SCOPES, LOAD_ROLES
from cerro_hub.secrets import read_or_make
from cerro_hub.settings import HubSettings, load
from cerro_hub.spawn.spawner import CerroSpawner
from cerro_hub.wiring import Wiring

PAGES = Path(__file__).parent / "pages"
TUTORIALS = Path(__file__).parents[3] / "notebooks/tutorials"
"""The tutorials that come with Cerro, where it runs from its repository."""


@event.listens_for(Engine, "connect")
def _use_wal(connection: Any, record: Any) -> None:
    """Let readers and the writer work at once, and commit without waiting for the disk each time.

    The hub is bound by its commits: WAL with synchronous=NORMAL doubles the rate of server starts.
    A power cut may lose the last moments, never the database.
    """
    del record
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute("PRAGMA busy_timeout=5000")
    cursor.close()


def configure(c: Config) -> None:
    """Fill in JupyterHub's configuration.

    Parameters
    ----------
    c : traitlets.config.Config
        The object that JupyterHub's ``get_config()`` returns.
    """
    home = Home.from_environment()
    settings = load(home)
    wiring = Wiring.from_environment()
    secrets = read_or_make(home.hub)
    _front_door(c, wiring, secrets["proxy_token"])
    _hub(c, home, settings, wiring, secrets)
    _people(c, home, settings, wiring)
    _servers(c, home, settings, wiring)
    _pages(c, settings)


def _front_door(c: Config, wiring: Wiring, token: str) -> None:
    c.JupyterHub.bind_url = f"http://{wiring.host}:{wiring.port}/"
    c.JupyterHub.public_url = wiring.address
    c.JupyterHub.hub_bind_url = wiring.hub_url
    c.JupyterHub.hub_routespec = "/hub/"
    c.ConfigurableHTTPProxy.should_start = False
    c.ConfigurableHTTPProxy.api_url = wiring.proxy_api_url
    c.ConfigurableHTTPProxy.auth_token = token
    c.Proxy.extra_routes = wiring.routes()
    # Activity comes from the servers: the front door would count an open, idle tab as activity.
    c.JupyterHub.last_activity_interval = 0


def _hub(
    c: Config, home: Home, settings: HubSettings, wiring: Wiring, secrets: dict[str, str]
) -> None:
    c.JupyterHub.db_url = f"sqlite:///{home.hub / 'jupyterhub.sqlite'}"
    c.JupyterHub.upgrade_db = True
    c.JupyterHub.cookie_secret = bytes.fromhex(secrets["cookie_secret"])
    c.JupyterHub.cookie_max_age_days = settings.login_days
    # People go on working while the hub restarts; `cerro up` stops their servers when it stops.
    c.JupyterHub.cleanup_servers = False
    c.JupyterHub.concurrent_spawn_limit = 50
    c.JupyterHub.spawn_throttle_retry_range = (3, 6)
    c.JupyterHub.token_expires_in_max_seconds = settings.token_max_days * 86400
    c.JupyterHub.custom_scopes = CUSTOM_SCOPES
    c.JupyterHub.load_roles = LOAD_ROLES
    c.JupyterHub.services = [
        {"name": "cerro-up", "api_token": secrets["supervisor_token"]},
        {"name": "culler", "api_token": secrets["culler_token"]},
    ]
    c.JupyterHub.tornado_settings = {
        # The page that shows the progress appears at once instead of after ten seconds.
        "slow_spawn_timeout": 0,
        "slow_stop_timeout": 5,
        "cookie_options": {"SameSite": "Lax", "Secure": wiring.address.startswith("https:")},
        "headers": {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin"},
    }


def _people(c: Config, home: Home, settings: HubSettings, wiring: Wiring) -> None:
    if settings.auth == "oidc" and settings.oidc:
        oidc.configure(c, settings.oidc, oidc.discover(settings.oidc), wiring.address)
        return
    c.JupyterHub.authenticator_class = EmbeddedAuthenticator
    c.EmbeddedAuthenticator.folder = str(home.hub)
    c.EmbeddedAuthenticator.proxies = 2 if settings.external_url else 1
    c.EmbeddedAuthenticator.any_allow_config = True
    c.EmbeddedAuthenticator.manage_groups = True
    # The account file is asked at most once a second, and a removed account's tokens die with it.
    c.EmbeddedAuthenticator.auth_refresh_age = 1
    c.EmbeddedAuthenticator.auth_refresh_strict = True
    c.EmbeddedAuthenticator.refresh_pre_spawn = True


def _servers(c: Config, home: Home, settings: HubSettings, wiring: Wiring) -> None:
    lab = settings.lab
    c.JupyterHub.spawner_class = CerroSpawner
    c.JupyterHub.redirect_to_server = False
    c.JupyterHub.allow_named_servers = False
    c.JupyterHub.shutdown_on_logout = False
    s = c.CerroSpawner
    s.platform = str(home.root)
    s.address = wiring.address
    s.tutorials = str(lab.tutorials or os.environ.get("CERRO_TUTORIALS") or TUTORIALS)
    s.first_uid, s.last_uid = lab.first_uid, lab.last_uid
    s.kernel_idle_timeout = lab.kernel_idle_timeout
    s.activity_interval = int(min(max(lab.idle_timeout / 4, 5), 900)) if lab.idle_timeout else 900
    s.environment = dict(lab.environment)
    # -P: a person's own ~/random.py must not stand in for Python's.
    s.cmd = [sys.executable, "-s", "-P", "-m", "cerro_hub.lab.start"]
    s.start_timeout = lab.start_timeout
    s.http_timeout = 30
    s.default_url = "/lab"
    s.poll_interval = 10
    # A broken ~/.jupyter must not lock its owner out.
    s.disable_user_config = True


def _pages(c: Config, settings: HubSettings) -> None:
    brand = Path(str(files("cerro.brand")))
    c.JupyterHub.template_paths = [str(PAGES / "templates"), str(brand)]
    c.JupyterHub.logo_file = str(brand / "logo.svg")
    c.JupyterHub.template_vars = {
        "platform": settings.title,
        "custom_scopes": {name: scope["description"] for name, scope in CUSTOM_SCOPES.items()},
        "token_max_days": settings.token_max_days,
        "embedded": settings.auth == "embedded",
    }
