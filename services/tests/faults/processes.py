"""`cerro serve` in a process of its own, which tests may kill as a machine does."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import psutil

from cerro_services.config import Settings


def environment(settings: Settings) -> dict[str, str]:
    """Give the environment that tells a process its settings."""
    told = settings.model_dump(mode="json", include=settings.model_fields_set)
    values = {f"CERRO_{name.upper()}": value for name, value in told.items() if value}
    texts = {k: v if isinstance(v, str) else json.dumps(v) for k, v in values.items()}
    return {k: v for k, v in os.environ.items() if not k.startswith("CERRO_")} | texts


def eventually[T](question: Callable[[], T], patience: float = 60.0) -> T:
    """Ask until the answer is true, and give it."""
    end = time.monotonic() + patience
    while not (answer := question()):
        assert time.monotonic() < end, "it did not come about"
        threading.Event().wait(0.02)
    return answer


class Serving:
    """The services in a process of their own.

    Parameters
    ----------
    settings
        What they are told; ``external_url`` is where they listen.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
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
                [sys.executable, "-m", "cerro.cli.main", "serve", "--port", port],
                env=environment(self.settings), stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        eventually(self._answers)

    def _answers(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()[-4000:]
        try:
            return httpx.get(f"{self.url}/healthz", timeout=5).status_code == 200
        except httpx.TransportError:
            return False

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
