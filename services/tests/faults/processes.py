"""`cerro serve` in a process of its own, which tests may kill as a machine does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import psutil
from services.tests.serving import environment
from tests.support.waiting import eventually

from cerro_services.config import Settings


class Serving:
    """The services in a process of their own.

    Parameters
    ----------
    settings
        What they are told; ``external_url`` is where they listen.
    options
        Further options of `cerro serve`.
    """

    def __init__(self, settings: Settings, *options: str) -> None:
        self.settings, self._options = settings, options
        self.url = settings.base_url
        self.tap = f"{self.url}/api/tap"
        self.log: Path = settings.home / "serve.log"
        self.process: subprocess.Popen[bytes]

    def __enter__(self) -> Serving:
        self.start()
        return self

    def start(self) -> None:
        """Start them, and wait until they answer."""
        port = self.url.rpartition(":")[2]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "cerro.cli.main", "serve", "--port", port, *self._options],
                env=environment(self.settings), stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        eventually(self._answers, "the services answer")

    def _answers(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()[-4000:]
        return httpx.get(f"{self.url}/healthz", timeout=5).status_code == 200

    def kill(self) -> None:
        """Kill them, as a machine does that runs out of memory."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)

    def memory(self) -> int:
        """Give the bytes of memory that they hold."""
        every = psutil.Process(self.process.pid)
        return sum(p.memory_info().rss for p in [every, *every.children(recursive=True)])

    def __exit__(self, *args: object) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()
