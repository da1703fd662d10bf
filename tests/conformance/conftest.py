"""What the tests of conformance share: a release of Rubin's model, served by real processes."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from tests.conformance.schemas import Schemas
from tests.conformance.survey import publish
from tests.support.platform import CERRO, free_port
from tests.support.waiting import eventually

TOKEN = "a-token-of-vera"
VERA = {
    "name": "vera",
    "groups": ["data-rights"],
    "scopes": ["custom:read:tap", "custom:write:tables"],
}
STILTS = shutil.which("stilts")
needs_stilts = pytest.mark.skipif(STILTS is None, reason="stilts is not installed")


@dataclass(frozen=True)
class Archive:
    """Services that answer, with a worker for jobs.

    Parameters
    ----------
    url
        Their address, without a slash at the end.
    home
        Their folder.
    token
        Of someone with data rights.
    """

    url: str
    home: Path
    token: str = TOKEN

    @property
    def tap(self) -> str:
        """Address of TAP."""
        return f"{self.url}/api/tap"


class _Hub(BaseHTTPRequestHandler):
    """Knows one token, as JupyterHub's GET /user does."""

    def do_GET(self) -> None:
        known = self.headers.get("Authorization", "") == f"token {TOKEN}"
        body = json.dumps(VERA if known else {"status": 403, "message": "Forbidden"}).encode()
        self.send_response(200 if known else 403)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Keep the tests' output clean."""


@pytest.fixture(scope="session")
def archive(trial_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    """Serve a release with `cerro serve` and `cerro work`, as `cerro up` does."""
    home = tmp_path_factory.mktemp("archive")
    publish(home, trial_data)
    hub = ThreadingHTTPServer(("127.0.0.1", 0), _Hub)
    threading.Thread(target=hub.serve_forever, args=(0.05,), daemon=True).start()
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    environment = {k: v for k, v in os.environ.items() if not k.startswith("CERRO_")} | {
        "CERRO_HOME": str(home),
        "CERRO_EXTERNAL_URL": url,
        "CERRO_HUB_API_URL": f"http://127.0.0.1:{hub.server_port}/hub/api",
        "CERRO_MEMORY": "500MB",
    }
    with contextlib.ExitStack() as stack:
        started = []
        for command in (["serve", "--port", str(port)], ["work"]):
            log = stack.enter_context((home / f"{command[0]}.log").open("w"))
            process = subprocess.Popen(
                [*CERRO, *command], env=environment, stdout=log, stderr=subprocess.STDOUT
            )
            stack.callback(_stopped, process)
            started.append(process)
        _ready(f"{url}/api/tap/availability", home, started)
        yield Archive(url, home)
    hub.shutdown()
    hub.server_close()


@pytest.fixture(scope="session")
def schemas(trial_data: Path) -> Schemas:
    """Give the IVOA's schemas."""
    return Schemas(trial_data / "models/ivoa_xsd")


def stilts(*arguments: str) -> str:
    """Run STILTS and give what it prints; fail with what it complains of."""
    assert STILTS is not None
    done = subprocess.run([STILTS, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _ready(url: str, home: Path, started: list[subprocess.Popen[bytes]]) -> None:
    def answers() -> bool:
        logs = [path.read_text() for path in home.glob("*.log")]
        assert all(process.poll() is None for process in started), f"one ended:\n{logs}"
        # The worker is found missing until it has said once that it is there.
        return "no worker" not in httpx.get(url, timeout=30).text

    eventually(answers, f"the services answer (see the logs in {home})", 120)


def _stopped(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
