"""What the portal's tests share: the portal as a process, before real services."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from tests.support.platform import CERRO, ROOT, environment, free_port
from tests.support.serving import Serving, publish_tiny, serving
from tests.support.waiting import eventually


@contextlib.contextmanager
def portal_process(home: Path, services_url: str, docs: Path | None = None) -> Iterator[str]:
    """Run ``cerro portal`` until the block ends; gives its address without final slash."""
    port = free_port()
    variables = environment(home) | {
        "CERRO_SERVICES_URL": services_url,
        "CERRO_EXTERNAL_URL": "https://sky.example/",
        **({"CERRO_DOCS": str(docs)} if docs else {}),
    }
    log = home / f"portal-{port}.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [*CERRO, "portal", "--port", str(port)],
            env=variables,
            stdout=output,
            stderr=subprocess.STDOUT,
        )

    def ready() -> bool:
        if process.poll() is not None:
            raise AssertionError(f"cerro portal ended:\n{log.read_text()}")
        return requests.get(f"http://127.0.0.1:{port}/healthz", timeout=5).ok

    try:
        eventually(ready, f"cerro portal answers (see {log})")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture(scope="session")
def documentation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the documentation as ``make docs`` does, into a folder of its own."""
    folder = tmp_path_factory.mktemp("docs")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "-b", "html", "docs", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, timeout=120)
    return folder


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """Serve the release ``tiny``."""
    folder = tmp_path_factory.mktemp("served")
    with serving(publish_tiny(folder), folder) as services:
        yield services


@pytest.fixture(scope="session")
def portal(
    tmp_path_factory: pytest.TempPathFactory, served: Serving, documentation: Path
) -> Iterator[str]:
    """Give the address of a portal before services with the release ``tiny``."""
    folder = tmp_path_factory.mktemp("portal")
    with portal_process(folder, served.services_url, documentation) as address:
        yield address
