"""Tables that users keep, over HTTP: made, filled, shared and dropped as YouCat's clients do it."""

from __future__ import annotations

import io
from collections.abc import Iterator

import httpx
import pyarrow as pa
import pytest
import pyvo
from pyvo.auth import AuthSession

from .conftest import Served

CSV = b"id,ra,dec,word\n1,10.5,-3,one\n2,200.25,45,two\n3,0.5,0.25,three\n"


@pytest.fixture
def client(served: Served) -> Iterator[httpx.Client]:
    with httpx.Client(
        base_url=served.tap + "/", timeout=30, headers={"Authorization": "Bearer writer"}
    ) as made:
        yield made
        for name in ("stars", "other", "mine"):
            made.delete(f"tables/mydb.{name}")


def ask(client: httpx.Client, query: str, **more: str) -> list[str]:
    answer = client.post("sync", data={"QUERY": query, "RESPONSEFORMAT": "csv", **more})
    assert answer.status_code == 200, answer.text
    return answer.text.split()[1:]


@pytest.mark.req("MYDB-1")
def test_a_table_is_kept_and_joined_with_a_release(client: httpx.Client) -> None:
    made = client.put("tables/mydb.stars", content=CSV, headers={"Content-Type": "text/csv"})
    assert made.status_code == 201, made.text
    assert ask(client, "SELECT id, word FROM mydb.stars ORDER BY id") == ["1,one", "2,two", "3,three"]
