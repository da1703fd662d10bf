"""The services in this process, a worker beside them, and a hub that knows tokens."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import httpx
import psutil
import uvicorn
from tests.support.platform import free_port
from tests.support.waiting import eventually

from cerro_services.app import create_app
from cerro_services.config import Settings

TOKENS = {
    "good": {"name": "ada", "groups": [], "scopes": ["custom:read:tap"]},
    "member": {"name": "vera", "groups": ["data-rights"], "scopes": ["custom:read:tap"]},
    "writer": {
        "name": "grace",
        "groups": ["team"],
        "scopes": ["custom:read:tap", "custom:write:tables"],
    },
    "mate": {
        "name": "edwin",
        "groups": ["team"],
        "scopes": ["custom:read:tap", "custom:write:tables"],
    },
    "letters": {
        "name": "жук",
        "groups": ["группа"],
        "scopes": ["custom:read:tap", "custom:write:tables"],
    },
    "narrow": {"name": "ada", "groups": [], "scopes": ["read:users:name"]},
}


class Hub(BaseHTTPRequestHandler):
    """Says who owns a token, as JupyterHub's GET /user does."""

    asked: list[str]

    def do_GET(self) -> None:
        token = self.headers.get("Authorization", "").removeprefix("token ")
        self.asked.append(token)
        owner = TOKENS.get(token)
        body = json.dumps(owner or {"status": 403, "message": "Forbidden"}).encode()
        self.send_response(200 if owner else 403)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Keep the tests' output clean."""


@dataclass(frozen=True)
class Served:
    """Services that answer.

    Parameters
    ----------
    url
        Their address, without a slash at the end.
    asked
        Tokens that the hub was asked about.
    settings
        What they were told.
    """

    url: str
    asked: list[str]
    settings: Settings

    @property
    def tap(self) -> str:
        """Address of TAP."""
        return f"{self.url}/api/tap"

    @property
    def port(self) -> int:
        """Where they listen."""
        return int(self.url.rpartition(":")[2])

    def beside(self, home: Path, **told: object) -> Served:
        """Give services of the same releases and the same hub, to be run beside these.

        Parameters
        ----------
        home
            Their folder.
        told
            Further settings.
        """
        url = f"http://127.0.0.1:{free_port()}"
        given = {
            "releases": self.settings.releases,
            "hub_api_url": self.settings.hub_api_url,
            "memory": "500MB",
            **told,
        }
        return Served(url, [], Settings(home=home, external_url=url, **given))


class _Telling(uvicorn.Server):
    """Tells when it listens, or has failed to."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.settled = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            await super().startup(sockets)
        finally:
            self.settled.set()


class running:  # noqa: N801 - reads as a verb where it is used
    """Serve until the block ends.

    Parameters
    ----------
    settings
        What the services are told.
    port
        Where to listen.
    """

    def __init__(self, settings: Settings, port: int) -> None:
        config = uvicorn.Config(
            create_app(settings), port=port, loop="uvloop", log_level="warning", server_header=False
        )
        self._server = _Telling(config)
        self._url = f"http://127.0.0.1:{port}/healthz"
        self._thread = threading.Thread(target=self._server.run, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()
        assert self._server.settled.wait(30), "the services did not start"
        assert self._server.started, "the services ended"
        assert httpx.get(self._url, timeout=10).status_code == 200

    def __exit__(self, *args: object) -> None:
        self._server.should_exit = True
        self._thread.join(15)


def environment(settings: Settings) -> dict[str, str]:
    """Give the environment that tells a process its settings, and nothing else of ours."""
    told = settings.model_dump(mode="json", include=settings.model_fields_set)
    values = {f"CERRO_{name.upper()}": value for name, value in told.items() if value}
    texts = {k: v if isinstance(v, str) else json.dumps(v) for k, v in values.items()}
    return {k: v for k, v in os.environ.items() if not k.startswith("CERRO_")} | texts


class working:  # noqa: N801 - reads as a verb where it is used
    """Run a worker, `cerro work` in a process of its own, until the block ends.

    Parameters
    ----------
    settings
        What it is told.
    """

    def __init__(self, settings: Settings) -> None:
        self._env = environment(settings)
        self._log = settings.home / "worker.log"
        self.process: subprocess.Popen[bytes]

    def __enter__(self) -> working:
        self.start()
        return self

    def start(self) -> None:
        """Start it, and wait until it runs jobs."""
        began = self._log.stat().st_size if self._log.exists() else 0
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "cerro.cli.main", "work"],
                env=self._env, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

        def runs() -> bool:
            assert self.process.poll() is None, self._log.read_text()
            return b"jobs at once" in self._log.read_bytes()[began:]

        eventually(runs, "the worker runs")

    def children(self) -> list[psutil.Process]:
        """Give its processes that run jobs: children of the one that copies itself for them."""
        starters = psutil.Process(self.process.pid).children()
        return [child for starter in starters for child in starter.children()]

    def kill(self) -> None:
        """Kill it, as a machine does that runs out of memory."""
        self.process.kill()
        self.process.wait(10)

    def __exit__(self, *args: object) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(20)
