"""Who runs jobs, a job that runs for hours, and the schema of UWS 1.1."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from lxml import etree
from services.tests.serving import Served
from services.tests.uws.client import HEAVY, Client
from tests.support.trial import trial


@pytest.fixture(scope="module")
def anyone(worked: Served) -> Client:
    return Client(worked)


@pytest.fixture(scope="module")
def ada(worked: Served) -> Client:
    return Client(worked, "good")


@pytest.fixture(scope="module")
def vera(worked: Served) -> Client:
    return Client(worked, "member")


@pytest.fixture(scope="module")
def valid() -> Callable[[bytes], None]:
    """Give a function that validates a document by the schema of UWS 1.1."""
    folder = trial("models/ivoa_xsd")
    text = (folder / "ivoa-std/UWS.xsd").read_text()
    text = re.sub(r'schemaLocation="[^"]*xlink.xsd"', 'schemaLocation="xlink.xsd"', text)
    base = (folder / "gavo_dachs/jobs.xsd").as_uri()
    schema = etree.XMLSchema(etree.fromstring(text.encode(), base_url=base))

    def check(document: bytes) -> None:
        schema.assertValid(etree.fromstring(document))

    return check


@pytest.fixture
def heavy(anyone: Client) -> Iterator[str]:
    """Give the address of a job that runs for minutes, running."""
    address = anyone.create(HEAVY)
    anyone.running(address)
    yield address
    anyone.http.delete(address)
