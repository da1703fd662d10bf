"""The platform's processes: what each is started with and how one sees that it works."""

from __future__ import annotations

import hashlib
import http.client
import os
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cerro_hub.home import Home
from cerro_hub.node import find_node, find_proxy
from cerro_hub.settings import HubSettings
from cerro_hub.wiring import VARIABLE, Wiring

PACKAGE = Path(__file__).parents[1]
REPOSITORY = PACKAGE.parents[2]

NAMES = ("proxy", "hub", "services", "worker", "portal", "culler")


@dataclass(frozen=True)
class ProcessSpec:
    """One process.

    Parameters
    ----------
    name : str
        What people call it.
    argv : tuple of str
        Command and arguments.
    env : Mapping
        Environment beside that of `cerro up`.
    port : int
        Where it listens on the loopback interface; 0 if it does not.
    health : str
        Path that it answers with 200 when it works; empty: being alive is enough.
    token : str
        Token sent with that request.
    """

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    port: int = 0
    health: str = ""
    token: str = ""

    @property
    def fingerprint(self) -> str:
        """What tells whether a running process was started like this."""
        text = "\0".join([*self.argv, *(f"{k}={v}" for k, v in sorted(self.env.items()))])
        return hashlib.sha256(text.encode()).hexdigest()

    def healthy(self, timeout: float = 3.0) -> bool:
        """Return whether the process answers [timeout in s]."""
        if not self.health:
            return True
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            headers = {"Authorization": f"token {self.token}"} if self.token else {}
            connection.request("GET", self.health, headers=headers)
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


def cerro_command(*arguments: str) -> tuple[str, ...]:
    """Return the command line that runs a `cerro` command with this very Python."""
    return (sys.executable, "-m", "cerro.cli.main", *arguments)


def docs_folder() -> str:
    """Return the folder of the built documentation."""
    return os.environ.get("CERRO_DOCS") or str(REPOSITORY / "docs/_build/html")


def make_plan(
    home: Home,
    settings: HubSettings,
    wiring: Wiring,
    secrets: Mapping[str, str],
    without: Collection[str] = (),
) -> list[ProcessSpec]:
    """Return the processes of a platform, in the order in which they start.

    Parameters
    ----------
    home, settings, wiring, secrets
        Of the platform.
    without : collection of str
        Names of processes to leave out. Without the services there is no worker either: it runs
        the jobs that they accept.

    Raises
    ------
    NodeMissingError, ProxyMissingError
        The front door cannot be run.
    """
    shared = {"CERRO_HOME": str(home.root), "PYTHONUNBUFFERED": "1"}
    serving = shared | {
        "CERRO_RELEASES": home.places,
        "CERRO_EXTERNAL_URL": wiring.address,
        "CERRO_HUB_API_URL": wiring.hub_api_url,
        "CERRO_SERVICES_URL": wiring.services_url,
        "CERRO_DOCS": docs_folder(),
        "CERRO_TITLE": settings.title,
    }
    proxy = [str(find_node()), str(find_proxy()), "--ip", wiring.host, "--port", str(wiring.port)]
    proxy += ["--api-ip", "127.0.0.1", "--api-port", str(wiring.proxy_api)]
    proxy += ["--error-path", str(PACKAGE / "pages/proxy_errors"), "--log-level", "warn"]
    every = [
        ProcessSpec(
            name="proxy",
            argv=tuple(proxy),
            env={"CONFIGPROXY_AUTH_TOKEN": secrets["proxy_token"]},
            port=wiring.proxy_api,
            health="/api/routes",
            token=secrets["proxy_token"],
        ),
        ProcessSpec(
            name="hub",
            argv=(
                sys.executable,
                "-m",
                "cerro_hub.start_hub",
                "-f",
                str(PACKAGE / "jupyterhub_config.py"),
            ),
            env=shared | {VARIABLE: wiring.to_json()},
            port=wiring.hub,
            health="/hub/health",
        ),
        ProcessSpec(
            name="services",
            argv=cerro_command("serve", "--port", str(wiring.services)),
            env=serving,
            port=wiring.services,
            health="/healthz",
        ),
        ProcessSpec(name="worker", argv=cerro_command("work"), env=serving),
        ProcessSpec(
            name="portal",
            argv=cerro_command("portal", "--port", str(wiring.portal)),
            env=serving,
            port=wiring.portal,
            health="/healthz",
        ),
    ]
    if settings.lab.idle_timeout or settings.lab.max_age:
        every.append(_culler(settings, wiring, secrets["culler_token"]))
    left_out = {*without, *(["worker"] if "services" in without else [])}
    return [spec for spec in every if spec.name not in left_out]


def _culler(settings: HubSettings, wiring: Wiring, token: str) -> ProcessSpec:
    idle = settings.lab.idle_timeout or settings.lab.max_age
    every = max(min(int(idle / 2), 600), 1)
    argv = [sys.executable, "-m", "jupyterhub_idle_culler", f"--timeout={int(idle)}"]
    argv += [f"--cull-every={every}", f"--max-age={settings.lab.max_age}"]
    environment = {"JUPYTERHUB_API_URL": wiring.hub_api_url, "JUPYTERHUB_API_TOKEN": token}
    return ProcessSpec(name="culler", argv=tuple(argv), env=environment)
