"""A whole platform for the tests: `cerro up` in a folder and on a port of its own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from tests.support.waiting import eventually

ROOT = Path(__file__).resolve().parents[2]
ADMIN = ("admin", "correct horse battery staple")


def free_port() -> int:
    """Find a port of the loopback interface that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@dataclass(frozen=True)
class Platform:
    """A running platform.

    Parameters
    ----------
    home
        Its CERRO_HOME.
    port
        The front door's port.
    process
        The `cerro up` that watches it.
    """

    home: Path
    port: int
    process: subprocess.Popen[str]

    @property
    def url(self) -> str:
        """The front door, with a slash at the end."""
        return f"http://127.0.0.1:{self.port}/"

    @property
    def tap_url(self) -> str:
        """The TAP service behind the front door."""
        return f"{self.url}api/tap"

    def cerro(
        self, *arguments: str, check: bool = True, stdin: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run the `cerro` command in this platform's home."""
        done = subprocess.run(
            [*CERRO, *arguments],
            env=environment(self.home),
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=900,
        )
        if check and done.returncode:
            raise AssertionError(f"cerro {' '.join(arguments)}:\n{done.stdout}\n{done.stderr}")
        return done

    def processes(self) -> dict[str, dict[str, Any]]:
        """Tell what `cerro status --json` says of each process."""
        status = json.loads(self.cerro("status", "--json", check=False).stdout)
        return {process["name"]: process for process in status["processes"]}


CERRO = [sys.executable, "-m", "cerro.cli.main"]


def environment(home: Path) -> dict[str, str]:
    """Environment of a stranger's shell: nothing of ours but the home."""
    ours = ("CERRO_", "JUPYTERHUB_", "ACCESS_TOKEN", "NUBLADO_", "EXTERNAL_")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
    return kept | {"CERRO_HOME": str(home), "CERRO_ADMIN_PASSWORD": ADMIN[1]}


@contextlib.contextmanager
def running(home: Path, *arguments: str) -> Iterator[Platform]:
    """Start `cerro up` in a folder, give the platform when its front door answers, stop it after.

    Parameters
    ----------
    home
        The CERRO_HOME to use; made when it is not there.
    arguments
        More options of `cerro up`.
    """
    home.mkdir(parents=True, exist_ok=True)
    port = free_port()
    log = home / "up.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [*CERRO, "up", "--port", str(port), *arguments],
            env=environment(home),
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=ROOT,
        )
    platform = Platform(home, port, process)

    def answers() -> bool:
        if process.poll() is not None:
            raise AssertionError(f"cerro up ended:\n{log.read_text()}")
        ready = all(
            requests.get(platform.url + path, timeout=5).ok
            for path in ("", "api/healthz", "hub/api/")
        )
        return ready and "Cerro is ready" in log.read_text()

    try:
        eventually(answers, f"the platform in {home} answers (see {log})", 420)
        yield platform
    finally:
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(60)
        if process.poll() is None:
            process.kill()
            raise AssertionError(f"cerro up did not stop on Ctrl-C:\n{log.read_text()}")
