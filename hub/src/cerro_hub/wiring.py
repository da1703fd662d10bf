"""How the processes of a platform are wired: addresses, ports and the front door's routes."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass

from cerro_hub.errors import SettingsError

VARIABLE = "CERRO_WIRING"

SERVICES_ROUTES = ("/api/", "/repertoire/")
PORTAL_ROUTES = ("/", "/portal/", "/docs/", "/static/cerro/")
HUB_ROUTES = ("/user/",)
"""Beside /hub/ itself: the address of a server that is not running leads to the hub."""


@dataclass(frozen=True)
class Wiring:
    """Where each process listens; everything but the front door on the loopback interface.

    Parameters
    ----------
    address : str
        The external address, with a slash at the end.
    host : str
        Interface of the front door.
    port : int
        Its port.
    proxy_api, hub, services, portal : int
        Inner ports; `services` and `portal` are 0 when another machine or nobody runs them.
    """

    address: str
    host: str
    port: int
    proxy_api: int
    hub: int
    services: int = 0
    portal: int = 0

    @property
    def proxy_api_url(self) -> str:
        """Address of the front door's own API."""
        return f"http://127.0.0.1:{self.proxy_api}"

    @property
    def hub_url(self) -> str:
        """Inner address of the hub."""
        return f"http://127.0.0.1:{self.hub}"

    @property
    def hub_api_url(self) -> str:
        """Inner address of the hub's API."""
        return f"{self.hub_url}/hub/api"

    @property
    def services_url(self) -> str:
        """Inner address of the data services."""
        return f"http://127.0.0.1:{self.services}"

    def routes(self) -> dict[str, str]:
        """Return the front door's fixed routes: path prefix to address."""
        portal = f"http://127.0.0.1:{self.portal}" if self.portal else self.hub_url
        routes = dict.fromkeys(PORTAL_ROUTES, portal)
        if self.services:
            routes |= dict.fromkeys(SERVICES_ROUTES, self.services_url)
        return routes | dict.fromkeys(HUB_ROUTES, self.hub_url)

    def to_json(self) -> str:
        """Return the wiring as the environment variable CERRO_WIRING carries it."""
        return json.dumps(asdict(self))

    @classmethod
    def from_environment(cls) -> Wiring:
        """Read the wiring that `cerro up` gave to this process.

        Raises
        ------
        SettingsError
            There is none.
        """
        text = os.environ.get(VARIABLE)
        if not text:
            raise SettingsError("The hub is started by `cerro up`, which sets CERRO_WIRING.")
        return cls(**json.loads(text))
