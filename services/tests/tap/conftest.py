"""Clients of TAP."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
import pyvo
from services.tests.serving import Served


@pytest.fixture
def client(served: Served) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=served.tap + "/", timeout=30) as made:
        yield made


@pytest.fixture(scope="module")
def tap(served: Served) -> pyvo.dal.TAPService:
    return pyvo.dal.TAPService(served.tap)
