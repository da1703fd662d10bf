"""Who keeps tables, who shares their group, and the public."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
import pyvo
import requests
from services.tests.serving import Served
from services.tests.usertables.calls import ask, client_of


@pytest.fixture
def client(served: Served) -> Iterator[httpx.Client]:
    """Give a client of somebody who may keep tables."""
    with client_of(served, "writer") as made:
        yield made
        for name in ask(made, "SELECT table_name FROM tap_schema.tables"):
            if name.startswith("mydb."):
                made.delete(f"tables/{name}")


@pytest.fixture
def mate(served: Served) -> Iterator[httpx.Client]:
    """Give a client of a member of the same group."""
    with client_of(served, "mate") as made:
        yield made


@pytest.fixture
def public(served: Served) -> Iterator[httpx.Client]:
    with client_of(served, None) as made:
        yield made


@pytest.fixture
def tap(served: Served) -> pyvo.dal.TAPService:
    session = requests.Session()
    session.headers["Authorization"] = "Bearer writer"
    return pyvo.dal.TAPService(served.tap, session=session)
