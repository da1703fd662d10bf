"""Starts real platforms for the tests, and plays the people who use them."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import httpx
import psutil
from tests.support.platform import free_port
from tests.support.waiting import eventually

ADMIN_PASSWORD = "correct-horse-battery"


def missing_processes() -> list[str]:
    """Name the processes of the platform whose package is not there to be run."""
    modules = {
        "services": "cerro_services.cli",
        "worker": "cerro_services.work",
        "portal": "cerro_portal.cli",
    }
    return [name for name, module in modules.items() if importlib.util.find_spec(module) is None]


class Platform:
    """A `cerro up` in a process of its own."""

    def __init__(
        self,
        home: Path,
        *,
        options: Sequence[str] = (),
        env: dict[str, str] | None = None,
        prefix: Sequence[str] = (),
        without: Sequence[str] | None = None,
    ) -> None:
        self.home = home
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}/"
        self.options = list(options)
        self.prefix = list(prefix)
        left_out = missing_processes() if without is None else without
        for name in left_out:
            self.options += ["--without", name]
        self.env = {
            **os.environ,
            "CERRO_HOME": str(home),
            "CERRO_ADMIN_PASSWORD": ADMIN_PASSWORD,
            **(env or {}),
        }
        self.process: subprocess.Popen[bytes] | None = None
        self.output_file = home.with_name(home.name + ".out")

    @property
    def output(self) -> str:
        return self.output_file.read_text()

    def begin(self) -> Platform:
        command = [*self.prefix, sys.executable, "-m", "cerro.cli.main", "up"]
        with self.output_file.open("w") as out:
            self.process = subprocess.Popen(
                [*command, "--port", str(self.port), *self.options],
                env=self.env,
                stdout=out,
                stderr=out,
            )
        return self

    def start(self) -> Platform:
        self.begin()
        eventually(self._ready, "the platform is ready", 90)
        return self

    def _ready(self) -> bool:
        assert self.process
        assert self.process.poll() is None, self.output
        return "Cerro is ready at" in self.output

    def run(self, *arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
        """Run a `cerro` command for this home."""
        return subprocess.run(
            [*self.prefix, sys.executable, "-m", "cerro.cli.main", *arguments],
            env=self.env,
            input=text,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def states(self) -> dict[str, dict[str, object]]:
        record = json.loads((self.home / "run/state.json").read_text())
        processes: dict[str, dict[str, object]] = record["processes"]
        return processes

    def pid(self, name: str) -> int:
        pid = self.states()[name]["pid"]
        assert isinstance(pid, int)
        return pid

    def processes(self) -> list[psutil.Process]:
        """Every process that belongs to this home, by its environment."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                environment = process.environ()
                marks = environment.get("CERRO_HOME"), environment.get("CERRO_LAB_OF")
                if str(self.home) in marks and process.pid != os.getpid():
                    found.append(process)
        return found

    def stop(self, sig: signal.Signals = signal.SIGTERM) -> int:
        assert self.process
        if self.process.poll() is None:
            self.process.send_signal(sig)
        code = self.process.wait(60)
        for process in self.processes():
            process.kill()
        return code


@contextlib.contextmanager
def running(home: Path, **options: object) -> Iterator[Platform]:
    """Give a platform that is ready, and stop it."""
    platform = Platform(home, **options)  # type: ignore[arg-type]
    try:
        yield platform.start()
    finally:
        if platform.process:
            platform.stop()


class Person:
    """Somebody who uses the hub with a browser's cookies."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.http = httpx.Client(base_url=address, follow_redirects=True, timeout=30)
        self.name = ""

    def login(self, name: str, password: str) -> httpx.Response:
        self.name = name
        self.http.get("hub/login")
        form = {"username": name, "password": password, "_xsrf": self._xsrf()}
        return self.http.post("hub/login", data=form)

    def _xsrf(self) -> str:
        return next(c.value or "" for c in self.http.cookies.jar if c.name == "_xsrf")

    def api(self, method: str, path: str, body: object = None) -> httpx.Response:
        page = self.http.get("hub/home").text
        token = re.search(r'xsrf_token: "([^"]*)"', page)
        assert token, "signed in"
        headers = {"X-XSRFToken": token.group(1), "Referer": f"{self.address}hub/home"}
        return self.http.request(method, f"hub/api/{path}", json=body, headers=headers)

    def token(self, *scopes: str, expires_in: int = 3600) -> str:
        body = {"note": "test", "expires_in": expires_in, "scopes": list(scopes)}
        response = self.api("POST", f"users/{self.name}/tokens", body)
        assert response.status_code == 201, response.text
        token: str = response.json()["token"]
        return token

    def start_server(self) -> None:
        assert self.api("POST", f"users/{self.name}/server").status_code in {201, 202}
        eventually(self.server_ready, "the server answers")
        assert self.http.get(f"user/{self.name}/lab").status_code == 200, "signed in there, too"

    def server_ready(self) -> bool:
        return bool(self.server().get("ready"))

    def server(self) -> dict[str, object]:
        model = self.api("GET", f"users/{self.name}").json()
        servers: dict[str, dict[str, object]] = model["servers"]
        return servers.get("", {})


def identify(address: str, token: str) -> httpx.Response:
    """Ask the hub whose token this is, as the services do."""
    return httpx.get(f"{address}hub/api/user", headers={"Authorization": f"token {token}"})
