"""What the tests across packages share: one platform with the demo release."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.platform import Platform, running
from tests.support.trial import trial


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """Give a platform made as a stranger makes it, with `cerro up --demo`, in a folder of its own.

    ``CERRO_TEST_HOME`` names a folder to keep, so that a second run need not simulate again.
    """
    kept = os.environ.get("CERRO_TEST_HOME")
    home = Path(kept) if kept else tmp_path_factory.mktemp("platform")
    with running(home, "--demo") as platform:
        yield platform


@pytest.fixture(scope="session")
def trial_data() -> Path:
    """Give the folder of real data; it lies beside the repository and is no part of it."""
    return trial()
