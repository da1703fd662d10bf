"""What is wrong with a query is told in the form that TAP has for it."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
import pyvo
from pyvo.dal.exceptions import DALQueryError
from services.tests.serving import Served, running
from services.tests.tap.asking import LONG, status
from tests.support.platform import free_port

from cerro_services.config import Settings
from cerro_services.release import ReleaseStore


@pytest.mark.req("TAP-8")
@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"QUERY": "DUFF QUERY"}, "begins with SELECT"),
        ({"QUERY": "SELECT x FROM sky.Visit"}, "line 1, column 8: There is no column x"),
        ({}, "QUERY is missing"),
        ({"QUERY": "SELECT visit FROM sky.Visit", "LANG": "OOBLECK"}, "LANG=OOBLECK"),
        ({"QUERY": "SELECT visit FROM sky.Visit", "MAXREC": "-1"}, "MAXREC must be a whole number"),
        ({"QUERY": "SELECT visit FROM sky.Visit", "REQUEST": "getStuff"}, "REQUEST=getStuff"),
        ({"QUERY": "SELECT visit FROM sky.Visit", "FORMAT": "xlsx"}, "'xlsx' is not offered"),
        ({"QUERY": "SELECT CAST(band AS INTEGER) FROM sky.Visit"}, "Could not convert"),
        ({"QUERY": "SELECT visit FROM sky.Visit", "UPLOAD": "t,param:x"}, "no part 'x'"),
    ],
)
def test_an_error_is_a_votable_with_the_reason(
    client: httpx.Client, parameters: dict[str, str], says: str
) -> None:
    for answer in (client.get("sync", params=parameters), client.post("sync", data=parameters)):
        assert answer.status_code == 400
        assert answer.headers["content-type"] == "application/x-votable+xml"
        ((value, text),) = status(answer.content)
        assert value == "ERROR"
        assert says in text
        assert "Traceback" not in text


@pytest.mark.req("TAP-8")
@pytest.mark.parametrize("wanted", ["votable", "csv", "parquet"])
def test_an_error_late_in_a_small_result_is_still_an_error(
    client: httpx.Client, wanted: str
) -> None:
    # The first batches are right; the last row's text is no number.
    query = (
        "SELECT CAST(q.t AS INTEGER) AS n FROM (SELECT '1' AS t FROM sky.Object a, sky.Visit v "
        "UNION ALL SELECT band FROM sky.Visit) AS q"
    )
    answer = client.post("sync", data={"QUERY": query, "RESPONSEFORMAT": wanted})
    assert answer.status_code == 400
    assert "Could not convert" in status(answer.content)[0][1]


@pytest.mark.req("TAP-8")
def test_a_form_without_length_is_read_only_so_far(client: httpx.Client) -> None:
    def endless() -> Iterator[bytes]:
        yield b"QUERY="
        for _ in range(200):
            yield b"x" * 65536

    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = client.post("sync", content=endless(), headers=headers)
    assert answer.status_code == 413, answer.text
    assert "more than 4,000,000 bytes" in status(answer.content)[0][1]


@pytest.mark.req("TAP-8")
def test_pyvo_raises_the_reason(tap: pyvo.dal.TAPService) -> None:
    with pytest.raises(DALQueryError, match=r"Did you mean sky\.Object"):
        tap.search("SELECT TOP 1 * FROM sky.Objekt")


@pytest.mark.req("TAP-8")
def test_a_path_that_is_not_there_is_told_in_a_line(served: Served) -> None:
    answer = httpx.get(f"{served.url}/api/nothing")
    assert answer.status_code == 404
    assert answer.json()["message"] == "/api/nothing: Not Found."


@pytest.mark.req("TAP-8")
def test_a_query_that_runs_too_long_is_told_so(
    store: ReleaseStore, tmp_path_factory: pytest.TempPathFactory
) -> None:
    port = free_port()
    settings = Settings(
        home=tmp_path_factory.mktemp("short"), releases=store.root, sync_seconds=0.5, threads=1
    )
    with running(settings, port):
        endless = LONG.replace("a.objectId, b.ra", "COUNT(*)")
        answer = httpx.post(
            f"http://127.0.0.1:{port}/api/tap/sync", data={"QUERY": endless}, timeout=30
        )
    assert answer.status_code == 400
    assert "ran longer than the 0.5 seconds" in status(answer.content)[0][1]
