"""Gives the front door its routes back when it has been restarted."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping

from cerro_hub.wiring import Wiring


def request(port: int, method: str, path: str, token: str, body: object = None) -> int:
    """Make a request on the loopback interface; return its status, 0 if nobody answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        content = json.dumps(body) if body is not None else None
        connection.request(method, path, content, {"Authorization": f"token {token}"})
        response = connection.getresponse()
        response.read()
    except (OSError, http.client.HTTPException):
        return 0
    else:
        return response.status
    finally:
        connection.close()


def restore_routes(wiring: Wiring, secrets: Mapping[str, str]) -> None:
    """Set the fixed routes, then have the hub add those of the running servers.

    The fixed ones are set here as well, so that the platform's pages do not wait for the hub.

    Parameters
    ----------
    wiring : Wiring
        The platform's addresses.
    secrets : Mapping
        Its secrets.
    """
    for path, target in {**wiring.routes(), "/hub/": wiring.hub_url}.items():
        route = "/api/routes" + path.rstrip("/")
        request(wiring.proxy_api, "POST", route, secrets["proxy_token"], {"target": target})
    request(wiring.hub, "POST", "/hub/api/proxy", secrets["supervisor_token"])
