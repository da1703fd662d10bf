"""One running platform for the tests that only use it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hub.tests.support import ADMIN_PASSWORD, Person, Platform, running

from cerro_hub.auth.accounts import AccountStore


@pytest.fixture(scope="session")
def place() -> Iterator[Path]:
    """A folder that other accounts of the machine can pass through, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp(prefix="cerro-hub-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def tutorials(place: Path) -> Path:
    folder = place / "tutorials"
    (folder / "data").mkdir(parents=True)
    (folder / "01_first.ipynb").write_text('{"cells": []}')
    (folder / "data/readme.txt").write_text("stars\n")
    return folder


@pytest.fixture(scope="session")
def platform(place: Path, tutorials: Path) -> Iterator[Platform]:
    """A platform with the accounts admin, ada (in data-rights) and otto (without a folder)."""
    home = place / "shared"
    store = AccountStore(home / "hub")
    store.add("admin", ADMIN_PASSWORD, admin=True)
    store.add("ada", ADMIN_PASSWORD, groups=["data-rights"])
    store.add("otto", ADMIN_PASSWORD)
    with running(home, env={"CERRO_TUTORIALS": str(tutorials)}) as started:
        yield started


@pytest.fixture
def ada(platform: Platform) -> Person:
    person = Person(platform.address)
    assert person.login("ada", ADMIN_PASSWORD).url.path == "/hub/home"
    return person
