"""What the client's tests share: services with a tiny release, and a clean environment."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.serving import TOKEN, Serving, publish_tiny, serving


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """Serve the release ``tiny``."""
    folder = tmp_path_factory.mktemp("served")
    with serving(publish_tiny(folder), folder) as services:
        yield services


@pytest.fixture(autouse=True)
def stranger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give each test a shell without address, token and login."""
    for name in ("CERRO_URL", "CERRO_TOKEN", "CERRO_HOME", "CERRO_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.fixture
def lab(served: Serving, monkeypatch: pytest.MonkeyPatch) -> Serving:
    """Set the environment that a notebook server of the platform has."""
    monkeypatch.setenv("CERRO_URL", served.url)
    monkeypatch.setenv("CERRO_TOKEN", TOKEN)
    return served
